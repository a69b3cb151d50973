// oauth4webapi 2, which many applications still use.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as oauth from 'oauth4webapi2'

import {
  DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, LATCHKEY_URL, call, createClientWithKeyPair, signIn,
} from './latchkey.js'

const issuer = new URL(LATCHKEY_URL)
const server = await oauth.processDiscoveryResponse(
  issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2' }),
)
const person = { client_id: 'latchkey', token_endpoint_auth_method: 'none' }

async function grant(client, options) {
  const answer = await oauth.clientCredentialsGrantRequest(server, client, { scope: 'todo:read' }, options)
  return oauth.processClientCredentialsResponse(server, client, answer)
}

async function introspect(client, token, options) {
  const answer = await oauth.introspectionRequest(server, client, token, options)
  return oauth.processIntrospectionResponse(server, client, answer)
}

async function revoke(client, token, options) {
  const answer = await oauth.revocationRequest(server, client, token, options)
  assert.equal(await oauth.processRevocationResponse(answer), undefined)
}

async function refresh(token) {
  const answer = await oauth.refreshTokenGrantRequest(server, person, token)
  return oauth.processRefreshTokenResponse(server, person, answer)
}

// Gets, uses, introspects and revokes a token.
async function useToken(client, options) {
  const { access_token, scope } = await grant(client, options)
  assert.equal(scope, 'todo:read')
  assert.equal((await call(access_token)).status, 200)
  const introspected = await introspect(client, access_token, options)
  assert.equal(introspected.active, true)
  assert.equal(introspected.client_id, client.client_id)
  await revoke(client, access_token, options)
  assert.deepEqual(await introspect(client, access_token, options), { active: false })
}

for (const token_endpoint_auth_method of ['client_secret_basic', 'client_secret_post']) {
  test(`a client gets, introspects and revokes a token by ${token_endpoint_auth_method}`, () => useToken({
    client_id: DEMO_CLIENT_ID, client_secret: DEMO_CLIENT_SECRET, token_endpoint_auth_method,
  }))
}

test('a sign-in is refreshed and revoked without a client secret', async () => {
  const first = await signIn()
  const second = await refresh(first.refresh_token)
  assert.notEqual(second.refresh_token, first.refresh_token)
  assert.equal((await call(second.access_token)).status, 200)
  await revoke(person, second.refresh_token)
  const error = await refresh(second.refresh_token)
  assert.deepEqual([oauth.isOAuth2Error(error), error.error], [true, 'invalid_grant'])
})

// Its assertions have an array of issuer and token endpoint as audience.
for (const alg of ['ES256', 'RS256', 'EdDSA']) {
  test(`a client authenticates with an ${alg} assertion`, async () => {
    const { client_id, privateKey } = await createClientWithKeyPair(`oauth4webapi-2-${alg}`, alg)
    await useToken({ client_id, token_endpoint_auth_method: 'private_key_jwt' }, { clientPrivateKey: privateKey })
  })
}

test('a bound token requires its proof', async () => {
  const DPoP = await oauth.generateKeyPair('ES256')
  const client = { client_id: DEMO_CLIENT_ID, client_secret: DEMO_CLIENT_SECRET }
  const { access_token, token_type } = await grant(client, { DPoP })
  assert.equal(token_type, 'dpop')
  const todo = new URL('/todo', issuer)
  const open = (options) => oauth.protectedResourceRequest(access_token, 'GET', todo, undefined, undefined, options)
  assert.equal((await open({ DPoP })).status, 200)
  assert.equal((await open({})).status, 403)
})

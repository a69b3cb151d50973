// oauth4webapi, the strictest of the JavaScript clients.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as oauth from 'oauth4webapi'

import {
  DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, LATCHKEY_URL, basic, call, client, discover, grant, plainHttp, refused,
} from './latchkey.js'

const AUDIENCE = 'latchkey'
const post = oauth.ClientSecretPost(DEMO_CLIENT_SECRET)

async function validate(accessToken, audience = AUDIENCE) {
  const request = new Request(`${LATCHKEY_URL}/todo`, { headers: { authorization: `Bearer ${accessToken}` } })
  return oauth.validateJwtAccessToken(await discover(), request, audience, plainHttp)
}

for (const algorithm of ['oauth2', 'oidc']) {
  test(`discovery by ${algorithm} finds the token endpoint`, async () => {
    const server = await discover(algorithm)
    assert.equal(server.issuer, LATCHKEY_URL)
    assert.equal(server.token_endpoint, `${LATCHKEY_URL}/oauth2/token`)
    assert.equal(server.jwks_uri, `${LATCHKEY_URL}/.well-known/jwks.json`)
  })
}

test('form-encoded Basic credentials yield a token', async () => {
  let sent
  const customFetch = (url, init) => {
    sent = atob(init.headers.authorization.replace('Basic ', ''))
    return fetch(url, init)
  }
  const token = await grant(basic, {}, { [oauth.customFetch]: customFetch })
  // The client encodes more characters than it must.
  assert.match(sent, /%2D.*:.*%5F/)
  assert.equal(token.token_type, 'bearer')
  assert.equal(typeof token.expires_in, 'number')
  assert.equal(token.scope, 'todo:read todo:write')
  assert.equal(token.refresh_token, undefined)
})

test('credentials in the body yield a token', async () => {
  const token = await grant(post)
  assert.equal(token.scope, 'todo:read todo:write')
})

test('a narrower scope is granted as requested', async () => {
  const token = await grant(basic, { scope: 'todo:read' })
  assert.equal((await validate(token.access_token)).scope, 'todo:read')
})

test('the access token passes RFC 9068 validation', async () => {
  const token = await grant(basic)
  const claims = await validate(token.access_token)
  assert.equal(claims.iss, LATCHKEY_URL)
  assert.equal(claims.sub, DEMO_CLIENT_ID)
  assert.equal(claims.client_id, DEMO_CLIENT_ID)
  assert.equal(claims.exp - claims.iat, token.expires_in)
  await assert.rejects(validate(token.access_token, 'another-audience'), { name: 'OperationProcessingError' })
})

test('the access token is allowed on a route with its scope alone', async () => {
  const callWith = async (scope) => call((await grant(basic, { scope })).access_token)
  const response = await callWith('todo:read')
  assert.equal(response.status, 200)
  assert.equal((await response.json()).sub, DEMO_CLIENT_ID)
  assert.equal((await callWith('todo:write')).status, 403)
})

for (const method of [oauth.ClientSecretBasic, oauth.ClientSecretPost]) {
  test(`a wrong secret by ${method.name} is invalid_client with a challenge`, async () => {
    const error = await grant(method('wrong')).catch((error) => error)
    assert.ok(error instanceof oauth.WWWAuthenticateChallengeError, error)
    assert.equal(error.status, 401)
    assert.equal(error.cause[0].scheme, 'basic')
    assert.equal((await error.response.json()).error, 'invalid_client')
  })
}

test('a scope beyond the granted scope is invalid_scope', async () => {
  await refused(grant(basic, { scope: 'todo:read admin' }), 'invalid_scope')
})

test('an unsupported grant is unsupported_grant_type', async () => {
  const server = await discover()
  const response = await oauth.genericTokenEndpointRequest(
    server, client, basic, 'password', { username: 'a', password: 'b' }, plainHttp,
  )
  await refused(oauth.processGenericTokenEndpointResponse(server, client, response), 'unsupported_grant_type')
})

// Requests of oauth4webapi to the `latchkey dev` under test.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import * as oauth from 'oauth4webapi'

export const { LATCHKEY_URL, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_USERNAME } = process.env
const { LATCHKEY, DEMO_PASSWORD } = process.env
const issuer = new URL(LATCHKEY_URL)
const todo = new URL('/todo', issuer)
export const client = { client_id: DEMO_CLIENT_ID }
export const basic = oauth.ClientSecretBasic(DEMO_CLIENT_SECRET)
// First-party sign-in uses this client, which has no secret.
export const publicClient = { client_id: 'latchkey' }
// `latchkey dev` serves plain http.
export const plainHttp = { [oauth.allowInsecureRequests]: true }

export async function discover(algorithm = 'oauth2') {
  const response = await oauth.discoveryRequest(issuer, { algorithm, ...plainHttp })
  return oauth.processDiscoveryResponse(issuer, response)
}

export async function grant(authentication, parameters = {}, options = {}, as = client) {
  const server = await discover()
  const response = await oauth.clientCredentialsGrantRequest(
    server, as, authentication, parameters, { ...plainHttp, ...options },
  )
  return oauth.processClientCredentialsResponse(server, as, response)
}

export async function signIn(options = {}) {
  const server = await discover()
  const form = { ...server, token_endpoint: `${LATCHKEY_URL}/token` }
  const response = await oauth.genericTokenEndpointRequest(
    form, publicClient, oauth.None(), 'password', { username: DEMO_USERNAME, password: DEMO_PASSWORD },
    { ...plainHttp, ...options },
  )
  return oauth.processGenericTokenEndpointResponse(server, publicClient, response)
}

export async function refresh(refreshToken, options = {}) {
  const server = await discover()
  const response = await oauth.refreshTokenGrantRequest(
    server, publicClient, oauth.None(), refreshToken, { ...plainHttp, ...options },
  )
  return oauth.processRefreshTokenResponse(server, publicClient, response)
}

export async function introspect(token, as = client, authentication = basic) {
  const server = await discover()
  const response = await oauth.introspectionRequest(server, as, authentication, token, plainHttp)
  return oauth.processIntrospectionResponse(server, as, response)
}

export function call(accessToken, options = {}) {
  return oauth.protectedResourceRequest(
    accessToken, 'GET', todo, undefined, undefined, { ...plainHttp, ...options },
  )
}

export function createClient(...parameters) {
  const answer = execFileSync(LATCHKEY, ['client', 'create', ...parameters, '--output', 'json'])
  return JSON.parse(answer)
}

// Creates a client that signs assertions, and returns its private key as a CryptoKey and as a JWK.
export async function createClientWithKeyPair(client_id, algorithm) {
  const name = algorithm === 'EdDSA' ? 'Ed25519' : algorithm
  const { privateKey, publicKey } = await oauth.generateKeyPair(name, { extractable: true })
  const folder = mkdtempSync(join(tmpdir(), 'keys-'))
  const file = join(folder, 'jwks.json')
  writeFileSync(file, JSON.stringify({ keys: [await crypto.subtle.exportKey('jwk', publicKey)] }))
  createClient(client_id, '--scope', 'todo:read', '--public-key', file)
  rmSync(folder, { recursive: true })
  return { client_id, privateKey, jwk: await crypto.subtle.exportKey('jwk', privateKey) }
}

export async function refused(promise, code) {
  const error = await promise.then(assert.fail, (error) => error)
  assert.ok(error instanceof oauth.ResponseBodyError, error)
  assert.deepEqual([error.status, error.error], [400, code])
}

// A revocation takes effect when the trust snapshot is reloaded, 15 s by default.
export async function withinTrustInterval(holds) {
  const deadline = Date.now() + 20_000
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, 'not within the trust interval')
    await setTimeout(250)
  }
}

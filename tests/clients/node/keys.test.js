// Keys instead of secrets: private_key_jwt (RFC 7523) and DPoP (RFC 9449).

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'

import * as oauth from 'oauth4webapi'

import { basic, call, createClient, discover, grant, introspect, refresh, refused, signIn } from './latchkey.js'

const folder = mkdtempSync(join(tmpdir(), 'keys-'))
after(() => rmSync(folder, { recursive: true }))

async function createClientWithKeys(id, ...keys) {
  const file = join(folder, `${id}.json`)
  writeFileSync(file, JSON.stringify({ keys }))
  const { client_id, client_secret } = createClient(id, '--scope', 'todo:read', '--public-key', file)
  assert.equal(client_secret, undefined)
  return { client_id }
}

// Sends the request twice and returns the second response.
const twice = {
  [oauth.customFetch]: async (url, init) => {
    assert.equal((await fetch(url, init)).status, 200)
    return fetch(url, init)
  },
}

async function invalidClient(promise) {
  const error = await promise.then(assert.fail, (error) => error)
  assert.equal(error.status, 401, error)
  assert.equal((await error.response.json()).error, 'invalid_client')
}

describe('private_key_jwt', () => {
  for (const algorithm of ['ES256', 'RS256', 'Ed25519']) {
    test(`a client authenticates with an ${algorithm} assertion`, async () => {
      const { privateKey, publicKey } = await oauth.generateKeyPair(algorithm)
      const jwk = await crypto.subtle.exportKey('jwk', publicKey)
      const client = await createClientWithKeys(`oauth4webapi-${algorithm}`, jwk)
      const authentication = oauth.PrivateKeyJwt(privateKey)
      const { access_token } = await grant(authentication, {}, {}, client)
      assert.equal((await (await call(access_token)).json()).sub, client.client_id)
      assert.equal((await introspect(access_token, client, authentication)).active, true)
    })
  }

  test('an assertion verifies with the registered key that it names', async () => {
    const pairs = await Promise.all([1, 2, 3].map(() => oauth.generateKeyPair('ES256')))
    const jwks = await Promise.all(pairs.map(({ publicKey }) => crypto.subtle.exportKey('jwk', publicKey)))
    const client = await createClientWithKeys(
      'oauth4webapi-two-keys', { ...jwks[0], kid: 'old' }, { ...jwks[1], kid: 'new' },
    )
    const by = (pair, kid) => grant(oauth.PrivateKeyJwt({ key: pair.privateKey, kid }), {}, {}, client)
    await by(pairs[0], 'old')
    await by(pairs[1], 'new')
    await invalidClient(by(pairs[0], 'new'))
    await invalidClient(by(pairs[2], 'new'))
  })

  test('a replayed assertion is rejected', async () => {
    const { privateKey, publicKey } = await oauth.generateKeyPair('ES256')
    const jwk = await crypto.subtle.exportKey('jwk', publicKey)
    const client = await createClientWithKeys('oauth4webapi-once', jwk)
    await invalidClient(grant(oauth.PrivateKeyJwt(privateKey), {}, twice, client))
  })
})

describe('DPoP', () => {
  const bind = async (algorithm = 'ES256') => oauth.DPoP({}, await oauth.generateKeyPair(algorithm))

  for (const algorithm of ['ES256', 'RS256', 'Ed25519']) {
    test(`a token is bound to its ${algorithm} key`, async () => {
      assert.ok((await discover()).dpop_signing_alg_values_supported.includes(algorithm))
      const DPoP = await bind(algorithm)
      const { access_token, token_type } = await grant(basic, {}, { DPoP })
      assert.equal(token_type, 'dpop')
      const introspected = await introspect(access_token)
      assert.deepEqual(introspected.cnf, { jkt: await DPoP.calculateThumbprint() })
      assert.equal(introspected.token_type, 'DPoP')
      assert.equal((await call(access_token, { DPoP })).status, 200)
      assert.equal((await call(access_token)).status, 403, 'as a bearer token')
      assert.equal((await call(access_token, { DPoP: await bind() })).status, 403, 'with another key')
    })
  }

  test('an unbound token with a proof is denied', async () => {
    const { access_token } = await grant(basic)
    assert.equal((await call(access_token, { DPoP: await bind() })).status, 403)
  })

  test('a replayed proof is rejected', async () => {
    const DPoP = await bind()
    await refused(grant(basic, {}, { DPoP, ...twice }), 'invalid_dpop_proof')
    const { access_token } = await grant(basic, {}, { DPoP })
    assert.equal((await call(access_token, { DPoP, ...twice })).status, 403)
  })

  test('a bound token family refreshes with its key alone', async () => {
    const DPoP = await bind()
    const first = await signIn({ DPoP })
    assert.equal(first.token_type, 'dpop')
    await refused(refresh(first.refresh_token), 'invalid_dpop_proof')
    await refused(refresh(first.refresh_token, { DPoP: await bind() }), 'invalid_dpop_proof')
    const second = await refresh(first.refresh_token, { DPoP })
    assert.equal(second.token_type, 'dpop')
    assert.notEqual(second.refresh_token, first.refresh_token)
    assert.equal((await call(second.access_token, { DPoP })).status, 200)
    assert.equal((await refresh(first.refresh_token, { DPoP })).refresh_token, second.refresh_token)
  })
})

// Issued tokens: refresh (RFC 6749 §6), revocation (RFC 7009), introspection (RFC 7662).

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import * as oauth from 'oauth4webapi'

import {
  DEMO_CLIENT_ID, DEMO_USERNAME, LATCHKEY_URL, basic, call, client, createClient, discover, grant, introspect,
  plainHttp, publicClient, refresh, refused, signIn, withinTrustInterval,
} from './latchkey.js'

async function revoke(token, as = client, authentication = basic) {
  const response = await oauth.revocationRequest(await discover(), as, authentication, token, plainHttp)
  return oauth.processRevocationResponse(response)
}

test('discovery names the endpoints for revocation and introspection', async () => {
  const server = await discover()
  assert.equal(server.revocation_endpoint, `${LATCHKEY_URL}/oauth2/revoke`)
  assert.equal(server.introspection_endpoint, `${LATCHKEY_URL}/oauth2/introspect`)
  assert.ok(server.grant_types_supported.includes('refresh_token'))
  assert.ok(server.token_endpoint_auth_methods_supported.includes('none'))
})

describe('refresh', () => {
  test('a public client refreshes its token', async () => {
    const first = await signIn()
    const second = await refresh(first.refresh_token)
    assert.equal(second.scope, 'todo:read todo:write')
    assert.notEqual(second.refresh_token, first.refresh_token)
    assert.notEqual(second.access_token, first.access_token)
    const answer = await (await call(second.access_token)).json()
    assert.equal(answer.preferred_username, DEMO_USERNAME)
    assert.equal(answer.client_id, 'latchkey')
  })

  test('a retry yields the same successor, which can be refreshed', async () => {
    const { refresh_token: first } = await signIn()
    const second = await refresh(first)
    assert.equal((await refresh(first)).refresh_token, second.refresh_token)
    const third = await refresh(second.refresh_token)
    assert.notEqual(third.refresh_token, second.refresh_token)
  })

  test('a refresh narrows the scope of one access token and never widens it', async () => {
    const { refresh_token } = await signIn()
    const ask = (scope) => refresh(refresh_token, { additionalParameters: { scope } })
    await refused(ask('todo:read admin'), 'invalid_scope')
    const narrow = await ask('todo:write')
    assert.equal(narrow.scope, 'todo:write')
    assert.equal((await call(narrow.access_token)).status, 403)
    assert.equal((await refresh(narrow.refresh_token)).scope, 'todo:read todo:write')
  })

  test('another token is invalid_grant', async () => {
    await refused(refresh('garbage'), 'invalid_grant')
    await refused(refresh((await signIn()).access_token), 'invalid_grant')
  })
})

// Concurrently, so that the suite waits for one trust interval.
describe('revocation', { concurrency: true }, () => {
  test('a revoked access token is denied and inactive', async () => {
    const { access_token } = await grant(basic)
    assert.equal((await call(access_token)).status, 200)
    assert.equal((await introspect(access_token)).active, true)
    await revoke(access_token)
    await withinTrustInterval(async () => (await call(access_token)).status === 403)
    await withinTrustInterval(async () => !(await introspect(access_token)).active)
    assert.deepEqual(await introspect(access_token), { active: false })
  })

  test('revoking a refresh token revokes the token family and its access tokens', async () => {
    const first = await signIn()
    const second = await refresh(first.refresh_token)
    await revoke(second.refresh_token, publicClient, oauth.None())
    await refused(refresh(second.refresh_token), 'invalid_grant')
    for (const { access_token } of [first, second]) {
      await withinTrustInterval(async () => (await call(access_token)).status === 403)
    }
  })

  test("another client's token cannot be revoked", async () => {
    const { access_token, refresh_token } = await signIn()
    for (const token of [access_token, refresh_token]) {
      await refused(revoke(token), 'unauthorized_client')
    }
    assert.equal((await call(access_token)).status, 200)
    await refresh(refresh_token)
  })

  test('revoking an unknown token succeeds', async () => {
    await revoke('garbage')
    await revoke('garbage', publicClient, oauth.None())
  })
})

describe('introspection', () => {
  test('introspection describes a token to its client', async () => {
    const token = await grant(basic, { scope: 'todo:read' })
    const { exp, iat, jti, ...rest } = await introspect(token.access_token)
    assert.equal(exp - iat, token.expires_in)
    assert.ok(jti)
    assert.deepEqual(rest, {
      active: true,
      aud: 'latchkey',
      client_id: DEMO_CLIENT_ID,
      iss: LATCHKEY_URL,
      scope: 'todo:read',
      sub: DEMO_CLIENT_ID,
      token_type: 'Bearer',
    })
  })

  test("another client's token and an unknown one are inactive", async () => {
    const { access_token, refresh_token } = await signIn()
    for (const token of [access_token, refresh_token, 'garbage']) {
      assert.deepEqual(await introspect(token), { active: false })
    }
  })

  test('introspection describes every token to a resource server with the scope', async () => {
    const { client_id, client_secret } = createClient('oauth4webapi-api', '--scope', 'latchkey:introspect')
    const { access_token, refresh_token } = await signIn()
    for (const token of [access_token, refresh_token]) {
      const introspected = await introspect(token, { client_id }, oauth.ClientSecretBasic(client_secret))
      assert.equal(introspected.active, true)
      assert.equal(introspected.username, DEMO_USERNAME)
      assert.equal(introspected.client_id, 'latchkey')
      assert.equal(introspected.scope, 'todo:read todo:write')
    }
  })

  test('introspection requires client authentication', async () => {
    const { access_token } = await signIn()
    const error = await introspect(access_token, publicClient, oauth.None()).then(assert.fail, (error) => error)
    assert.ok(error instanceof oauth.WWWAuthenticateChallengeError, error)
    assert.equal(error.status, 401)
    assert.equal((await error.response.json()).error, 'invalid_client')
  })
})

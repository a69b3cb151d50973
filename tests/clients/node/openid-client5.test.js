// openid-client 5, which many applications still use.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Issuer, errors } from 'openid-client5'

import {
  DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, LATCHKEY_URL, call, createClientWithKeyPair, signIn,
} from './latchkey.js'

const issuer = await Issuer.discover(LATCHKEY_URL)

function demo(token_endpoint_auth_method) {
  return new issuer.Client({
    client_id: DEMO_CLIENT_ID, client_secret: DEMO_CLIENT_SECRET, token_endpoint_auth_method,
  })
}

const person = new issuer.Client({ client_id: 'latchkey', token_endpoint_auth_method: 'none' })

async function refused(promise, code) {
  const error = await promise.then(assert.fail, (error) => error)
  assert.ok(error instanceof errors.OPError, error)
  assert.equal(error.error, code)
}

test('discovery finds every endpoint', () => {
  assert.equal(issuer.issuer, LATCHKEY_URL)
  assert.equal(issuer.token_endpoint, `${LATCHKEY_URL}/oauth2/token`)
  assert.equal(issuer.revocation_endpoint, `${LATCHKEY_URL}/oauth2/revoke`)
  assert.equal(issuer.introspection_endpoint, `${LATCHKEY_URL}/oauth2/introspect`)
})

for (const method of ['client_secret_basic', 'client_secret_post']) {
  test(`a client gets, introspects and revokes a token by ${method}`, async () => {
    const client = demo(method)
    const { access_token, scope } = await client.grant({ grant_type: 'client_credentials', scope: 'todo:read' })
    assert.equal(scope, 'todo:read')
    assert.equal((await call(access_token)).status, 200)
    const introspected = await client.introspect(access_token)
    assert.equal(introspected.active, true)
    assert.equal(introspected.client_id, DEMO_CLIENT_ID)
    await client.revoke(access_token)
    assert.deepEqual(await client.introspect(access_token), { active: false })
  })

  test(`a wrong secret by ${method} is invalid_client`, async () => {
    const client = new issuer.Client({
      client_id: DEMO_CLIENT_ID, client_secret: 'wrong', token_endpoint_auth_method: method,
    })
    await refused(client.grant({ grant_type: 'client_credentials' }), 'invalid_client')
  })
}

test('a sign-in is refreshed and revoked without a client secret', async () => {
  const first = await signIn()
  const second = await person.refresh(first.refresh_token)
  assert.notEqual(second.refresh_token, first.refresh_token)
  assert.equal((await call(second.access_token)).status, 200)
  await person.revoke(second.refresh_token)
  await refused(person.refresh(second.refresh_token), 'invalid_grant')
})

// The second value was the default audience before 5.7.1.
for (const aud of [undefined, [LATCHKEY_URL, `${LATCHKEY_URL}/oauth2/token`]]) {
  for (const alg of ['ES256', 'RS256', 'EdDSA']) {
    test(`a client authenticates with an ${alg} assertion for ${aud ?? 'the issuer'}`, async () => {
      const { client_id, jwk } = await createClientWithKeyPair(`openid-client-${alg}-${aud?.length ?? 1}`, alg)
      const client = new issuer.Client({
        client_id, token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: alg,
      }, { keys: [jwk] })
      const options = { clientAssertionPayload: aud && { aud } }
      const { access_token } = await client.grant({ grant_type: 'client_credentials' }, options)
      assert.equal((await (await call(access_token)).json()).sub, client_id)
      assert.equal((await client.introspect(access_token, undefined, options)).active, true)
      await client.revoke(access_token, undefined, options)
      assert.equal((await client.introspect(access_token, undefined, options)).active, false)
    })
  }
}

// simple-oauth2, which sends an empty secret for a public client.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { ClientCredentials, ResourceOwnerPassword } from 'simple-oauth2'

import {
  DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_USERNAME, LATCHKEY_URL, call, introspect, withinTrustInterval,
} from './latchkey.js'

const { DEMO_PASSWORD } = process.env
const auth = { tokenHost: LATCHKEY_URL, tokenPath: '/oauth2/token', revokePath: '/oauth2/revoke' }
const machine = { client: { id: DEMO_CLIENT_ID, secret: DEMO_CLIENT_SECRET }, auth }

function signIn(options) {
  const login = { ...auth, tokenPath: '/token', refreshPath: '/oauth2/token' }
  const person = new ResourceOwnerPassword({ client: { id: 'latchkey', secret: '' }, auth: login, options })
  return person.getToken({ username: DEMO_USERNAME, password: DEMO_PASSWORD })
}

async function refused(promise, status, code) {
  const error = await promise.then(assert.fail, (error) => error)
  assert.deepEqual([error.output?.statusCode, error.data?.payload?.error], [status, code], error)
}

const variants = ['header', 'body'].flatMap((authorizationMethod) => ['strict', 'loose'].map(
  (credentialsEncodingMode) => ({ authorizationMethod, credentialsEncodingMode }),
))

for (const options of variants) {
  test(`client credentials yield a token, by ${Object.values(options)}`, async () => {
    const accessToken = await new ClientCredentials({ ...machine, options }).getToken({ scope: 'todo:read' })
    assert.equal(accessToken.token.scope, 'todo:read')
    assert.equal(accessToken.expired(), false)
    assert.equal((await call(accessToken.token.access_token)).status, 200)
    assert.equal((await introspect(accessToken.token.access_token)).active, true)
  })
}

// Concurrently, so that the suite waits for one trust interval.
describe('a public client', { concurrency: true }, () => {
  for (const options of variants) {
    test(`refreshes its token, by ${Object.values(options)}`, async () => {
      const first = await signIn(options)
      const second = await first.refresh()
      assert.notEqual(second.token.refresh_token, first.token.refresh_token)
      const narrow = await second.refresh({ scope: 'todo:read' })
      assert.equal(narrow.token.scope, 'todo:read')
      assert.equal((await call(narrow.token.access_token)).status, 200)
    })

    test(`revokes all its tokens, by ${Object.values(options)}`, async () => {
      const first = await signIn(options)
      assert.equal((await call(first.token.access_token)).status, 200)
      await first.revokeAll()
      await refused(first.refresh(), 400, 'invalid_grant')
      await withinTrustInterval(async () => (await call(first.token.access_token)).status === 403)
    })
  }
})

test('a wrong and a missing secret are invalid_client', async () => {
  for (const secret of ['wrong', '']) {
    const client = { id: DEMO_CLIENT_ID, secret }
    await refused(new ClientCredentials({ client, auth }).getToken({}), 401, 'invalid_client')
  }
  const client = { id: 'latchkey', secret: 'wrong' }
  await refused(new ClientCredentials({ client, auth }).getToken({}), 401, 'invalid_client')
})

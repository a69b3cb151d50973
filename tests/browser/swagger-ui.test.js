import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { after, before, test } from 'node:test'

import { SwaggerUi } from './swagger-ui.js'

const { DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_USERNAME, DEMO_PASSWORD, DEMO_API_KEY, SCREENSHOT } =
  process.env
const USER = 'user (OAuth2, password)'
const CLIENT = 'client (OAuth2, clientCredentials)'

let ui
before(async () => {
  ui = await SwaggerUi.open()
})
after(() => ui.close())

test('a user signs in and calls a route', async () => {
  await ui.authorize(USER, { 'username:': DEMO_USERNAME, 'password:': DEMO_PASSWORD })
  const caller = await ui.tryItOut('/todo')
  assert.equal(caller.kind, 'user')
  assert.equal(caller.preferred_username, DEMO_USERNAME)
  assert.equal(caller.scope, 'todo:read todo:write')
})

test('the screenshot masks the token', async () => {
  // The page shows the request with the token.
  const secrets = [ui.page.locator('.curl-command .microlight')]
  await ui.operation('/todo').scrollIntoViewIfNeeded()
  await mkdir(dirname(SCREENSHOT), { recursive: true })
  await ui.page.screenshot({ path: SCREENSHOT, mask: secrets, maskColor: '#333333' })
})

test('a client authorizes after the user has logged out', async () => {
  await ui.logOut(USER)
  await ui.authorize(
    CLIENT, { 'client_id:': DEMO_CLIENT_ID, 'client_secret:': DEMO_CLIENT_SECRET }, ['todo:read'],
  )
  const caller = await ui.tryItOut('/todo')
  assert.equal(caller.kind, 'client')
  assert.equal(caller.sub, DEMO_CLIENT_ID)
  assert.equal(caller.scope, 'todo:read')
  await ui.logOut(CLIENT)
})

test('an API key is allowed on its route', async () => {
  await ui.authorize('api_key', { 'Value:': DEMO_API_KEY })
  assert.equal((await ui.tryItOut('/users')).kind, 'api_key')
})

test('the browser reports no error and calls no other origin', () => {
  assert.deepEqual(ui.problems, [])
})

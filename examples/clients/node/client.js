// Calls an API with tokens from the client credentials grant.

import * as oauth from 'openid-client'

const { LATCHKEY_URL, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET } = process.env
const url = new URL(LATCHKEY_URL)

// The token endpoint comes from Latchkey's metadata (RFC 8414).
const config = await oauth.discovery(url, DEMO_CLIENT_ID, undefined, oauth.ClientSecretBasic(DEMO_CLIENT_SECRET), {
  algorithm: 'oauth2',
  execute: url.protocol === 'http:' ? [oauth.allowInsecureRequests] : [],
})

let tokens

// The token in memory, or a new one half a minute before it expires.
async function accessToken() {
  if (!(tokens?.expiresIn() > 30)) {
    tokens = await oauth.clientCredentialsGrant(config, { scope: 'todo:read' })
  }
  return tokens.access_token
}

async function get(path) {
  const response = await oauth.fetchProtectedResource(config, await accessToken(), new URL(path, url), 'GET')
  if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`)
  return response.text()
}

console.log(await get('/todo'))

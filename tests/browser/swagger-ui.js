// Uses Swagger UI by its buttons and input fields.

import assert from 'node:assert/strict'

import { chromium } from 'playwright-core'

const { LATCHKEY_URL, CHROMIUM } = process.env

// Chromium has no sandbox for root. The other switches stop requests to other servers.
const ARGUMENTS = [
  ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
  '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
]

export class SwaggerUi {
  // Errors, and requests to other origins.
  problems = []

  static async open() {
    const ui = new SwaggerUi()
    ui.browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS })
    ui.page = await ui.browser.newPage({ viewport: { width: 1100, height: 780 } })
    ui.page.on('pageerror', (error) => ui.problems.push(`${error}`))
    // A violation of the content security policy is an error on the console.
    ui.page.on('console', (message) => message.type() === 'error' && ui.problems.push(message.text()))
    ui.page.on('request', (request) => {
      const { origin, protocol } = new URL(request.url())
      if (protocol !== 'data:' && origin !== LATCHKEY_URL) ui.problems.push(`a request to ${origin}`)
    })
    await ui.page.goto(`${LATCHKEY_URL}/docs`)
    return ui
  }

  close() {
    return this.browser.close()
  }

  // Fills in one scheme of *Authorize*, selects the scopes and authorizes.
  async authorize(scheme, fields, scopes = []) {
    const container = await this.#container(scheme)
    for (const [label, value] of Object.entries(fields)) {
      await container.getByLabel(label, { exact: true }).fill(value)
    }
    for (const scope of scopes) {
      await container.locator(`label[for^="${scope}-"]`).click()
    }
    await container.locator('button.authorize').click()
    await container.getByRole('button', { name: 'Remove authorization' }).waitFor()
    await this.#close()
  }

  async logOut(scheme) {
    const container = await this.#container(scheme)
    await container.getByRole('button', { name: 'Remove authorization' }).click()
    await container.locator('button.authorize').waitFor()
    await this.#close()
  }

  // Presses *Try it out* and *Execute*, and returns the body of the response, which must be a 200.
  async tryItOut(path) {
    const operation = this.operation(path)
    if (!(await operation.getByRole('button', { name: 'Execute' }).isVisible())) {
      await operation.locator('.opblock-summary-control').click()
      await operation.getByRole('button', { name: 'Try it out' }).click()
    }
    const responded = this.page.waitForResponse(`${LATCHKEY_URL}${path}`)
    await operation.getByRole('button', { name: 'Execute' }).click()
    const response = await responded
    assert.equal(response.status(), 200)
    await operation.locator('.live-responses-table .response-col_status', { hasText: '200' }).waitFor()
    return response.json()
  }

  operation(path) {
    return this.page.locator('.opblock', { has: this.page.locator(`[data-path="${path}"]`) })
  }

  async #container(scheme) {
    await this.page.locator('.scheme-container button.authorize').click()
    const heading = this.page.locator('h4', { hasText: scheme })
    return this.page.locator('.dialog-ux .auth-container', { has: heading })
  }

  #close() {
    return this.page.locator('.dialog-ux .close-modal').click()
  }
}

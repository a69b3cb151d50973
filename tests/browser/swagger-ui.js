// Swagger UI as a person uses it: by its buttons and boxes.

import assert from 'node:assert/strict'

import { chromium } from 'playwright-core'

const { LATCHKEY_URL, CHROMIUM } = process.env

// Chromium refuses its sandbox to root. The rest keeps it from talking to anybody but us.
const ARGUMENTS = [
  ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
  '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
]

export class SwaggerUi {
  // What the browser said that it should not have: errors, and requests to others.
  complaints = []

  static async open() {
    const ui = new SwaggerUi()
    ui.browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS })
    ui.page = await ui.browser.newPage({ viewport: { width: 1100, height: 780 } })
    ui.page.on('pageerror', (error) => ui.complaints.push(`${error}`))
    // What the page's policy forbids is an error on the console as well.
    ui.page.on('console', (message) => message.type() === 'error' && ui.complaints.push(message.text()))
    ui.page.on('request', (request) => {
      const { origin, protocol } = new URL(request.url())
      if (protocol !== 'data:' && origin !== LATCHKEY_URL) ui.complaints.push(`a request to ${origin}`)
    })
    await ui.page.goto(`${LATCHKEY_URL}/docs`)
    return ui
  }

  close() {
    return this.browser.close()
  }

  // Fills one box of *Authorize* and ticks the scopes; the answer of the token endpoint, if it was asked.
  async authorize(box, fields, scopes = []) {
    const container = await this.#box(box)
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

  async logOut(box) {
    const container = await this.#box(box)
    await container.getByRole('button', { name: 'Remove authorization' }).click()
    await container.locator('button.authorize').waitFor()
    await this.#close()
  }

  // Presses *Try it out* and *Execute*; the body of the answer, which the page shows as a 200.
  async tryItOut(path) {
    const operation = this.operation(path)
    if (!(await operation.getByRole('button', { name: 'Execute' }).isVisible())) {
      await operation.locator('.opblock-summary-control').click()
      await operation.getByRole('button', { name: 'Try it out' }).click()
    }
    const answered = this.page.waitForResponse(`${LATCHKEY_URL}${path}`)
    await operation.getByRole('button', { name: 'Execute' }).click()
    const response = await answered
    assert.equal(response.status(), 200)
    await operation.locator('.live-responses-table .response-col_status', { hasText: '200' }).waitFor()
    return response.json()
  }

  operation(path) {
    return this.page.locator('.opblock', { has: this.page.locator(`[data-path="${path}"]`) })
  }

  async #box(name) {
    await this.page.locator('.scheme-container button.authorize').click()
    const heading = this.page.locator('h4', { hasText: name })
    return this.page.locator('.dialog-ux .auth-container', { has: heading })
  }

  #close() {
    return this.page.locator('.dialog-ux .close-modal').click()
  }
}

// A person in a browser: pays for a page, does not like it, and has the money back with one click.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { getDecodedToken } from '@cashu/cashu-ts'
import { browser } from '../lib/browser.mjs'
import { fund, openWallet, sum, tokenOf } from '../lib/cashu.mjs'
import { ask, stage } from '../lib/story.mjs'

const REFUNDS = '/.well-known/farthing/refunds'
const PAGE = '/llms.txt'
const WINDOW = `
[[price]]
path = "${PAGE}"
amount = "0.01 USD"
pass = "10m"

[price.refund]
within = "10m"
`

describe('a browser', () => {
  const scene = stage({ more: WINDOW })
  let person
  let account
  before(async () => {
    person = await browser()
    account = await openWallet(scene.farthing.issuer)
  })
  after(() => person?.stop())

  /** Pays as a wallet in the browser does: the page is asked for once with the token beside it. */
  async function pay(path) {
    const { token } = await tokenOf(account, 10_000, await fund(account, 20_000), scene.farthing.issuer)
    await person.adding({ 'x-cashu': token })
    const answer = await person.open(scene.url(path))
    await person.adding({})
    return answer
  }
  const worth = (token) => sum(getDecodedToken(token, [{ id: account.keysetId }]).proofs)

  test('has a payment back with one click, and the page asks for payment again', async () => {
    assert.equal((await person.open(scene.url(PAGE))).status, 402)
    assert.match(await person.text(), /You can have it back within 10m/)
    assert.equal((await pay(PAGE)).status, 200)
    assert.equal((await person.open(scene.url(PAGE))).status, 200, 'by its pass')
    const [kept] = (await person.cookies(scene.url(REFUNDS))).filter(({ name }) => name.startsWith('farthing_refund_'))
    assert.deepEqual([kept.httpOnly, kept.sameSite, kept.path], [true, 'Lax', REFUNDS])
    assert.ok(!(await person.cookies(scene.url('/article'))).some(({ name }) => name === kept.name), 'sent nowhere else')

    assert.equal((await person.open(scene.url(REFUNDS))).status, 200)
    assert.match(await person.text(), /\/llms\.txt: 0\.01\sUSD, until \d{4}-\d\d-\d\d \d\d:\d\d UTC/)
    assert.equal((await person.click('button')).status, 200)
    assert.match(await person.text(), /Nothing of it was kept/)
    const token = await person.evaluate('document.querySelector("#token").value')
    assert.equal(worth(token), 10_000)
    // The style is let in by its hash, and the token has the width of the page.
    assert.equal(await person.evaluate('getComputedStyle(document.querySelector("#token")).boxSizing'), 'border-box')

    assert.equal((await person.reload()).status, 200)
    assert.equal(await person.evaluate('document.querySelector("#token").value'), token, 'loaded again it is the same')
    assert.equal((await person.open(scene.url(PAGE))).status, 402, 'its pass opens nothing any more')

    const fresh = await account.wallet.receive(token, { keysetId: account.keysetId })
    assert.equal(sum(fresh), 10_000, 'swapped for credits that nobody can link')
    const spent = await tokenOf(account, 10_000, fresh, scene.farthing.issuer)
    assert.equal((await ask(scene.url('/article'), { headers: { 'x-cashu': spent.token } })).status, 200)
  })

  test("gives nothing back to another site's form, whatever the person has paid for", async () => {
    assert.equal((await pay(PAGE)).status, 200)
    await person.open(scene.url(REFUNDS))
    const payment = await person.evaluate('document.querySelector("button").value')
    const form = `<!doctype html><form method="post" action="${scene.url(REFUNDS)}"><button name="payment" value="${payment}">Win!</button></form>`
    const site = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(form))
    site.listen(0, '127.0.0.1')
    await once(site, 'listening')
    try {
      const port = site.address().port
      // One that is a stranger, and one that is the same site to the cookies: another port of the same host.
      for (const host of ['localhost', '127.0.0.1']) {
        await person.open(`http://${host}:${port}/`)
        assert.equal((await person.click('button')).status, 403, host)
        assert.match(await person.text(), /refund-cross-origin/)
      }
    } finally {
      site.closeAllConnections()
      site.close()
    }
    await person.open(scene.url(REFUNDS))
    assert.equal((await person.click(`button[value="${payment}"]`)).status, 200, 'it is there still')
  })
})

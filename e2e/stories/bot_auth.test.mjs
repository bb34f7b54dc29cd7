// Crawlers that sign their requests, with a client that somebody else wrote: the package `web-bot-auth`. Who proves what it is has
// another price; who only says so, or sends a signature elsewhere, has not; and the log knows nobody.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { signatureHeaders } from 'web-bot-auth'
import { signerFromJWK } from 'web-bot-auth/crypto'
import { ask, get, stage } from '../lib/story.mjs'

const folder = mkdtempSync(join(tmpdir(), 'farthing-bots-'))
const known = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
const stranger = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
const AGENT = 'PlantedFindBot/1.0'

function more() {
  const keys = join(folder, 'findbot.jwks.json')
  const { d: _, ...open } = known
  writeFileSync(keys, JSON.stringify({ keys: [open] }))
  const more = `
[[crawler]]
name = "findbot"
class = "search"
agent = "plantedfindbot"
keys_file = ${JSON.stringify(keys)}

[[price]]
path = "/free"
amount = "0.01 USD"

[[price.case]]
crawler = "search"
amount = "0.001 USD"

[price.quota]
free = 1
per = "day"
by = "visitor"

[price.teaser]
show = "1 word"
`
  return { more }
}

describe('crawlers that sign', { timeout: 60_000 }, () => {
  const scene = stage(more)
  after(() => rmSync(folder, { recursive: true, force: true }))

  /** The fields of a signed request; `agent` is sent and signed as well. */
  async function signed(url, key, { agent, ago = 0 } = {}) {
    const headers = agent ? { 'Signature-Agent': agent } : {}
    const created = new Date(Date.now() - ago)
    const params = { created, expires: new Date(created.getTime() + 300_000) }
    const made = await signatureHeaders(new Request(url, { headers }), await signerFromJWK(key), params)
    return { ...headers, Signature: made.Signature, 'Signature-Input': made['Signature-Input'] }
  }

  const price = async (url, headers) => {
    const answer = await get(url, { 'user-agent': AGENT, accept: 'application/json', ...headers })
    assert.equal(answer.status, 402)
    return Number((await answer.json()).price.amount)
  }

  test('a signature of a known key has the price of its crawler, with and without Signature-Agent', async () => {
    const url = scene.url('/free')
    assert.equal(await price(url, await signed(url, known)), 1_000)
    assert.equal(await price(url, await signed(url, known, { agent: '"https://bot.example"' })), 1_000)
    const again = await signed(`${url}?page=2`, known)
    assert.equal(await price(`${url}?page=2`, again), 1_000)
    assert.equal(await price(`${url}?page=2`, again), 1_000, 'the same request again')
  })

  test('nobody else has it', async () => {
    const url = scene.url('/free')
    // A visitor who has no crawler's price has one page free: the first.
    const visit = await ask(url, { headers: { 'user-agent': AGENT, cookie: 'planted=cookie' } })
    assert.equal(visit.status, 200)
    const cookie = visit.headers['set-cookie'].find((line) => line.startsWith('farthing_visitor')).split(';')[0]
    const had = { cookie: `${cookie}; planted=cookie` }
    assert.equal(await price(url, had), 10_000, 'who only says so')
    assert.equal(await price(url, { ...had, ...(await signed(url, stranger)) }), 10_000, 'a key that nobody knows')
    const caught = await signed(url, known)
    assert.equal(await price(url, { ...had, ...caught }), 1_000)
    assert.equal(await price(`${url}?elsewhere`, { ...had, ...caught }), 10_000, 'caught, and sent elsewhere')
    const elsewhere = await signed('http://shop.example/free', known)
    assert.equal(await price(url, { ...had, ...elsewhere }), 10_000, 'for another host')
    const over = await signed(url, known, { ago: 301_000 })
    assert.equal(await price(url, { ...had, ...over }), 10_000, 'over')
    assert.equal(scene.site.hits('/free'), 1)
    const said = scene.farthing.said()
    const { Signature, 'Signature-Input': input } = caught
    for (const sign of ['Planted', 'planted', cookie.split('=')[1], Signature, input, known.x, 'bot.example']) {
      assert.ok(!said.includes(sign), `the log knows ${sign}`)
    }
  })
})

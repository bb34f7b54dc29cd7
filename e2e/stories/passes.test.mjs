// Passes: bought with credits like a page, checked by an upstream with nothing but a public key and `jose`, and paid by
// single payments that count.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compactVerify, importJWK } from 'jose'
import { fund, openWallet, tokenOf } from '../lib/cashu.mjs'
import { get, stage } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000 // uusd
const DAY = '/.well-known/farthing/passes/day'
/** A day costs two and a half pages. */
const CAP = 25_000

const more = `
[[pass]]
name = "day"
amount = "0.025 USD"
lasts = "1d"
covers = "/article"
cap = true
`

/** What an upstream does that trusts the gate's key and nothing else. */
async function checked(pass, gate) {
  const { receipt_key: x } = await (await get(`${gate}/.well-known/farthing.json`)).json()
  const key = await importJWK({ kty: 'OKP', crv: 'Ed25519', x }, 'EdDSA')
  const { payload, protectedHeader } = await compactVerify(pass, key, { algorithms: ['EdDSA'] })
  assert.equal(protectedHeader.typ, 'farthing-pass')
  assert.equal(protectedHeader.jwk.x, x)
  return JSON.parse(new TextDecoder().decode(payload))
}

describe('passes', { timeout: 60_000 }, () => {
  const scene = stage({ more })

  /** A fresh token of exactly some amount, as a header. */
  async function paying(amount) {
    const account = await openWallet(scene.farthing.issuer)
    const { token } = await tokenOf(account, amount, await fund(account, amount * 2), scene.farthing.issuer)
    return { 'x-cashu': token }
  }

  const priceOf = async (response) => Number((await response.json()).price.amount)

  test('a pass is bought like a page, and whoever has the public key can check it', async () => {
    const asked = await get(scene.url('/article'))
    assert.match(asked.headers.get('link') ?? '', /passes\/day>; rel="payment"/)
    assert.equal(await priceOf(await get(scene.url(DAY))), CAP)
    const bought = await get(scene.url(DAY), await paying(CAP))
    const { pass, plan } = await bought.json()
    assert.deepEqual([bought.status, plan, bought.headers.get('farthing-pass')], [200, 'day', pass])

    const { bought: says, expires, payment } = await checked(pass, scene.farthing.gate)
    assert.deepEqual([says.plan, says.covers], ['day', ['/article']])
    assert.match(payment, /^[0-9a-f]{64}$/)
    const hours = (Date.parse(expires) - Date.now()) / 3_600_000
    assert.ok(hours > 23 && hours <= 24, `it lasts ${hours} hours`)
    const [head, , signature] = pass.split('.')
    const forged = [head, Buffer.from(JSON.stringify({ payment, expires })).toString('base64url'), signature].join('.')
    await assert.rejects(checked(forged, scene.farthing.gate))

    const article = await get(scene.url('/article'), { 'farthing-pass': pass })
    assert.deepEqual([article.status, await article.text()], [200, ARTICLE])
    assert.equal((await get(scene.url('/article'), { 'farthing-pass': forged })).status, 402)
    assert.equal((await get(scene.url('/paid/x'), { 'farthing-pass': pass })).status, 402, 'not covered')
  })

  test('single payments count, over a crash as well, and then all is free', async () => {
    const pay = async (path, fare, amount) =>
      get(scene.url(path), { ...(fare && { 'farthing-fare': fare }), ...(await paying(amount)) })
    const first = await pay('/article?a=1', undefined, CENT)
    const fare = first.headers.get('farthing-fare')
    assert.deepEqual([first.status, first.headers.get('farthing-pass') !== null], [200, true])
    assert.equal((await pay('/article?a=2', fare, CENT)).status, 200)
    await scene.kill()
    await scene.start()
    assert.equal(await priceOf(await get(scene.url('/article?a=3'), { 'farthing-fare': fare })), CAP - 2 * CENT)
    const last = await pay('/article?a=3', fare, CAP - 2 * CENT)
    assert.equal(last.status, 200)
    const earned = await checked(last.headers.get('farthing-pass'), scene.farthing.gate)
    assert.equal(earned.bought.plan, 'day')
    assert.equal((await get(scene.url('/article?a=4'), { 'farthing-fare': fare })).status, 200)
    const pass = { 'farthing-pass': last.headers.get('farthing-pass') }
    assert.equal((await get(scene.url('/article?a=5'), pass)).status, 200)
  })
})

// Payments that go through an escrow, by the reference's client for `auth-capture`: the money is there before the upstream is
// asked, and afterwards with the shop or back with the payer, whatever fails between. Chain and books agree to the unit.
import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { decodePaymentResponseHeader } from '@x402/fetch'
import { isThroughEscrow, x402Buyer } from '../lib/buyer.mjs'
import { chainStage } from '../lib/chain_gate.mjs'
import { PLACES } from '../lib/chain.mjs'
import { chance, turnsUntil } from '../lib/moment.mjs'
import { problem } from '../lib/offer.mjs'
import { ask, get } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000
const DOLLAR = 1_000_000
const ESCROW = { flow: 'escrow', transfer: ['eip3009'], schemes: ['exact', 'auth-capture'] }
/** What shops never see of a payment: where each contract keeps what passes through it. */
const BETWEEN = [PLACES.AuthCaptureEscrowStandIn, PLACES.Eip3009CollectorStandIn]

/** What the stories of this file ask of a stage. */
function shop(scene) {
  const mine = () => scene.chain.client.mine({ blocks: 1 })
  const mining = (on) => scene.chain.client.setAutomine(on)

  /** A payer, and a payment of its that was not sent yet. */
  async function signed(path = '/article') {
    const payer = await scene.payer(DOLLAR)
    const url = scene.url(path)
    const headers = await x402Buyer(payer, isThroughEscrow).sign(url)
    return { payer, url, headers, earned: await scene.earned() }
  }

  /** When nothing is under way any more the payer has paid so much, the shop has it, and nobody else has anything. */
  async function hasPaid({ payer, earned }, units) {
    await scene.isQuiet()
    assert.deepEqual(
      [await scene.chain.balance(payer.address), await scene.earned()],
      [DOLLAR - units, earned + units],
      'what the payer and the shop have',
    )
    for (const contract of BETWEEN) assert.equal(await scene.chain.balance(contract), 0, contract)
    await scene.agreement()
  }

  /** It bought the page, and the transaction that it was told is on the chain. */
  async function isServed(response) {
    assert.deepEqual([response.status, await response.text()], [200, ARTICLE])
    const { success, transaction } = decodePaymentResponseHeader(response.headers.get('payment-response'))
    assert.equal(success, true)
    assert.equal((await scene.chain.client.getTransactionReceipt({ hash: transaction })).status, 'success')
  }

  /** Sends the same again for as long as it is under way elsewhere, as 409 says. */
  async function insist({ url, headers }) {
    for (;;) {
      const response = await get(url, headers)
      if (response.status !== 409) return response
      assert.match(response.headers.get('retry-after'), /^\d+$/)
      await response.text()
    }
  }

  /** It opens nothing any more, and the upstream is not asked. */
  async function opensNothing(payment, code) {
    const { pathname } = new URL(payment.url)
    const hits = scene.site.hits(pathname)
    // Until it is written down that it was delivered, it is under way.
    const again = await insist(payment)
    assert.deepEqual([again.status, (await problem(again)).code], [402, code])
    assert.equal(scene.site.hits(pathname), hits)
  }

  /** Sends it, and kills the gate when `moment` has come. Nothing was answered. */
  async function killedAt({ url, headers }, moment) {
    const lost = ask(url, { headers }).catch((error) => error)
    const came = await moment()
    await scene.kill()
    assert.ok((await lost) instanceof Error, 'nothing was answered')
    return came
  }

  return { mine, mining, signed, hasPaid, isServed, insist, opensNothing, killedAt }
}

describe('payments through an escrow', { timeout: 110_000 }, () => {
  const scene = chainStage(() => ESCROW)
  const { mine, mining, signed, hasPaid, isServed, insist, opensNothing, killedAt } = shop(scene)
  // A test that failed in the middle leaves a chain without blocks to nobody.
  afterEach(() => mining(true))

  test('the money is in escrow while the upstream works, and the shop has it with the answer', async () => {
    const payer = await scene.payer(DOLLAR)
    const earned = await scene.earned()
    const paying = x402Buyer(payer).fetch(scene.url('/slow'))
    const finish = await scene.site.slow()
    const during = [await scene.chain.balance(payer.address), await scene.earned()]
    assert.deepEqual(during, [DOLLAR - CENT, earned], 'it has left the payer and is not with the shop')
    finish()
    const response = await paying
    await isServed(response)
    assert.equal(await scene.earned(), earned + CENT, 'before it was answered')
    await hasPaid({ payer, earned }, CENT)
  })

  test('what was delivered opens nothing any more', async () => {
    const payment = await signed()
    await isServed(await get(payment.url, payment.headers))
    await opensNothing(payment, 'payment-used')
    await hasPaid(payment, CENT)
  })

  for (const [what, path, status] of [
    ['fails', '/broken/500', 502],
    ['hangs up', '/broken/reset', 502],
    ['has no such page', '/paid/nowhere', 404],
  ]) {
    test(`an upstream that ${what}: that is answered, and the payer has all of it back`, async () => {
      const payment = await signed(path)
      const response = await get(payment.url, payment.headers)
      assert.equal(response.status, status)
      if (status === 404) assert.deepEqual([await response.text(), response.headers.get('farthing-charge')], ['not here\n', 'none'])
      assert.equal(response.headers.get('payment-required'), null, 'nothing that makes a client pay again')
      await hasPaid(payment, 0)
      await opensNothing(payment, 'chain-payment-invalid')
      await hasPaid(payment, 0)
    })
  }

  for (const [cost, units] of [['0.004', 4_000], ['0.01', CENT], ['0', 0], ['0.02', CENT], ['a lot', CENT]]) {
    test(`an upstream that says it cost ${cost}: ${units} are paid, and the rest goes back`, async () => {
      const payment = await signed(`/paid/metered?cost=${encodeURIComponent(cost)}`)
      const response = await get(payment.url, payment.headers)
      assert.deepEqual([response.status, await response.text()], [200, ARTICLE])
      assert.equal(response.headers.get('farthing-cost'), null, 'it is between the gate and the upstream')
      await hasPaid(payment, units)
    })
  }

  for (const [when, isMinedBefore] of [['before', true], ['after', false]]) {
    test(`kill -9 on the way into escrow; the block comes ${when} the next start`, async () => {
      const payment = await signed()
      const hits = scene.site.hits('/article')
      await mining(false)
      await killedAt(payment, scene.door.sent)
      assert.equal(scene.site.hits('/article'), hits, 'nobody was asked for a promise')
      if (isMinedBefore) await mine()
      await scene.start()
      const back = insist(payment)
      if (!isMinedBefore) await mine()
      await mining(true)
      await isServed(await back)
      assert.equal(scene.site.hits('/article'), hits + 1)
      await opensNothing(payment, 'payment-used')
      await hasPaid(payment, CENT)
    })

    test(`kill -9 after the upstream's answer; the block comes ${when} the next start`, async () => {
      const payment = await signed('/slow')
      const hash = await killedAt(payment, async () => {
        const finish = await scene.site.slow()
        await mining(false)
        const sent = scene.door.sent()
        finish()
        return sent
      })
      if (isMinedBefore) await mine()
      await scene.start()
      const back = insist(payment)
      if (!isMinedBefore) await mine()
      await mining(true)
      ;(await scene.site.slow())()
      const response = await back
      const { transaction } = decodePaymentResponseHeader(response.headers.get('payment-response'))
      assert.equal(transaction, hash, 'the capture of before')
      await isServed(response)
      await opensNothing(payment, 'payment-used')
      await hasPaid(payment, CENT)
    })
  }

  test('kill -9 while the upstream works: the same payment goes on from the escrow, and is captured once', async () => {
    const payment = await signed('/slow')
    const finish = await killedAt(payment, scene.site.slow)
    finish()
    await scene.start()
    assert.equal(await scene.chain.balance(payment.payer.address), DOLLAR - CENT, 'it is there')
    const taken = scene.door.taken()
    const back = insist(payment)
    ;(await scene.site.slow())()
    await isServed(await back)
    assert.equal(scene.door.taken() - taken, 1, 'the capture')
    await opensNothing(payment, 'payment-used')
    await hasPaid(payment, CENT)
  })

  test('whoever leaves while the upstream works has paid, and comes back for the page', async () => {
    const payment = await signed('/slow')
    const leaving = new AbortController()
    const left = fetch(payment.url, { headers: payment.headers, signal: leaving.signal }).catch((error) => error)
    const finish = await scene.site.slow()
    leaving.abort()
    assert.equal((await left).name, 'AbortError')
    const back = insist(payment)
    finish()
    ;(await scene.site.slow())()
    await isServed(await back)
    await hasPaid(payment, CENT)
  })

  test('four at once are one payment', async () => {
    const payment = await signed()
    const answers = await Promise.all(Array.from({ length: 4 }, () => get(payment.url, payment.headers)))
    const served = answers.filter(({ status }) => status === 200)
    assert.equal(served.length, 1)
    for (const other of answers.filter(({ status }) => status !== 200)) {
      const { code } = await problem(other)
      assert.ok(['payment-under-way', 'payment-used'].includes(code), code)
    }
    await hasPaid(payment, CENT)
  })

  test('killed at any moment: captured once, and whoever paid has the page', async () => {
    for (let round = 0; round < 10; round += 1) {
      const payment = await signed()
      const first = ask(payment.url, { headers: payment.headers }).catch(() => ({ status: 0 }))
      await turnsUntil(chance(300))
      await scene.kill()
      const { status, isWhole } = await first
      await scene.start()
      const again = await insist(payment)
      if (status === 200 && isWhole) {
        // That it was delivered may not have been written down; then it is once more, and not twice.
        assert.ok([200, 402].includes(again.status), `${again.status}`)
      } else {
        assert.deepEqual([again.status, await again.text()], [200, ARTICLE])
      }
      await opensNothing(payment, 'payment-used')
      await hasPaid(payment, CENT)
    }
  })
})

describe('an escrow that nobody asks for', { timeout: 110_000 }, () => {
  const scene = chainStage(() => ({ ...ESCROW, more: 'escrow_hold = "1s"' }))
  const { mine, mining, signed, hasPaid, opensNothing, killedAt } = shop(scene)
  afterEach(() => mining(true))

  test('killed while the upstream works and never asked again: it goes back by itself', async () => {
    const payment = await signed('/slow')
    const finish = await killedAt(payment, scene.site.slow)
    finish()
    const sent = scene.door.sent()
    await scene.start()
    await sent
    await hasPaid(payment, 0)
    await opensNothing(payment, 'chain-payment-invalid')
  })

  test('killed on the way into escrow and never asked again: the same', async () => {
    const payment = await signed()
    await mining(false)
    await killedAt(payment, scene.door.sent)
    await mine()
    assert.equal(await scene.chain.balance(payment.payer.address), DOLLAR - CENT)
    const sent = scene.door.sent()
    await scene.start()
    await sent
    await mining(true)
    await mine()
    await hasPaid(payment, 0)
  })
})

// Channels at our gate when things go wrong: the same voucher again, sixteen at once, kills, lost answers of a node. What is
// charged is charged once and claimed in the end; chain and books agree to the unit after each story.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { chainStage } from '../lib/chain_gate.mjs'
import { until, withChannels } from '../lib/channel_gate.mjs'
import { get } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000
const DOLLAR = 1_000_000
/** The gate asks for ten times the price as a deposit. */
const DEPOSIT = 10 * CENT

/** Claims wait until they are asked for, so that each test knows what is claimed when. */
const LAZY = { claim_after: '1h', claim_from: '1000 USD', exposure_most: '1000 USD' }

const stageOf = (channels = LAZY, more = {}) =>
  withChannels(chainStage(() => ({ channels, schemes: ['exact', 'batch-settlement'], ...more })))

describe('channels at the gate when things go wrong', { timeout: 170_000 }, () => {
  const scene = stageOf()

  test('the same voucher again is the same payment, and none for another page', async () => {
    const buyer = await scene.depositor(DOLLAR)
    const { payment } = await signedOnly(scene, buyer, '/article')
    const [once, twice] = [await get(scene.url('/article'), payment), await get(scene.url('/article'), payment)]
    assert.deepEqual([once.status, await once.text()], [200, ARTICLE])
    assert.equal(twice.status, 402)
    assert.equal((await get(scene.url('/paid/metered?cost=0.01'), payment)).status, 402)
    assert.equal(scene.site.hits('/paid/metered'), 0)
    const { chargedCumulativeAmount } = (await buyer.buy('/article')).extra.channelState
    assert.equal(chargedCumulativeAmount, String(3 * CENT))
    await scene.channelAgreement()
  })

  test('sixteen at once on one channel: one voucher, one page; sixteen lanes: sixteen pages', async () => {
    const buyer = await scene.depositor(10 * DOLLAR)
    const { payment } = await signedOnly(scene, buyer, '/paid/metered?cost=0.01')
    const sixteen = Array.from({ length: 16 }, () => get(scene.url('/paid/metered?cost=0.01'), payment))
    const served = (await Promise.all(sixteen)).filter(({ status }) => status === 200)
    assert.ok(served.length >= 1)
    const { extra } = await buyer.buy('/article')
    assert.equal(extra.channelState.chargedCumulativeAmount, String(3 * CENT), 'charged once')

    const salts = Array.from({ length: 16 }, (_, lane) => `0x${String(lane + 1).padStart(64, '0')}`)
    const lanes = await Promise.all(salts.map((salt) => scene.depositor(0, { account: buyer.account, salt })))
    await Promise.all(lanes.map((lane) => lane.buy('/article')))
    const totals = await Promise.all(lanes.map((lane) => lane.buy('/article')))
    assert.deepEqual(totals.map(({ extra }) => extra.channelState.chargedCumulativeAmount), salts.map(() => String(2 * CENT)))
    await scene.channelAgreement()
  })

  test('killed between two vouchers, the gate knows what is owed and claims it', async () => {
    const buyer = await scene.depositor(DOLLAR)
    await buyer.buy('/article')
    await buyer.buy('/paid/metered?cost=0.000137')
    await scene.kill()
    await scene.start()
    const paid = await buyer.buy('/article')
    assert.equal(paid.extra.channelState.chargedCumulativeAmount, String(2 * CENT + 137))
    await scene.kill()
    await scene.start()
    await scene.json('channel', 'claim', buyer.id())
    await until(async () => (await scene.escrow().channel(buyer.id())).claimed === 2 * CENT + 137)
    await scene.channelAgreement()
  })

  test('a deposit whose transaction was answered by silence is made once', async () => {
    const buyer = await scene.depositor(DOLLAR)
    scene.door.loseNext()
    await buyer.buy('/article')
    assert.equal((await scene.escrow().channel(buyer.id())).balance, DEPOSIT)
    await scene.channelAgreement()
  })

  test('a failing upstream costs nothing, and the same voucher pays for the next try', async () => {
    const buyer = await scene.depositor(DOLLAR)
    await buyer.buy('/article')
    const { payment } = await signedOnly(scene, buyer, '/broken/500')
    const broken = await get(scene.url('/broken/500'), payment)
    assert.notEqual(broken.status, 200)
    const { extra } = await buyer.buy('/article')
    const charged = extra.channelState.chargedCumulativeAmount
    assert.equal(charged, String(2 * CENT))
    await scene.channelAgreement()
  })
})

describe('what is charged is claimed and moved by itself', { timeout: 110_000 }, () => {
  const scene = stageOf({ claim_from: '0.02 USD', settle_from: '0.02 USD' })

  test('claims in batches, one sweep for all', async () => {
    for (let buyers = 0; buyers < 3; buyers += 1) {
      const buyer = await scene.depositor(DOLLAR)
      for (let page = 0; page < 2; page += 1) await buyer.buy('/article')
    }
    await until(async () => (await scene.earned()) === 6 * CENT)
    const { merchant, payers, lost } = await scene.channelAgreement()
    assert.deepEqual([merchant, payers, lost], [6 * CENT, 3 * (DEPOSIT - 2 * CENT), 0])
  })
})

/** A payment by voucher that the client signs and does not send, after a first page that opens the channel. */
async function signedOnly(scene, buyer, path) {
  if (!buyer.sent.length) await buyer.buy('/article')
  const payment = await buyer.sign(scene.url(path))
  return { payment }
}

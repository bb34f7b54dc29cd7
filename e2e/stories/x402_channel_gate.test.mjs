// The reference's client of `batch-settlement` pays our gate on a real chain: deposits, vouchers, metered pages, top-ups, refunds and
// withdrawals. At the end the chain and the books say the same, to the unit, and nothing is left in the escrow that is ours.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decodePaymentResponseHeader } from '@x402/fetch'
import { Challenge, Credential, Receipt } from 'mppx'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { PLACES } from '../lib/chain.mjs'
import { chainStage } from '../lib/chain_gate.mjs'
import { channelBuyer, escrowOf } from '../lib/channel.mjs'
import { reconciled, until, withChannels } from '../lib/channel_gate.mjs'
import { get } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000
const PRICES = 205
/** What a first deposit comes to. */
const DEPOSIT = PRICES * CENT
const PURSE = 100_000_000

const CHANNELS = {
  withdraw_delay: '15m',
  deposit_prices: PRICES,
  exposure_most: '3 USD',
  claim_from: '1 USD',
  claim_after: '15m',
  settle_from: '0.01 USD',
}

const settings = { schemes: ['exact', 'batch-settlement'], channels: CHANNELS }

describe('the official client pays the gate through channels', { timeout: 110_000 }, () => {
  const scene = withChannels(chainStage(() => settings))
  const url = (path) => scene.url(path)

  /** Asks and pays; resolves with what the answer says of the payment. */
  async function buy(buyer, path, status = 200) {
    const response = await buyer.fetch(url(path))
    const body = await response.text()
    assert.deepEqual([response.status, status !== 200 || body === ARTICLE], [status, true], `${path}: ${response.status} ${body}`)
    const field = response.headers.get('payment-response')
    return field ? decodePaymentResponseHeader(field) : null
  }

  const payment = ({ payload }) => ({
    'payment-signature': Buffer.from(JSON.stringify(payload)).toString('base64'),
  })

  /** What a request would carry, without sending it. */
  async function signed(buyer, path) {
    const response = await get(url(path))
    const required = JSON.parse(Buffer.from(response.headers.get('payment-required'), 'base64'))
    const accepted = required.accepts.find(({ scheme }) => scheme === 'batch-settlement')
    return { accepted, resource: required.resource, x402Version: 2 }
  }

  const idOf = (buyer) => buyer.sent[0].voucher.channelId

  /** Waits until all that was charged is claimed and paid out, and the books say so. */
  async function isPaid(units) {
    await until(async () => (await scene.earned()) === units)
    await reconciled(scene)
  }

  let earned = 0

  test('a deposit, two hundred vouchers, metered pages, a top-up and a refund', async () => {
    const escrow = escrowOf(scene.chain)
    const session = privateKeyToAccount(generatePrivateKey())
    const account = await scene.payer(PURSE)
    // When it has to put more in, it puts twice the least in: a part that goes back has to be the least at least.
    const deposits = ({ currentBalance }) => (currentBalance === '0' ? undefined : BigInt(2 * DEPOSIT))
    const buyer = channelBuyer(scene.chain, account, { session, deposits })
    const first = await buy(buyer, '/article')
    assert.deepEqual([first.amount, first.extra.chargedAmount], [String(DEPOSIT), String(CENT)])
    assert.equal((await scene.chain.client.getTransactionReceipt({ hash: first.transaction })).status, 'success')
    let charged = CENT
    for (let n = 1; n <= 200; n += 1) {
      const paid = await buy(buyer, '/article')
      charged += CENT
      assert.deepEqual([paid.transaction, paid.extra.chargedAmount], ['', String(CENT)])
      assert.equal(paid.extra.channelState.chargedCumulativeAmount, String(charged))
    }
    assert.equal(buyer.sent.filter(({ type }) => type === 'deposit').length, 1)
    for (const [path, units] of [['/paid/metered?cost=0.001234', 1_234], ['/paid/metered?cost=0', 0], ['/article', CENT]]) {
      const paid = await buy(buyer, path)
      charged += units
      assert.deepEqual([paid.extra.chargedAmount, paid.extra.channelState.chargedCumulativeAmount], [String(units), String(charged)], path)
    }
    // Until the deposit does not cover the next one any more: the client puts more in, and goes on.
    while (charged + CENT <= DEPOSIT) {
      await buy(buyer, '/article')
      charged += CENT
    }
    const more = await buy(buyer, '/article')
    charged += CENT
    assert.deepEqual([buyer.sent.at(-1).type, more.amount], ['deposit', String(2 * DEPOSIT)])
    assert.equal(scene.site.hits('/article') + scene.site.hits('/paid/metered'), buyer.sent.length, 'served once for each payment')
    // A part goes back, then the rest; what was charged is claimed with it.
    await assert.rejects(buyer.refund(url('/article'), 4_000), /refund_below_min_deposit/)
    const part = await buyer.refund(url('/article'), DEPOSIT + 4_000)
    assert.deepEqual([part.success, part.amount], [true, String(DEPOSIT + 4_000)])
    await buy(buyer, '/article')
    charged += CENT
    const rest = await buyer.refund(url('/article'))
    assert.equal(rest.success, true)
    assert.equal(await scene.chain.balance(account.address), PURSE - charged, 'the payer has paid what was charged')
    const { balance, claimed, refunds } = await escrow.channel(idOf(buyer))
    assert.deepEqual([balance, claimed, refunds], [charged, charged, 2])
    earned += charged
    await isPaid(earned)
    assert.equal(await scene.agreement(), earned)
    assert.equal(await escrow.balance(), 0)
  })

  test('a client that has forgotten everything is told where it stands', async () => {
    const account = await scene.payer(PURSE)
    const before = channelBuyer(scene.chain, account)
    await buy(before, '/article')
    await buy(before, '/paid/metered?cost=0.001')
    // It asks the chain, signs once more what it has signed for the first page, and is told what was charged since.
    const anew = channelBuyer(scene.chain, account)
    const paid = await buy(anew, '/article')
    const tried = anew.sent.map(({ voucher }) => Number(voucher.maxClaimableAmount))
    const total = 2 * CENT + 1_000
    assert.deepEqual(tried, [CENT, total])
    assert.equal(paid.extra.channelState.chargedCumulativeAmount, String(total))
    await anew.refund(url('/article'))
    earned += total
    await isPaid(earned)
    assert.equal(await scene.chain.balance(account.address), PURSE - total)
  })

  test('the same channel pays in the Payment scheme too, by the reference of that', async () => {
    const account = await scene.payer(PURSE)
    const buyer = channelBuyer(scene.chain, account)
    await buy(buyer, '/article')
    const challenge = Challenge.fromResponseList(await get(url('/article'))).find(({ intent }) => intent === 'session')
    const { escrowContract, sessionProtocol, requirements } = challenge.request.methodDetails
    assert.deepEqual(
      [challenge.method, escrowContract, sessionProtocol, requirements.scheme],
      ['evm', PLACES.BatchSettlement.toLowerCase(), 'x402/batch-settlement', 'batch-settlement'],
    )
    const [field] = Object.values(await buyer.sign(url('/article')))
    const { payload } = JSON.parse(Buffer.from(field, 'base64'))
    const paid = await get(url('/article'), { authorization: Credential.serialize({ challenge, payload }) })
    assert.deepEqual([paid.status, await paid.text()], [200, ARTICLE])
    const receipt = Receipt.deserialize(paid.headers.get('payment-receipt'))
    assert.deepEqual([receipt.method, receipt.status], ['evm', 'success'])
    const next = await buy(buyer, '/article')
    assert.equal(next.extra.channelState.chargedCumulativeAmount, String(3 * CENT), 'one channel, one total')
    await buyer.refund(url('/article'))
    earned += 3 * CENT
    await isPaid(earned)
    assert.equal(await scene.chain.balance(account.address), PURSE - 3 * CENT)
  })

  test('nothing is said of a channel to whoever cannot sign for it', async () => {
    const account = await scene.payer(PURSE)
    const buyer = channelBuyer(scene.chain, account)
    await buy(buyer, '/article')
    const offer = await signed(buyer, '/article')
    const { channelConfig, voucher } = buyer.sent[0]
    const garbage = { ...voucher, maxClaimableAmount: '7', signature: `0x${'11'.repeat(65)}` }
    const payload = { ...offer, payload: { type: 'voucher', channelConfig, voucher: garbage } }
    const refused = await get(url('/article'), payment({ payload }))
    const told = JSON.parse(Buffer.from(refused.headers.get('payment-required'), 'base64'))
    assert.deepEqual([refused.status, told.error], [402, 'invalid_batch_settlement_evm_voucher_signature'])
    assert.equal(JSON.stringify(told).includes('channelState'), false)
    await buyer.refund(url('/article'))
    earned += CENT
    await isPaid(earned)
  })

  test('an upstream that fails after a deposit charges nothing, and the client goes on with the deposit', async () => {
    const account = await scene.payer(PURSE)
    const buyer = channelBuyer(scene.chain, account)
    const failed = await buy(buyer, '/broken/500', 502)
    assert.deepEqual([failed.amount, failed.extra.chargedAmount], [String(DEPOSIT), '0'])
    await buy(buyer, '/article')
    assert.deepEqual(buyer.sent.map(({ type }) => type), ['deposit', 'voucher'])
    await buyer.refund(url('/article'))
    earned += CENT
    await isPaid(earned)
    assert.equal(await scene.chain.balance(account.address), PURSE - CENT)
  })

  test('a kill loses no voucher', async () => {
    const account = await scene.payer(PURSE)
    const buyer = channelBuyer(scene.chain, account)
    for (let n = 0; n < 3; n += 1) await buy(buyer, '/article')
    await scene.kill()
    await scene.start()
    const paid = await buy(buyer, '/article')
    assert.equal(paid.extra.channelState.chargedCumulativeAmount, String(4 * CENT))
    await buyer.refund(url('/article'))
    earned += 4 * CENT
    await isPaid(earned)
  })

  test('who takes his money out is not served any more, and pays what he owes', async () => {
    const escrow = escrowOf(scene.chain)
    const account = await scene.payer(PURSE)
    const buyer = channelBuyer(scene.chain, account)
    await buy(buyer, '/article')
    await buy(buyer, '/article')
    const { channelConfig } = buyer.sent[0]
    await escrow.call(account, 'initiateWithdraw', channelConfig, BigInt(DEPOSIT))
    // The wish is seen, and what is owed is claimed at once.
    await until(async () => (await escrow.channel(idOf(buyer))).claimed === 2 * CENT)
    const hits = scene.site.hits('/article')
    const refused = await buyer.fetch(url('/article'))
    const told = JSON.parse(Buffer.from(refused.headers.get('payment-required'), 'base64'))
    assert.deepEqual([refused.status, told.error], [402, 'invalid_batch_settlement_evm_withdrawal_pending'])
    assert.equal(scene.site.hits('/article'), hits)
    await scene.chain.client.increaseTime({ seconds: channelConfig.withdrawDelay })
    await scene.chain.client.mine({ blocks: 1 })
    await escrow.call(account, 'finalizeWithdraw', channelConfig)
    assert.equal(await scene.chain.balance(account.address), PURSE - 2 * CENT)
    earned += 2 * CENT
    await isPaid(earned)
    assert.equal(await scene.agreement(), earned)
    assert.equal(await escrow.balance(), 0)
  })
})

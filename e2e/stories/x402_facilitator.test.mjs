// The reference's express server lets our facilitator verify and settle: its clients pay in every way, chain, seller and
// books agree to the unit, and nobody else's payments are settled.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { HTTPFacilitatorClient } from '@x402/core/server'
import { decodePaymentResponseHeader } from '@x402/fetch'
import { WAY, allowPermit2, mppxBuyer, x402Buyer } from '../lib/buyer.mjs'
import { CHAIN_ID, DOMAIN } from '../lib/chain.mjs'
import { chainStage } from '../lib/chain_gate.mjs'
import { problem } from '../lib/offer.mjs'
import { PAGE, mppxSeller, x402Seller } from '../lib/seller.mjs'
import { get } from '../lib/story.mjs'

const CENT = 10_000
const DOLLAR = 1_000_000
const NETWORK = `eip155:${CHAIN_ID}`

describe('the reference seller uses our facilitator', { timeout: 110_000 }, () => {
  // The gate itself is paid elsewhere: what is settled for others is no money of ours.
  const scene = chainStage(({ accounts }) => ({ payTo: accounts[3].address, settleFor: [accounts[2].address] }))
  let seller, facilitator

  before(async () => {
    facilitator = new HTTPFacilitatorClient({ url: scene.url('/.well-known/farthing/facilitator') })
    const permit2 = { ...DOMAIN, assetTransferMethod: 'permit2' }
    seller = await x402Seller(scene.chain, facilitator.url, {
      '/page': { units: CENT },
      '/first': { units: CENT, extra: { ...DOMAIN, paymentFlow: 'upfront' } },
      '/permit2': { units: CENT, extra: permit2 },
      '/sponsored': { units: CENT, extra: permit2, sponsored: true },
      '/upto': { scheme: 'upto', units: CENT, extra: permit2, actual: 1_234 },
      '/nothing': { scheme: 'upto', units: CENT, extra: permit2, actual: 0 },
      '/stranger': { units: CENT, payTo: scene.chain.accounts[5].address },
    })
  })
  after(() => seller?.stop())

  const asSigned = (headers) => JSON.parse(Buffer.from(headers['PAYMENT-SIGNATURE'], 'base64').toString())

  /** The page came, and exactly this moved from the payer to the seller. */
  async function sells(path, buyer, units) {
    const balances = async () => [await scene.chain.balance(buyer.address), await scene.chain.balance(seller.payTo)]
    const [had, earned] = await balances()
    const response = await buyer.fetch(`${seller.url}${path}`)
    assert.deepEqual([response.status, await response.text()], [200, PAGE])
    assert.deepEqual(await balances(), [had - units, earned + units])
    await noneOfOurs()
    return decodePaymentResponseHeader(response.headers.get('payment-response'))
  }

  /** In our books there is the gas, and nothing else. */
  const noneOfOurs = async () => assert.equal(await scene.agreement(), 0)

  test('it says what it can do in words that the reference reads', async () => {
    const { kinds, extensions, signers } = await facilitator.getSupported()
    assert.deepEqual(kinds.map(({ scheme, network }) => [scheme, network]), [['exact', NETWORK], ['upto', NETWORK]])
    assert.equal(kinds[1].extra.facilitatorAddress, scene.own)
    assert.deepEqual([extensions, signers], [['eip2612GasSponsoring'], { 'eip155:*': [scene.own] }])
  })

  test('an authorization (EIP-3009) is settled', async () => {
    const payer = await scene.payer(DOLLAR)
    const settled = await sells('/page', x402Buyer(payer), CENT)
    assert.deepEqual([settled.success, settled.payer, settled.network], [true, payer.address, NETWORK])
    const { from, status } = await scene.chain.client.getTransactionReceipt({ hash: settled.transaction })
    assert.deepEqual([from.toLowerCase(), status], [scene.own.toLowerCase(), 'success'])
  })

  test('Permit2 is settled, once it may be', async () => {
    const payer = await scene.payer(DOLLAR)
    const buyer = x402Buyer(payer, WAY.permit2)
    const missing = await buyer.fetch(`${seller.url}/permit2`)
    assert.notEqual(missing.status, 200)
    assert.equal(await scene.chain.balance(payer.address), DOLLAR)
    await allowPermit2(scene.chain, payer)
    await sells('/permit2', buyer, CENT)
  })

  test('whoever has no coin for an allowance signs it, and we carry both', async () => {
    const payer = await scene.payer(DOLLAR)
    await scene.chain.client.setBalance({ address: payer.address, value: 0n })
    await sells('/sponsored', x402Buyer(payer, WAY.permit2, scene.chain.url), CENT)
  })

  test("mppx's seller settles `evm.charge` with us", async () => {
    const payer = await scene.payer(DOLLAR)
    const shop = await mppxSeller(scene.chain, facilitator.url, CENT)
    try {
      const response = await mppxBuyer(payer).fetch(`${shop.url}/page`)
      assert.deepEqual([response.status, await response.text()], [200, PAGE])
      assert.equal(await scene.chain.balance(payer.address), DOLLAR - CENT)
      await noneOfOurs()
    } finally {
      await shop.stop()
    }
  })

  test('upto is settled with what was used, also with nothing', async () => {
    const payer = await scene.payer(DOLLAR)
    await allowPermit2(scene.chain, payer)
    const buyer = x402Buyer(payer, WAY.upto)
    assert.equal((await sells('/upto', buyer, 1_234)).amount, '1234')
    assert.equal((await sells('/nothing', buyer, 0)).transaction, '')
  })

  test('settled twice it moves once, and one hears of it', async () => {
    const payer = await scene.payer(DOLLAR)
    const payload = asSigned(await x402Buyer(payer).sign(`${seller.url}/page`))
    const settle = () => facilitator.settle(payload, payload.accepted)
    const answers = await Promise.all([settle(), settle()])
    assert.equal(answers.filter(({ success }) => success).length, 1, JSON.stringify(answers))
    const later = await settle()
    assert.deepEqual([later.success, later.errorReason], [false, 'invalid_exact_evm_nonce_already_used'])
    assert.equal(await scene.chain.balance(payer.address), DOLLAR - CENT)
    await noneOfOurs()
  })

  for (const path of ['/page', '/first']) {
    test(`sixteen times at once ${path} of the seller is sold once for one payment`, async () => {
      const payer = await scene.payer(DOLLAR)
      const url = `${seller.url}${path}`
      const headers = await x402Buyer(payer).sign(url)
      const answers = await Promise.all(Array.from({ length: 16 }, () => get(url, headers)))
      assert.equal(answers.filter(({ status }) => status === 200).length, 1)
      assert.notEqual((await get(url, headers)).status, 200)
      assert.equal(await scene.chain.balance(payer.address), DOLLAR - CENT)
      await noneOfOurs()
    })
  }

  test('killed before the block it settles all the same, once', async () => {
    const payer = await scene.payer(DOLLAR)
    const payload = asSigned(await x402Buyer(payer).sign(`${seller.url}/page`))
    const settle = () => facilitator.settle(payload, payload.accepted)
    await scene.chain.client.setAutomine(false)
    const sent = scene.door.sent()
    const lost = settle().catch((error) => error)
    const hash = await sent
    await scene.kill()
    assert.ok((await lost) instanceof Error)
    await scene.start()
    await scene.chain.client.mine({ blocks: 1 })
    await scene.chain.client.setAutomine(true)
    const settled = await settle()
    assert.deepEqual([settled.success, settled.transaction], [true, hash])
    assert.equal(await scene.chain.balance(payer.address), DOLLAR - CENT)
    await noneOfOurs()
  })

  test('what cannot be settled is refused in the words of the reference', async () => {
    const payer = await scene.payer(CENT - 1)
    const payload = asSigned(await x402Buyer(payer).sign(`${seller.url}/page`))
    const asked = (change) => facilitator.verify(payload, { ...payload.accepted, ...change })
    assert.equal((await asked({})).invalidReason, 'invalid_exact_evm_insufficient_balance')
    assert.equal((await asked({ amount: '9999' })).invalidReason, 'invalid_exact_evm_payload_authorization_value_mismatch')
    const response = await x402Buyer(payer).fetch(`${seller.url}/page`)
    assert.equal(response.status, 402)
    assert.equal(await scene.chain.balance(payer.address), CENT - 1)
    await noneOfOurs()
  })

  test('for strangers nothing is verified and nothing settled', async () => {
    const payer = await scene.payer(DOLLAR)
    const served = seller.served('/stranger')
    const headers = await x402Buyer(payer).sign(`${seller.url}/stranger`)
    const response = await get(`${seller.url}/stranger`, headers)
    assert.notEqual(response.status, 200)
    assert.equal(seller.served('/stranger'), served)
    const payload = asSigned(headers)
    const body = JSON.stringify({ x402Version: 2, paymentPayload: payload, paymentRequirements: payload.accepted })
    for (const what of ['verify', 'settle']) {
      const refused = await fetch(`${facilitator.url}/${what}`, { method: 'POST', body })
      assert.equal(refused.status, 403)
      assert.equal((await problem(refused)).code, 'facilitator-stranger')
    }
    assert.equal(await scene.chain.balance(payer.address), DOLLAR)
    await noneOfOurs()
  })
})

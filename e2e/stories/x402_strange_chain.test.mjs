// Nodes that are of another chain or lie, tokens that stop between the judgement and the settlement, and gas that stays too
// dear until a payment's time is over. Each ends in a state that says what happened, and nobody loses anything.
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { decodePaymentResponseHeader } from '@x402/fetch'
import { x402Buyer } from '../lib/buyer.mjs'
import { chain } from '../lib/chain.mjs'
import { chainStage } from '../lib/chain_gate.mjs'
import { problem } from '../lib/offer.mjs'
import { payloadOf } from '../lib/resigned.mjs'
import { judge } from '../lib/seller.mjs'
import { run } from '../lib/program.mjs'
import { get } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000
const DOLLAR = 1_000_000

/** What these stories share, for a stage. */
function acts(scene) {
  const signed = async (path) => {
    const payer = await scene.payer(DOLLAR)
    const url = scene.url(path)
    return { payer, url, path, headers: await x402Buyer(payer).sign(url), earned: await scene.earned() }
  }
  const isPaid = async ({ payer, earned }, response) => {
    assert.deepEqual([response.status, await response.text()], [200, ARTICLE])
    assert.deepEqual([await scene.chain.balance(payer.address), await scene.earned()], [DOLLAR - CENT, earned + CENT])
    await scene.agreement()
  }
  /** Released: the reason is in every place where a client looks, and nothing was taken. */
  const isGivenBack = async ({ payer, earned }, response, reason) => {
    const { code, reason: said } = await problem(response)
    assert.deepEqual([response.status, code, said], [402, 'not-settled', reason])
    const { success, errorReason } = decodePaymentResponseHeader(response.headers.get('payment-response'))
    assert.deepEqual([success, errorReason], [false, reason])
    assert.deepEqual([await scene.chain.balance(payer.address), await scene.earned()], [DOLLAR, earned])
    await scene.agreement()
  }
  return { signed, isPaid, isGivenBack }
}

describe('a node that is not to be believed', { timeout: 110_000 }, () => {
  const scene = chainStage()
  const { signed, isPaid } = acts(scene)
  let other
  after(() => other?.stop())

  /** Not now, and nothing that makes a client pay again. */
  async function isUnreachable(payment) {
    const hits = scene.site.hits(payment.path)
    const refused = await get(payment.url, payment.headers)
    assert.deepEqual([refused.status, (await problem(refused)).code], [503, 'chain-unreachable'])
    assert.equal(refused.headers.get('payment-required'), null)
    assert.equal(scene.site.hits(payment.path), hits, 'the upstream was not asked')
  }

  test('one of another chain is not asked, whatever it would say', async () => {
    const payment = await signed('/article')
    // It has the same dollar at the same place, and the payer has as many there.
    other = await chain({ chainId: 8_453 })
    await other.mint(payment.payer.address, DOLLAR)
    // What is believed is forgotten with the connection: the gate starts behind the other node.
    await scene.kill()
    scene.door.lead(other.url)
    await scene.start()
    await isUnreachable(payment)
    assert.equal(await other.balance(payment.payer.address), DOLLAR)
    const { stderr } = await run(['check', '--config', scene.home.config])
    assert.match(stderr, /warning: .*eip155:8453.*look at nodes in the \[\[chain\]\]/)
    scene.door.lead(scene.chain.url)
    await isPaid(payment, await get(payment.url, payment.headers))
  })

  test('one that comes to be of another chain while a payment is settled moves nothing there', async () => {
    const payment = await signed('/slow')
    await other.mint(payment.payer.address, DOLLAR)
    const taken = scene.door.taken()
    const had = await other.balance(payment.payer.address)
    const paying = get(payment.url, payment.headers)
    const finish = await scene.site.slow()
    await scene.door.shut()
    scene.door.lead(other.url)
    finish()
    await scene.door.open()
    for (let round = 0; round < 3; round += 1) await scene.door.asked('eth_chainId')
    assert.deepEqual([await other.balance(payment.payer.address), scene.door.taken()], [had, taken])
    scene.door.lead(scene.chain.url)
    await isPaid(payment, await paying)
  })

  for (const [method, lie] of [['eth_call', { no: 'bytes' }], ['eth_getCode', 7]]) {
    test(`one whose ${method} says what cannot be is taken for silent`, async () => {
      const payment = await signed('/article')
      scene.door.lie(method, lie)
      await isUnreachable(payment)
      scene.door.lie(method)
      await isPaid(payment, await get(payment.url, payment.headers))
    })
  }

  test('one that says of a transaction that it is in a block which the chain does not have is not believed', async () => {
    const payment = await signed('/slow')
    const paying = get(payment.url, payment.headers)
    const finish = await scene.site.slow()
    await scene.chain.client.setAutomine(false)
    const sent = scene.door.sent()
    finish()
    const hash = await sent
    const block = await scene.chain.client.getBlock()
    const place = { blockNumber: `0x${block.number.toString(16)}`, blockHash: `0x${'77'.repeat(32)}` }
    const receipt = { transactionHash: hash, ...place, status: '0x1', gasUsed: '0x1', effectiveGasPrice: '0x1', logs: [] }
    scene.door.lie('eth_getTransactionReceipt', receipt)
    for (let round = 0; round < 3; round += 1) await scene.door.asked('eth_getBlockByNumber')
    scene.door.lie('eth_getTransactionReceipt')
    await scene.chain.client.setAutomine(true)
    await scene.chain.client.mine({ blocks: 1 })
    await isPaid(payment, await paying)
  })
})

describe('a token that stops, and gas that stays too dear', { timeout: 110_000 }, () => {
  const scene = chainStage()
  const { signed, isPaid, isGivenBack } = acts(scene)

  for (const [off, on, words] of [
    ['pause', 'unpause', () => []],
    ['blacklist', 'unBlacklist', (payer) => [payer.address]],
  ]) {
    test(`${off} between the judgement and the settlement: given back, and the same payment pays afterwards`, async () => {
      const payment = await signed('/slow')
      const paying = get(payment.url, payment.headers)
      const finish = await scene.site.slow()
      await scene.chain.write(off, words(payment.payer))
      const payload = payloadOf(payment.headers)
      const theirs = await judge(scene.chain).settle(payload, payload.accepted)
      finish()
      const response = await paying
      assert.equal(theirs.success, false)
      await isGivenBack(payment, response, theirs.errorReason)
      assert.equal(theirs.errorReason, 'invalid_exact_evm_transaction_failed')
      await scene.chain.write(on, words(payment.payer))
      const again = get(payment.url, payment.headers)
      ;(await scene.site.slow())()
      await isPaid(payment, await again)
    })
  }

  // The last one: the chain's clock runs ahead afterwards.
  test('gas that costs more than we pay until the time of a payment is over: nothing is sent, and it is given back', async () => {
    const payment = await signed('/slow')
    const { client } = scene.chain
    const [gwei, before] = [10n ** 9n, scene.door.taken()]
    const blockAt = async (baseFeePerGas) => {
      await client.setNextBlockBaseFeePerGas({ baseFeePerGas })
      await client.mine({ blocks: 1 })
    }
    await blockAt(900n * gwei)
    const paying = get(payment.url, payment.headers)
    ;(await scene.site.slow())()
    for (let round = 0; round < 3; round += 1) await scene.door.asked('eth_maxPriorityFeePerGas')
    await client.increaseTime({ seconds: 400 })
    await blockAt(900n * gwei)
    const response = await paying
    await isGivenBack(payment, response, 'invalid_exact_evm_payload_authorization_valid_before')
    assert.equal(scene.door.taken(), before, 'nothing was sent at this price')
  })
})

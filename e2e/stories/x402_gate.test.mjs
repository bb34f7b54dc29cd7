// The reference's clients of x402 and mppx's `evm.charge` pay our gate on a real chain, in every way that it offers. After
// each payment the chain and the books say the same, to the unit.
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { decodePaymentResponseHeader } from '@x402/fetch'
import { Challenge, Receipt } from 'mppx'
import { parseEventLogs } from 'viem'
import { WAY, allowPermit2, deployed, mppxBuyer, undeployed, walletFactory, x402Buyer, x402BuyerV1 } from '../lib/buyer.mjs'
import { CHAIN_ID, USDC, artifact } from '../lib/chain.mjs'
import { chainStage } from '../lib/chain_gate.mjs'
import { problem } from '../lib/offer.mjs'
import { run } from '../lib/program.mjs'
import { get } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000
const DOLLAR = 1_000_000
const NETWORK = `eip155:${CHAIN_ID}`

describe('clients of x402 pay the gate', { timeout: 110_000 }, () => {
  const scene = chainStage(async (chain) => ({ factories: [await walletFactory(chain)] }))

  /** The transaction is on the chain and moved exactly this; the receipt is genuine; the books agree. */
  async function isSettled(response, payer, units = CENT) {
    assert.equal(response.status, 200, await response.clone().text())
    assert.equal(await response.text(), ARTICLE)
    const settled = decodePaymentResponseHeader(response.headers.get('payment-response'))
    assert.deepEqual(
      [settled.success, settled.network, settled.payer, settled.amount],
      [true, NETWORK, payer.address, String(units)],
    )
    await isMoved(settled.transaction, payer, units)
    await isReceipt(response, units)
    await scene.agreement()
  }

  async function isMoved(hash, payer, units) {
    const { status, logs } = await scene.chain.client.getTransactionReceipt({ hash })
    assert.equal(status, 'success')
    const [transfer, ...others] = parseEventLogs({ abi: artifact('TestDollar').abi, logs, eventName: 'Transfer' })
    assert.deepEqual(others, [])
    assert.deepEqual(transfer.args, { from: payer.address, to: scene.payTo, value: BigInt(units) })
    assert.equal(transfer.address.toLowerCase(), USDC.toLowerCase())
  }

  async function isReceipt(response, units) {
    const input = response.headers.get('farthing-receipt')
    const { genuine, receipt } = JSON.parse((await run(['receipt', 'verify', '-', '--json'], { input })).stdout)
    assert.deepEqual([genuine, receipt.amount, receipt.asset], [true, String(units), 'USD'])
  }

  test('by itself the client takes the authorization (EIP-3009)', async () => {
    const payer = await scene.payer(DOLLAR)
    const earned = await scene.earned()
    const buyer = x402Buyer(payer)
    await isSettled(await buyer.fetch(scene.url('/article')), payer)
    assert.deepEqual([await scene.chain.balance(payer.address), await scene.earned()], [DOLLAR - CENT, earned + CENT])
    await isSettled(await buyer.fetch(scene.url('/paid/first')), payer)
  })

  test('Permit2 asks for an allowance first, then the same signature pays', async () => {
    const payer = await scene.payer(DOLLAR)
    const url = scene.url('/article')
    const headers = await x402Buyer(payer, WAY.permit2).sign(url)
    const missing = await get(url, headers)
    assert.equal(missing.status, 412)
    assert.equal((await problem(missing)).reason, 'permit2_allowance_required')
    await allowPermit2(scene.chain, payer)
    await isSettled(await get(url, headers), payer)
  })

  test('upto is charged what the upstream says that it cost', async () => {
    const payer = await scene.payer(DOLLAR)
    await allowPermit2(scene.chain, payer)
    const buyer = x402Buyer(payer, WAY.upto)
    await isSettled(await buyer.fetch(scene.url('/article')), payer, CENT)
    await isSettled(await buyer.fetch(scene.url('/paid/metered?cost=0.001234')), payer, 1_234)
    const before = await scene.chain.balance(payer.address)
    const free = await buyer.fetch(scene.url('/paid/metered?cost=0'))
    assert.deepEqual([free.status, await free.text()], [200, ARTICLE])
    assert.equal(await scene.chain.balance(payer.address), before, 'nothing was used')
    await scene.agreement()
  })

  test('a contract pays, also one that is not there yet (ERC-1271, ERC-6492)', async () => {
    const owner = await scene.payer(0)
    for (const wallet of [await deployed(scene.chain, owner), await undeployed(scene.chain, owner)]) {
      await scene.chain.mint(wallet.address, DOLLAR)
      await isSettled(await x402Buyer(wallet).fetch(scene.url('/article')), wallet)
    }
  })

  test('a client of version 1 reads the body and pays', async () => {
    const payer = await scene.payer(DOLLAR)
    const response = await x402BuyerV1(payer).fetch(scene.url('/article'))
    const settled = decodePaymentResponseHeader(response.headers.get('x-payment-response'))
    assert.equal(settled.payer, payer.address)
    await isSettled(response, payer)
  })

  test("mppx pays the challenge of the method evm", async () => {
    const payer = await scene.payer(DOLLAR)
    const response = await mppxBuyer(payer).fetch(scene.url('/article'))
    assert.deepEqual([response.status, await response.text()], [200, ARTICLE])
    const receipt = Receipt.fromResponse(response)
    assert.deepEqual([receipt.method, receipt.status], ['evm', 'success'])
    await isMoved(receipt.reference, payer, CENT)
    await isReceipt(response, CENT)
    await scene.agreement()
  })

  test('what bought a page buys no second one, and none elsewhere', async () => {
    const payer = await scene.payer(DOLLAR)
    const url = scene.url('/article')
    const headers = await x402Buyer(payer).sign(url)
    const elsewhere = await get(scene.url('/paid/metered?cost=0'), headers)
    assert.deepEqual([elsewhere.status, (await problem(elsewhere)).code], [402, 'resource-elsewhere'])
    await isSettled(await get(url, headers), payer)
    const hits = scene.site.hits('/article')
    for (const again of [await get(url, headers), await get(scene.url('/paid/x'), headers)]) {
      assert.equal(again.status, 402)
      const { code } = await problem(again)
      assert.ok(['payment-used', 'resource-elsewhere'].includes(code), code)
    }
    assert.equal(scene.site.hits('/article'), hits)
    assert.equal(await scene.chain.balance(payer.address), DOLLAR - CENT)
    await scene.agreement()
  })

  test('sixteen times at once it is one payment and one page', async () => {
    const payer = await scene.payer(DOLLAR)
    const url = scene.url('/article')
    const headers = await x402Buyer(payer).sign(url)
    const answers = await Promise.all(Array.from({ length: 16 }, () => get(url, headers)))
    const served = answers.filter(({ status }) => status === 200)
    assert.equal(served.length, 1)
    for (const other of answers.filter((answer) => answer !== served[0])) {
      const { code } = await problem(other)
      assert.ok(['payment-under-way', 'payment-used'].includes(code), code)
    }
    await isSettled(served[0], payer)
    assert.equal(await scene.chain.balance(payer.address), DOLLAR - CENT)
  })

  test('sixteen payers at once each have what they paid for', async () => {
    const payer = await scene.payer(DOLLAR)
    const earned = await scene.earned()
    const buyer = x402Buyer(payer)
    const answers = await Promise.all(Array.from({ length: 16 }, () => buyer.fetch(scene.url('/article'))))
    const bought = answers.map((answer) => decodePaymentResponseHeader(answer.headers.get('payment-response')))
    assert.equal(new Set(bought.map(({ transaction }) => transaction)).size, 16)
    assert.equal(await scene.earned(), earned + 16 * CENT)
    await scene.agreement()
  })

  test('what the chain would refuse is refused in its words before the upstream is asked', async () => {
    const poor = await scene.payer(CENT - 1)
    const url = scene.url('/article')
    const [hits, earned] = [scene.site.hits('/article'), await scene.earned()]
    const refusal = async () => {
      const response = await get(url, await x402Buyer(poor).sign(url))
      const required = JSON.parse(Buffer.from(response.headers.get('payment-required'), 'base64').toString())
      const { code } = await problem(response)
      return [response.status, code, required.error]
    }
    const refused = (reason) => [402, 'chain-payment-invalid', reason]
    assert.deepEqual(await refusal(), refused('invalid_exact_evm_insufficient_balance'))
    await scene.chain.mint(poor.address, 1)
    await scene.chain.write('blacklist', [poor.address])
    assert.deepEqual(await refusal(), refused('invalid_exact_evm_transaction_simulation_failed'))
    await scene.chain.write('unBlacklist', [poor.address])
    await scene.chain.write('pause', [])
    assert.deepEqual(await refusal(), refused('invalid_exact_evm_transaction_simulation_failed'))
    await scene.chain.write('unpause', [])
    assert.deepEqual([scene.site.hits('/article'), await scene.earned()], [hits, earned])
    await isSettled(await x402Buyer(poor).fetch(url), poor)
  })

  test('nothing moves for a page that the upstream could not make', async () => {
    const payer = await scene.payer(DOLLAR)
    const response = await x402Buyer(payer).fetch(scene.url('/broken/500'))
    assert.equal(response.status, 502)
    assert.equal(await scene.chain.balance(payer.address), DOLLAR)
    await scene.agreement()
  })

  test('a page of another origin may read a 402 and what it has to pay', async () => {
    const response = await get(scene.url('/article'), { origin: 'https://reader.example' })
    assert.deepEqual([response.status, response.headers.get('access-control-allow-origin')], [402, '*'])
    const exposed = response.headers.get('access-control-expose-headers').toLowerCase().split(/,\s*/)
    for (const name of ['payment-required', 'payment-response', 'www-authenticate']) assert.ok(exposed.includes(name), name)
    const methods = Challenge.fromResponseList(response).map(({ method, intent }) => `${method} ${intent}`)
    assert.deepEqual(methods, ['credit charge', 'evm charge', 'credit session'])
  })
})

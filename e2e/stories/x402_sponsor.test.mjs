// A token that knows nothing but ERC-20, and payers who have no coin for gas: the reference's client signs an approval of
// Permit2 (`erc20ApprovalGasSponsoring`), the gate gives the coin for it, sends it and settles. Chain and books agree.
import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { decodePaymentResponseHeader } from '@x402/fetch'
import { createWalletClient, http, parseGwei } from 'viem'
import { WAY, x402Buyer } from '../lib/buyer.mjs'
import { PLACES, USDC, artifact } from '../lib/chain.mjs'
import { chainStage } from '../lib/chain_gate.mjs'
import { problem } from '../lib/offer.mjs'
import { get } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000
const DOLLAR = 1_000_000

describe('payers without coin for gas', { timeout: 110_000 }, () => {
  const scene = chainStage(async (chain) => {
    // Where clients expect the dollar there is a token that takes neither authorizations nor signed allowances.
    await chain.client.setCode({ address: USDC, bytecode: artifact('PlainToken').runtime })
    return { transfer: ['permit2'], schemes: ['exact'], sponsorMost: 1_000_000 }
  })
  afterEach(() => scene.chain.client.setAutomine(true))

  async function poor() {
    const payer = await scene.payer(DOLLAR)
    await scene.chain.client.setBalance({ address: payer.address, value: 0n })
    return payer
  }
  const buyer = (payer) => x402Buyer(payer, WAY.permit2, scene.chain.url)
  const count = (address) => scene.chain.client.getTransactionCount({ address })
  const coin = (payer) => scene.chain.client.getBalance({ address: payer.address })
  const mine = () => scene.chain.client.mine({ blocks: 1 })

  async function isServed(response) {
    assert.equal(response.status, 200, await response.clone().text())
    assert.equal(await response.text(), ARTICLE)
    assert.equal(decodePaymentResponseHeader(response.headers.get('payment-response')).success, true)
    await scene.agreement()
  }

  test('the approval is paid for and sent, and the next payment needs none', async () => {
    const payer = await poor()
    const before = await count(scene.own)
    await isServed(await buyer(payer).fetch(scene.url('/article')))
    assert.equal(await scene.chain.balance(payer.address), DOLLAR - CENT)
    assert.equal(await count(payer.address), 1, 'the approval is a transaction of the payer')
    assert.ok((await scene.chain.read('allowance', payer.address, PLACES.Permit2StandIn)) > 10n ** 18n)
    assert.equal((await count(scene.own)) - before, 2, 'the coin, and the payment')
    await isServed(await buyer(payer).fetch(scene.url('/article')))
    assert.deepEqual([await count(payer.address), (await count(scene.own)) - before], [1, 3])
  })

  test('killed after the coin was sent, the gate gives none again', async () => {
    const payer = await poor()
    const before = await count(scene.own)
    const url = scene.url('/article')
    const headers = await buyer(payer).sign(url)
    await scene.chain.client.setAutomine(false)
    const sent = scene.door.sent()
    const broken = get(url, headers).catch((error) => error)
    await sent
    await scene.kill()
    assert.ok((await broken) instanceof Error)
    await scene.start()
    await scene.chain.client.setAutomine(true)
    await mine()
    let response = await get(url, headers)
    while (response.status === 409 || response.status === 503) response = await get(url, headers)
    await isServed(response)
    assert.deepEqual([await count(payer.address), (await count(scene.own)) - before], [1, 2])
  })

  test('who uses the number of the approval otherwise has paid for nothing, and is given no more', async () => {
    const payer = await poor()
    const url = scene.url('/article')
    const headers = await buyer(payer).sign(url)
    await scene.chain.client.setAutomine(false)
    const given = scene.door.sent()
    const answer = get(url, headers)
    await given
    const approved = scene.door.sent()
    await mine()
    await approved
    const had = await coin(payer)
    const own = createWalletClient({ account: payer, chain: scene.chain.definition, transport: http(scene.chain.url) })
    const fees = { maxFeePerGas: parseGwei('5'), maxPriorityFeePerGas: parseGwei('4') }
    await own.sendTransaction({ to: scene.chain.accounts[5].address, value: 1n, nonce: 0, gas: 21_000n, ...fees })
    await mine()
    const refused = await answer
    assert.equal(refused.status, 402)
    assert.equal((await problem(refused)).reason, 'erc20_approval_broadcast_failed')
    assert.equal(await scene.chain.balance(payer.address), DOLLAR, 'nothing has moved')
    await scene.chain.client.setAutomine(true)
    await scene.chain.client.setBalance({ address: payer.address, value: 0n })
    assert.ok(had > 0n)
    const before = await count(scene.own)
    const again = await get(url, await buyer(payer).sign(url))
    assert.equal((await problem(again)).reason, 'erc20_approval_broadcast_failed')
    assert.deepEqual([await coin(payer), await count(scene.own)], [0n, before])
    await scene.agreement()
  })
})

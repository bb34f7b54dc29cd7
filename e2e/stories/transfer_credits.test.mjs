// Dollars sent to the address of a quote, by any wallet that can send them, become credits: counted when they lie deep enough,
// in parts, after a crash and after a fork; cashu-ts mints them, and what lies at the addresses is moved on. Chain and books
// agree to the unit at the end of each.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { MintQuoteState } from '@cashu/cashu-ts'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { sum, tokenOf } from '../lib/cashu.mjs'
import { openEvmWallet } from '../lib/cashu_evm.mjs'
import { CHAIN_ID, USDC } from '../lib/chain.mjs'
import { chainStage } from '../lib/chain_gate.mjs'
import { get } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000
const DOLLAR = 1_000_000

describe('a plain transfer becomes credits', { timeout: 110_000 }, () => {
  const scene = chainStage(() => ({
    payTo: undefined,
    creditsLeast: '0.10 USD',
    withdrawalFee: '0.01 USD',
    sweepLeast: '2 USD',
    confirmations: 2,
  }))
  /** What credits are out, what fees were kept, and what lies at addresses of quotes, after all tests so far. */
  const issued = { credits: 0, fees: 0 }
  let lying = 0
  /** What the merchant has earned. */
  let page = 0
  const mine = () => scene.chain.client.mine({ blocks: 1 })

  /** Makes blocks until something is so. */
  async function mineUntil(check) {
    while (!(await check())) await mine()
  }

  /** A new quote that takes a transfer, of a wallet that mints it. */
  async function order(amount = DOLLAR) {
    const account = await openEvmWallet(scene.farthing.issuer)
    const body = JSON.stringify({ unit: 'uusd', amount, transfer: true })
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${scene.farthing.issuer}/v1/mint/quote/evm`, { method: 'POST', headers, body })
    assert.equal(answer.status, 200)
    const quote = await answer.json()
    const [way] = quote.transfer.ways
    assert.deepEqual([way.chain_id, way.token, way.units], [CHAIN_ID, USDC, String(amount)])
    return { account, quote, amount, to: quote.transfer.address, payer: await scene.payer(10 * amount) }
  }

  const send = ({ payer, to }, units) => scene.chain.write('transfer', [to, BigInt(units)], payer)
  const stateOf = async ({ account, quote }) => account.wallet.checkMintQuote(quote.quote)
  const isPaid = (ordered, units) => mineUntil(async () => (await stateOf(ordered)).amount_paid === units)

  async function minted({ account, quote }, amount) {
    const proofs = await account.wallet.mintProofs(amount, quote.quote, { keysetId: account.keysetId })
    assert.equal(sum(proofs), amount)
    issued.credits += amount
    return proofs
  }

  /** Chain and books, to the unit, when nothing is under way. */
  async function agreement(waiting = 0) {
    await mineUntil(async () => (await scene.status()).under_way === 0)
    const reserve = await scene.agreement({ issued, waiting })
    assert.equal(reserve, waiting + issued.credits + issued.fees + page)
    assert.deepEqual(await lies(), [lying, 0])
  }

  /** What lies at addresses of quotes: what counts, and what does not. */
  async function lies() {
    const { units_at_quotes: counted, units_uncounted: uncounted } = (await scene.status()).tokens[0]
    return [Number(counted), Number(uncounted)]
  }

  test('it counts after two blocks, is moved on, buys a page and becomes dollars again', async () => {
    const ordered = await order(3 * DOLLAR)
    await send(ordered, 3 * DOLLAR)
    for (let round = 0; round < 3; round += 1) await scene.door.asked('eth_getBlockByNumber')
    const { amount_paid: early, state } = await stateOf(ordered)
    assert.deepEqual([early, state], [0, MintQuoteState.UNPAID], 'one block holds it')
    assert.deepEqual(await lies(), [0, 3 * DOLLAR], 'it is seen')
    await isPaid(ordered, 3 * DOLLAR)
    assert.equal((await stateOf(ordered)).state, MintQuoteState.PAID)
    await mineUntil(async () => (await scene.chain.balance(ordered.to)) === 0)
    await agreement(3 * DOLLAR)
    const proofs = await minted(ordered, 3 * DOLLAR)
    await agreement()

    const { keep, token } = await tokenOf(ordered.account, CENT, proofs, scene.farthing.issuer)
    const answer = await get(scene.url('/article'), { 'x-cashu': token })
    assert.deepEqual([answer.status, await answer.text()], [200, ARTICLE])
    issued.credits -= CENT
    page = CENT
    await agreement()

    const to = privateKeyToAccount(generatePrivateKey()).address
    const quote = await ordered.account.withdrawalQuote(to, 2 * DOLLAR)
    const sent = scene.door.sent()
    const paying = ordered.account.withdraw(quote, keep)
    await sent
    await mineUntil(async () => (await scene.status()).under_way === 0)
    assert.equal(sum((await paying).change), 98 * CENT)
    assert.equal(await scene.chain.balance(to), 2 * DOLLAR)
    issued.credits -= 201 * CENT
    issued.fees += CENT
    await agreement()
  })

  test('parts add up, and what is too much is the payer\'s', async () => {
    const ordered = await order()
    await send(ordered, 40 * CENT)
    await isPaid(ordered, 40 * CENT)
    const part = await stateOf(ordered)
    assert.deepEqual([part.state, part.transfer.ways[0].units], [MintQuoteState.UNPAID, String(60 * CENT)])
    await send(ordered, 65 * CENT)
    await isPaid(ordered, 105 * CENT)
    lying += 105 * CENT
    await minted(ordered, DOLLAR)
    await agreement(5 * CENT)
    await minted(ordered, 5 * CENT)
    await assert.rejects(minted(ordered, 1), { code: 20_002 })
    await agreement()
  })

  test('two quotes that are paid in one block are told apart', async () => {
    const [first, second] = [await order(), await order(20 * CENT)]
    assert.notEqual(first.to, second.to)
    await scene.chain.client.setAutomine(false)
    const sending = [send(first, DOLLAR), send(second, 20 * CENT)]
    await mineUntil(async () => (await scene.chain.client.getBlock()).transactions.length === 2)
    await Promise.all(sending)
    await scene.chain.client.setAutomine(true)
    await Promise.all([isPaid(first, DOLLAR), isPaid(second, 20 * CENT)])
    lying += 120 * CENT
    await agreement(120 * CENT)
    await Promise.all([minted(first, DOLLAR), minted(second, 20 * CENT)])
    await agreement()
  })

  test('kill -9 before it came, and after it was counted: paid once, minted once', async () => {
    const ordered = await order()
    await scene.kill()
    await send(ordered, DOLLAR)
    await mine()
    await scene.start()
    await isPaid(ordered, DOLLAR)
    await scene.kill()
    await scene.start()
    lying += DOLLAR
    await minted(ordered, DOLLAR)
    await assert.rejects(minted(ordered, DOLLAR), { code: 20_002 })
    assert.equal((await stateOf(ordered)).state, MintQuoteState.ISSUED)
    await agreement()
  })

  for (const [when, dies] of [['a running issuer', false], ['an issuer that was killed in between', true]]) {
    test(`what a fork takes back leaves the books of ${when}, and pays when it is sent again`, async () => {
      const ordered = await order()
      await agreement()
      const { blockNumber } = await send(ordered, DOLLAR)
      await isPaid(ordered, DOLLAR)
      const { number } = await scene.chain.client.getBlock()
      const depth = Number(number - blockNumber) + 1
      if (dies) await scene.kill()
      await scene.chain.client.request({ method: 'anvil_reorg', params: [depth, []] })
      if (dies) await scene.start()
      await isPaid(ordered, 0)
      await agreement()
      await send(ordered, DOLLAR)
      await isPaid(ordered, DOLLAR)
      lying += DOLLAR
      await minted(ordered, DOLLAR)
      await agreement()
    })
  }
})

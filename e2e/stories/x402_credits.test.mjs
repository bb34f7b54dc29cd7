// A stablecoin becomes credits, credits buy a page, and what is left becomes a stablecoin again: the reference's client of
// x402 pays the issuer, cashu-ts mints and melts, and a real chain moves the money. Chain and books agree to the unit.
import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { CheckStateEnum, MeltQuoteState, MintQuoteState } from '@cashu/cashu-ts'
import { schnorr } from '@noble/curves/secp256k1'
import { bytesToHex } from '@noble/curves/abstract/utils'
import { decodePaymentResponseHeader } from '@x402/fetch'
import { parseEventLogs } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { x402Buyer } from '../lib/buyer.mjs'
import { states, sum, tokenOf } from '../lib/cashu.mjs'
import { openEvmWallet } from '../lib/cashu_evm.mjs'
import { CHAIN_ID, USDC, artifact } from '../lib/chain.mjs'
import { chainStage } from '../lib/chain_gate.mjs'
import { chance, turnsUntil } from '../lib/moment.mjs'
import { ask, get } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000
const DOLLAR = 1_000_000
const GWEI = 10n ** 9n

describe('money on a chain becomes credits, and credits become money', { timeout: 110_000 }, () => {
  const scene = chainStage(() => ({ payTo: undefined, creditsLeast: '0.10 USD', withdrawalFee: '0.01 USD' }))
  /** What credits are out and what fees were kept, after all tests so far. */
  const issued = { credits: 0, fees: 0 }
  const mining = (on) => scene.chain.client.setAutomine(on)
  const mine = () => scene.chain.client.mine({ blocks: 1 })
  const open = () => openEvmWallet(scene.farthing.issuer)
  const stranger = () => privateKeyToAccount(generatePrivateKey()).address
  // A test that failed in the middle leaves a chain without blocks to nobody.
  afterEach(() => mining(true))

  /** A quote of the method that its own key locks, and a payer who has what it asks for twice. */
  async function order(amount = DOLLAR) {
    const account = await open()
    const key = schnorr.utils.randomPrivateKey()
    const quote = await account.wallet.createLockedMintQuote(amount, `02${bytesToHex(schnorr.getPublicKey(key))}`)
    assert.equal(quote.state, MintQuoteState.UNPAID)
    const payer = await scene.payer(2 * amount)
    return { account, quote, amount, payer, buyer: x402Buyer(payer), privateKey: bytesToHex(key) }
  }

  /** The credits of a quote that is paid. */
  async function minted({ account, quote, amount, privateKey }) {
    const { wallet, keysetId } = account
    const proofs = await wallet.mintProofs(amount, quote, { keysetId, privateKey })
    assert.equal(sum(proofs), amount)
    issued.credits += amount
    return proofs
  }

  /** Credits for money on the chain. */
  async function bought(amount = DOLLAR) {
    const ordered = await order(amount)
    assert.equal((await ordered.buyer.fetch(ordered.quote.request)).status, 200)
    return { account: ordered.account, proofs: await minted(ordered) }
  }

  /** The quote is paid by one transaction that moved exactly its amount to us. */
  async function isPaidOnce({ account, quote, amount, payer }, response) {
    const body = await response.json()
    assert.deepEqual([response.status, body.quote, body.state], [200, quote.quote, MintQuoteState.PAID])
    assert.deepEqual(
      [body.method, body.amount, body.amount_paid, body.amount_issued],
      ['evm', amount, amount, 0],
    )
    assert.equal((await account.wallet.checkMintQuote(quote.quote)).state, MintQuoteState.PAID)
    const settled = decodePaymentResponseHeader(response.headers.get('payment-response'))
    assert.deepEqual([settled.success, settled.payer], [true, payer.address])
    await isMoved(settled.transaction, payer.address, scene.own, amount)
    assert.equal(await scene.chain.balance(payer.address), amount, 'it had twice as much')
    return settled.transaction
  }

  async function isMoved(hash, from, to, units) {
    const { status, logs } = await scene.chain.client.getTransactionReceipt({ hash })
    assert.equal(status, 'success')
    const moves = parseEventLogs({ abi: artifact('TestDollar').abi, logs, eventName: 'Transfer' })
    assert.deepEqual(moves.map(({ args }) => args), [{ from, to, value: BigInt(units) }])
  }

  /** The issuer says so in its own words, and offers nothing that a client would pay. */
  async function isRefused(response, reject) {
    assert.deepEqual([response.status, (await response.json()).reject], [409, reject])
    assert.equal(response.headers.get('payment-required'), null)
  }

  test('a dollar becomes credits, they buy a page, and the rest becomes dollars somewhere else', async () => {
    const ordered = await order()
    const { account, quote, buyer } = ordered
    const asked = await get(quote.request)
    assert.equal(asked.status, 402)
    await isPaidOnce(ordered, await buyer.fetch(quote.request))
    const proofs = await minted(ordered)
    await scene.agreement({ issued })

    const { keep, token } = await tokenOf(account, CENT, proofs, scene.farthing.issuer)
    const page = await get(scene.url('/article'), { 'x-cashu': token })
    assert.deepEqual([page.status, await page.text()], [200, ARTICLE])
    issued.credits -= CENT
    await scene.agreement({ issued })

    const to = stranger()
    const first = await account.withdrawalQuote(to, 80 * CENT)
    assert.deepEqual([first.amount, first.fee_reserve, first.state], [80 * CENT, CENT, MeltQuoteState.UNPAID])
    assert.equal(first.request.toLowerCase(), `eip155:${CHAIN_ID}:${USDC}/${to}`.toLowerCase())
    const sent = scene.door.sent()
    const paid = await account.withdraw(first, keep)
    assert.deepEqual([paid.quote.state, sum(paid.change)], [MeltQuoteState.PAID, 18 * CENT])
    await isMoved(await sent, scene.own, to, 80 * CENT)
    assert.equal(await scene.chain.balance(to), 80 * CENT)
    assert.deepEqual(await states(account.wallet, keep), [CheckStateEnum.SPENT])
    issued.credits -= 81 * CENT
    issued.fees += CENT
    await scene.agreement({ issued })

    const last = await account.withdraw(await account.withdrawalQuote(to, 17 * CENT), paid.change)
    assert.deepEqual([last.quote.state, last.change], [MeltQuoteState.PAID, []])
    assert.equal(await scene.chain.balance(to), 97 * CENT)
    issued.credits -= 18 * CENT
    issued.fees += CENT
    assert.equal(issued.credits, 0)
    assert.equal(await scene.agreement({ issued }), 3 * CENT, 'the page and two fees stay')
  })

  test('the same payment again pays nothing more, and another one is refused', async () => {
    const ordered = await order()
    const { account, quote, buyer, amount } = ordered
    const [own, other] = [await buyer.sign(quote.request), await buyer.sign(quote.request)]
    const hash = await isPaidOnce(ordered, await get(quote.request, own))
    assert.equal(await isPaidOnce(ordered, await get(quote.request, own)), hash, 'it finds what it paid')
    await isRefused(await get(quote.request, other), 'quote-paid')
    await minted(ordered)
    const late = await get(quote.request, own)
    assert.deepEqual([late.status, (await late.json()).state], [200, MintQuoteState.ISSUED])
    await assert.rejects(minted(ordered), { code: 20_002 })
    assert.equal((await account.wallet.checkMintQuote(quote.quote)).state, MintQuoteState.ISSUED)
    assert.equal(await scene.chain.balance(ordered.payer.address), amount)
    await scene.agreement({ issued })
  })

  test('while one payment waits for its block, another one is refused', async () => {
    const ordered = await order()
    const { quote, buyer } = ordered
    const [own, other] = [await buyer.sign(quote.request), await buyer.sign(quote.request)]
    await mining(false)
    const sent = scene.door.sent()
    const paying = get(quote.request, own)
    const hash = await sent
    await isRefused(await get(quote.request, other), 'quote-under-way')
    const joining = get(quote.request, own)
    await mine()
    assert.equal(await isPaidOnce(ordered, await paying), hash)
    assert.equal(await isPaidOnce(ordered, await joining), hash)
    await mining(true)
    await minted(ordered)
    await scene.agreement({ issued })
  })

  for (const [when, isMinedBefore] of [['before', true], ['after', false]]) {
    test(`kill -9 when the money was sent; the block comes ${when} the next start: paid and minted once`, async () => {
      const ordered = await order()
      const { quote, buyer } = ordered
      const [own, other] = [await buyer.sign(quote.request), await buyer.sign(quote.request)]
      await mining(false)
      const sent = scene.door.sent()
      const lost = ask(quote.request, { headers: own }).catch((error) => error)
      const hash = await sent
      await scene.kill()
      assert.ok((await lost) instanceof Error, 'nothing was answered')
      if (isMinedBefore) await mine()
      await scene.start()
      const back = get(quote.request, own)
      if (!isMinedBefore) await mine()
      assert.equal(await isPaidOnce(ordered, await back), hash)
      await mining(true)
      await isRefused(await get(quote.request, other), 'quote-paid')
      await minted(ordered)
      await assert.rejects(minted(ordered), { code: 20_002 })
      await scene.agreement({ issued })
    })
  }

  test('kill -9 when a withdrawal was sent: it is paid once, and its credits are spent', async () => {
    const { account, proofs } = await bought()
    const to = stranger()
    const quote = await account.withdrawalQuote(to, 99 * CENT)
    await mining(false)
    const sent = scene.door.sent()
    const lost = account.withdraw(quote, proofs).catch((error) => error)
    const hash = await sent
    assert.deepEqual(await states(account.wallet, proofs), [CheckStateEnum.PENDING])
    await scene.kill()
    assert.ok((await lost) instanceof Error, 'nothing was answered')
    await scene.start()
    assert.equal((await account.withdrawalState(quote.quote)).state, MeltQuoteState.PENDING)
    await mine()
    await mining(true)
    await scene.isQuiet()
    assert.equal((await account.withdrawalState(quote.quote)).state, MeltQuoteState.PAID)
    assert.deepEqual(await states(account.wallet, proofs), [CheckStateEnum.SPENT])
    await isMoved(hash, scene.own, to, 99 * CENT)
    assert.equal(await scene.chain.balance(to), 99 * CENT)
    issued.credits -= DOLLAR
    issued.fees += CENT
    await scene.agreement({ issued })
  })

  test('killed at any moment on the way in and on the way out: paid, minted and paid out once', async () => {
    const killed = async (asking) => {
      const answer = asking.catch(() => undefined)
      await turnsUntil(chance(200))
      await scene.kill()
      await answer
      await scene.start()
    }
    for (let round = 0; round < 6; round += 1) {
      const ordered = await order()
      const { account, quote, buyer } = ordered
      const own = await buyer.sign(quote.request)
      await killed(ask(quote.request, { headers: own }))
      await isPaidOnce(ordered, await get(quote.request, own))
      const proofs = await minted(ordered)

      const to = stranger()
      const { quote: name } = await account.withdrawalQuote(to, 99 * CENT)
      const melt = { quote: name, inputs: proofs.map(({ dleq: _, ...proof }) => proof) }
      await killed(account.mint.melt(melt))
      assert.equal((await account.mint.melt(melt)).state, MeltQuoteState.PAID)
      assert.equal(await scene.chain.balance(to), 99 * CENT)
      assert.deepEqual(await states(account.wallet, proofs), [CheckStateEnum.SPENT])
      issued.credits -= DOLLAR
      issued.fees += CENT
      await scene.agreement({ issued })
    }
  })

  /** The withdrawal was refused: nothing moved and the credits are whole; when the token allows it again, they pay it. */
  async function isWhole({ account, proofs, quote, to }, paying) {
    await assert.rejects(paying, { code: 20_004 })
    await mining(true)
    assert.deepEqual(await states(account.wallet, proofs), [CheckStateEnum.UNSPENT])
    assert.equal((await account.withdrawalState(quote.quote)).state, MeltQuoteState.UNPAID)
    assert.equal(await scene.chain.balance(to), 0)
    await scene.agreement({ issued })
    await scene.chain.write('unBlacklist', [to])
    const paid = await account.withdraw(quote, proofs)
    assert.deepEqual([paid.quote.state, sum(paid.change)], [MeltQuoteState.PAID, 49 * CENT])
    assert.equal(await scene.chain.balance(to), 50 * CENT)
    issued.credits -= 51 * CENT
    issued.fees += CENT
    await scene.agreement({ issued })
  }

  /** Credits, and a quote for a withdrawal of half of them. */
  async function withdrawal() {
    const { account, proofs } = await bought()
    const to = stranger()
    return { account, proofs, to, quote: await account.withdrawalQuote(to, 50 * CENT) }
  }

  test('a withdrawal to whom the token sends nothing gives the credits back', async () => {
    const payment = await withdrawal()
    await scene.chain.write('blacklist', [payment.to])
    await isWhole(payment, payment.account.withdraw(payment.quote, payment.proofs))
  })

  test('a withdrawal that the token refuses in its block gives the credits back', async () => {
    const payment = await withdrawal()
    await mining(false)
    const sent = scene.door.sent()
    const paying = payment.account.withdraw(payment.quote, payment.proofs)
    // Handled below; what ends before is no stray rejection.
    paying.catch(() => {})
    const hash = await sent
    // Whoever pays more for gas comes first in the block.
    await scene.chain.client.writeContract({
      address: USDC,
      abi: artifact('TestDollar').abi,
      functionName: 'blacklist',
      args: [payment.to],
      account: scene.chain.accounts[9],
      chain: scene.chain.client.chain,
      maxFeePerGas: 500n * GWEI,
      maxPriorityFeePerGas: 400n * GWEI,
    })
    await mine()
    assert.equal((await scene.chain.client.getTransactionReceipt({ hash })).status, 'reverted')
    await isWhole(payment, paying)
  })
})

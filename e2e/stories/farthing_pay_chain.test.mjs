// Farthing's own wallet pays on a real chain: sellers that somebody else wrote (the reference's express server with the
// reference's facilitator, and mppx's `evm.charge`), and our own gate. After each story the balances on the chain, the
// wallet's history and its budget agree to the unit.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { CHAIN_ID, PLACES, USDC, chain } from '../lib/chain.mjs'
import { chainStage } from '../lib/chain_gate.mjs'
import { EXIT, purse } from '../lib/program.mjs'
import { PAGE, facilitator, mppxSeller, x402Seller } from '../lib/seller.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000
const DOLLAR = 1_000_000

/** A wallet with an account that has so much. With a node it can ask what became of a payment. */
async function wallet(anvil, ends, units, { node = true } = {}) {
  const one = purse()
  ends.push(async () => one.remove())
  await one.wallet(['init'])
  if (node) await one.wallet(['token', 'add', '--chain', String(CHAIN_ID), '--address', USDC, '--rpc', anvil.url])
  const { address } = JSON.parse((await one.wallet(['address', '--json'])).stdout)
  if (units > 0) await anvil.mint(address, units)
  const json = async (...words) => JSON.parse((await one.wallet([...words, '--json'])).stdout)
  return {
    ...one,
    address,
    json,
    entries: async () => (await json('history')).entries,
    /** Chain, history and budget: all say that so much was spent. */
    async hasSpent(spent) {
      assert.equal(await anvil.balance(address), units - spent, 'on the chain')
      const paid = (await json('history')).entries.filter(({ kind }) => kind === 'pay')
      assert.equal(paid.reduce((sum, { amount }) => sum + Number(amount.amount), 0), spent, 'in the history')
      const { limits } = await json('limits', 'show')
      assert.equal(Number(limits[0].spent_total.amount), spent, 'in the budget')
      const { on_chain: held } = await json('balance')
      assert.equal(Number(held[0].money.amount), units - spent, 'as the wallet sees it')
    },
  }
}

describe('farthing pay on a chain', { timeout: 110_000 }, () => {
  const ends = []
  let anvil, carrier, seller

  before(async () => {
    anvil = await chain()
    ends.push(anvil.stop)
    carrier = await facilitator(anvil)
    ends.push(carrier.stop)
    const others = { asset: '0x00000000000000000000000000000000000000aa' }
    seller = await x402Seller(anvil, carrier.url, {
      '/page': { units: CENT },
      '/odd': { units: 12_345 },
      '/slow': { units: CENT },
      '/unknown': { units: CENT, ...others },
      '/lies': { units: CENT, extra: { name: 'USD Coin', version: '2' } },
      '/metered': { scheme: 'upto', units: 5 * CENT, actual: 1_370 },
      '/permit2': { units: CENT, extra: { name: 'USDC', version: '2', assetTransferMethod: 'permit2' } },
    })
    ends.push(seller.stop)
  })
  after(async () => {
    for (const end of ends.reverse()) await end()
  })

  const payer = async (units, options) => wallet(anvil, ends, units, options)

  /** What the owner does elsewhere, with another wallet of the same words. */
  async function allow({ address }) {
    await anvil.client.setBalance({ address, value: 10n ** 18n })
    await anvil.client.impersonateAccount({ address })
    await anvil.write('approve', [PLACES.Permit2StandIn, 10n ** 18n], address)
  }

  test('the twelve words give the account that other wallets find', async () => {
    const one = purse()
    ends.push(async () => one.remove())
    const words = 'test test test test test test test test test test test junk'
    await one.wallet(['init', '--words-file', '-'], { input: `${words}\n` })
    const { stdout } = await one.wallet(['address', '--text'])
    assert.match(stdout, new RegExp(anvil.accounts[0].address))
    assert.match(stdout, new RegExp(`eip155:${CHAIN_ID} +USDC +${USDC}`))
  })

  test('a page of the reference seller is paid to the unit', async () => {
    const one = await payer(DOLLAR)
    const earned = await anvil.balance(seller.payTo)
    const asked = JSON.parse((await one.pay(`${seller.url}/odd`, EXIT.ok, '--dry-run', '--json')).stdout)
    assert.deepEqual([asked.on_chain.pay_to, asked.on_chain.token, asked.price.amount], [seller.payTo, USDC, '12345'])
    const page = await one.pay(`${seller.url}/page`)
    assert.equal(page.stdout, PAGE)
    assert.match(page.stderr, new RegExp(`paid 0\\.01 USD to ${seller.payTo} on eip155:${CHAIN_ID} \\(transaction 0x`))
    await one.pay(`${seller.url}/odd`)
    assert.equal(await anvil.balance(seller.payTo), earned + CENT + 12_345)
    await one.hasSpent(CENT + 12_345)
    const [{ on_chain: on, party }] = await one.entries()
    assert.deepEqual([on.pay_to, on.token, on.units, party], [seller.payTo, USDC, '12345', new URL(seller.url).host])
    const receipt = await anvil.client.getTransactionReceipt({ hash: on.transaction })
    assert.equal(receipt.status, 'success')
  })

  test('a limit refuses before anything is signed', async () => {
    const one = await payer(DOLLAR)
    const before = seller.payments()
    await one.pay(`${seller.url}/page`, EXIT.budgetRefused, '--max', '0.009 USD')
    await one.wallet(['limits', 'set', '--per-call', 'none', '--total', '0.015 USD'])
    await one.pay(`${seller.url}/page`)
    const refused = await one.pay(`${seller.url}/page?again`, EXIT.budgetRefused)
    assert.match(refused.stderr, /0\.015 USD leaves 0\.005 USD/)
    assert.equal(seller.payments() - before, 1)
    await one.hasSpent(CENT)
  })

  test('tokens that are not known, and names that are not theirs, are never paid', async () => {
    const one = await payer(DOLLAR)
    const before = seller.payments()
    assert.match((await one.pay(`${seller.url}/unknown`, EXIT.fundsShort)).stderr, /is not known here/)
    assert.match((await one.pay(`${seller.url}/lies`, EXIT.fundsShort)).stderr, /signs as USDC version 2/)
    await one.wallet(['token', 'remove', '--chain', String(CHAIN_ID), '--address', USDC])
    assert.match((await one.pay(`${seller.url}/page`, EXIT.fundsShort)).stderr, /is not known here/)
    await one.wallet(['token', 'add', '--chain', String(CHAIN_ID), '--address', USDC])
    await one.pay(`${seller.url}/page`, EXIT.fundsShort, '--with', 'credits')
    assert.equal(seller.payments(), before)
    await one.hasSpent(0)
  })

  test('an empty account is told how to be filled, and the same signature pays then', async () => {
    const one = await payer(0)
    const before = seller.payments()
    const short = await one.pay(`${seller.url}/page`, EXIT.fundsShort)
    assert.match(short.stderr, /insufficient_balance/)
    assert.match(short.stderr, /farthing wallet deposit/)
    assert.match((await one.wallet(['deposit', '--text'])).stdout, new RegExp(one.address))
    await anvil.mint(one.address, CENT)
    assert.equal((await one.pay(`${seller.url}/page`)).stdout, PAGE)
    assert.equal(seller.payments() - before, 1, 'one signature, sent twice')
    assert.equal(await anvil.balance(one.address), 0)
  })

  test('the payer dies while the seller works: it is paid once, and known', async () => {
    const one = await payer(DOLLAR)
    const [earned, before] = [await anvil.balance(seller.payTo), seller.payments()]
    const paying = one.start('pay', `${seller.url}/slow`)
    const finish = await seller.slow()
    paying.kill()
    assert.equal((await paying.ended).signal, 'SIGKILL')
    finish()
    // The seller settles after its handler; the same command hears of it, however far that is.
    const again = one.start('pay', `${seller.url}/slow`)
    await Promise.race([seller.slow().then((finish) => finish()), again.ended])
    const { exit, stderr } = await again.ended
    assert.ok([EXIT.ok, EXIT.failed].includes(exit), stderr)
    assert.equal(seller.payments() - before, 1, 'one signature')
    assert.equal(await anvil.balance(seller.payTo), earned + CENT)
    await one.hasSpent(CENT)
  })

  test('an offer through Permit2 without an allowance says what is missing; with one it is paid', async () => {
    const one = await payer(DOLLAR)
    const missing = await one.pay(`${seller.url}/permit2`, EXIT.fundsShort)
    assert.match(missing.stderr, /permit2_allowance_required/)
    assert.match(missing.stderr, /approve\(0x000000000022D473030F116dDEE9F6B43aC78BA3/)
    await allow(one)
    assert.equal((await one.pay(`${seller.url}/permit2`)).stdout, PAGE)
    await one.hasSpent(CENT)
  })

  test('of a ceiling the actual is paid; without a node the budget keeps the ceiling', async () => {
    const [one, blind] = [await payer(DOLLAR), await payer(DOLLAR, { node: false })]
    for (const each of [one, blind]) {
      await allow(each)
      const page = await each.pay(`${seller.url}/metered`)
      assert.equal(page.stdout, PAGE)
      assert.match(page.stderr, /paid 0\.00137 USD/)
      assert.equal(await anvil.balance(each.address), DOLLAR - 1_370)
      const [{ amount, on_chain: on }] = await each.entries()
      assert.deepEqual([amount.amount, on.units, on.taken], ['1370', String(5 * CENT), '1370'])
    }
    await one.hasSpent(1_370)
    await blind.pay(`${seller.url}/metered`, EXIT.budgetRefused, '--max', '0.04 USD')
    await blind.wallet(['limits', 'set', '--total', '0.099 USD'])
    await blind.pay(`${seller.url}/metered`, EXIT.budgetRefused)
    await one.wallet(['limits', 'set', '--total', '0.099 USD'])
    await one.pay(`${seller.url}/metered`)
    await one.hasSpent(2 * 1_370)
  })

  test("mppx's server is paid by evm.charge", async () => {
    const shop = await mppxSeller(anvil, carrier.url, 5_000)
    ends.push(shop.stop)
    const one = await payer(DOLLAR)
    const earned = await anvil.balance(shop.payTo)
    const page = await one.pay(`${shop.url}/page`, EXIT.ok, '--json', '-o', `${one.address}.txt`)
    assert.equal(JSON.parse(page.stdout).dialect, 'mpp')
    assert.equal(await anvil.balance(shop.payTo), earned + 5_000)
    await one.hasSpent(5_000)
    const [{ on_chain: on }] = await one.entries()
    assert.match(on.transaction, /^0x[0-9a-f]{64}$/)
  })
})

describe('farthing pay pays our own gate on a chain', { timeout: 90_000 }, () => {
  const scene = chainStage()
  const ends = []
  after(async () => {
    for (const end of ends) await end()
  })
  const payer = (units) => wallet(scene.chain, ends, units)

  test('a page is paid once, and then a pass opens it', async () => {
    const one = await payer(DOLLAR)
    const earned = await scene.earned()
    const first = await one.pay(scene.url('/article'))
    assert.equal(first.stdout, ARTICLE)
    assert.match(first.stderr, /paid 0\.01 USD .*receipt/)
    assert.deepEqual(first.stderr.match(/note:/), null, first.stderr)
    assert.match((await one.pay(scene.url('/article'))).stderr, /a pass opens it/)
    await one.hasSpent(CENT)
    assert.equal(await scene.earned(), earned + CENT)
    const [{ on_chain: on, receipt }] = await one.entries()
    assert.ok(receipt && on.transaction, 'the receipt and the transaction are kept')
    await scene.agreement()
  })

  test('the payer dies while the page is made: the same signature gets it, and it is paid once', async () => {
    const one = await payer(DOLLAR)
    const earned = await scene.earned()
    const paying = one.start('pay', scene.url('/slow'))
    const finish = await scene.site.slow()
    paying.kill()
    assert.equal((await paying.ended).signal, 'SIGKILL')
    finish()
    const again = one.start('pay', scene.url('/slow'))
    await Promise.race([scene.site.slow().then((finish) => finish()), again.ended])
    const { exit, stdout, stderr } = await again.ended
    assert.equal(exit, EXIT.ok, stderr)
    assert.equal(stdout, ARTICLE)
    await one.hasSpent(CENT)
    assert.equal(await scene.earned(), earned + CENT)
    await scene.agreement()
  })

  test('too little in the account is told as such', async () => {
    const one = await payer(CENT - 1)
    const short = await one.pay(scene.url('/article?poor'), EXIT.fundsShort)
    assert.match(short.stderr, /insufficient_balance|funds|balance/)
    assert.equal(await scene.chain.balance(one.address), CENT - 1)
  })
})

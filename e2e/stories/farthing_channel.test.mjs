// Farthing's own wallet pays through channels: the reference's express server, the reference's facilitator, and our stand-in for
// the escrow. After each story the chain, the seller's books, the wallet's books and its budget agree to the unit.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { CHAIN_ID, DOMAIN, USDC, chain } from '../lib/chain.mjs'
import { channelFacilitator, channelSeller, escrowOf } from '../lib/channel.mjs'
import { EXIT, purse } from '../lib/program.mjs'
import { PAGE } from '../lib/seller.mjs'

const PRICE = 1_000
/** The reference's seller asks for ten times the price as a first deposit. */
const DEPOSIT = 10_000
const PURSE = 1_000_000

describe('farthing pay through channels', { timeout: 110_000 }, () => {
  const ends = []
  let anvil, escrow, seller

  before(async () => {
    anvil = await chain()
    ends.push(anvil.stop)
    escrow = escrowOf(anvil)
    const settler = await channelFacilitator(anvil)
    ends.push(settler.stop)
    const routes = {
      '/page': { units: PRICE },
      '/other': { units: PRICE },
      '/metered': { units: PRICE, actual: 137 },
      '/free': { units: PRICE, actual: 0 },
      '/slow': { units: PRICE },
      '/dear': { units: 100 * PRICE },
      '/permit2': { units: PRICE, extra: { ...DOMAIN, assetTransferMethod: 'permit2' } },
    }
    seller = await channelSeller(anvil, settler.url, routes, anvil.accounts[3])
    ends.push(seller.stop)
  })
  after(async () => {
    for (const end of ends.reverse()) await end()
  })

  const url = (path) => `${seller.url}${path}`

  /** A wallet with dollars; with a node it can ask the chain, with coin it can send transactions. */
  async function payer({ node = true, coin = 0n } = {}) {
    const one = purse()
    ends.push(async () => one.remove())
    await one.wallet(['init'])
    if (node) await one.wallet(['token', 'add', '--chain', String(CHAIN_ID), '--address', USDC, '--rpc', anvil.url])
    const json = async (...words) => JSON.parse((await one.wallet([...words, '--json'])).stdout)
    const { address } = await json('address')
    await anvil.mint(address, PURSE)
    await anvil.client.setBalance({ address, value: coin })
    const self = {
      ...one,
      address,
      json,
      buy: async (path, ...more) => {
        const end = await one.pay(url(path), EXIT.ok, '--json', ...more)
        assert.equal(end.stdout, PAGE)
        return JSON.parse(end.stderr.split('\n').find((line) => line.startsWith('{')))
      },
      channels: async () => (await json('channels', 'list')).channels,
      /** What the wallet says and what the chain and the seller say: so much was charged in all its channels. */
      async agrees(charged, { booked = charged } = {}) {
        const channels = await self.channels()
        const units = (money) => Number(money.amount)
        let lies = 0
        for (const one of channels) {
          const there = await escrow.channel(one.channel)
          assert.equal(units(one.balance), there.balance, 'what is in it')
          const known = (await seller.channels()).find(({ channelId }) => channelId === one.channel)
          if (known) assert.equal(units(one.charged), Number(known.chargedCumulativeAmount), "the seller's total")
          lies += there.balance - there.claimed
        }
        const sum = channels.reduce((sum, one) => sum + units(one.charged), 0)
        assert.equal(sum, charged, 'in the channels')
        const paid = (await json('history')).entries.filter(({ kind }) => kind === 'pay')
        assert.equal(paid.reduce((sum, { amount }) => sum + Number(amount.amount), 0), charged, 'in the history')
        const { limits } = await json('limits', 'show')
        assert.equal(Number(limits[0].spent_total.amount), booked, 'in the budget')
        const balance = channels.reduce((sum, one) => sum + units(one.balance), 0)
        assert.equal(await anvil.balance(address), PURSE - balance, 'in the account')
        return lies
      },
    }
    return self
  }

  test('nothing is locked up unasked', async () => {
    const one = await payer()
    const end = await one.pay(url('/page'), EXIT.fundsShort)
    assert.match(end.stderr, /farthing pay --channel/)
    await one.agrees(0)
    assert.deepEqual(await one.channels(), [])
  })

  test('a deposit, and twenty vouchers in one round trip each', async () => {
    const one = await payer()
    const first = await one.buy('/page', '--channel')
    assert.equal(first.on_chain.scheme, 'batch-settlement')
    assert.ok(first.on_chain.transaction)
    const [channel] = await one.channels()
    assert.notEqual(channel.signer, one.address)
    assert.equal(Number(channel.balance.amount), DEPOSIT)
    await one.agrees(PRICE)

    const block = await anvil.client.getBlockNumber({ cacheTime: 0 })
    const before = seller.seen.length
    for (let n = 0; n < 9; n += 1) await one.buy('/page')
    assert.equal(await anvil.client.getBlockNumber({ cacheTime: 0 }), block)
    const kinds = seller.seen.slice(before).map((payload) => payload?.type)
    assert.deepEqual(kinds, Array(9).fill('voucher'), 'no 402 before any of them')
    await one.agrees(10 * PRICE)

    // It is used up: the next one fills it up, if that is asked for.
    await one.pay(url('/page'), EXIT.fundsShort)
    await one.buy('/page', '--channel')
    assert.equal(Number((await one.channels())[0].balance.amount), 2 * DEPOSIT)
    for (let n = 0; n < 9; n += 1) await one.buy(n % 2 ? '/page' : '/other')
    await one.agrees(20 * PRICE)
  })

  test('a metered page costs what it says, and the next voucher uses up what the last one allowed', async () => {
    const one = await payer()
    const paid = await one.buy('/metered', '--channel')
    assert.deepEqual([paid.price.amount, paid.charged.amount], [String(PRICE), '137'])
    await one.agrees(137, { booked: PRICE })
    await one.buy('/free')
    await one.agrees(137, { booked: PRICE + 137 })
    await one.buy('/page')
    await one.agrees(PRICE + 137)
  })
})

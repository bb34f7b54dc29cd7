// Farthing's own wallet pays through channels: the reference's express server, the reference's facilitator, and our stand-in for
// the escrow. After each story the chain, the seller's books, the wallet's books and its budget agree to the unit.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { english, generateMnemonic } from 'viem/accounts'
import { CHAIN_ID, DOMAIN, PLACES, USDC, artifact, chain } from '../lib/chain.mjs'
import { chainStage } from '../lib/chain_gate.mjs'
import { channelFacilitator, channelSeller, escrowOf } from '../lib/channel.mjs'
import { EXIT, purse } from '../lib/program.mjs'
import { PAGE } from '../lib/seller.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const PRICE = 1_000
/** The reference's seller asks for ten times the price as a first deposit. */
const DEPOSIT = 10_000
const PURSE = 1_000_000

/**
 * For the tests of a suite: a chain that is `prepared`, the reference's seller and facilitator on it, and wallets that pay them
 * (`anvil`, `escrow`, `seller`, `url(path)`, `payer()`).
 */
function stage(routes, prepared = async () => {}) {
  const ends = []
  const self = { url: (path) => `${self.seller.url}${path}`, payer }

  before(async () => {
    self.anvil = await chain()
    ends.push(self.anvil.stop)
    await prepared(self.anvil)
    self.escrow = escrowOf(self.anvil)
    const settler = await channelFacilitator(self.anvil)
    ends.push(settler.stop)
    self.seller = await channelSeller(self.anvil, settler.url, routes, self.anvil.accounts[3])
    ends.push(self.seller.stop)
  })
  after(async () => {
    for (const end of ends.reverse()) await end()
  })

  /** A wallet with dollars; with a node it can ask the chain, with coin it can send transactions. */
  async function payer({ node = true, coin = 0n, words = generateMnemonic(english), dollars = PURSE } = {}) {
    const { anvil, escrow, seller, url } = self
    const one = purse()
    ends.push(async () => one.remove())
    await one.wallet(['init', '--words-file', '-'], { input: `${words}\n` })
    if (node) await one.wallet(['token', 'add', '--chain', String(CHAIN_ID), '--address', USDC, '--rpc', anvil.url])
    const json = async (...words) => JSON.parse((await one.wallet([...words, '--json'])).stdout)
    const { address } = await json('address')
    await anvil.mint(address, dollars)
    await anvil.client.setBalance({ address, value: coin })
    const wallet = {
      ...one,
      address,
      words,
      json,
      buy: async (path, ...more) => {
        const end = await one.pay(url(path), EXIT.ok, '--json', ...more)
        assert.equal(end.stdout, PAGE)
        return JSON.parse(end.stderr.split('\n').find((line) => line.startsWith('{')))
      },
      channels: async () => (await json('channels', 'list')).channels,
      /** What the wallet says and what the chain and the seller say: so much was charged in all its channels. */
      async agrees(charged, { booked = charged } = {}) {
        const channels = await wallet.channels()
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
        const { entries } = await json('history', '--limit', '1000')
        const entered = (...kinds) =>
          entries.filter(({ kind }) => kinds.includes(kind)).reduce((sum, { amount }) => sum + units(amount), 0)
        assert.equal(entered('pay'), charged, 'in the history')
        const moved = entered('channel-deposit') - entered('channel-refund', 'channel-withdrawal')
        const { limits } = await json('limits', 'show')
        assert.equal(Number(limits[0].spent_total.amount), booked, 'in the budget')
        const balance = channels.reduce((sum, one) => sum + units(one.balance), 0)
        assert.equal(moved, balance, 'what went in and came back, in the history')
        const { in_channels } = await json('balance')
        const left = in_channels.reduce((sum, { left }) => sum + units(left), 0)
        assert.equal(left, balance - charged, 'what is left, in the balance')
        assert.equal(await anvil.balance(address), PURSE - balance, 'in the account')
        return lies
      },
    }
    return wallet
  }
  return self
}

describe('farthing pay through channels', { timeout: 110_000 }, () => {
  const scene = stage({
    '/page': { units: PRICE },
    '/other': { units: PRICE },
    '/metered': { units: PRICE, actual: 137 },
    '/free': { units: PRICE, actual: 0 },
    '/slow': { units: PRICE },
    '/dear': { units: 100 * PRICE },
    '/permit2': { units: PRICE, extra: { ...DOMAIN, assetTransferMethod: 'permit2' } },
  })
  const { url, payer } = scene
  let anvil, escrow, seller
  before(() => ({ anvil, escrow, seller } = scene))

  test('nothing is locked up unasked, and a dry run says what would be', async () => {
    const one = await payer()
    const asked = JSON.parse((await one.pay(url('/page'), EXIT.ok, '--channel', '--dry-run', '--json')).stdout)
    assert.deepEqual([asked.price.amount, asked.deposit.amount], [String(PRICE), String(DEPOSIT)])
    assert.deepEqual(await one.channels(), [])
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
    const { stdout } = await one.wallet(['balance', '--text'])
    assert.match(stdout, /IN CHANNELS.*\n0\.009 USD +0\.00 USD +1/)

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

  test('killed between the voucher and its answer, the wallet finds out what it was charged', async () => {
    for (const node of [true, false]) {
      const one = await payer({ node })
      await one.buy('/page', '--channel')
      const dying = one.start('pay', url('/slow'))
      const answer = await seller.slow()
      dying.kill()
      assert.equal((await dying.ended).signal, 'SIGKILL')
      answer()
      // The seller takes one voucher after the other; the same command waits until it is done with the lost one.
      const again = await one.pay(url('/slow'), EXIT.failed)
      assert.match(again.stderr, /0\.001 USD was charged all the same/)
      await one.agrees(2 * PRICE)
      await one.buy('/page')
      await one.agrees(3 * PRICE)
    }
  })

  test('what another page learns of a lost payment is in the history too', async () => {
    const one = await payer()
    await one.buy('/page', '--channel')
    const dying = one.start('pay', url('/slow'))
    const answer = await seller.slow()
    dying.kill()
    await dying.ended
    answer()
    await one.buy('/other')
    await one.agrees(3 * PRICE)
    const { entries } = await one.json('history')
    assert.deepEqual(entries.filter(({ notes }) => notes?.length > 0).map(({ url }) => new URL(url).pathname), ['/slow'])
  })

  test('a wallet made again from its words goes on with its channel', async () => {
    for (const node of [true, false]) {
      const before = await payer({ node })
      await before.buy('/page', '--channel')
      await before.buy('/metered')
      const anew = await payer({ node, words: before.words, dollars: 0 })
      const paid = await anew.buy('/page', '--channel')
      assert.equal(paid.charged.amount, String(PRICE))
      const [channel] = await anew.channels()
      assert.equal(Number(channel.charged.amount), 2 * PRICE + 137)
      const there = await escrow.channel(channel.channel)
      // Without a node it cannot know that a deposit is there, and its seller says so only after it has signed one.
      assert.equal(there.balance, DEPOSIT, `with a node: ${node}`)
      assert.equal(Number(channel.balance.amount), there.balance)
    }
  })

  test('a wallet made again from its words finds its channels and gets back what is in them', async () => {
    const before = await payer()
    await before.pay(url('/page'), EXIT.ok, '--channel', '--times', '6', '--at-once', '2', '--json')
    const lanes = await before.channels()
    const anew = await payer({ words: before.words, dollars: 0 })
    const { channels } = await anew.json('channels', 'find', url('/page'))
    assert.deepEqual(channels.map(({ channel }) => channel).sort(), lanes.map(({ channel }) => channel).sort())
    for (const { channel } of channels) assert.equal((await anew.json('channels', 'refund', channel)).end, 'refunded')
    assert.equal(await anvil.balance(anew.address), PURSE - 6 * PRICE)
    assert.ok((await anew.channels()).every(({ left }) => left.amount === '0'))
  })

  test('a seller that has lost its memory is paid on', async () => {
    const one = await payer()
    await one.buy('/page', '--channel')
    await one.buy('/page')
    await seller.forget()
    await one.buy('/page')
    await one.agrees(3 * PRICE)
  })

  test('four requests at once have four lanes, each one after the other', async () => {
    const one = await payer()
    const before = seller.served()
    const end = await one.pay(url('/page'), EXIT.ok, '--channel', '--times', '24', '--at-once', '4', '--json')
    const sums = JSON.parse(end.stdout)
    assert.deepEqual([sums.paid, sums.failed, sums.charged[0].amount], [24, 0, String(24 * PRICE)])
    assert.equal(seller.served() - before, 24)
    const channels = await one.channels()
    assert.deepEqual(channels.map(({ lane }) => lane).sort(), [0, 1, 2, 3])
    assert.ok(channels.every(({ charged }) => Number(charged.amount) > 0))
    await one.agrees(24 * PRICE)
  })

  test('a channel that one page filled by EIP-3009 is filled up by Permit2 for a page that asks for that, and back', async () => {
    const one = await payer()
    await one.buy('/page', '--channel')
    await allowed(anvil, one)
    for (let n = 1; n < 10; n += 1) await one.buy('/page')
    for (const [path, way] of [['/permit2', 'permit2Authorization'], ['/page', 'erc3009Authorization']]) {
      await one.buy(path, '--channel')
      assert.deepEqual(Object.keys(seller.seen.at(-1).deposit.authorization), [way])
      for (let n = 1; n < 10; n += 1) await one.buy('/page')
    }
    const [{ balance }, ...others] = await one.channels()
    assert.deepEqual([Number(balance.amount), others], [3 * DEPOSIT, []])
    await one.agrees(30 * PRICE)
  })

  test('what lies in channels is limited, and nothing beyond is signed', async () => {
    const one = await payer()
    await one.wallet(['limits', 'set', '--in-channels', '0.005 USD'])
    await one.buy('/page', '--channel')
    assert.equal(Number((await one.channels())[0].balance.amount), 5 * PRICE)
    const refused = await one.pay(url('/dear'), EXIT.budgetRefused, '--channel')
    assert.match(refused.stderr, /in channels/)
    await one.wallet(['limits', 'set', '--per-call', '0.0005 USD'])
    await one.pay(url('/page'), EXIT.budgetRefused)
    await one.agrees(PRICE)
  })

  test('a seller gives back what is left', async () => {
    for (const node of [true, false]) {
      const one = await payer({ node })
      await one.buy('/page', '--channel')
      await one.buy('/metered')
      const [{ channel }] = await one.channels()
      const part = await one.json('channels', 'refund', channel, '--amount', '0.002 USD')
      assert.deepEqual([part.end, part.amount.amount], ['refunded', '2000'])
      await one.buy('/page')
      const all = await one.json('channels', 'refund', channel)
      const charged = 2 * PRICE + 137
      assert.equal(Number(all.amount.amount), DEPOSIT - 2_000 - charged)
      assert.deepEqual(await escrow.channel(channel), { balance: charged, claimed: charged, pending: 0, since: 0, refunds: 2 })
      await one.agrees(charged, { booked: node ? charged : charged })
      await one.wallet(['channels', 'refund', channel], { exit: EXIT.failed })
      // It begins again where it was.
      await one.buy('/page', '--channel')
      await one.agrees(charged + PRICE)
    }
  })

  test('without coin or a node the chain is not asked to give anything back', async () => {
    const one = await payer()
    await one.buy('/page', '--channel')
    const [{ channel }] = await one.channels()
    const short = await one.wallet(['channels', 'withdraw', channel], { exit: EXIT.fundsShort })
    assert.match(short.stderr, /of the coin/)
    const blind = await payer({ node: false })
    await blind.buy('/page', '--channel')
    await blind.wallet(['channels', 'withdraw', (await blind.channels())[0].channel], { exit: EXIT.failed })
    // What is not on the chain is no reason to stop paying.
    await one.buy('/page')
    await one.agrees(2 * PRICE)
  })

  test('a withdrawal that became too cheap before a block had it is sent again with higher fees', async () => {
    const one = await payer({ coin: 10n ** 18n })
    await one.buy('/page', '--channel')
    const [{ channel }] = await one.channels()
    const { client } = anvil
    await client.setAutomine(false)
    const pending = new Promise((found) => {
      const stop = client.watchPendingTransactions({ onTransactions: ([hash]) => (stop(), found(hash)) })
    })
    const dying = one.start('wallet', 'channels', 'withdraw', channel)
    const hash = await pending
    dying.kill()
    await dying.ended
    await client.setNextBlockBaseFeePerGas({ baseFeePerGas: 10n ** 10n })
    const first = await client.getTransaction({ hash })
    assert.ok(first.maxFeePerGas < 10n ** 10n)

    const dear = await one.wallet(['channels', 'withdraw', channel, '--fee-most', '1000000000000'], { exit: EXIT.failed })
    assert.match(dear.stderr, new RegExp(`${hash} has become too cheap.*--fee-most`))
    await client.setAutomine(true)
    assert.equal((await one.json('channels', 'withdraw', channel)).end, 'waiting')
    assert.equal(await client.getTransactionCount({ address: one.address }), 1)
    const { transactions } = await client.getBlock({ includeTransactions: true })
    const after = transactions.find(({ from }) => from === one.address.toLowerCase())
    assert.deepEqual([after.input, after.nonce, after.gas], [first.input, first.nonce, first.gas])
    assert.ok(8n * after.maxFeePerGas >= 9n * first.maxFeePerGas && 8n * after.maxPriorityFeePerGas >= 9n * first.maxPriorityFeePerGas)
    await client.setNextBlockBaseFeePerGas({ baseFeePerGas: 10n ** 9n })
    await one.agrees(PRICE)
  })

  // The chain's clock goes ahead here, which nobody's signatures survive: it comes last.
  test('the payer fills a channel itself, and takes back what is left when the delay is over', async () => {
    const one = await payer({ coin: 10n ** 18n })
    const channel = await fillsItself(anvil, one)

    const asked = await one.json('channels', 'withdraw', channel)
    const left = DEPOSIT + 4_000 - 2 * PRICE
    assert.deepEqual([asked.end, Number(asked.amount.amount)], ['waiting', left])
    assert.equal((await one.json('channels', 'withdraw', channel)).end, 'waiting')
    // Nothing more is paid through it.
    await one.pay(url('/page'), EXIT.fundsShort)
    await seller.worker.claim()
    await anvil.client.increaseTime({ seconds: 900 })
    await anvil.client.mine({ blocks: 1 })
    const taken = await one.json('channels', 'withdraw', channel)
    assert.deepEqual([taken.end, Number(taken.amount.amount)], ['withdrawn', left])
    assert.equal(await anvil.balance(one.address), PURSE - 2 * PRICE)
    await one.agrees(2 * PRICE)
  })
})

/** Pays, fills its channel by a transaction of its own account, and pays again; resolves with the channel. */
async function fillsItself(anvil, one) {
  await one.buy('/page', '--channel')
  const [{ channel }] = await one.channels()
  const filled = await one.json('channels', 'topup', channel, '0.004 USD')
  assert.deepEqual([filled.end, Number(filled.channel.balance.amount)], ['filled', DEPOSIT + 4_000])
  await isCheap(anvil, one)
  await one.buy('/page')
  await one.agrees(2 * PRICE)
  return channel
}

/** The gas that the last deposit may use is less than what is asked for before one is signed. */
async function isCheap(anvil, { json }) {
  const { entries } = await json('history')
  const { on_chain: deposit } = entries.find(({ kind }) => kind === 'channel-deposit')
  const { gas } = await anvil.client.getTransaction({ hash: deposit.transaction })
  assert.ok(gas < 300_000n, `${gas}`)
}

/** Lets Permit2 move an account's dollars: what its owner does elsewhere, with another wallet of the same words. */
async function allowed(anvil, { address }) {
  const had = await anvil.client.getBalance({ address })
  await anvil.client.setBalance({ address, value: 10n ** 18n })
  await anvil.client.impersonateAccount({ address })
  await anvil.write('approve', [PLACES.Permit2StandIn, 10n ** 18n], address)
  await anvil.client.stopImpersonatingAccount({ address })
  await anvil.client.setBalance({ address, value: had })
}

describe('farthing pay through channels, in a token that knows nothing but ERC-20', { timeout: 110_000 }, () => {
  const extra = { assetTransferMethod: 'permit2' }
  const scene = stage(
    { '/page': { units: PRICE, extra }, '/metered': { units: PRICE, actual: 137, extra } },
    (anvil) => anvil.client.setCode({ address: USDC, bytecode: artifact('PlainToken').runtime }),
  )
  const { url, payer } = scene
  let anvil, escrow, seller
  before(() => ({ anvil, escrow, seller } = scene))

  test('a deposit by Permit2 waits for its allowance, is carried once, and pays page after page', async () => {
    for (const node of [true, false]) {
      const one = await payer({ node })
      const missing = await one.pay(url('/page'), EXIT.fundsShort, '--channel')
      assert.match(missing.stderr, /permit2_allowance_required/)
      assert.equal((await one.channels())[0].deposits_under_way, 1)
      assert.equal(await anvil.balance(one.address), PURSE)
      await allowed(anvil, one)
      const before = seller.seen.length
      const paid = await one.buy('/page', '--channel')
      assert.ok(paid.on_chain.transaction)
      const [{ channel }] = await one.channels()
      const deposits = seller.seen.filter((payload) => payload?.voucher?.channelId === channel && payload.deposit)
      const nonces = deposits.map(({ deposit }) => deposit.authorization.permit2Authorization.nonce)
      assert.deepEqual([nonces.length > 1, new Set(nonces).size], [true, 1], 'one deposit, sent again')
      assert.equal((await escrow.channel(channel)).balance, DEPOSIT)
      await one.agrees(PRICE)

      const sent = seller.seen.length
      for (let n = 0; n < 8; n += 1) await one.buy('/page')
      assert.deepEqual(seller.seen.slice(sent).map(({ type }) => type), Array(8).fill('voucher'))
      await one.buy('/metered')
      await one.agrees(9 * PRICE + 137, { booked: 10 * PRICE })
      // It is used up, and filled up in the same way.
      await one.buy('/page', '--channel')
      assert.equal((await escrow.channel(channel)).balance, 2 * DEPOSIT)
      const { end, amount } = await one.json('channels', 'refund', channel)
      const charged = 10 * PRICE + 137
      assert.deepEqual([end, Number(amount.amount)], ['refunded', 2 * DEPOSIT - charged])
      assert.equal(await anvil.balance(one.address), PURSE - charged)
      await one.agrees(charged)
    }
  })

  // The chain's clock goes ahead here: it comes last.
  test('the payer fills it itself by Permit2, and takes back what is left', async () => {
    const one = await payer({ coin: 10n ** 18n })
    await allowed(anvil, one)
    const channel = await fillsItself(anvil, one)
    assert.equal((await one.json('channels', 'withdraw', channel)).end, 'waiting')
    await seller.worker.claim()
    await anvil.client.increaseTime({ seconds: 900 })
    await anvil.client.mine({ blocks: 1 })
    const taken = await one.json('channels', 'withdraw', channel)
    assert.deepEqual([taken.end, Number(taken.amount.amount)], ['withdrawn', DEPOSIT + 4_000 - 2 * PRICE])
    assert.equal(await anvil.balance(one.address), PURSE - 2 * PRICE)
    await one.agrees(2 * PRICE)
    const { stdout } = await one.wallet(['history', '--text'])
    assert.deepEqual(stdout.match(/channel-\w+/g), ['channel-withdrawal', 'channel-deposit', 'channel-deposit'])
  })
})

describe('farthing pay pays our own gate through channels', { timeout: 110_000 }, () => {
  const CENT = 10_000
  const scene = chainStage(() => ({ schemes: ['exact', 'batch-settlement'] }))
  const ends = []
  after(async () => {
    for (const end of ends) await end()
  })

  test('a channel pays page after page, also after a crash of either side, and comes back', async () => {
    const one = purse()
    ends.push(async () => one.remove())
    await one.wallet(['init'])
    await one.wallet(['token', 'add', '--chain', String(CHAIN_ID), '--address', USDC, '--rpc', scene.chain.url])
    const json = async (...words) => JSON.parse((await one.wallet([...words, '--json'])).stdout)
    const { address } = await json('address')
    await scene.chain.mint(address, PURSE)
    // Each with a query of its own, which no pass opens.
    let pages = 0
    const buy = async (path, ...more) => {
      pages += 1
      const end = await one.pay(scene.url(`${path}?${pages}`), EXIT.ok, '--json', ...more)
      assert.equal(end.stdout, ARTICLE)
      const paid = JSON.parse(end.stderr.split('\n').find((line) => line.startsWith('{')))
      assert.deepEqual([paid.on_chain.scheme, paid.charged.amount, paid.notes], ['batch-settlement', String(CENT), []])
      return paid
    }
    const first = await buy('/article', '--channel')
    assert.ok(first.receipt && first.on_chain.transaction)
    const [{ channel, balance }] = (await json('channels', 'list')).channels
    await buy('/article')

    // The wallet dies while the page is made; the same voucher gets it.
    const dying = one.start('pay', scene.url('/slow'))
    const finish = await scene.site.slow()
    dying.kill()
    await dying.ended
    finish()
    const again = one.start('pay', scene.url('/slow'))
    await Promise.race([scene.site.slow().then((finish) => finish()), again.ended])
    const { exit, stdout, stderr } = await again.ended
    assert.deepEqual([exit, stdout], [EXIT.ok, ARTICLE], stderr)
    pages += 1

    await scene.kill()
    await scene.start()
    await buy('/article')
    const { channels } = await json('channels', 'list')
    assert.equal(Number(channels[0].charged.amount), pages * CENT)
    const refund = await json('channels', 'refund', channel)
    assert.deepEqual([refund.end, Number(refund.amount.amount)], ['refunded', Number(balance.amount) - pages * CENT])
    assert.equal(await scene.chain.balance(address), PURSE - pages * CENT)
    const { limits } = await json('limits', 'show')
    assert.equal(Number(limits[0].spent_total.amount), pages * CENT)
    const paid = (await json('history')).entries.filter(({ kind }) => kind === 'pay')
    assert.equal(paid.reduce((sum, { amount }) => sum + Number(amount.amount), 0), pages * CENT)
  })
})

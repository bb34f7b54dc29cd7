// The reference's buyer, seller and facilitator of `batch-settlement` among themselves, on our stand-in for the escrow: from the
// deposit to the refund, to the unit. What they find in it is what they find in the published one.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { DOMAIN, chain } from '../lib/chain.mjs'
import { channelBuyer, channelFacilitator, channelSeller, escrowOf } from '../lib/channel.mjs'

const PRICE = 1_000
/** The reference's seller asks for ten times the price as a first deposit. */
const DEPOSIT = 10_000
const PURSE = 1_000_000

/** Whoever holds the receiver's authorizing key: the contract is called in the same way, the payloads differ. */
for (const who of ['seller', 'facilitator']) {
  describe(`channels of the reference, claims signed by the ${who}`, { timeout: 110_000 }, () => {
    let stage, escrow, settler, seller

    before(async () => {
      stage = await chain()
      escrow = escrowOf(stage)
      const key = stage.accounts[3]
      settler = await channelFacilitator(stage, who === 'facilitator' ? key : undefined)
      const routes = {
        '/page': { units: PRICE },
        '/metered': { units: PRICE, actual: 137 },
        '/free': { units: PRICE, actual: 0 },
        '/permit2': { units: PRICE, extra: { ...DOMAIN, assetTransferMethod: 'permit2' }, sponsored: true },
      }
      seller = await channelSeller(stage, settler.url, routes, who === 'seller' ? key : undefined)
    })
    after(async () => {
      await seller?.stop()
      await settler?.stop()
      await stage?.stop()
    })

    async function payer() {
      const account = privateKeyToAccount(generatePrivateKey())
      await stage.client.setBalance({ address: account.address, value: 10n ** 18n })
      await stage.mint(account.address, PURSE)
      return account
    }

    const url = (path) => `${seller.url}${path}`
    const idOf = (buyer) => buyer.sent[0].voucher.channelId

    test('a deposit, vouchers, a top-up, a claim, a settlement and a refund', async () => {
      const session = privateKeyToAccount(generatePrivateKey())
      const buyer = channelBuyer(stage, await payer(), { session })
      const first = await buyer.buy(url('/page'))
      assert.deepEqual([first.amount, first.extra.chargedAmount], [String(DEPOSIT), String(PRICE)])
      assert.deepEqual([buyer.sent[0].type, buyer.sent[0].channelConfig.payerAuthorizer], ['deposit', session.address])
      const id = idOf(buyer)
      assert.deepEqual(await escrow.channel(id), { balance: DEPOSIT, claimed: 0, pending: 0, since: 0, refunds: 0 })
      assert.equal(await stage.balance(buyer.address), PURSE - DEPOSIT)

      // Vouchers move nothing on the chain; a metered page costs what it says.
      const block = await stage.client.getBlockNumber({ cacheTime: 0 })
      let charged = PRICE
      for (const [path, units] of [['/page', PRICE], ['/metered', 137], ['/free', 0], ['/page', PRICE]]) {
        const paid = await buyer.buy(url(path))
        charged += units
        assert.deepEqual([paid.transaction, paid.extra.chargedAmount], ['', String(units)], path)
        assert.equal(paid.extra.channelState.chargedCumulativeAmount, String(charged), path)
      }
      assert.equal(await stage.client.getBlockNumber({ cacheTime: 0 }), block)

      // Until the deposit does not cover the next one any more.
      while (charged + PRICE <= DEPOSIT) {
        await buyer.buy(url('/page'))
        charged += PRICE
      }
      assert.equal((await buyer.buy(url('/page'))).amount, String(DEPOSIT))
      charged += PRICE
      assert.equal(buyer.sent.at(-1).type, 'deposit')
      assert.equal(buyer.sent.at(-1).voucher.maxClaimableAmount, String(charged))
      assert.equal((await escrow.channel(id)).balance, 2 * DEPOSIT)

      assert.deepEqual((await seller.worker.claim()).map(({ vouchers }) => vouchers), [1])
      assert.deepEqual(await escrow.receiver(seller.payTo), { claimed: charged, settled: 0 })
      await seller.worker.settle()
      assert.deepEqual(await escrow.receiver(seller.payTo), { claimed: charged, settled: charged })
      assert.equal(await stage.balance(seller.payTo), charged)

      // What was charged since the claim is claimed with the refund, in one transaction.
      await buyer.buy(url('/page'))
      charged += PRICE
      const refund = await buyer.refund(url('/page'))
      assert.deepEqual([refund.success, refund.amount], [true, String(2 * DEPOSIT - charged)])
      assert.deepEqual(await escrow.channel(id), { balance: charged, claimed: charged, pending: 0, since: 0, refunds: 1 })
      assert.equal(await stage.balance(buyer.address), PURSE - charged)
      assert.deepEqual((await seller.channels()).filter(({ channelId }) => channelId === id), [])

      await seller.worker.settle()
      assert.equal(await stage.balance(seller.payTo), charged)
      assert.equal(await escrow.balance(), 0)
    })

    test('a channel that is empty begins again where it was', async () => {
      const account = await payer()
      const buyer = channelBuyer(stage, account)
      await buyer.buy(url('/page'))
      await buyer.refund(url('/page'))
      await buyer.buy(url('/page'))
      assert.deepEqual(buyer.sent.map(({ type }) => type), ['deposit', 'refund', 'deposit'])
      assert.equal(buyer.sent[2].voucher.maxClaimableAmount, String(2 * PRICE), 'totals go on')
      const { balance, claimed } = await escrow.channel(idOf(buyer))
      assert.deepEqual([balance, claimed], [PRICE + DEPOSIT, PRICE])
      assert.equal(await stage.balance(account.address), PURSE - balance)
    })

    test('a buyer that has forgotten everything is told where it stands', async () => {
      const account = await payer()
      const before = channelBuyer(stage, account)
      await before.buy(url('/page'))
      await before.buy(url('/metered'))
      const anew = channelBuyer(stage, account)
      const paid = await anew.buy(url('/page'))
      const tried = anew.sent.map(({ voucher }) => Number(voucher.maxClaimableAmount))
      assert.deepEqual(tried, [PRICE, 2 * PRICE + 137], 'a first try from the chain, a second from the corrective 402')
      assert.equal(paid.extra.channelState.chargedCumulativeAmount, String(2 * PRICE + 137))
    })

    test('a deposit by Permit2, whose allowance is signed too', async () => {
      const buyer = channelBuyer(stage, await payer())
      const paid = await buyer.buy(url('/permit2'))
      assert.equal(paid.amount, String(DEPOSIT))
      assert.ok(buyer.sent[0].deposit.authorization.permit2Authorization)
      assert.equal((await escrow.channel(idOf(buyer))).balance, DEPOSIT)
      await buyer.buy(url('/permit2'))
      assert.equal(buyer.sent[1].type, 'voucher')
    })

    test('a part is refunded, and the rest goes on', async () => {
      const buyer = channelBuyer(stage, await payer())
      await buyer.buy(url('/page'))
      const refund = await buyer.refund(url('/page'), 4_000)
      assert.equal(refund.amount, '4000')
      await buyer.buy(url('/page'))
      assert.deepEqual(buyer.sent.map(({ type }) => type), ['deposit', 'refund', 'voucher'])
      assert.deepEqual(await escrow.channel(idOf(buyer)), { balance: DEPOSIT - 4_000, claimed: PRICE, pending: 0, since: 0, refunds: 1 })
    })

    test('a payer takes back what nobody claims, after the delay', async () => {
      const account = await payer()
      const buyer = channelBuyer(stage, account, { salt: `0x${'07'.repeat(32)}` })
      await buyer.buy(url('/page'))
      const config = buyer.sent[0].channelConfig
      await escrow.call(account, 'initiateWithdraw', config, BigInt(DEPOSIT))
      await assert.rejects(escrow.call(account, 'finalizeWithdraw', config), /WithdrawDelayNotElapsed/)
      await stage.client.increaseTime({ seconds: config.withdrawDelay })
      await stage.client.mine({ blocks: 1 })
      await escrow.call(account, 'finalizeWithdraw', config)
      assert.equal(await stage.balance(account.address), PURSE, 'the voucher reserved nothing')
      // One bad row undoes the batch of the reference's worker: nobody is claimed from.
      const { claimed } = await escrow.receiver(seller.payTo)
      await assert.rejects(seller.worker.claim(), /claim_simulation_failed/)
      assert.equal((await escrow.receiver(seller.payTo)).claimed, claimed)
    })
  })
}

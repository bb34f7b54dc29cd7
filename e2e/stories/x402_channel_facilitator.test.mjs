// The reference's express server takes channels and lets our facilitator carry what it needs: deposits, claims, settlements and
// refunds, whoever signs for the receiver. Balances to the unit, nothing twice, and nothing for whoever is not the seller.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { HTTPFacilitatorClient } from '@x402/core/server'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { CHAIN_ID, DOMAIN } from '../lib/chain.mjs'
import { chainStage } from '../lib/chain_gate.mjs'
import { channelBuyer, channelSeller, escrowOf } from '../lib/channel.mjs'
import { run } from '../lib/program.mjs'

const PRICE = 1_000
const DEPOSIT = 10_000
const PURSE = 1_000_000
const NETWORK = `eip155:${CHAIN_ID}`

for (const who of ['seller', 'facilitator']) {
  describe(`channels of the reference with our facilitator, claims signed by the ${who}`, { timeout: 110_000 }, () => {
    // The gate itself is paid elsewhere: what is carried for others is no money of ours.
    const scene = chainStage(({ accounts }) => ({
      payTo: accounts[4].address,
      settleFor: [accounts[2].address],
      schemes: ['exact', 'batch-settlement'],
    }))
    let seller, escrow, url, key

    before(async () => {
      escrow = escrowOf(scene.chain)
      url = scene.url('/.well-known/farthing/facilitator')
      const words = ['channel', 'key', scene.chain.accounts[2].address, '--json', '--config', scene.home.config]
      key = JSON.parse((await run(words)).stdout).key
      const routes = {
        '/page': { units: PRICE },
        '/metered': { units: PRICE, actual: 137 },
        '/permit2': { units: PRICE, extra: { ...DOMAIN, assetTransferMethod: 'permit2' }, sponsored: true },
      }
      const signs = who === 'seller'
      seller = await channelSeller(scene.chain, url, routes, signs ? scene.chain.accounts[3] : undefined, key)
    })
    after(() => seller?.stop())

    const page = (path) => `${seller.url}${path}`
    const idOf = (buyer) => buyer.sent[0].voucher.channelId
    /** In our books there is the gas, and nothing else. */
    const noneOfOurs = async () => assert.equal(await scene.agreement(), 0)

    test('it says that it carries channels, and who may sign for sellers', async () => {
      const { kinds } = await seller.facilitator.getSupported()
      const { scheme, network, extra } = kinds.at(-1)
      assert.deepEqual([scheme, network, extra], ['batch-settlement', NETWORK, { receiverAuthorizer: scene.own }])
    })

    test('a deposit, vouchers, a claim, a settlement and a refund', async () => {
      const session = privateKeyToAccount(generatePrivateKey())
      const buyer = channelBuyer(scene.chain, await scene.payer(PURSE), { session })
      const first = await buyer.buy(page('/page'))
      assert.deepEqual([first.amount, first.extra.chargedAmount], [String(DEPOSIT), String(PRICE)])
      const id = idOf(buyer)
      const { receiverAuthorizer } = buyer.sent[0].channelConfig
      assert.equal(receiverAuthorizer, who === 'seller' ? scene.chain.accounts[3].address : scene.own)
      let charged = PRICE
      for (const [path, units] of [['/page', PRICE], ['/metered', 137], ['/page', PRICE]]) {
        const paid = await buyer.buy(page(path))
        charged += units
        assert.deepEqual([paid.transaction, paid.extra.channelState.chargedCumulativeAmount], ['', String(charged)], path)
      }
      const had = await scene.chain.balance(seller.payTo)
      assert.deepEqual((await seller.worker.claim()).map(({ vouchers }) => vouchers), [1])
      const { transaction } = await seller.worker.settle()
      assert.equal(await scene.chain.balance(seller.payTo), had + charged)
      const repeated = await seller.worker.settle()
      assert.equal(repeated.transaction, transaction, 'settled again, it is the same one')
      assert.equal(await scene.chain.balance(seller.payTo), had + charged)

      // What was charged since is claimed with the refund, in one transaction.
      await buyer.buy(page('/page'))
      charged += PRICE
      const refund = await buyer.refund(page('/page'))
      assert.deepEqual([refund.success, refund.amount], [true, String(DEPOSIT - charged)])
      assert.deepEqual(await escrow.channel(id), { balance: charged, claimed: charged, pending: 0, since: 0, refunds: 1 })
      assert.equal(await scene.chain.balance(buyer.address), PURSE - charged)
      await seller.worker.settle()
      assert.equal(await scene.chain.balance(seller.payTo), had + charged)
      await noneOfOurs()
    })

    test('a deposit by Permit2, whose allowance is signed too', async () => {
      const buyer = channelBuyer(scene.chain, await scene.payer(PURSE))
      assert.equal((await buyer.buy(page('/permit2'))).amount, String(DEPOSIT))
      assert.equal((await escrow.channel(idOf(buyer))).balance, DEPOSIT)
      await noneOfOurs()
    })

    test('a deposit that is settled again is the same transaction', async () => {
      const account = await scene.payer(PURSE)
      const buyer = channelBuyer(scene.chain, account)
      const paid = await buyer.buy(page('/page'))
      const [payload] = buyer.sent
      const requirements = await wanted(payload.channelConfig)
      const again = () => seller.facilitator.settle({ x402Version: 2, accepted: requirements, payload }, requirements)
      const answers = await Promise.all([again(), again()])
      assert.deepEqual(answers.map(({ success, transaction }) => [success, transaction]), Array(2).fill([true, paid.transaction]))
      assert.equal(await scene.chain.balance(account.address), PURSE - DEPOSIT)
      await noneOfOurs()
    })

    test('killed before the block, a deposit is carried all the same, once', async () => {
      const account = await scene.payer(PURSE)
      const buyer = channelBuyer(scene.chain, account)
      await scene.chain.client.setAutomine(false)
      const sent = scene.door.sent()
      const lost = buyer.buy(page('/page')).catch((error) => error)
      const hash = await sent
      await scene.kill()
      assert.ok((await lost) instanceof Error)
      await scene.start()
      await scene.chain.client.mine({ blocks: 1 })
      await scene.chain.client.setAutomine(true)
      const [payload] = buyer.sent
      const requirements = await wanted(payload.channelConfig)
      const settled = await seller.facilitator.settle({ x402Version: 2, accepted: requirements, payload }, requirements)
      assert.deepEqual([settled.success, settled.transaction], [true, hash])
      assert.deepEqual(settled.extra.channelState.balance, String(DEPOSIT))
      assert.equal(await scene.chain.balance(account.address), PURSE - DEPOSIT)
      await noneOfOurs()
    })

    /** What the seller asks for. */
    const wanted = async ({ receiverAuthorizer, withdrawDelay }) => ({
      scheme: 'batch-settlement',
      network: NETWORK,
      amount: String(PRICE),
      asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
      payTo: seller.payTo,
      maxTimeoutSeconds: 60,
      extra: { ...DOMAIN, receiverAuthorizer, withdrawDelay },
    })

    test('a payer that asks for its money itself gets nothing, and no claim that changes nothing is carried', async () => {
      const buyer = channelBuyer(scene.chain, await scene.payer(PURSE))
      await buyer.buy(page('/page'))
      await buyer.buy(page('/page'))
      const [{ channelConfig }, { voucher }] = buyer.sent
      const stranger = new HTTPFacilitatorClient({ url })
      const requirements = { ...(await wanted(channelConfig)), amount: '0', maxTimeoutSeconds: 0, extra: {} }
      const settle = (client, payload) => client.settle({ x402Version: 2, accepted: requirements, payload }, requirements)
      const before = await escrow.channel(voucher.channelId)
      const refund = { type: 'refund', channelConfig, voucher, amount: String(DEPOSIT), refundNonce: '0', claims: [] }
      const row = { voucher: { channel: channelConfig, maxClaimableAmount: voucher.maxClaimableAmount }, signature: voucher.signature }
      const claim = (total) => ({ type: 'claim', claims: [{ ...row, totalClaimed: String(total) }] })
      const settlement = { type: 'settle', receiver: seller.payTo, token: requirements.asset }
      for (const payload of [refund, claim(2 * PRICE), settlement, buyer.sent[0]]) {
        const refused = await settle(stranger, payload)
        assert.deepEqual([refused.success, refused.errorReason], [false, 'invalid_batch_settlement_evm_authorizer_not_configured'])
      }
      if (who === 'facilitator') {
        const stale = await settle(seller.facilitator, claim(0))
        assert.equal(stale.errorReason, 'invalid_batch_settlement_evm_cumulative_below_claimed')
      }
      assert.deepEqual(await escrow.channel(voucher.channelId), before)
      await noneOfOurs()
    })
  })
}

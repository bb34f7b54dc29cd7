// The operator of a gate that is paid through channels, by the reference's client on a real chain: what `farthing channel` shows and
// does, and that chain and books agree to the unit at every stop.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { chainStage } from '../lib/chain_gate.mjs'
import { channelBuyer, escrowOf } from '../lib/channel.mjs'
import { reconciled as channelsReconciled } from '../lib/channel_gate.mjs'
import { EXIT, run, start } from '../lib/program.mjs'

const CENT = 10_000
const DEPOSIT = 10 * CENT
const PURSE = 1_000_000

describe('the operator of channels', { timeout: 110_000 }, () => {
  // Nothing is claimed by itself here.
  const scene = chainStage(({ accounts }) => ({
    payTo: accounts[2].address,
    schemes: ['batch-settlement'],
    channels: { claim_from: '1.00 USD', settle_from: '1.00 USD', withdraw_delay: '15m' },
  }))
  const words = (...more) => [...more, '--config', scene.home.config]
  const json = async (...more) => JSON.parse((await run(words(...more, '--json'))).stdout)
  const reconciled = () => channelsReconciled(scene)
  /** Resolves when nothing is under way and the worker has seen what became of it. */
  const quiet = async (shape) => {
    for (;;) {
      await scene.isQuiet()
      const found = (await json('channel', 'list')).find(shape)
      if (found) return found
    }
  }

  async function pays(account, times) {
    const buyer = channelBuyer(scene.chain, account, { session: privateKeyToAccount(generatePrivateKey()) })
    for (let time = 0; time < times; time += 1) {
      const response = await buyer.fetch(scene.url('/article'))
      assert.equal(response.status, 200, await response.text())
    }
    return buyer
  }

  test('a channel is listed, shown, claimed, moved and given back', async () => {
    const escrow = escrowOf(scene.chain)
    const account = await scene.payer(PURSE)
    const watching = start(words('channel', 'watch', '--every', '20ms', '--count', '2', '--json'))
    const buyer = await pays(account, 3)
    const id = buyer.sent[0].voucher.channelId
    assert.deepEqual(buyer.sent.map(({ type }) => type), ['deposit', 'voucher', 'voucher'])
    const [line] = await json('channel', 'list')
    const owed = { channel: id, token: 'USDC', state: 'open', balance: String(DEPOSIT), charged: String(3 * CENT), claimed: '0' }
    assert.deepEqual({ ...line, ...owed }, line)
    assert.deepEqual(await json('channel', 'list', '--state', 'empty'), [])
    const shown = await json('channel', 'show', id)
    assert.deepEqual([shown.agrees, shown.on_chain, shown.terms.receiver_authorizer], [true, [String(DEPOSIT), '0'], scene.own])
    assert.equal(await reconciled(), 1)
    const seen = (await watching.ended).stdout.trim().split('\n').map((text) => JSON.parse(text).channel)
    assert.deepEqual(seen, [id, id])

    assert.equal((await json('channel', 'claim', id)).claimed, 1)
    await quiet(({ claimed }) => claimed === String(3 * CENT))
    assert.deepEqual(await escrow.receiver(scene.payTo), { claimed: 3 * CENT, settled: 0 })
    assert.equal((await json('channel', 'claim')).claimed, 0, 'nothing is left to claim')
    await reconciled()

    assert.equal((await json('channel', 'settle')).moved, 1)
    await scene.isQuiet()
    assert.equal(await scene.earned(), 3 * CENT)

    await run(words('channel', 'refund', id), { exit: 2 })
    const [, units] = (await json('channel', 'refund', id, '--yes')).refund
    assert.equal(units, String(DEPOSIT - 3 * CENT))
    const empty = await quiet(({ state }) => state === 'empty')
    assert.deepEqual([empty.channel, empty.balance], [id, String(3 * CENT)])
    assert.equal(await scene.chain.balance(account.address), PURSE - 3 * CENT)
    await reconciled()
    assert.equal(await scene.agreement(), 3 * CENT)
  })

  test('what nobody knows is not found, and what is wrong is said', async () => {
    const unknown = await run(words('channel', 'show', `0x${'11'.repeat(32)}`), { exit: EXIT.notFound ?? 5 })
    assert.match(unknown.stderr, /there is no channel/)
    const wrong = await run(words('channel', 'claim', 'x'), { exit: EXIT.failed })
    assert.match(wrong.stderr, /expected a channel/)
  })

  test('without a server it waits in the outbox', async () => {
    const account = await scene.payer(PURSE)
    const buyer = await pays(account, 2)
    await scene.kill()
    const id = buyer.sent[0].voucher.channelId
    assert.equal((await json('channel', 'claim', id)).claimed, 1)
    await scene.start()
    await quiet(({ channel, claimed }) => channel === id && claimed === String(2 * CENT))
    await reconciled()
  })
})

// What a story of channels at our own gate asks: a payer with a session key, what the operator's commands say, and whether
// the books and the escrow agree to the unit.
import assert from 'node:assert/strict'
import { CHAIN_ID } from './chain.mjs'
import { channelBuyer, escrowOf } from './channel.mjs'
import { EXIT, run, start } from './program.mjs'
import { ARTICLE } from './upstream.mjs'
import { decodePaymentResponseHeader } from '@x402/fetch'

const TOKEN = `eip155:${CHAIN_ID}:USDC`

/** Adds to a stage on a chain what is asked about channels. */
export function withChannels(scene) {
  const json = async (...words) => JSON.parse((await run([...words, '--json', '--config', scene.home.config])).stdout)
  return Object.assign(scene, {
    escrow: () => escrowOf(scene.chain),
    json,
    /** A payer by channel, as the reference's client is one; `buy` resolves with what is said of the payment. */
    async depositor(units, options = {}) {
      const account = options.account ?? (await scene.payer(units))
      const buyer = channelBuyer(scene.chain, account, options)
      return Object.assign(buyer, {
        account,
        id: () => buyer.sent[0].voucher.channelId,
        async buy(path) {
          const response = await buyer.fetch(scene.url(path))
          const body = await response.text()
          assert.deepEqual([response.status, body], [200, ARTICLE], path)
          return decodePaymentResponseHeader(response.headers.get('payment-response'))
        },
      })
    },
    channelAgreement: () => channelAgreement(scene, json),
  })
}

/** Resolves when `ask` says so; the operator's own commands are asked again and again, without a pause of ours. */
export async function until(ask) {
  for (;;) {
    const answer = await ask()
    if (answer) return answer
  }
}

/** How long the books may take to follow the chain: many times what a round of the worker takes. */
const PATIENCE = 20_000

/**
 * How many channels are in the books, once nothing is under way and they say of all channels and tokens what the chain says,
 * which is a round of the worker after a call has ended. Until then the command fails.
 */
export async function reconciled(scene) {
  await scene.isQuiet()
  const end = Date.now() + PATIENCE
  for (;;) {
    const { exit, stdout, stderr } = await start(['ledger', 'reconcile', '--chain', '--json', '--config', scene.home.config]).ended
    assert.ok([EXIT.ok, EXIT.failed].includes(exit), stderr)
    const [{ channels, tokens }] = JSON.parse(stdout)
    const agrees = channels.differences.length === 0 && tokens.every(({ agrees }) => agrees)
    if (agrees) return channels.channels
    if (Date.now() > end) assert.deepEqual({ channels, tokens }, 'books that say what the chain says')
  }
}

const units = (decimal) => BigInt(Math.round(Number(decimal) * 1e6))

/**
 * The books say of channels what the escrow says: what lies there and is not claimed, what is claimed and not moved, and what
 * payers have left. Resolves with what merchants have earned, in minor units.
 */
async function channelAgreement(scene, json) {
  await reconciled(scene)
  const { balances, settled, rows } = await json('ledger', 'trial')
  assert.deepEqual({ balances, settled }, { balances: true, settled: true })
  const debits = (name) => {
    const row = rows.find(({ account }) => account === name)
    if (!row) return 0n
    assert.deepEqual([units(row.debits_pending), units(row.credits_pending)], [0n, 0n], name)
    return units(row.debits) - units(row.credits)
  }
  const escrow = scene.escrow()
  const there = BigInt(await escrow.balance())
  const receiver = await escrow.receiver(scene.payTo)
  const unmoved = BigInt(receiver.claimed - receiver.settled)
  assert.equal(debits(`claimed:${TOKEN}`), unmoved, 'what is claimed and not moved')
  assert.equal(debits(`escrow:${TOKEN}`), there - unmoved, 'what lies in the escrow and is not claimed')
  assert.equal(debits(`reserve:${TOKEN}`), BigInt(await scene.earned()), 'what was moved')
  const [payers, lost, merchant] = [-debits(`channels:${TOKEN}`), debits(`lost:${TOKEN}`), -debits('merchant:merchant')]
  assert.equal(payers + merchant, there + BigInt(await scene.earned()) + lost, 'payers and merchants have all of it')
  const proof = await json('ledger', 'verify')
  assert.deepEqual([proof.balances, proof.settled], [true, true])
  return { merchant: Number(merchant), payers: Number(payers), lost: Number(lost) }
}

// The stage of a story on a chain: anvil, a door before it, an upstream and a gate that is paid there. At its end the
// chain and the books have to say the same.
import assert from 'node:assert/strict'
import { after } from 'node:test'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { CHAIN_ID, DOMAIN, USDC, chain } from './chain.mjs'
import { nodeDoor } from './node_door.mjs'
import { run } from './program.mjs'
import { stage } from './story.mjs'

/** What the gate's own account has for gas at first, in wei. */
export const GAS = 10n ** 18n
const NETWORK = `eip155:${CHAIN_ID}`

const keys = (table) => Object.entries(table).map(([key, value]) => `${key} = ${JSON.stringify(value)}`).join('\n')
const list = (items) => `[${items.map((item) => JSON.stringify(item)).join(', ')}]`

/**
 * The configuration of the chain: its node, who is paid, how the dollar may be moved, how long payers wait, and from which
 * amount on it buys credits; `more` are keys beside these, `channels` those of its channels. With `flow` all other pages are
 * settled so. Without `payTo` our own account is paid.
 */
export function chainText({
  node,
  payTo,
  transfer = ['eip3009', 'permit2'],
  schemes = ['exact', 'upto'],
  settleFor = [],
  factories = [],
  confirmations = 1,
  patience = '30s',
  more = '',
  creditsLeast,
  withdrawalFee,
  signer,
  account,
  sponsorMost,
  sweepLeast,
  channels,
  x402 = '',
}) {
  return `
[[price]]
path = "/paid/first"
amount = "0.01 USD"
flow = "upfront"

[[chain]]
id = ${CHAIN_ID}
nodes = ${list([node])}
${payTo ? `pay_to = "${payTo}"\n` : ''}confirmations = ${confirmations}
poll = "50ms"
patience = "${patience}"
${more}
wallet_factories = ${list(factories)}
${sponsorMost ? `sponsor_most = ${sponsorMost}\npurse_low = 1000000\n` : ''}${signer ? `signer = "${signer}"\naccount = "${account}"\n` : ''}
${channels ? `[chain.channels]\n${keys(channels)}\n` : ''}
[[token]]
chain = ${CHAIN_ID}
address = "${USDC}"
symbol = "USDC"
name = "${DOMAIN.name}"
version = "${DOMAIN.version}"
counts_as = "USD"
transfer = ${list(transfer)}
schemes = ${list(schemes)}
${sponsorMost ? 'sponsor_approvals = true\n' : ''}${creditsLeast ? `credits_least = "${creditsLeast}"\n` : ''}${withdrawalFee ? `withdrawal_fee = "${withdrawalFee}"\n` : ''}${sweepLeast ? `sweep_least = "${sweepLeast}"\n` : ''}
[facilitator]
settle_for = ${list(settleFor)}
${x402 && `\n[x402]\n${x402}\n`}`
}

/**
 * Registers the hooks of a `describe` block. `options(anvil)` adds to the configuration of the chain. The merchant is paid
 * at account 2 of anvil's, or at our own account if `payTo` is undefined; our own, which pays the gas, is `scene.own`.
 */
export function chainStage(options = () => ({})) {
  const scene = stage(async () => {
    scene.chain = await chain()
    scene.door = await nodeDoor(scene.chain.url)
    const payTo = scene.chain.accounts[2].address
    const settings = { node: scene.door.url, payTo, ...(await options(scene.chain)) }
    scene.payTo = settings.payTo
    return { flow: settings.flow, more: chainText(settings) }
  })
  after(async () => {
    await scene.door?.shut()
    await scene.chain?.stop()
  })
  const json = async (...words) =>
    JSON.parse((await run([...words, '--json', '--config', scene.home.config])).stdout)
  const start = scene.start
  return Object.assign(scene, {
    async start() {
      await start()
      if (scene.own) return
      // Asked once: the account comes from the seed and stays.
      scene.own = (await json('chain', 'status'))[0].account
      scene.payTo ??= scene.own
      await scene.chain.client.setBalance({ address: scene.own, value: GAS })
    },
    /** A payer with so many dollars and an account that nobody used before. */
    async payer(units) {
      const account = privateKeyToAccount(generatePrivateKey())
      await scene.chain.client.setBalance({ address: account.address, value: GAS })
      await scene.chain.mint(account.address, units)
      return account
    },
    /** How the chain stands, as the operator sees it. */
    status: async () => (await json('chain', 'status'))[0],
    /** What the merchant has on the chain. */
    earned: () => scene.chain.balance(scene.payTo),
    /** Resolves when nothing is under way any more. */
    async isQuiet() {
      while ((await json('chain', 'status'))[0].under_way > 0) continue
    },
    agreement: (options) => agreement(scene, json, options),
  })
}

/** Minor units of a decimal. */
function units(decimal, scale) {
  const [whole, part = ''] = decimal.split('.')
  return BigInt(whole + part.padEnd(scale, '0'))
}

/**
 * Nothing is under way, and chain and books agree to the unit: the dollars that were paid, what is owed for them (to the
 * merchant, and `issued`: to whoever holds credits, and the fees that were kept; `waiting`: for quotes that are not minted
 * yet), and the gas of our account. Resolves with the dollars, in minor units; some may lie at addresses of quotes.
 */
async function agreement(scene, json, { issued = { credits: 0, fees: 0 }, waiting = 0 } = {}) {
  const { balances, settled, rows } = await json('ledger', 'trial')
  assert.deepEqual({ balances, settled }, { balances: true, settled: true })
  const debits = (account, scale = 6) => {
    const row = rows.find((row) => row.account === account)
    // An account without entries has no row.
    if (!row) return 0n
    assert.deepEqual([units(row.debits_pending, scale), units(row.credits_pending, scale)], [0n, 0n], account)
    return units(row.debits, scale) - units(row.credits, scale)
  }
  const reserve = debits(`reserve:${NETWORK}:USDC`)
  const [{ under_way: underWay, tokens }] = await json('ledger', 'reconcile', '--chain')
  assert.deepEqual([underWay, tokens[0].agrees], [0, true])
  const there = BigInt(await scene.earned()) + BigInt(tokens[0].units_at_quotes)
  assert.equal(reserve, there, 'the reserve is what was paid on the chain')
  const keysets = rows.map(({ account }) => account).filter((account) => account.startsWith('credits:'))
  const credits = keysets.reduce((total, account) => total - debits(account), 0n)
  assert.deepEqual({ credits: Number(credits), fees: Number(-debits('fees')) }, issued)
  assert.deepEqual([-debits('deposits'), debits('withdrawals')], [BigInt(waiting), 0n], 'what waits to be minted or sent again')
  const earned = reserve - credits - BigInt(waiting) + debits('fees')
  assert.equal(-debits('merchant:merchant'), earned, 'the rest is what the merchant has earned')
  const spent = GAS - (await scene.chain.client.getBalance({ address: scene.own }))
  const booked = debits(`gas:${NETWORK}`, 18)
  assert.equal(-debits(`purse:${NETWORK}`, 18), booked, 'the purse pays the gas')
  assert.equal(booked, spent, 'gas, also of what a fork has dropped and carried again')
  const proof = await json('ledger', 'verify')
  assert.deepEqual([proof.balances, proof.settled], [true, true])
  return Number(reserve)
}

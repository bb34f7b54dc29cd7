// A price in dollars, paid on a real chain with a euro token by the reference's client of x402. What was told is what moves, to
// the unit, also when rates change between the telling and the paying, and over a kill; in the end the chain, the two ledgers
// and the rates in the receipts' entries say the same.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { decodePaymentResponseHeader } from '@x402/fetch'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { x402Buyer } from '../lib/buyer.mjs'
import { CHAIN_ID, artifact, chain, deploy } from '../lib/chain.mjs'
import { run } from '../lib/program.mjs'
import { get, stage } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const EURO = 1_000_000
const NETWORK = `eip155:${CHAIN_ID}`
const SPREAD = 20_000n

/** What a cent costs in euros at so many dollars for one, two per cent more, rounded up: whole numbers alone. */
const told = (dollars) => {
  const [whole, part = ''] = dollars.split('.')
  const micro = BigInt(whole + part.padEnd(6, '0'))
  const [above, below] = [10_000n * 1_000_000n * (1_000_000n + SPREAD), micro * 1_000_000n]
  return Number((above + below - 1n) / below)
}

describe('a euro token pays a price in dollars', { timeout: 110_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'farthing-rates-'))
  const rates = join(folder, 'rates.json')
  const say = (dollars) =>
    writeFileSync(rates, JSON.stringify({ base: 'EUR', date: new Date().toISOString(), rates: { USD: dollars } }))
  say('1.10')
  const scene = stage(async () => {
    scene.chain = await chain()
    const { client, accounts } = scene.chain
    const { abi, bytecode } = artifact('TestDollar')
    scene.token = await deploy(client, accounts[9], abi, bytecode, ['EURC', 'EURC', '2', accounts[9].address])
    scene.payTo = accounts[2].address
    const more = `
[[asset]]
code = "EUR"

[gate]
accepts = ["EUR"]

[rates]
source = "file:${rates}"
format = "json"
spread = "2"

[[price]]
path = "/paid/first"
amount = "0.01 USD"
[[price.split]]
merchant = "author"
share = 70

[[chain]]
id = ${CHAIN_ID}
nodes = ["${scene.chain.url}"]
pay_to = "${scene.payTo}"
poll = "50ms"

[[token]]
chain = ${CHAIN_ID}
address = "${scene.token}"
symbol = "EURC"
name = "EURC"
version = "2"
counts_as = "EUR"
`
    return { more }
  })
  after(async () => {
    await scene.chain?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const json = async (...words) => JSON.parse((await run([...words, '--json', '--config', scene.home.config])).stdout)
  const write = async (functionName, args) => {
    const { client, accounts } = scene.chain
    const { abi } = artifact('TestDollar')
    const hash = await client.writeContract({ address: scene.token, abi, functionName, args, account: accounts[9], chain: client.chain })
    return client.waitForTransactionReceipt({ hash })
  }
  const balance = async (account) => {
    const { abi } = artifact('TestDollar')
    return Number(await scene.chain.client.readContract({ address: scene.token, abi, functionName: 'balanceOf', args: [account] }))
  }

  /** The reference's client, whose owner lets it pay with euros. */
  const euros = (account) => x402Buyer(account, undefined, undefined, { anyToken: true })

  async function payer(units) {
    const account = privateKeyToAccount(generatePrivateKey())
    await write('mint', [account.address, BigInt(units)])
    return account
  }

  /** Credits less debits of an account in an asset, in minor units; nothing may be pending. */
  async function books() {
    const { balances, settled, rows } = await json('ledger', 'trial')
    assert.deepEqual({ balances, settled }, { balances: true, settled: true })
    const units = (decimal) => {
      const [whole, part = ''] = decimal.split('.')
      return Number(whole + part.padEnd(6, '0'))
    }
    return (account, asset) => {
      const row = rows.find((row) => row.account === account && row.asset === asset)
      return row ? units(row.credits) - units(row.debits) : 0
    }
  }

  async function paid(response, account, units) {
    assert.equal(response.status, 200, await response.clone().text())
    assert.equal(await response.text(), ARTICLE)
    const settled = decodePaymentResponseHeader(response.headers.get('payment-response'))
    assert.deepEqual([settled.success, settled.payer, settled.amount], [true, account.address, String(units)])
  }

  test('what was told moves, and both ledgers and the chain agree', async () => {
    const own = (await json('chain', 'status'))[0].account
    await scene.chain.client.setBalance({ address: own, value: 10n ** 18n })
    await json('rates', 'refresh')
    const sums = { moved: 0, earned: 0 }
    const pays = async (path, account, headers, units) => {
      await paid(await get(scene.url(path), headers), account, units)
      sums.moved += units
      sums.earned += 10_000
    }

    // The same client asks, signs and pays.
    const first = await payer(EURO)
    assert.equal(told('1.10'), 9_273)
    const buyer = euros(first)
    await paid(await buyer.fetch(scene.url('/article')), first, 9_273)
    sums.moved += 9_273
    sums.earned += 10_000
    assert.equal(await balance(first.address), EURO - 9_273)

    // Signed at one rate, paid when another is in force: what was told holds.
    const second = await payer(EURO)
    const headers = await euros(second).sign(scene.url('/paid/first'))
    say('1.15')
    await json('rates', 'refresh')
    await pays('/paid/first', second, headers, 9_273)
    const third = await payer(EURO)
    const dearer = await euros(third).sign(scene.url('/paid/first'))
    assert.notEqual(told('1.15'), 9_273)

    // A kill between: rates, and what was told, outlive it.
    await scene.kill()
    await scene.start()
    await pays('/paid/first', third, dearer, told('1.15'))
    await scene.chain.client.mine({ blocks: 3 })

    const of = await books()
    assert.equal(await balance(scene.payTo), sums.moved, 'on the chain')
    assert.equal(-of(`reserve:${NETWORK}:EURC`, 'EUR'), sums.moved, 'in the reserve')
    const earned = of('merchant:merchant', 'USD') + of('merchant:author', 'USD')
    assert.deepEqual([earned, of('merchant:author', 'USD')], [sums.earned, 14_000], 'dollars, to the price')
    // In each ledger what came in is what went out.
    assert.equal(of('fx:EUR', 'USD'), -sums.earned)
    assert.equal(of('fx:USD', 'EUR') + of('fx-earned', 'EUR'), sums.moved)
    const [{ tokens }] = await json('ledger', 'reconcile', '--chain')
    assert.deepEqual([tokens[0].symbol, tokens[0].agrees], ['EURC', true])
    const { positions } = await json('ledger', 'fx')
    assert.deepEqual(positions.map(({ asset, other }) => [asset, other]), [['EUR', 'USD']])
    const proof = await json('ledger', 'verify')
    assert.deepEqual([proof.balances, proof.settled], [true, true])
  })

  test('a wild rate is refused, counted, and changes no offer', async () => {
    const account = await payer(EURO)
    say('11.5')
    const refused = await run(['rates', 'refresh', '--config', scene.home.config], { exit: 1 })
    assert.match(refused.stderr, /within 10 % of the last accepted rate/)
    const { tally, refusal } = await json('rates')
    assert.equal(tally.not_believed, 1)
    assert.match(refusal, /within 10 %/)
    const after = await euros(account).sign(scene.url('/paid/first'))
    await paid(await get(scene.url('/paid/first'), after), account, told('1.15'))
    const doctor = await run(['doctor', '--no-pay', '--json', '--config', scene.home.config], { exit: 1 })
    const finding = JSON.parse(doctor.stdout).findings.find(({ check }) => check === 'rates in force')
    assert.match(finding.found, /refuses what the source said last: .*; 1 refused/)
  })
})

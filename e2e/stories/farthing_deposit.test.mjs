// Farthing's own wallet buys credits on a real chain: with the dollars of its own account, within its limits, and by a transfer
// that somebody else sends; killed in between it loses nothing. Chain and books agree to the unit.
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { CHAIN_ID, USDC } from '../lib/chain.mjs'
import { chainStage } from '../lib/chain_gate.mjs'
import { chance, turnsUntil } from '../lib/moment.mjs'
import { EXIT, purse } from '../lib/program.mjs'

const CENT = 10_000
const DOLLAR = 1_000_000

describe('farthing wallet deposit buys credits', { timeout: 110_000 }, () => {
  const scene = chainStage(() => ({ payTo: undefined, creditsLeast: '0.10 USD', sweepLeast: '2 USD' }))
  const ends = []
  after(() => ends.forEach((end) => end()))
  const issued = { credits: 0, fees: 0 }

  /** A wallet with an account that has so much, and what it buys. */
  async function wallet(units) {
    const one = purse()
    ends.push(one.remove)
    await one.wallet(['init'])
    await one.wallet(['token', 'add', '--chain', String(CHAIN_ID), '--address', USDC, '--rpc', scene.chain.url])
    const { address } = JSON.parse((await one.wallet(['address', '--json'])).stdout)
    await scene.chain.mint(address, units)
    const words = (amount, more) => ['deposit', '--amount', amount, '--mint', scene.farthing.issuer, '--json', ...more]
    return {
      ...one,
      address,
      words,
      async buy(amount, ...more) {
        return JSON.parse((await one.wallet(words(amount, more))).stdout)
      },
    }
  }

  /** The wallet has so many credits in all, and the issuer has sold as many. */
  async function has(one, units, decimal) {
    assert.deepEqual(await one.balance(), [[decimal, '0.00']])
    issued.credits += units
    await scene.isQuiet()
    await scene.agreement({ issued })
  }

  test('with its own dollars, and no more than it was told', async () => {
    const one = await wallet(3 * DOLLAR)
    const { received } = await one.buy('2.50 USD')
    assert.equal(received.decimal, '2.50')
    assert.equal(await scene.chain.balance(one.address), 50 * CENT)
    await has(one, 250 * CENT, '2.50')
    const { entries } = JSON.parse((await one.wallet(['history', '--json'])).stdout)
    assert.deepEqual(entries.map(({ kind }) => kind).sort(), ['buy', 'pay'])
    // There is not enough for another one.
    await one.wallet(one.words('1 USD', []), { exit: EXIT.fundsShort })
    assert.equal(await scene.chain.balance(one.address), 50 * CENT)
    await one.wallet(['limits', 'set', '--per-day', '2.60 USD'])
    await one.wallet(one.words('0.20 USD', []), { exit: EXIT.budgetRefused })
    assert.equal(await scene.chain.balance(one.address), 50 * CENT)
  })

  test('by a transfer from somewhere else, waited for or found later', async () => {
    const one = await wallet(0)
    const payer = await scene.payer(3 * DOLLAR)
    const { address, ways } = await one.buy('1 USD', '--with', 'transfer', '--no-wait')
    assert.deepEqual([ways[0].chain_id, ways[0].units], [CHAIN_ID, String(DOLLAR)])
    await one.wallet(['recover'])
    assert.deepEqual(await one.balance(), [], 'nothing has come')
    await scene.chain.write('transfer', [address, BigInt(DOLLAR)], payer)
    while ((await one.balance()).length === 0) await one.wallet(['recover'])
    await has(one, DOLLAR, '1.00')

    // More than was asked for is the wallet's as well.
    const waiting = one.start('wallet', ...one.words('0.50 USD', ['--with', 'transfer']))
    const to = await waiting.says(/0x[0-9a-fA-F]{40}/)
    await scene.chain.write('transfer', [to, BigInt(60 * CENT)], payer)
    const { exit, stdout } = await waiting.ended
    assert.deepEqual([exit, JSON.parse(stdout).received.decimal], [EXIT.ok, '0.60'])
    await has(one, 60 * CENT, '1.60')
  })

  test('killed at any moment: what was paid for is taken in once', async () => {
    for (let round = 0; round < 4; round += 1) {
      const one = await wallet(DOLLAR)
      const buying = one.start('wallet', ...one.words('1 USD', []))
      await turnsUntil(chance(1_500))
      buying.kill()
      await buying.ended
      await scene.isQuiet()
      await one.wallet(['recover'])
      const spent = DOLLAR - (await scene.chain.balance(one.address))
      assert.ok([0, DOLLAR].includes(spent), `${spent} units`)
      if (spent > 0) await has(one, DOLLAR, '1.00')
      else assert.deepEqual(await one.balance(), [])
    }
  })
})

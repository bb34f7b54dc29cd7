// What the operator sees: the trial balance and the proof, asked of the real command while the server runs.
import assert from 'node:assert/strict'
import { run } from './program.mjs'

/** Minor units of a decimal of six places: "0.01" is 10000. */
function units(decimal) {
  const [whole, part = ''] = decimal.split('.')
  return Number(whole + part.padEnd(6, '0'))
}

const json = async (place, ...words) => JSON.parse((await run([...words, '--json', '--config', place.config])).stdout)

/** The trial balance: what was minted, what the merchant has earned, what payers still have, and what is on hold. */
export async function trial(place) {
  const { balances, settled, rows } = await json(place, 'ledger', 'trial')
  assert.equal(balances, true, 'debits equal credits')
  const sum = (prefix, [plus, minus]) =>
    rows
      .filter(({ account }) => account.startsWith(prefix))
      .reduce((total, row) => total + units(row[plus]) - units(row[minus]), 0)
  return {
    settled,
    minted: sum('test-funding', ['debits', 'credits']) + sum('codes', ['debits', 'credits']),
    earned: sum('merchant:', ['credits', 'debits']),
    unspent: sum('credits:', ['credits', 'debits']),
    held: rows.reduce((total, row) => total + units(row.debits_pending), 0),
  }
}

/** The same when nothing is under way: nothing on hold, the journal proves it, and no money came or went by itself. */
export async function settledBooks(place) {
  const books = await trial(place)
  assert.deepEqual({ settled: books.settled, held: books.held }, { settled: true, held: 0 })
  const proof = await json(place, 'ledger', 'verify')
  assert.deepEqual({ balances: proof.balances, settled: proof.settled }, { balances: true, settled: true })
  assert.equal(books.minted, books.unspent + books.earned, `minted is unspent and earned: ${JSON.stringify(books)}`)
  return books
}

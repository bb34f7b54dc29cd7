// An accountant's own programs read our books: the real hledger and the real beancount accept what `ledger export` writes,
// and come to the same balances as `ledger trial`, to the last decimal.
//
// HLEDGER and BEANCOUNT_BIN say where they are: the program, and the folder of bean-check and bean-query.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { home, serve } from '../lib/farthing.mjs'
import { EXIT, purse, run } from '../lib/program.mjs'
import { upstream } from '../lib/upstream.mjs'

const program = promisify(execFile)
const MUCH = { maxBuffer: 64 * 1024 * 1024 }

/** Two assets with different scales, prices under two tax codes and under none, and a fee for swaps. */
const config = (folder, site) => `[server]
listen = "127.0.0.1:0"
data = ${JSON.stringify(join(folder, 'data'))}
upstream = ${JSON.stringify(site)}
merchant = "the_shop"

[issuer]
passphrase_file = ${JSON.stringify(join(folder, 'passphrase'))}
input_fee_ppk = 100

[[asset]]
code = "USD"

[[asset]]
code = "SAT"
scale = 0
unit = "sat"

[[price]]
path = "/article"
amount = "0.012345 USD"
tax = "standard"

[[price]]
path = "/paid/film"
amount = "3 SAT"
tax = "reduced"

[[price]]
path = "/paid/big"
amount = "0.5 USD"

[[price]]
path = "/llms.txt"
amount = "0.000007 USD"

[[price]]
path = "/broken/**"
amount = "0.01 USD"
tax = "standard"

[[price]]
path = "/slow"
amount = "0.25 USD"
tax = "standard"
`

describe('an accountant reads the books', { timeout: 120_000 }, () => {
  const scene = {}
  const purses = []
  const files = mkdtempSync(join(tmpdir(), 'farthing-books-'))

  before(async () => {
    scene.site = await upstream()
    scene.home = home(scene.site.url)
    writeFileSync(scene.home.config, config(scene.home.folder, scene.site.url))
    scene.farthing = await serve(scene.home)
    await live()
  })

  after(async () => {
    await scene.site?.stop()
    await scene.farthing?.stop()
    purses.forEach((one) => one.remove())
    scene.home?.remove()
    rmSync(files, { recursive: true, force: true })
  })

  const operator = (...words) => run([...words, '--config', scene.home.config])
  const json = async (...words) => JSON.parse((await operator(...words, '--json')).stdout)
  const page = (path) => `${scene.farthing.gate}${path}`

  async function purseWith(amount, unit) {
    const one = purse()
    purses.push(one)
    const { codes } = await json('code', 'create', '--amount', amount)
    await one.wallet(['redeem', '-', '--mint', scene.farthing.issuer, '--unit', unit], { input: `${codes[0]}\n` })
    return one
  }

  /** A month of a small shop in a few seconds: everything that moves money at least once. */
  async function live() {
    const alice = await purseWith('1.00 USD', 'uusd')
    const bob = await purseWith('9 SAT', 'sat')
    await alice.pay(page('/article'))
    await alice.pay(page('/article?second'))
    await alice.pay(page('/llms.txt'))
    await bob.pay(page('/paid/film'))
    // Given back: the upstream fails.
    await alice.pay(page('/broken/500'), EXIT.failed)
    // Too much, so that change comes back; and a swap, with its fee.
    const { stdout: token } = await alice.wallet(['send', '0.10 USD', '--text'])
    const bought = await fetch(page('/article?third'), { headers: { 'x-cashu': token.trim() } })
    assert.equal(bought.status, 200, await bought.text())
    const { stdout: gift } = await alice.wallet(['send', '0.02 USD', '--text'])
    const carol = purse()
    purses.push(carol)
    scene.carol = carol
    await carol.wallet(['receive', '-', '--any-mint'], { input: gift })
    // Codes that nobody has used, and a sale that was a mistake.
    await json('code', 'create', '--amount', '2.50 USD', '--count', '3')
    const mistake = await json('code', 'create', '--amount', '40.00 USD')
    await json('ledger', 'reverse', mistake.reference, '--memo', 'nobody paid for it; "never mind"')
    // Paid back: a code that nobody has used, and a purse that its owner turned into a code.
    const unused = await json('code', 'create', '--amount', '1.50 USD')
    const leaving = await purseWith('0.40 USD', 'uusd')
    const refund = await leaving.wallet(['refund', scene.farthing.issuer, '--json'])
    const codes = [...unused.codes, JSON.parse(refund.stdout).code]
    await run(['code', 'refund', '-', '--config', scene.home.config], { input: `${codes.join('\n')}\n` })
    // What came from the bank, what was paid out, what was put in, and one entry too many.
    const enter = (debit, credit, amount, memo, ...more) =>
      json('ledger', 'enter', '--debit', debit, '--credit', credit, '--amount', amount, '--memo', memo, ...more)
    await enter('own:bank', 'codes-sold', '8.50 USD', 'codes of the week; paid by card | all, of them')
    await enter('own:bank', 'own:capital', '100.00 USD', 'from the owner', '--credit-kind', 'equity')
    await enter('own:hosting.nov', 'own:bank', '4.999999 USD', 'the server', '--debit-kind', 'expense')
    const twice = await enter('own:bank', 'codes-sold', '9 SAT', 'twice', '--date', '2026-01-15')
    await json('ledger', 'reverse', twice.reference, '--memo', 'entered twice')
    // One payment is under way while the books are read.
    scene.slow = alice.start('pay', page('/slow'))
    scene.finish = await scene.site.slow()
  }

  /** What the books say: minor units by the exported name of the account and the asset, as decimals become text. */
  async function expected(names) {
    const { rows, balances } = await json('ledger', 'trial')
    assert.equal(balances, true)
    const sums = new Map()
    for (const { account, asset, debits, credits } of rows) {
      assert.ok(names.has(account), `${account} is in the file: ${[...names.keys()]}`)
      const key = `${names.get(account)} ${asset}`
      sums.set(key, (sums.get(key) ?? 0n) + micros(debits) - micros(credits))
    }
    return nonZero(sums)
  }

  async function exported(format, ...more) {
    const file = join(files, `books.${format}`)
    await operator('ledger', 'export', '--format', format, '--out', file, ...more)
    return { file, text: readFileSync(file, 'utf8') }
  }

  test('hledger accepts the file and has the same balances', async () => {
    const { file, text } = await exported('hledger')
    const hledger = process.env.HLEDGER ?? 'hledger'
    await program(hledger, ['-f', file, 'check', '--strict'], MUCH)
    const { stdout } = await program(hledger, ['-f', file, 'balance', '--flat', '--no-total', '-O', 'json'], MUCH)
    const [rows] = JSON.parse(stdout)
    const sums = new Map()
    for (const [account, , , amounts] of rows) {
      for (const { acommodity, aquantity } of amounts) {
        const { decimalMantissa, decimalPlaces } = aquantity
        sums.set(`${account} ${acommodity}`, scaled(BigInt(decimalMantissa), decimalPlaces))
      }
    }
    const names = new Map([...text.matchAll(/^account (\S+) {2}; farthing:(\S+)$/gm)].map(([, name, own]) => [own, name]))
    assert.deepEqual(nonZero(sums), await expected(names))

    // Tags and dates are hledger's own: what was earned under a tax code, and an entry under the day that it is about.
    const tagged = await program(hledger, ['-f', file, 'balance', 'income', 'tag:tax=^reduced$', '--flat', '-N'], MUCH)
    assert.match(tagged.stdout, /^\s*-3 SAT {2}Income:Sales:/)
    const january = await program(hledger, ['-f', file, 'register', 'date:2026-01-15', 'desc:twice'], MUCH)
    assert.match(january.stdout, /2026-01-15 manual \| twice/)
    for (const kind of ['code-sold', 'issue', 'swap', 'melt', 'post', 'refund', 'manual', 'reversal']) {
      assert.ok(text.includes(`, kind:${kind}`), `${kind} happened`)
    }

    // A part of it is a file of its own.
    const part = await exported('hledger', '--period', '2026-01')
    await program(hledger, ['-f', part.file, 'check', '--strict'], MUCH)
    const { stdout: few } = await program(hledger, ['-f', part.file, 'balance', '--flat', '-N'], MUCH)
    assert.match(few, /^\s*9 SAT {2}Assets:Own:Bank\s+-9 SAT {2}Assets:Codes-sold|^\s*-9 SAT {2}Assets:Codes-sold\s+9 SAT {2}Assets:Own:Bank/)
  })

  test('beancount accepts the file and has the same balances', async () => {
    const { file, text } = await exported('beancount')
    // The next export goes under the same name.
    copyFileSync(file, join(files, 'whole.beancount'))
    const bin = (name) => join(process.env.BEANCOUNT_BIN ?? '', name)
    const check = await program(bin('bean-check'), [file], MUCH)
    assert.equal(check.stdout + check.stderr, '', 'bean-check has nothing to say')
    const query = 'SELECT account, currency, sum(number) GROUP BY account, currency'
    const { stdout } = await program(bin('bean-query'), ['-f', 'csv', '-q', file, query], MUCH)
    const sums = new Map()
    for (const line of stdout.trim().split(/\r?\n/).slice(1)) {
      const [account, currency, sum] = line.split(',').map((cell) => cell.trim())
      sums.set(`${account} ${currency}`, micros(sum))
    }
    const names = new Map([...text.matchAll(/open (\S+) \S+\n {2}farthing: "([^"]+)"/g)].map(([, name, own]) => [own, name]))
    assert.deepEqual(nonZero(sums), await expected(names))

    const part = await exported('beancount', '--period', '2026-01')
    const silent = await program(bin('bean-check'), [part.file], MUCH)
    assert.equal(silent.stdout + silent.stderr, '', 'a part of it is a file of its own')

    const earned = "SELECT sum(number) WHERE account ~ 'Income:Sales' AND any_meta('tax') = 'reduced'"
    const taxed = await program(bin('bean-query'), ['-f', 'csv', '-q', join(files, 'whole.beancount'), earned], MUCH)
    assert.equal(taxed.stdout.trim().split(/\r?\n/)[1].trim(), '-3')
  })

  test('csv and jsonl have the same sums, and the holds too', async () => {
    const { text: lines } = await exported('jsonl')
    const { text: table } = await exported('csv')
    const rows = lines.trim().split('\n').map((line) => JSON.parse(line))
    const cells = table.trim().split('\r\n').slice(1).map(csvCells)
    assert.equal(cells.length, rows.length)
    const sums = new Map()
    const add = (key, amount) => sums.set(key, (sums.get(key) ?? 0n) + amount)
    rows.forEach((row, index) => {
      assert.deepEqual(cells[index].slice(4, 15), [
        row.kind, row.reference ?? '', row.tax_code ?? '', row.memo ?? '', row.step, row.status, row.debit, row.credit,
        row.decimal, row.held ?? '', row.asset,
      ])
      if (row.status !== 'posted') return
      add(`${row.debit} ${row.asset}`, micros(row.decimal))
      add(`${row.credit} ${row.asset}`, -micros(row.decimal))
    })
    const { rows: accounts } = await json('ledger', 'trial')
    const names = new Map(accounts.map(({ account }) => [account, account]))
    assert.deepEqual(nonZero(sums), await expected(names))
    assert.ok(rows.some(({ status }) => status === 'pending') && rows.some(({ status }) => status === 'released'))
    assert.ok(rows.some(({ memo }) => memo === 'codes of the week; paid by card | all, of them'))
  })

  test('report, statement, receipt and verify tell the same story', async () => {
    const { lines } = await json('ledger', 'report')
    const earned = lines.filter(({ account }) => account === 'merchant:the_shop')
    assert.deepEqual(
      earned.map(({ tax_code: code, asset, payments, amount }) => [code, asset, payments, amount]).sort(),
      [[null, 'USD', 1, '0.000007'], ['reduced', 'SAT', 1, '3'], ['standard', 'USD', 3, '0.037035']].sort(),
    )
    const { assets } = await json('ledger', 'statement')
    assert.ok(assets.every(({ balances }) => balances))
    const usd = assets.find(({ asset }) => asset === 'USD')
    assert.notEqual(usd.on_hold, '0.00', 'the payment that is under way')
    const customers = usd.sections.find(({ name }) => name === 'customers')
    assert.ok(customers.rows.some(({ account, amount }) => account === 'codes' && amount === '7.50'))
    const receipt = join(files, 'receipt')
    // The wallet of the payment that is under way is in use.
    await scene.carol.pay(page('/article?fourth'), EXIT.ok, '--receipt', receipt)
    const trail = await json('ledger', 'receipt', receipt)
    assert.equal(trail.books.tax_code, 'standard')
    assert.deepEqual([...new Set(trail.entries.map(({ kind }) => kind))], ['hold', 'post'])
    const { balances, settled } = await json('ledger', 'verify')
    assert.deepEqual({ balances, settled }, { balances: true, settled: false })
  })

  test('the folder says the same as the server did', async () => {
    scene.finish()
    const { exit, stderr } = await scene.slow.ended
    assert.equal(exit, EXIT.ok, stderr)
    const texts = async () => Promise.all(['hledger', 'beancount', 'csv', 'jsonl'].map(async (name) => (await exported(name)).text))
    const served = await texts()
    const { keysets, accounts } = await json('ledger', 'verify')
    assert.ok(accounts > 0 && keysets.compared === 2, 'nothing moved meanwhile: everything was compared')
    await scene.farthing.stop()
    const one = []
    for (const format of ['hledger', 'beancount', 'csv', 'jsonl']) one.push((await exported(format)).text)
    assert.deepEqual(one, served)
  })
})

/** A decimal in millionths. */
function micros(decimal) {
  const [whole, part = ''] = decimal.replace('-', '').split('.')
  assert.ok(part.length <= 6, decimal)
  const amount = BigInt(whole + part.padEnd(6, '0'))
  return decimal.startsWith('-') ? -amount : amount
}

const scaled = (mantissa, places) => mantissa * 10n ** BigInt(6 - places)

/** Sorted, without what is zero. */
const nonZero = (sums) => Object.fromEntries([...sums].filter(([, sum]) => sum !== 0n).map(([key, sum]) => [key, `${sum}`]).sort())

/** The cells of a line of RFC 4180, none of which has a line break. */
function csvCells(line) {
  const cells = []
  for (const [, quoted, plain] of line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)) {
    cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'))
  }
  return cells
}

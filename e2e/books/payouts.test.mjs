// A bank's own reading of our bank files: the real binary writes them, and xmlschema holds them against the schema of
// pain.001.001.09 that the package sepaxml brings along.
//
// BEANCOUNT_BIN is the folder of the Python programs.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { EXIT, run } from '../lib/program.mjs'

const program = promisify(execFile)

const JUDGE = `
import os, sys, sepaxml, xmlschema
schema = os.path.join(os.path.dirname(sepaxml.__file__), 'schemas', 'pain.001.001.09.xsd')
xmlschema.XMLSchema(schema).validate(sys.argv[1])
`

/** Whether the schema takes a file. */
async function isValid(path) {
  try {
    await program(join(process.env.BEANCOUNT_BIN, 'python'), ['-c', JUDGE, path])
    return true
  } catch (error) {
    assert.match(error.stderr, /XMLSchema\w*ValidationError/)
    return false
  }
}

/** Merchants at banks, in two currencies, with names that no bank takes as they are. */
const CONFIG = `[server]
listen = "127.0.0.1:0"
upstream = "http://127.0.0.1:9"

[issuer]
passphrase_file = "passphrase"

[[asset]]
code = "EUR"

[[asset]]
code = "JPY"

[payouts]
approvals = 0
name = "Example & Co. Oy"
iban = "FI21 1234 5600 0007 85"
bic = "NDEAFIHH"

[[merchant]]
name = "author"
payout = "bank"
asset = "EUR"
holder = "Jörg Müßiggänger (Straße 5)"
iban = "DE89 3704 0044 0532 0130 00"
bic = "COBADEFFXXX"
country = "DE"

[[merchant]]
name = "translator"
payout = "bank"
asset = "EUR"
holder = "O’Brien & Søn"
iban = "GB82 WEST 1234 5698 7654 32"

[[merchant]]
name = "painter"
payout = "bank"
asset = "JPY"
holder = "Tanaka Ichiro"
iban = "FR1420041010050500013M02606"
`

describe('a bank reads our files', { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'farthing-payouts-'))
  const farthing = async (words, exit = EXIT.ok) => {
    const { stdout } = await run(words, { folder, exit })
    return exit === EXIT.ok ? JSON.parse(stdout) : undefined
  }

  before(async () => {
    writeFileSync(join(folder, 'farthing.toml'), CONFIG)
    writeFileSync(join(folder, 'passphrase'), 'a passphrase for stories only\n', { mode: 0o600 })
    for (const [merchant, amount] of [['author', '12345.678912 EUR'], ['translator', '0.01 EUR'], ['painter', '5000.5 JPY']]) {
      const words = ['--debit', 'own:till', '--credit', `merchant:${merchant}`, '--amount', amount, '--memo', 'sold']
      await farthing(['ledger', 'enter', ...words])
      await farthing(['payout', 'propose', '--merchant', merchant, '--name', '2026-11_a'])
    }
  })

  after(() => rmSync(folder, { recursive: true, force: true }))

  for (const [asset, sum, count] of [['EUR', '12345.68', 2], ['JPY', '5000', 1]]) {
    test(`a file in ${asset} is valid, exact, and the same when it is made again`, async () => {
      const path = join(folder, `${asset}.xml`)
      const made = await farthing(['payout', 'file', '--asset', asset, '--out', path])
      const text = readFileSync(path, 'utf8')
      assert.ok(await isValid(path), text)
      // 12345.67 and 0.01: what is finer than a cent stays with the merchant.
      assert.equal(made.payouts.length, count)
      assert.ok(text.includes(`<NbOfTxs>${count}</NbOfTxs>`) && text.includes(`<CtrlSum>${sum}</CtrlSum>`), text)
      assert.equal(text.includes('<Cd>SEPA</Cd>'), asset === 'EUR')
      for (const payout of made.payouts) assert.ok(text.includes(`<EndToEndId>${payout.slice(0, 32)}</EndToEndId>`))
      const again = join(folder, `${asset}-again.xml`)
      assert.equal((await farthing(['payout', 'file', '--asset', asset, '--out', again])).before, true)
      assert.equal(readFileSync(again, 'utf8'), text)
    })
  }

  test('the judge refuses what is no such file', async () => {
    const text = readFileSync(join(folder, 'EUR.xml'), 'utf8')
    for (const wrong of [
      text.replace('<PmtMtd>TRF</PmtMtd>', ''),
      text.replace('Ccy="EUR"', 'Ccy="euro"'),
      text.replace('DE89370400440532013000', 'DE89-3704'),
      text.replace(/<EndToEndId>.*?</, `<EndToEndId>${'x'.repeat(36)}<`),
    ]) {
      assert.notEqual(wrong, text)
      const path = join(folder, 'wrong.xml')
      writeFileSync(path, wrong)
      assert.equal(await isValid(path), false)
    }
  })
})

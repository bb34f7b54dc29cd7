// A seller issues an entitlement with the real binary, and an application checks it offline with the npm module.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { checkFeature, readRevoked } from '../../sdk/entitlement-js/index.js'
import { run } from '../lib/program.mjs'
import { stage } from '../lib/story.mjs'

describe('entitlements', () => {
  const scene = stage()
  const folder = mkdtempSync(join(tmpdir(), 'farthing-seller-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  const lines = ['[server]', 'upstream = "http://127.0.0.1:9"', 'data = "data"', 'merchant = "seller"']
  lines.push('[issuer]', 'passphrase_file = "passphrase"', '[[asset]]', 'code = "USD"')
  writeFileSync(join(folder, 'farthing.toml'), lines.join('\n'))
  writeFileSync(join(folder, 'passphrase'), 'a story')
  const seller = async (...words) => JSON.parse((await run(['entitlement', ...words, '--json'], { folder })).stdout)
  const code = (expected) => (error) => {
    assert.equal(error.code, expected, error.message)
    return true
  }

  test('are issued by the binary and hold in an application', async () => {
    const { id, text } = await seller('issue', '--feature', 'export', '--feature', 'seats=5', '--until', '30d', '--subject', 'customer 7')
    const { key, revoked } = await seller('public')
    const question = { key, subject: 'customer 7', revoked: await readRevoked(revoked, { key }) }
    assert.deepEqual(await checkFeature(text, { ...question, feature: 'seats' }), { name: 'seats', limit: 5 })
    await assert.rejects(checkFeature(text, { ...question, feature: 'import' }), code('entitlement-feature'))
    await assert.rejects(checkFeature(text, { ...question, subject: 'customer 8', feature: 'seats' }), code('entitlement-subject'))
    const later = { ...question, revoked: undefined, now: new Date(Date.now() + 31 * 86_400_000) }
    await assert.rejects(checkFeature(text, { ...later, feature: 'seats' }), code('entitlement-ended'))

    await seller('revoke', id)
    const anew = await readRevoked((await seller('public')).revoked, { key })
    await assert.rejects(checkFeature(text, { ...question, revoked: anew, feature: 'seats' }), code('entitlement-revoked'))
  })

  test('have their key and their list on a page of the server', async () => {
    const page = await fetch(`${scene.farthing.gate}/.well-known/farthing/entitlements`)
    assert.equal(page.status, 200)
    const { key, revoked } = await page.json()
    const about = await (await fetch(`${scene.farthing.gate}/.well-known/farthing.json`)).json()
    assert.equal(key, about.receipt_key, 'the key of receipts')
    assert.deepEqual((await readRevoked(revoked, { key })).ids, [])
  })
})

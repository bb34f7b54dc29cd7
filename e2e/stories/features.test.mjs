// A seller's application asks for each use of a feature: its customer pays with the real wallet, the application hands the offers
// on; a kill in the middle costs nobody anything; and in the sandbox the clock ends what it ends.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { checkFeature } from '../../sdk/entitlement-js/index.js'
import { settledBooks } from '../lib/books.mjs'
import { fund, openWallet, states, sum, tokenOf } from '../lib/cashu.mjs'
import { home, serve } from '../lib/farthing.mjs'
import { purse, run } from '../lib/program.mjs'
import { stage } from '../lib/story.mjs'

const KEY = 'the key of a story'
const CENT = 10_000 // uusd

const folder = mkdtempSync(join(tmpdir(), 'farthing-features-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const keysFile = join(folder, 'keys')
writeFileSync(keysFile, createHash('sha256').update(KEY).digest('hex'))

const FEATURES = `
[features]
listen = "127.0.0.1:0"
keys_file = ${JSON.stringify(keysFile)}

[[feature]]
name = "export"
amount = "0.05 USD"

[feature.quota]
free = 2
per = "month"

[[feature]]
name = "month"
amount = "0.20 USD"
entitles = "30d"
`

/** Asks as the application does. */
async function ask(api, path, body, name) {
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }
  if (name) headers['idempotency-key'] = name
  const response = await fetch(`${api}/v1/${path}`, { method: 'POST', headers, body: body && JSON.stringify(body) })
  return { status: response.status, ...(await response.json()) }
}

/** The application: it exports for whoever has paid, and hands on what Farthing says. */
async function application(api) {
  const server = createServer(async (request, response) => {
    const credential = request.headers['x-cashu'] ?? request.headers.authorization
    const name = credential && createHash('sha256').update(credential).digest('hex')
    const use = await ask(api(), 'authorize', { feature: 'export', max: '80000', credential }, name)
    if (!use.allowed) {
      for (const { header, value } of use.offers ?? []) response.appendHeader(header, value)
      response.writeHead(use.status, { 'content-type': 'application/problem+json' })
      return response.end(JSON.stringify(use))
    }
    const done = await ask(api(), `authorizations/${use.authorization}/commit`, { amount: '60000' })
    if (done.change) response.setHeader('x-cashu', done.change)
    response.setHeader('farthing-receipt', done.receipt)
    response.end('exported\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${server.address().port}/export`, stop: () => server.close() }
}

describe('features of an application', { timeout: 90_000 }, () => {
  const scene = stage({ more: FEATURES })
  const api = () => scene.farthing.features

  test('are paid by its customers with the wallet, for what they cost', async () => {
    const app = await application(api)
    const payer = purse()
    try {
      const made = await run(['code', 'create', '--amount', '0.20 USD', '--text', '--config', scene.home.config])
      await payer.wallet(['redeem', '-', '--mint', scene.farthing.issuer], { input: made.stdout })
      assert.equal((await payer.pay(app.url)).stdout, 'exported\n')
      assert.deepEqual(await payer.balance(), [['0.14', '0.00']])
      assert.equal((await settledBooks(scene.home)).earned, 6 * CENT)
    } finally {
      app.stop()
      payer.remove()
    }
  })

  test('are charged once though the server is killed in the middle', async () => {
    const { earned } = await settledBooks(scene.home)
    const account = await openWallet(scene.farthing.issuer)
    const { token, proofs } = await tokenOf(account, 8 * CENT, await fund(account, 8 * CENT), scene.farthing.issuer)
    const body = { feature: 'export', credential: token }
    const use = await ask(api(), 'authorize', body, 'order 7')
    assert.deepEqual([use.allowed, use.by, use.held.amount], [true, 'payment', '50000'])
    await scene.kill()
    await scene.start()
    assert.deepEqual(await states(account.wallet, proofs), ['PENDING'], 'a start leaves it to the application')
    assert.equal((await ask(api(), 'authorize', body, 'order 7')).authorization, use.authorization)
    const done = await ask(api(), `authorizations/${use.authorization}/commit`)
    await scene.kill()
    await scene.start()
    assert.deepEqual(await ask(api(), `authorizations/${use.authorization}/commit`), done)
    const change = await account.wallet.receive(done.change, { keysetId: account.keysetId })
    assert.equal(sum(change), 3 * CENT)
    assert.equal((await settledBooks(scene.home)).earned, earned + 5 * CENT)
  })
})

describe('the sandbox', { timeout: 90_000 }, () => {
  test('is the same server, whose clock is moved', async () => {
    const place = home('http://127.0.0.1:9', { more: FEATURES })
    const sandbox = await serve(place, 'sandbox')
    try {
      const clock = async (move) => (await fetch(`${sandbox.gate}/.well-known/farthing/sandbox/clock`, { method: 'POST', body: JSON.stringify(move) })).json()
      const free = { feature: 'export', subject: 'customer 7' }
      const left = [await ask(sandbox.features, 'authorize', free), await ask(sandbox.features, 'authorize', free)]
      assert.deepEqual(left.map((use) => use.left), [1, 0])
      assert.equal((await ask(sandbox.features, 'authorize', free)).status, 402)

      const account = await openWallet(sandbox.issuer)
      const { token } = await tokenOf(account, 20 * CENT, await fund(account, 20 * CENT), sandbox.issuer)
      const month = { feature: 'month', subject: 'customer 7' }
      const bought = await ask(sandbox.features, 'authorize', { ...month, credential: token })
      const { entitlement } = await ask(sandbox.features, `authorizations/${bought.authorization}/commit`, { subject: 'customer 7' })
      const { key } = await (await fetch(`${sandbox.gate}/.well-known/farthing/entitlements`)).json()
      await checkFeature(entitlement, { key, subject: 'customer 7', feature: 'month' })
      assert.equal((await ask(sandbox.features, 'authorize', { ...month, entitlement })).by, 'nothing')

      await clock({ by: '5m' })
      const over = await ask(sandbox.features, `authorizations/${left[0].authorization}/commit`)
      assert.deepEqual([over.status, over.code], [410, 'authorization-over'])
      assert.equal((await ask(sandbox.features, 'authorize', free)).left, 1, 'what nobody had is free again')
      const { now } = await clock({ by: '31d' })
      assert.ok(Date.parse(now) > Date.now() + 31 * 86_400_000)
      assert.equal((await ask(sandbox.features, 'authorize', { ...month, entitlement })).reason, 'entitlement-ended')
      assert.equal((await ask(sandbox.features, 'authorize', free)).left, 1)
      assert.equal((await clock({ at: '2020-01-01T00:00:00Z' })).code, 'clock-refused')
    } finally {
      await sandbox.stop()
      place.remove()
    }
  })
})

// mppx 0.11.0, the reference client of the Payment scheme, pays with our custom method `credit`; and its own
// validator of foreign servers is content with us.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { CheckStateEnum } from '@cashu/cashu-ts'
import { Challenge, Credential, Receipt } from 'mppx'
import { Mppx } from 'mppx/client'
import { fund, openWallet, states, sum } from '../lib/cashu.mjs'
import { creditCharge, creditClient } from '../lib/credit.mjs'
import { problem } from '../lib/offer.mjs'
import { get, stage } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000 // uusd
const MPPX = fileURLToPath(new URL('../node_modules/mppx/dist/bin.js', import.meta.url))

describe('mppx pays with credits', () => {
  const scene = stage()
  const article = () => `${scene.farthing.gate}/article`

  async function purse(amount = 4 * CENT) {
    const account = await openWallet(scene.farthing.issuer)
    return { account, proofs: await fund(account, amount) }
  }
  const client = (from, options) => Mppx.create({ methods: [creditClient(from, options)], polyfill: false })

  test('the challenge is one that mppx can read', async () => {
    const response = await get(article())
    const challenge = Challenge.fromResponseList(response).find(({ method }) => method === 'credit')
    assert.ok(challenge, `a credit challenge in ${response.headers.get('www-authenticate')}`)
    assert.equal(challenge.intent, 'charge')
    assert.equal(challenge.realm, '127.0.0.1', 'the host, without the port')
    assert.ok(new Date(challenge.expires) > new Date(), `expires in the future, got ${challenge.expires}`)
    const request = creditCharge.schema.request.parse(challenge.request)
    assert.equal(request.amount, String(CENT))
    assert.equal(request.currency, 'uusd')
    assert.deepEqual(request.mints, [scene.farthing.issuer])
    const body = await problem(response)
    assert.equal(body.challengeId, challenge.id)
  })

  test('a fetch becomes a paid fetch', async () => {
    const from = await purse()
    const response = await client(from).fetch(article())
    assert.equal(response.status, 200)
    assert.equal(await response.text(), ARTICLE)
    const receipt = Receipt.fromResponse(response)
    assert.equal(receipt.method, 'credit')
    assert.equal(receipt.status, 'success')
    assert.ok(receipt.reference.length > 0)
    assert.equal(sum(from.sent), CENT)
    assert.deepEqual(await states(from.account.wallet, from.sent), [CheckStateEnum.SPENT])
  })

  test('change comes back in the blank outputs of the credential', async () => {
    const from = await purse()
    const response = await client(from, { extra: 777, blanks: 10 }).fetch(article())
    assert.equal(response.status, 200)
    const { change } = Receipt.fromResponse(response)
    const proofs = change.map((signature, index) => from.blanks[index].toProof(signature, from.account.keys))
    assert.equal(sum(proofs), 777)
    assert.deepEqual(await states(from.account.wallet, proofs), [CheckStateEnum.UNSPENT])
  })

  test('a challenge that was tampered with is not ours any more, and costs nothing', async () => {
    const from = await purse()
    const challenge = Challenge.fromResponse(await get(article()))
    const cheap = { ...challenge, request: { ...challenge.request, amount: '1' } }
    const credential = await creditClient(from).createCredential({ challenge: cheap })
    const response = await get(article(), { authorization: credential })
    assert.equal(response.status, 402)
    assert.match((await problem(response)).type, /\/invalid-challenge$/)
    assert.deepEqual(await states(from.account.wallet, from.sent), [CheckStateEnum.UNSPENT])
  })

  test('a malformed credential gets a fresh challenge', async () => {
    const malformed = ['Payment dGhpcyBpcyBnYXJiYWdl', 'Payment !!!', 'Payment e30']
    for (const authorization of malformed) {
      const response = await get(article(), { authorization })
      assert.equal(response.status, 402, authorization)
      assert.ok(Challenge.fromResponse(response).id, authorization)
      assert.match((await problem(response)).type, /\/malformed-credential$/)
    }
  })

  test('the same credential again is the same payment', async () => {
    const from = await purse()
    const challenge = Challenge.fromResponse(await get(article()))
    const authorization = await creditClient(from).createCredential({ challenge })
    assert.equal(Credential.deserialize(authorization).challenge.id, challenge.id)
    const first = await get(article(), { authorization })
    const second = await get(article(), { authorization })
    assert.equal(first.status, 200)
    assert.equal(second.status, 200)
    assert.equal(Receipt.fromResponse(first).reference, Receipt.fromResponse(second).reference)
  })

  test('`mppx validate` finds nothing wrong', async () => {
    const report = await validate(scene.farthing.gate, 'GET:/article')
    const checks = [
      ...report.discovery.checks,
      ...report.endpoints.flatMap(({ challenge, errorHandling, payment }) => [...challenge, ...errorHandling, ...payment]),
    ]
    const bad = checks.filter(({ severity }) => severity === 'fail' || severity === 'warn')
    assert.deepEqual(bad, [])
    const passed = checks.filter(({ severity }) => severity === 'pass').map(({ label }) => label)
    for (const label of [
      'Returns 402 without credentials',
      'WWW-Authenticate header present',
      'Challenge parseable',
      'Challenge expires in the future',
      'Realm matches server hostname',
      'Malformed credential returns 402',
      'Error response includes fresh challenge',
    ]) {
      assert.ok(passed.includes(label), `${label} in ${JSON.stringify(passed)}`)
    }
  })
})

/** Runs `mppx validate` as a program and gives its JSON; an empty Stripe key keeps it from looking for one. */
function validate(base, endpoint) {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, MPPX_STRIPE_SECRET_KEY: '', NO_COLOR: '1' }
    execFile(process.execPath, [MPPX, 'validate', base, '-e', endpoint, '-j'], { env }, (error, stdout, stderr) => {
      try {
        resolve(JSON.parse(stdout))
      } catch {
        reject(new Error(`mppx validate gave no JSON (${error?.code}):\n${stdout}\n${stderr}`))
      }
    })
  })
}

// A session paid with nothing but SHA-256, as docs/sessions.md says: sixteen calls at once, a failing upstream, kill -9 under
// load, a payer that has lost its count, and change that cashu-ts takes; the books agree to the unit.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OutputData } from '@cashu/cashu-ts'
import { settledBooks } from '../lib/books.mjs'
import { fund, openWallet, states, sum } from '../lib/cashu.mjs'
import { chainOf } from '../lib/hash_chain.mjs'
import { ask, stage } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000 // uusd
const STEPS = 400
const AT_ONCE = 16

describe('a session', { timeout: 100_000 }, () => {
  const scene = stage()
  const chain = chainOf(STEPS, CENT)
  let account
  let paid = 0

  async function issuer(path, body) {
    const headers = { 'content-type': 'application/json' }
    const options = body ? { method: 'POST', headers, body: JSON.stringify(body) } : {}
    const response = await fetch(`${scene.farthing.issuer}/v1/sessions${path}`, options)
    return { status: response.status, ...(await response.json()) }
  }

  const call = (step, path = '/article') =>
    ask(scene.url(path), { headers: { 'farthing-session': chain.header(step) } })

  /** Calls with these steps, sixteen at a time; those that broke off are undefined. */
  async function calls(steps) {
    const waiting = [...steps]
    const answers = new Map()
    const one = async () => {
      for (let step = waiting.shift(); step; step = waiting.shift()) {
        answers.set(step, await call(step).catch(() => undefined))
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, one))
    return answers
  }

  const numbers = (first, last) => Array.from({ length: last - first + 1 }, (_, at) => first + at)

  test('is opened once, however often it is asked for', async () => {
    account = await openWallet(scene.farthing.issuer)
    const inputs = await fund(account, STEPS * CENT + 345)
    const body = { inputs: inputs.map(({ amount, id, secret, C }) => ({ amount, id, secret, C })), chain: chain.terms }
    const opened = await issuer('', body)
    assert.deepEqual([opened.status, opened.session, opened.state, opened.left], [200, chain.id, 'OPEN', STEPS])
    assert.deepEqual(await issuer('', body), opened)
    assert.deepEqual(await states(account.wallet, inputs), ['SPENT'])
  })

  test('pays for many calls at once, in any order', async () => {
    const answers = await calls(numbers(1, 64).reverse())
    for (const [step, { status, body }] of answers) assert.deepEqual([status, body], [200, ARTICLE], `step ${step}`)
    paid += answers.size
    const { status, headers } = await call(64)
    assert.deepEqual([status, headers['farthing-session']], [409, `generation=0; high=64; left=${STEPS - 64}`])
  })

  test('is not charged for what fails', async () => {
    const broken = await call(65, '/broken/500')
    assert.equal(broken.status, 502)
    assert.equal((await call(65)).status, 200, 'the same step is good')
    paid += 1
  })

  test('survives kill -9 under load: what was answered is paid, and the next step is good', async () => {
    const running = calls(numbers(66, 300))
    const seen = async () => (await issuer(`/${chain.id}`)).high
    while ((await seen()) < 120);
    await scene.kill()
    const answers = await running
    const answered = [...answers].filter(([, answer]) => answer?.status === 200 && answer.isWhole)
    await scene.start()
    const { high, left } = await issuer(`/${chain.id}`)
    const taken = STEPS - left
    assert.ok(taken >= paid + answered.length, `${answered.length} were answered beside ${paid}, ${taken} are taken`)
    assert.ok(taken <= paid + answered.length + AT_ONCE, 'what was on its way and no more')
    for (const [step] of answered) assert.equal((await call(step)).status, 409, `step ${step} was used`)
    paid = taken
    assert.equal((await call(high + 1)).status, 200)
    paid += 1
  })

  test('gives the rest back as credits that cashu-ts takes, and pays no more', async () => {
    const blanks = Array.from({ length: 40 }, () => OutputData.createSingleRandomData(1, account.keysetId))
    const body = { key: chain.key, outputs: blanks.map(({ blindedMessage }) => blindedMessage) }
    const closed = await issuer(`/${chain.id}/close`, body)
    assert.deepEqual([closed.status, closed.state], [200, 'CLOSED'])
    assert.deepEqual(await issuer(`/${chain.id}/close`, body), closed)
    const back = closed.signatures.map((signature, at) => blanks[at].toProof(signature, account.keys))
    assert.equal(sum(back), (STEPS - paid) * CENT + 345)
    const fresh = await account.wallet.swap(1, back, { keysetId: account.keysetId })
    assert.equal(sum(fresh.keep) + sum(fresh.send), sum(back))
    const late = await call(STEPS)
    assert.deepEqual([late.status, JSON.parse(late.body).code], [409, 'session-closed'])
    const books = await settledBooks(scene.home)
    assert.deepEqual([books.earned, books.unspent], [paid * CENT, sum(back)])
  })
})

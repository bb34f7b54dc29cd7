// mppx 0.11.0, the reference client of the Payment scheme, pays by sessions of our method `credit`: the first fetch opens one, the
// next ones pay with steps, more goes in, and in the end the rest comes back as credits that cashu-ts takes.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Challenge, Receipt } from 'mppx'
import { Mppx } from 'mppx/client'
import { settledBooks } from '../lib/books.mjs'
import { fund, openWallet, sum } from '../lib/cashu.mjs'
import { close, creditSession, sessionClient, topUp } from '../lib/credit_session.mjs'
import { problem } from '../lib/offer.mjs'
import { get, stage } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000 // uusd
const STEPS = 20

describe('mppx pays by a session of credits', { timeout: 100_000 }, () => {
  const scene = stage()
  const article = () => scene.url('/article')
  const purse = {}
  let client

  async function offered() {
    const challenges = Challenge.fromResponseList(await get(article()))
    return challenges.find(({ method, intent }) => method === 'credit' && intent === 'session')
  }

  test('the challenge says what a session takes, beside that of a single payment', async () => {
    const challenges = Challenge.fromResponseList(await get(article()))
    assert.deepEqual(challenges.map(({ method, intent }) => `${method} ${intent}`).slice(0, 2), ['credit charge', 'credit session'])
    const request = creditSession.schema.request.parse(challenges[1].request)
    assert.deepEqual([request.amount, request.suggestedDeposit], [String(CENT), String(100 * CENT)])
    assert.deepEqual(request.mints, [scene.farthing.issuer])
    assert.equal(request.methodDetails.sessionProtocol, 'farthing/hash-chain')
  })

  test('the first fetch opens a session and pays with its first step', async () => {
    purse.account = await openWallet(scene.farthing.issuer)
    purse.proofs = await fund(purse.account, 60 * CENT)
    client = Mppx.create({ methods: [sessionClient(purse, { steps: STEPS })], polyfill: false })
    const response = await client.fetch(article())
    assert.deepEqual([response.status, await response.text()], [200, ARTICLE])
    const receipt = Receipt.fromResponse(response)
    assert.deepEqual([receipt.method, receipt.status, receipt.reference], ['credit', 'success', purse.session.id])
    assert.equal(response.headers.get('farthing-session'), `generation=0; high=1; left=${STEPS - 1}`)
  })

  test('the next ones pay with a voucher each, several at once', async () => {
    const responses = await Promise.all(Array.from({ length: 8 }, () => client.fetch(article())))
    for (const response of responses) assert.deepEqual([response.status, await response.text()], [200, ARTICLE])
    assert.equal(purse.session.last, 9)
  })

  test('a challenge pays for more than one call, but a step for one alone', async () => {
    const challenge = await offered()
    const authorization = await sessionClient(purse, { steps: STEPS }).createCredential({ challenge })
    assert.equal((await get(article(), { authorization })).status, 200)
    const again = await get(article(), { authorization })
    assert.deepEqual([again.status, (await problem(again)).code], [409, 'session-step-used'])
  })

  test('a challenge that was tampered with opens nothing', async () => {
    const challenge = await offered()
    const cheap = { ...challenge, request: { ...challenge.request, amount: '1' } }
    const authorization = await sessionClient(purse, { steps: STEPS }).createCredential({ challenge: cheap })
    const response = await get(article(), { authorization })
    assert.equal(response.status, 402)
    assert.match((await problem(response)).type, /\/invalid-challenge$/)
    purse.session.last -= 1
  })

  test('more goes in, and the next chain pays', async () => {
    const authorization = await topUp(purse, await offered(), { steps: 30, amount: 25 * CENT })
    const response = await get(article(), { authorization })
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('farthing-session'), 'generation=1; high=1; left=29')
    assert.equal((await client.fetch(article())).status, 200)
  })

  test('a stranger closes nothing; the payer closes it once and has the rest', async () => {
    const stranger = { ...purse, session: { ...purse.session, chain: { ...purse.session.chain, key: '00'.repeat(32) } } }
    const refused = await get(article(), { authorization: close(stranger, await offered()) })
    assert.deepEqual([refused.status, (await problem(refused)).code], [402, 'session-locked'])

    const authorization = close(purse, await offered())
    const response = await get(article(), { authorization })
    assert.equal(response.status, 204)
    const { change } = Receipt.fromResponse(response)
    const back = change.map((signature, at) => purse.blanks[at].toProof(signature, purse.account.keys))
    const paid = 1 + 8 + 1 + 2
    assert.equal(sum(back), (STEPS + 25 - paid) * CENT)
    const again = await get(article(), { authorization })
    assert.deepEqual(Receipt.fromResponse(again).change, change, 'the same answer again')
    const fresh = await purse.account.wallet.swap(1, back, { keysetId: purse.account.keysetId })
    assert.equal(sum(fresh.keep) + sum(fresh.send), sum(back))
    const late = await client.fetch(article())
    assert.deepEqual([late.status, (await problem(late)).code], [409, 'session-closed'])
    const books = await settledBooks(scene.home)
    assert.equal(books.earned, paid * CENT)
  })
})

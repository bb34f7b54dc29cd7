// Upstreams fail in many ways. docs/payments.md says what each costs; the books and the issuer are asked before and after.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CheckStateEnum } from '@cashu/cashu-ts'
import { settledBooks } from '../lib/books.mjs'
import { fund, openWallet, states, tokenOf } from '../lib/cashu.mjs'
import { ask, get, stage } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000 // uusd

describe('the upstream fails', { timeout: 60_000 }, () => {
  // Whoever is silent for so long is too slow.
  const scene = stage({ headLimit: '400ms' })

  async function credential() {
    const account = await openWallet(scene.farthing.issuer)
    const proofs = await fund(account, 2 * CENT)
    const { proofs: sent, token } = await tokenOf(account, CENT, proofs, account.mint.mintUrl)
    const state = async () => (await states(account.wallet, sent)).join(' and ')
    return { headers: { 'x-cashu': token }, state }
  }

  /** Nothing was charged, and the credits are as good as new: the very same credential buys something that works. */
  async function assertUncharged({ headers, state }, { earned }) {
    assert.equal(await state(), CheckStateEnum.UNSPENT)
    assert.equal((await settledBooks(scene.home)).earned, earned)
    const { status, body } = await ask(scene.url('/article'), { headers })
    assert.deepEqual([status, body], [200, ARTICLE])
    assert.equal(await state(), CheckStateEnum.SPENT)
    assert.equal((await settledBooks(scene.home)).earned, earned + CENT)
  }

  for (const [path, status, what] of [
    ['/broken/500', 502, 'it answers 500'],
    ['/broken/silent', 504, 'it is too slow'],
    ['/broken/reset', 502, 'it resets the connection before its answer begins'],
  ]) {
    test(`${what}: ${status}, nothing charged`, async () => {
      const before = await settledBooks(scene.home)
      const paid = await credential()
      const answer = await ask(scene.url(path), { headers: paid.headers })
      assert.equal(answer.status, status)
      assert.equal(answer.headers['cache-control'], 'no-store')
      const problem = JSON.parse(answer.body)
      assert.equal(problem.code, 'upstream-failed')
      assert.match(problem.next, /unspent and can be used again/)
      assert.equal(answer.headers['farthing-receipt'], undefined)
      await assertUncharged(paid, before)
    })
  }

  for (const [path, status] of [['/broken/moved', 302], ['/broken/nothing-here', 404]]) {
    test(`it answers ${status}: its answer, untouched, nothing charged`, async () => {
      const before = await settledBooks(scene.home)
      const paid = await credential()
      const answer = await ask(scene.url(path), { headers: paid.headers })
      assert.equal(answer.status, status)
      assert.equal(answer.headers['farthing-charge'], 'none')
      if (status === 302) assert.equal(answer.headers.location, '/article')
      else assert.equal(answer.body, 'not here\n')
      await assertUncharged(paid, before)
    })
  }

  test('nobody is there: 502, nothing charged, and it works once somebody is', async () => {
    const before = await settledBooks(scene.home)
    const paid = await credential()
    await scene.site.stop()
    const answer = await ask(scene.url('/article'), { headers: paid.headers })
    assert.equal(answer.status, 502)
    assert.equal(JSON.parse(answer.body).code, 'upstream-failed')
    assert.equal((await settledBooks(scene.home)).earned, before.earned)
    assert.equal(await paid.state(), CheckStateEnum.UNSPENT)
    await scene.site.again()
    await assertUncharged(paid, before)
  })

  test('it breaks in mid-body: charged, seen as cut, and free again while the pass lasts', async () => {
    const before = await settledBooks(scene.home)
    const paid = await credential()
    const first = await half(paid.headers)
    assert.ok(first.headers.get('farthing-pass'), 'the pass came with the head')
    assert.equal(await paid.state(), CheckStateEnum.SPENT)
    assert.equal((await settledBooks(scene.home)).earned, before.earned + CENT)

    const second = await half(paid.headers)
    assert.equal(second.headers.get('farthing-receipt'), first.headers.get('farthing-receipt'))
    assert.equal((await settledBooks(scene.home)).earned, before.earned + CENT, 'no second charge')
  })

  /** Asks for what breaks, has it broken once a part of it is here, and insists that the client can tell. */
  async function half(headers) {
    const response = await get(scene.url('/broken/half'), headers)
    assert.equal(response.status, 200)
    const reader = response.body.getReader()
    const { value } = await reader.read()
    assert.ok(ARTICLE.startsWith(Buffer.from(value).toString()) && value.length < ARTICLE.length)
    const reset = await scene.site.half()
    reset()
    await assert.rejects(reader.read(), 'a body that is cut short is not one that has ended')
    return response
  }
})

// A cashu-ts wallet pays the gate by NUT-24: the token in `X-Cashu`, the change back, one charge whatever happens.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CheckStateEnum, getDecodedToken } from '@cashu/cashu-ts'
import { UNIT, fund, openWallet, states, sum, tokenOf } from '../lib/cashu.mjs'
import { serve } from '../lib/farthing.mjs'
import { cashuOffer, problem } from '../lib/offer.mjs'
import { get, stage } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000 // uusd

describe('a token pays the gate', () => {
  const scene = stage()
  const url = (path) => `${scene.farthing.gate}${path}`

  /** A fresh token of some amount, made for the mint that the gate itself names. */
  async function token(amount) {
    const account = await openWallet(scene.farthing.issuer)
    const proofs = await fund(account, amount * 2)
    return { account, ...(await tokenOf(account, amount, proofs, scene.farthing.issuer)) }
  }

  test('without money: 402, the price in both notations, no caching, the upstream is not asked', async () => {
    const response = await get(url('/article'))
    assert.equal(response.status, 402)
    assert.equal(response.headers.get('cache-control'), 'no-store')
    const offer = cashuOffer(response.headers.get('x-cashu'))
    assert.equal(offer.amount, CENT)
    assert.equal(offer.unit, UNIT)
    assert.deepEqual(offer.mints, [scene.farthing.issuer])
    await problem(response)
    assert.equal(scene.site.hits('/article'), 0)
  })

  test('what has no price is free', async () => {
    const response = await get(url('/free'))
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('x-cashu'), null)
    assert.equal(await response.text(), 'free\n')
  })

  test('the exact price: the page, privately cached, nothing back', async () => {
    const paid = await token(CENT)
    const response = await get(url('/article'), { 'x-cashu': paid.token })
    assert.equal(response.status, 200)
    assert.equal(await response.text(), ARTICLE)
    assert.match(response.headers.get('cache-control') ?? '', /private/)
    assert.equal(response.headers.get('x-cashu'), null, 'no change of nothing')
    assert.deepEqual(await states(paid.account.wallet, paid.proofs), [CheckStateEnum.SPENT])
  })

  test('too much: the rest comes back as a token that its owner can spend', async () => {
    const paid = await token(CENT + 2_345)
    const response = await get(url('/article'), { 'x-cashu': paid.token })
    assert.equal(response.status, 200)
    const change = response.headers.get('x-cashu')
    assert.ok(change, 'change in X-Cashu')
    assert.equal(sum(getDecodedToken(change).proofs), 2_345)
    const received = await paid.account.wallet.receive(change, { keysetId: paid.account.keysetId })
    assert.equal(sum(received), 2_345)
  })

  test('too little: refused, and the credits stay whole', async () => {
    const paid = await token(CENT - 1)
    const response = await get(url('/article'), { 'x-cashu': paid.token })
    assert.ok([400, 402].includes(response.status), `400 or 402, got ${response.status}`)
    await problem(response)
    assert.deepEqual(await states(paid.account.wallet, paid.proofs), [CheckStateEnum.UNSPENT])
  })

  test('nonsense in X-Cashu is refused in words, not by a crash', async () => {
    for (const nonsense of ['cashuB', 'cashuBAAAA', 'cashuA!!', 'hello', `cashuB${'A'.repeat(4_000)}`]) {
      const response = await get(url('/article'), { 'x-cashu': nonsense })
      assert.ok([400, 402].includes(response.status), `${nonsense.slice(0, 12)}: ${response.status}`)
      await problem(response)
    }
  })

  test('the same token again, while the pass lasts: the page, and no second charge', async () => {
    const paid = await token(CENT)
    const first = await get(url('/article'), { 'x-cashu': paid.token })
    const second = await get(url('/article'), { 'x-cashu': paid.token })
    assert.equal(first.status, 200)
    assert.equal(second.status, 200)
    assert.equal(await second.text(), ARTICLE)
    assert.equal(first.headers.get('farthing-receipt'), second.headers.get('farthing-receipt'), 'one receipt')
  })

  test('sixteen at once with one token: one charge, and a clear answer to each', async () => {
    const paid = await token(CENT)
    const before = scene.site.hits('/article')
    const answers = await Promise.all(
      Array.from({ length: 16 }, () => get(url('/article'), { 'x-cashu': paid.token })),
    )
    const ok = answers.filter(({ status }) => status === 200)
    const busy = answers.filter(({ status }) => status === 409)
    assert.ok(ok.length >= 1, 'at least one has the page')
    assert.equal(ok.length + busy.length, 16, answers.map(({ status }) => status).join(' '))
    assert.equal(new Set(ok.map(({ headers }) => headers.get('farthing-receipt'))).size, 1, 'one payment')
    for (const response of busy) assert.ok(response.headers.get('retry-after'), '409 says when to come back')
    assert.ok(scene.site.hits('/article') - before <= ok.length, 'the losers never reach the upstream')
    assert.deepEqual(await states(paid.account.wallet, paid.proofs), [CheckStateEnum.SPENT])
  })

  for (const fault of ['500', 'reset']) {
    test(`an upstream that fails (${fault}) costs nothing, and the token can be used again`, async () => {
      const paid = await token(CENT)
      const response = await get(url(`/broken/${fault}`), { 'x-cashu': paid.token })
      assert.ok(response.status >= 500, `a server error, got ${response.status}`)
      await response.arrayBuffer()
      assert.deepEqual(await states(paid.account.wallet, paid.proofs), [CheckStateEnum.UNSPENT])
      const other = await get(url('/article'), { 'x-cashu': paid.token })
      assert.equal(other.status, 200)
    })
  }

  test('killed between hold and post: after the restart the credits are whole and buy the page', async () => {
    const paid = await token(CENT)
    const asked = scene.site.slow()
    const cut = get(url('/slow'), { 'x-cashu': paid.token }).then(
      (response) => response.status,
      () => 'cut',
    )
    await asked // the hold is durable before the upstream is asked, so the payment hangs between hold and post now
    await scene.farthing.crash()
    assert.equal(await cut, 'cut')

    scene.farthing = await serve(scene.home)
    const account = await openWallet(scene.farthing.issuer)
    assert.deepEqual(await states(account.wallet, paid.proofs), [CheckStateEnum.UNSPENT])
    const again = await tokenOf(account, CENT, paid.proofs, scene.farthing.issuer)
    const response = await get(url('/article'), { 'x-cashu': again.token })
    assert.equal(response.status, 200)
    assert.equal(await response.text(), ARTICLE)
  })
})

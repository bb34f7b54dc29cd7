// kill -9 at every moment of a payment: the payer's money is whole, or it bought the page, and the books say the same.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CheckStateEnum, getDecodedToken } from '@cashu/cashu-ts'
import { Challenge } from 'mppx'
import { settledBooks, trial } from '../lib/books.mjs'
import { fund, openWallet, states, sum, tokenOf } from '../lib/cashu.mjs'
import { creditClient } from '../lib/credit.mjs'
import { chance, turnsUntil } from '../lib/moment.mjs'
import { ask, get, stage } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000 // uusd
const EXTRA = 345
const ROUNDS = 10

describe('killed with SIGKILL', { timeout: 100_000 }, () => {
  const scene = stage()
  const slow = () => scene.url('/slow')
  let account
  let proofs = []

  /** A credential with money from the one purse of this story, so that its sum can be compared with the books. */
  async function token(amount) {
    account ??= await openWallet(scene.farthing.issuer)
    if (sum(proofs) < 2 * amount) proofs = proofs.concat(await fund(account, 500_000))
    const { keep, proofs: sent, token } = await tokenOf(account, amount, proofs, account.mint.mintUrl)
    proofs = keep
    return { sent, headers: { 'x-cashu': token } }
  }

  /** Asks, and gives the answer and the way to let the upstream speak. A connection that was cut is no answer. */
  async function underWay(headers) {
    const answer = ask(slow(), { headers }).catch(() => undefined)
    return { answer, finish: await scene.site.slow() }
  }

  /** The same credential again, to its end. */
  async function again(headers) {
    const { answer, finish } = await underWay(headers)
    finish()
    const response = await answer
    assert.deepEqual([response.status, response.isWhole, response.body], [200, true, ARTICLE])
    return response
  }

  const stateOf = async (some) => (await states(account.wallet, some)).join(' and ')

  test('between hold and post: the credits are whole, and the same credential buys the page once', async () => {
    const paid = await token(CENT)
    const { answer } = await underWay(paid.headers)
    const during = await trial(scene.home)
    assert.deepEqual({ settled: during.settled, held: during.held }, { settled: false, held: CENT })
    assert.equal(await stateOf(paid.sent), CheckStateEnum.PENDING)
    await scene.kill()
    assert.equal(await answer, undefined, 'nothing was answered')

    await scene.start()
    const restarted = await settledBooks(scene.home)
    assert.equal(restarted.earned, 0)
    assert.equal(await stateOf(paid.sent), CheckStateEnum.UNSPENT)
    await again(paid.headers)
    assert.equal((await settledBooks(scene.home)).earned, CENT)
    assert.equal(await stateOf(paid.sent), CheckStateEnum.SPENT)
  })

  test('between hold and post with a Payment credential: the same, with its change', async () => {
    const { earned } = await settledBooks(scene.home)
    const from = { account, proofs }
    const challenge = Challenge.fromResponseList(await get(slow())).find(({ method }) => method === 'credit')
    const authorization = await creditClient(from, { extra: EXTRA, blanks: 10 }).createCredential({ challenge })
    proofs = from.proofs
    const { answer } = await underWay({ authorization })
    await scene.kill()
    assert.equal(await answer, undefined, 'nothing was answered')

    await scene.start()
    assert.equal((await settledBooks(scene.home)).earned, earned)
    assert.equal(await stateOf(from.sent), CheckStateEnum.UNSPENT)
    const response = await again({ authorization })
    assert.equal((await settledBooks(scene.home)).earned, earned + CENT)
    const receipt = JSON.parse(Buffer.from(response.headers['payment-receipt'], 'base64url'))
    const change = receipt.change.map((signature, index) => from.blanks[index].toProof(signature, account.keys))
    assert.equal(sum(change), EXTRA)
    proofs = proofs.concat(change)
  })

  test(`after the upstream's answer, at ${ROUNDS} random moments: whole, or it bought the page`, async (t) => {
    // How long it takes from the upstream's answer to the payer's, undisturbed.
    const first = await token(CENT)
    const { answer, finish } = await underWay(first.headers)
    const begun = performance.now()
    finish()
    assert.equal((await answer).status, 200)
    const span = performance.now() - begun

    for (let round = 0; round < ROUNDS; round += 1) {
      const { earned } = await settledBooks(scene.home)
      const paid = await token(CENT + EXTRA)
      // One in each slice of the span, and more of them early, where the charge is made.
      const moment = span * ((round + chance(1)) / ROUNDS) ** 2
      const told = `round ${round}, killed ${moment.toFixed(2)} ms after the upstream's answer`
      const { answer, finish } = await underWay(paid.headers)
      finish()
      await turnsUntil(moment)
      await scene.kill()
      const got = await answer

      await scene.start()
      const charged = (await settledBooks(scene.home)).earned - earned
      assert.ok(charged === 0 || charged === CENT, `${told}: nothing or the price, got ${charged}`)
      assert.ok(!got || charged === CENT, `${told}: an answer is sent after its charge only`)
      assert.equal(await stateOf(paid.sent), charged === 0 ? CheckStateEnum.UNSPENT : CheckStateEnum.SPENT, told)

      const response = await again(paid.headers)
      assert.equal((await settledBooks(scene.home)).earned - earned, CENT, `${told}: charged once`)
      if (got?.isWhole) {
        assert.equal(response.headers['farthing-receipt'], got.headers['farthing-receipt'], `${told}: one receipt`)
        assert.equal(response.headers['x-cashu'], got.headers['x-cashu'], `${told}: the same change`)
      }
      const change = getDecodedToken(response.headers['x-cashu']).proofs
      assert.equal(sum(change), EXTRA, told)
      proofs = proofs.concat(change)
      t.diagnostic(`${told}: ${charged === 0 ? 'released' : 'charged'}`)
    }
  })

  test('in the end the payer has what the books say', async () => {
    assert.equal(await stateOf(proofs), CheckStateEnum.UNSPENT)
    const books = await settledBooks(scene.home)
    assert.equal(sum(proofs), books.unspent)
    assert.equal(books.minted, sum(proofs) + books.earned)
    assert.equal(books.earned, (ROUNDS + 3) * CENT, 'each page was bought once')
  })
})

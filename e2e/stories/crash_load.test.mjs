// kill -9 while several real clients pay at once: each believes what it was told, sends again what was lost, and in the end
// every page was bought once.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CheckStateEnum, getEncodedTokenV4 } from '@cashu/cashu-ts'
import { Challenge } from 'mppx'
import { settledBooks } from '../lib/books.mjs'
import { UNIT, fund, openWallet, states, sum } from '../lib/cashu.mjs'
import { creditClient } from '../lib/credit.mjs'
import { chance, turnsUntil } from '../lib/moment.mjs'
import { ask, get, stage } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000 // uusd
const EXTRA = 345
const KILLS = 3
const PAGES = 6 // that each payer wants between two kills

describe('killed with SIGKILL under load', { timeout: 100_000 }, () => {
  const scene = stage()
  const article = () => scene.url('/article')
  const seen = { lost: 0, charged: 0 }
  const accounts = []
  const bought = []

  /** Credentials of the Cashu dialect, each with credits of its own. */
  async function tokens(account) {
    const wanted = []
    for (let page = 0; page < PAGES; page += 1) {
      const proofs = await fund(account, CENT)
      const token = getEncodedTokenV4({ mint: account.mint.mintUrl, unit: UNIT, proofs })
      wanted.push({ account, proofs, headers: { 'x-cashu': token } })
    }
    return wanted
  }

  /** Credentials of the Payment scheme, with blank outputs for the change. */
  async function authorizations(account) {
    const wanted = []
    const challenge = Challenge.fromResponseList(await get(article())).find(({ method }) => method === 'credit')
    for (let page = 0; page < PAGES; page += 1) {
      const from = { account, proofs: await fund(account, CENT + EXTRA) }
      const authorization = await creditClient(from, { extra: EXTRA, blanks: 10 }).createCredential({ challenge })
      wanted.push({ account, proofs: from.sent, blanks: from.blanks, headers: { authorization } })
    }
    return wanted
  }

  /** Pays for one page after the other until the program is gone. */
  async function pay(wanted) {
    for (const payment of wanted) {
      payment.asked = true
      payment.got = await ask(article(), { headers: payment.headers }).catch(() => undefined)
      if (!payment.got) return
      assert.equal(payment.got.status, 200, payment.got.body)
    }
  }

  test(`${KILLS} kills: what was answered stays, what was lost is finished`, async (t) => {
    for (let n = 0; n < 4; n += 1) accounts.push(await openWallet(scene.farthing.issuer))
    for (let kill = 0; kill < KILLS; kill += 1) {
      const wanted = await Promise.all(accounts.map((account, n) => (n % 2 === 0 ? tokens(account) : authorizations(account))))
      const { earned } = await settledBooks(scene.home)
      const load = Promise.all(wanted.map(pay))
      await turnsUntil(5 + chance(120))
      await scene.kill()
      await load

      await scene.start()
      const after = await settledBooks(scene.home)
      const asked = wanted.flat().filter((payment) => payment.asked)
      const answered = asked.filter(({ got }) => got)
      const lost = asked.length - answered.length
      const charged = (after.earned - earned) / CENT
      seen.lost += lost
      seen.charged += charged - answered.length
      assert.ok(charged >= answered.length, `${answered.length} were answered, ${charged} charged`)
      assert.ok(charged <= asked.length, `${asked.length} were asked for, ${charged} charged`)
      for (const payment of asked) {
        const before = (await states(payment.account.wallet, payment.proofs)).join(' and ')
        if (payment.got) assert.equal(before, CheckStateEnum.SPENT, 'what was answered is charged')
        else assert.notEqual(before, CheckStateEnum.PENDING, 'nothing is on hold after a start')
        const again = await ask(article(), { headers: payment.headers })
        assert.deepEqual([again.status, again.isWhole, again.body], [200, true, ARTICLE])
        if (payment.got?.isWhole) {
          assert.equal(again.headers['farthing-receipt'], payment.got.headers['farthing-receipt'], 'one receipt')
        }
        bought.push({ ...payment, got: again })
      }
      assert.equal((await settledBooks(scene.home)).earned - earned, asked.length * CENT, 'each was charged once')
      t.diagnostic(`kill ${kill}: ${asked.length} asked for, ${answered.length} answered, ${charged} charged`)
    }
    t.diagnostic(`${seen.lost} answers were lost, ${seen.charged} of them charged before`)
  })

  test('in the end the books say what the payers have', async () => {
    let change = []
    for (const { account, proofs, blanks, got } of bought) {
      assert.deepEqual(await states(account.wallet, proofs), [CheckStateEnum.SPENT])
      if (!blanks) continue
      const receipt = JSON.parse(Buffer.from(got.headers['payment-receipt'], 'base64url'))
      const own = receipt.change.map((signature, index) => blanks[index].toProof(signature, account.keys))
      assert.equal(sum(own), EXTRA)
      change = change.concat(own)
    }
    assert.deepEqual(await states(accounts[0].wallet, change), [CheckStateEnum.UNSPENT])
    assert.equal((await settledBooks(scene.home)).earned, bought.length * CENT)
  })
})

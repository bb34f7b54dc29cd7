// The same credential sixteen times at once, over sixteen connections: one delivery, one charge, fifteen clear answers.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CheckStateEnum } from '@cashu/cashu-ts'
import { Challenge } from 'mppx'
import { settledBooks } from '../lib/books.mjs'
import { fund, openWallet, states, tokenOf } from '../lib/cashu.mjs'
import { creditClient } from '../lib/credit.mjs'
import { ask, get, stage } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000 // uusd
const TIMES = 16

describe('sixteen at once', { timeout: 60_000 }, () => {
  const scene = stage()

  const dialects = {
    'X-Cashu': async (account) => {
      const { proofs, token } = await tokenOf(account, CENT, await fund(account, 2 * CENT), account.mint.mintUrl)
      return { sent: proofs, headers: { 'x-cashu': token } }
    },
    'Authorization: Payment': async (account) => {
      const from = { account, proofs: await fund(account, 2 * CENT) }
      const offered = Challenge.fromResponseList(await get(scene.url('/slow')))
      const challenge = offered.find(({ method }) => method === 'credit')
      const authorization = await creditClient(from).createCredential({ challenge })
      return { sent: from.sent, headers: { authorization } }
    },
  }

  for (const [dialect, credential] of Object.entries(dialects)) {
    test(`${dialect}: one of them waits for the upstream, the others are told at once`, { timeout: 20_000 }, async () => {
      const account = await openWallet(scene.farthing.issuer)
      const { sent, headers } = await credential(account)
      const hits = scene.site.hits('/slow')
      const { earned } = await settledBooks(scene.home)

      const refused = []
      const all = Array.from({ length: TIMES }, () => ask(scene.url('/slow'), { headers }))
      const fifteen = new Promise((resolve, reject) => {
        const heard = (answer) => refused.push(answer) === TIMES - 1 && resolve()
        for (const one of all) one.then(heard, reject)
      })
      const finish = await scene.site.slow()
      await fifteen
      for (const { status, headers: fields, body } of refused) {
        assert.equal(status, 409, body)
        assert.match(fields['retry-after'] ?? '', /^[1-9]\d*$/, 'says when to come back')
        assert.match(fields['content-type'], /^application\/problem\+json/)
        assert.equal(JSON.parse(body).code, 'payment-under-way')
      }
      assert.equal(scene.site.hits('/slow') - hits, 1, 'the upstream was asked once')
      assert.deepEqual(await states(account.wallet, sent), [CheckStateEnum.PENDING])

      finish()
      const served = (await Promise.all(all)).filter(({ status }) => status === 200)
      assert.deepEqual(served.map(({ body }) => body), [ARTICLE])
      assert.equal(scene.site.hits('/slow') - hits, 1, 'and not again')
      assert.equal((await settledBooks(scene.home)).earned - earned, CENT, 'one charge')
      assert.deepEqual(await states(account.wallet, sent), [CheckStateEnum.SPENT])

      // One of the fifteen does as it was told: the page, the same receipt, no second charge.
      const later = ask(scene.url('/slow'), { headers })
      ;(await scene.site.slow())()
      const { status, body, headers: fields } = await later
      assert.deepEqual([status, body], [200, ARTICLE])
      assert.equal(fields['farthing-receipt'], served[0].headers['farthing-receipt'])
      assert.equal((await settledBooks(scene.home)).earned - earned, CENT)
    })
  }
})

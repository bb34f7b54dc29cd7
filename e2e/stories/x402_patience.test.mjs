// A chain that makes no blocks for longer than payers wait: each is told that its payment is being settled, the same payment
// joins what is under way, also after a kill -9, and when the block comes it is served once and has paid once.
import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { decodePaymentResponseHeader } from '@x402/fetch'
import { x402Buyer } from '../lib/buyer.mjs'
import { CHAIN_ID } from '../lib/chain.mjs'
import { chainStage } from '../lib/chain_gate.mjs'
import { problem } from '../lib/offer.mjs'
import { EXIT, run } from '../lib/program.mjs'
import { get } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000
const DOLLAR = 1_000_000

describe('payers who wait longer than the gate is patient', { timeout: 110_000 }, () => {
  const scene = chainStage(() => ({ patience: '200ms' }))
  afterEach(() => scene.chain.client.setAutomine(true))

  /** A payment by the reference's client that was not sent yet, on a chain that makes no more blocks. */
  async function signed(path) {
    const payer = await scene.payer(DOLLAR)
    const url = scene.url(path)
    const headers = await x402Buyer(payer).sign(url)
    const earned = await scene.earned()
    await scene.chain.client.setAutomine(false)
    return { payer, url, headers, earned, hits: scene.site.hits(path), path }
  }

  /** Not now: nothing that makes an honest payer pay again, and the word of the reference for it. */
  async function isPending(response) {
    assert.deepEqual([response.status, (await problem(response)).code], [503, 'payment-settling'])
    assert.match(response.headers.get('retry-after'), /^\d+$/)
    assert.equal(response.headers.get('payment-required'), null)
    assert.equal(response.headers.get('www-authenticate'), null)
    const { success, errorReason, network } = decodePaymentResponseHeader(response.headers.get('payment-response'))
    assert.deepEqual([success, errorReason, network], [false, 'settlement_pending', `eip155:${CHAIN_ID}`])
  }

  /** Sends the same again until it is known, as 503 says. */
  async function insist({ url, headers }) {
    for (;;) {
      const response = await get(url, headers)
      if (response.status !== 503) return response
      await isPending(response)
    }
  }

  /** What may still be carried out is not ended by the operator either, and nothing is done by half a word. */
  async function isNotGivenUp() {
    const place = ['--config', scene.home.config]
    const [{ calls }] = JSON.parse((await run(['chain', 'status', '--json', ...place])).stdout)
    assert.deepEqual(calls.map(({ purpose, transactions }) => [purpose, transactions.length]), [['payment', 1]])
    const words = ['chain', 'end', calls[0].call, '--failed', ...place]
    assert.match((await run(words, { exit: 2 })).stderr, /say it again with --yes/)
    assert.match((await run([...words, '--yes'], { exit: EXIT.failed })).stderr, /may still be carried out/)
  }

  async function isServedOnce(payment, hash) {
    await scene.chain.client.mine({ blocks: 1 })
    const response = await insist(payment)
    assert.deepEqual([response.status, await response.text()], [200, ARTICLE])
    const { success, transaction } = decodePaymentResponseHeader(response.headers.get('payment-response'))
    assert.deepEqual([success, transaction], [true, hash])
    let again = await get(payment.url, payment.headers)
    // Until it is written down that the payer has it, nobody else is answered.
    while (again.status === 409) again = await get(payment.url, payment.headers)
    assert.deepEqual([again.status, (await problem(again)).code], [402, 'payment-used'])
    assert.deepEqual(
      [await scene.chain.balance(payment.payer.address), await scene.earned()],
      [DOLLAR - CENT, payment.earned + CENT],
    )
    await scene.agreement()
  }

  for (const path of ['/article', '/paid/first']) {
    test(`${path}: pending, joined, served once when the block comes`, async () => {
      const payment = await signed(path)
      const [before, taken] = [scene.door.taken(), scene.door.sent()]
      await isPending(await get(payment.url, payment.headers))
      const hash = await taken
      for (let again = 0; again < 2; again += 1) await isPending(await get(payment.url, payment.headers))
      assert.equal(await scene.chain.balance(payment.payer.address), DOLLAR, 'nothing has moved yet')
      assert.equal(scene.door.taken(), before + 1, 'one transaction was sent, whoever asks')
      await isNotGivenUp()
      await isServedOnce(payment, hash)
      // What is settled first is paid for before the upstream is asked; the other way round its first answer was lost.
      const asked = path === '/paid/first' ? 1 : 2
      assert.equal(scene.site.hits(path) - payment.hits, asked)
    })

    test(`${path}: the same across a kill -9 while it is pending`, async () => {
      const payment = await signed(path)
      const taken = scene.door.sent()
      await isPending(await get(payment.url, payment.headers))
      const hash = await taken
      await scene.kill()
      await scene.start()
      await isPending(await get(payment.url, payment.headers))
      assert.equal(await scene.chain.balance(payment.payer.address), DOLLAR, 'nothing has moved yet')
      await isServedOnce(payment, hash)
    })
  }

  test('four at once wait in vain, then one of them is served', async () => {
    const payment = await signed('/article')
    const taken = scene.door.sent()
    const codes = async () => {
      const answers = await Promise.all(Array.from({ length: 4 }, () => get(payment.url, payment.headers)))
      return Promise.all(answers.map(async (answer) => [answer.status, (await problem(answer)).code].join(' ')))
    }
    const known = ['503 payment-settling', '409 payment-under-way']
    for (const code of await codes()) assert.ok(known.includes(code), code)
    await isServedOnce(payment, await taken)
  })
})

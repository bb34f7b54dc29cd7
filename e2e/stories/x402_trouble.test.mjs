// Chains that are slow, gone or of two minds, clients that leave, and kill -9 while a payment by x402 is on its way: it is
// paid once, it is served once, and chain and books agree to the unit afterwards.
import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { decodePaymentResponseHeader } from '@x402/fetch'
import { WAY, allowPermit2, x402Buyer } from '../lib/buyer.mjs'
import { chainStage } from '../lib/chain_gate.mjs'
import { chance, turnsUntil } from '../lib/moment.mjs'
import { problem } from '../lib/offer.mjs'
import { ask, get } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000
const DOLLAR = 1_000_000
const CARRY = 'transferWithAuthorization'

describe('payments by x402 in trouble', { timeout: 110_000 }, () => {
  const scene = chainStage()
  const mining = (on) => scene.chain.client.setAutomine(on)
  const mine = () => scene.chain.client.mine({ blocks: 1 })
  // A test that failed in the middle leaves a chain without blocks to nobody.
  afterEach(() => mining(true))

  /** A payer, and a payment of its that was not sent yet. */
  async function signed(path = '/article', way = WAY.eip3009) {
    const payer = await scene.payer(DOLLAR)
    if (way !== WAY.eip3009) await allowPermit2(scene.chain, payer)
    const url = scene.url(path)
    return { payer, url, headers: await x402Buyer(payer, way).sign(url), earned: await scene.earned() }
  }

  /** It bought the page, by the transaction that is on the chain, and one cent moved. */
  async function isPaidOnce({ payer, earned }, response, hash) {
    assert.deepEqual([response.status, await response.text()], [200, ARTICLE])
    const { success, transaction } = decodePaymentResponseHeader(response.headers.get('payment-response'))
    assert.equal(success, true)
    if (hash) assert.equal(transaction, hash)
    assert.equal((await scene.chain.client.getTransactionReceipt({ hash: transaction })).status, 'success')
    assert.deepEqual(
      [await scene.chain.balance(payer.address), await scene.earned()],
      [DOLLAR - CENT, earned + CENT],
    )
    await scene.agreement()
  }

  /** Sends the same again for as long as it is under way elsewhere, as 409 says. */
  async function insist({ url, headers }) {
    for (;;) {
      const response = await get(url, headers)
      if (response.status !== 409) return response
      assert.match(response.headers.get('retry-after'), /^\d+$/)
      await response.text()
    }
  }

  async function isUsedUp({ url, headers }) {
    const again = await get(url, headers)
    assert.deepEqual([again.status, (await problem(again)).code], [402, 'payment-used'])
  }

  test('whoever leaves before the block comes back for the page, and has paid once', async () => {
    const payment = await signed()
    await mining(false)
    const [leaving, sent] = [new AbortController(), scene.door.sent()]
    const left = fetch(payment.url, { headers: payment.headers, signal: leaving.signal }).catch((error) => error)
    const hash = await sent
    leaving.abort()
    assert.equal((await left).name, 'AbortError')
    const back = insist(payment)
    await mine()
    await isPaidOnce(payment, await back, hash)
    await isUsedUp(payment)
  })

  test('while one waits for the block others join, and one of them is served', async () => {
    const payment = await signed()
    await mining(false)
    const sent = scene.door.sent()
    const asking = Array.from({ length: 4 }, () => get(payment.url, payment.headers))
    const hash = await sent
    asking.push(get(payment.url, payment.headers))
    await mine()
    const answers = await Promise.all(asking)
    const served = answers.filter(({ status }) => status === 200)
    assert.equal(served.length, 1)
    for (const other of answers.filter(({ status }) => status !== 200)) {
      const { code } = await problem(other)
      assert.ok(['payment-under-way', 'payment-used'].includes(code), code)
    }
    await isPaidOnce(payment, served[0], hash)
  })

  for (const [when, isMinedBefore] of [['before', true], ['after', false]]) {
    test(`kill -9 after the upstream's answer; the block comes ${when} the next start`, async () => {
      const payment = await signed()
      await mining(false)
      const sent = scene.door.sent()
      const lost = ask(payment.url, { headers: payment.headers }).catch((error) => error)
      const hash = await sent
      await scene.kill()
      assert.ok((await lost) instanceof Error, 'nothing was answered')
      if (isMinedBefore) await mine()
      await scene.start()
      const back = get(payment.url, payment.headers)
      if (!isMinedBefore) await mine()
      await isPaidOnce(payment, await back, hash)
      await isUsedUp(payment)
    })
  }

  test('kill -9 while the upstream works: nothing was taken, and the same payment pays', async () => {
    const payment = await signed('/slow')
    const lost = ask(payment.url, { headers: payment.headers }).catch((error) => error)
    const finish = await scene.site.slow()
    await scene.kill()
    finish()
    assert.ok((await lost) instanceof Error)
    await scene.start()
    assert.equal(await scene.chain.balance(payment.payer.address), DOLLAR)
    await scene.agreement()
    const back = get(payment.url, payment.headers)
    ;(await scene.site.slow())()
    await isPaidOnce(payment, await back)
  })

  test('a chain that is gone: not now, nothing lost, and the same payment pays when it is back', async () => {
    const payment = await signed()
    const hits = scene.site.hits('/article')
    await scene.door.shut()
    for (let times = 0; times < 2; times += 1) {
      const refused = await get(payment.url, payment.headers)
      assert.deepEqual([refused.status, (await problem(refused)).code], [503, 'chain-unreachable'])
      assert.match(refused.headers.get('retry-after'), /^\d+$/)
      assert.equal(refused.headers.get('payment-required'), null, 'nothing that makes a client pay again')
    }
    assert.equal(scene.site.hits('/article'), hits, 'the upstream was not asked')
    await scene.door.open()
    assert.equal(await scene.chain.balance(payment.payer.address), DOLLAR)
    await isPaidOnce(payment, await get(payment.url, payment.headers))
  })

  test('a chain that goes while the upstream works is waited for', async () => {
    const payment = await signed('/slow')
    const paying = get(payment.url, payment.headers)
    const finish = await scene.site.slow()
    await scene.door.shut()
    const sent = scene.door.sent()
    finish()
    await scene.door.open()
    const hash = await sent
    await isPaidOnce(payment, await paying, hash)
  })

  test('a node that takes a transaction and hangs up: it moves once', async () => {
    const payment = await signed()
    scene.door.loseNext()
    const sent = scene.door.sent()
    const paying = get(payment.url, payment.headers)
    await isPaidOnce(payment, await paying, await sent)
  })

  test('gas that costs more than we pay is waited for', async () => {
    const payment = await signed()
    const [gwei, fees] = [10n ** 9n, 'eth_maxPriorityFeePerGas']
    const blockAt = async (baseFeePerGas) => {
      await scene.chain.client.setNextBlockBaseFeePerGas({ baseFeePerGas })
      await mine()
    }
    await blockAt(900n * gwei)
    let hash
    const sent = scene.door.sent().then((taken) => (hash = taken))
    const paying = get(payment.url, payment.headers)
    for (let round = 0; round < 3; round += 1) await scene.door.asked(fees)
    assert.equal(hash, undefined, 'nothing is sent at this price')
    await blockAt(gwei)
    await isPaidOnce(payment, await paying, await sent)
  })

  test('killed at any moment: paid once, and whoever paid has the page', async () => {
    for (let round = 0; round < 12; round += 1) {
      const payment = await signed(round % 2 === 0 ? '/article' : '/paid/first')
      const first = ask(payment.url, { headers: payment.headers }).catch(() => ({ status: 0 }))
      await turnsUntil(chance(120))
      await scene.kill()
      const { status, isWhole } = await first
      await scene.start()
      const again = await insist(payment)
      if (status === 200 && isWhole) {
        // That it was delivered may not have been written down; then it is once more, and not twice.
        assert.ok([200, 402].includes(again.status), `${again.status}`)
      } else {
        assert.deepEqual([again.status, await again.text()], [200, ARTICLE])
      }
      assert.equal(await scene.chain.balance(payment.payer.address), DOLLAR - CENT)
      assert.equal(await scene.earned(), payment.earned + CENT)
      await scene.agreement()
      await isUsedUp(payment)
    }
  })

  test('thirty payers in three ways at once, killed twice: each pays once and has its page', async () => {
    const earned = await scene.earned()
    const payments = []
    for (let number = 0; number < 30; number += 1) {
      const way = Object.values(WAY)[number % 3]
      payments.push(await signed(number % 2 === 0 ? '/article' : '/paid/first', way))
    }
    let left = payments
    for (let kill = 0; kill < 2; kill += 1) {
      const answers = left.map((payment) => insist(payment).then((answer) => answer.status).catch(() => 0))
      for (let transaction = 0; transaction < 4; transaction += 1) await scene.door.sent()
      await scene.kill()
      const statuses = await Promise.all(answers)
      left = left.filter((_, index) => statuses[index] !== 200)
      assert.ok(left.length > 0, 'it was killed before all was done')
      await scene.start()
    }
    const answers = await Promise.all(left.map(insist))
    assert.deepEqual(answers.filter(({ status }) => status !== 200), [])
    await scene.isQuiet()
    for (const { payer } of payments) assert.equal(await scene.chain.balance(payer.address), DOLLAR - CENT)
    assert.equal(await scene.earned(), earned + 30 * CENT)
    await scene.agreement()
  })

  // Went wrong: what held the writer kept a stopping server for half a minute, and the log spoke of payments on hold.
  test('a server that stops has nothing on hold and does not wait', async () => {
    const { stop, said } = scene.farthing
    await stop()
    assert.match(said(), /stopping once what is in flight is done/)
    assert.doesNotMatch(said(), /still on hold at the end/)
    await scene.start()
  })

  test('somebody else carries the payment while the upstream works: it counts', async () => {
    const payment = await signed('/slow')
    const { payload } = JSON.parse(Buffer.from(payment.headers['PAYMENT-SIGNATURE'], 'base64').toString())
    const { from, to, value, validAfter, validBefore, nonce } = payload.authorization
    const paying = get(payment.url, payment.headers)
    const finish = await scene.site.slow()
    const words = [from, to, value, validAfter, validBefore, nonce, payload.signature]
    const { transactionHash } = await scene.chain.write(CARRY, words)
    finish()
    await isPaidOnce(payment, await paying, transactionHash)
    await isUsedUp(payment)
  })
})

describe('a chain that changes its mind', { timeout: 110_000 }, () => {
  const scene = chainStage()

  /** The newest block never was; resolves when what it had settled is settled again. */
  async function fork() {
    const sent = scene.door.sent()
    await scene.chain.client.request({ method: 'anvil_reorg', params: [1, []] })
    await scene.chain.client.waitForTransactionReceipt({ hash: await sent })
    await scene.isQuiet()
  }

  for (const [when, dies] of [['a running gate', false], ['a gate that was killed in between', true]]) {
    test(`what a fork takes back is settled again by ${when}, and the page is not sold twice`, async () => {
      const payer = await scene.payer(DOLLAR)
      const url = scene.url('/article')
      const [headers, earned] = [await x402Buyer(payer).sign(url), await scene.earned()]
      assert.equal((await get(url, headers)).status, 200)
      await scene.isQuiet()
      if (dies) {
        await scene.kill()
        await scene.start()
      }
      await fork()
      assert.deepEqual([await scene.chain.balance(payer.address), await scene.earned()], [DOLLAR - CENT, earned + CENT])
      await scene.agreement()
      const again = await get(url, headers)
      assert.deepEqual([again.status, (await problem(again)).code], [402, 'payment-used'])
    })
  }
})

describe('a chain that is believed after three blocks', { timeout: 110_000 }, () => {
  const scene = chainStage(() => ({ confirmations: 3 }))
  const mine = (blocks) => scene.chain.client.mine({ blocks })

  test('nothing is served before, also if a fork drops what was mined; then it is, once', async () => {
    const payer = await scene.payer(DOLLAR)
    const url = scene.url('/article')
    const headers = await x402Buyer(payer).sign(url)
    await scene.chain.client.setAutomine(false)
    let answered = false
    const sent = scene.door.sent()
    const waiting = ask(url, { headers }).finally(() => (answered = true))
    const lost = waiting.catch((error) => error)
    await sent
    await mine(2)
    assert.equal(await scene.chain.balance(payer.address), DOLLAR - CENT, 'it is in a block')
    for (let round = 0; round < 3; round += 1) await scene.door.asked('eth_getTransactionReceipt')
    assert.equal(answered, false, 'which is not deep enough')
    await scene.chain.client.request({ method: 'anvil_reorg', params: [2, []] })
    assert.equal(await scene.chain.balance(payer.address), DOLLAR)
    await scene.kill()
    assert.ok((await lost) instanceof Error)
    const again = scene.door.sent()
    await scene.start()
    const back = get(url, headers)
    await again
    await mine(3)
    const response = await back
    assert.deepEqual([response.status, await response.text()], [200, ARTICLE])
    assert.equal(await scene.chain.balance(payer.address), DOLLAR - CENT)
    await scene.agreement()
    const used = await get(url, headers)
    assert.deepEqual([used.status, (await problem(used)).code], [402, 'payment-used'])
  })
})

// Farthing's own wallet at a command line: top up, pay, give, restore, stop at the limit; and nothing is paid twice when
// the server or the payer is killed in the middle.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { after, describe, test } from 'node:test'
import { settledBooks } from '../lib/books.mjs'
import { EXIT, purse, run } from '../lib/program.mjs'
import { stage } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000 // uusd

describe('farthing pay', { timeout: 90_000 }, () => {
  const scene = stage()
  const purses = []
  after(() => purses.forEach((one) => one.remove()))

  function emptyPurse() {
    const one = purse()
    purses.push(one)
    return one
  }

  /** A wallet with the money of a top-up code, that the operator's own command has made. */
  async function purseWith(amount) {
    const one = emptyPurse()
    const made = await run(['code', 'create', '--amount', amount, '--text', '--config', scene.home.config])
    const redeem = ['redeem', '-', '--mint', scene.farthing.issuer]
    await one.wallet(redeem, { input: made.stdout })
    return one
  }

  test('a code becomes credits, credits become a page, and the pass opens it again', async () => {
    const one = await purseWith('0.05 USD')
    const { earned } = await settledBooks(scene.home)
    const first = await one.pay(scene.url('/article'))
    assert.equal(first.stdout, ARTICLE)
    assert.match(first.stderr, /paid 0\.01 USD/)
    const second = await one.pay(scene.url('/article'))
    assert.equal(second.stdout, ARTICLE)
    assert.match(second.stderr, /a pass opens it/)
    assert.deepEqual(await one.balance(), [['0.04', '0.00']])
    assert.equal((await settledBooks(scene.home)).earned, earned + CENT)
  })

  test('credits go from one wallet to another, and only once', async () => {
    const [alice, bob] = [await purseWith('0.05 USD'), emptyPurse()]
    const { stdout: token } = await alice.wallet(['send', '0.02 USD', '--text'])
    const stranger = await bob.wallet(['receive', '-'], { input: token, exit: EXIT.notAllowed })
    assert.match(stranger.stderr, /--any-mint/, 'a mint that the wallet does not know is not trusted unasked')
    await bob.wallet(['receive', '-', '--any-mint'], { input: token })
    assert.deepEqual(await bob.balance(), [['0.02', '0.00']])
    assert.deepEqual((await alice.balance()).map(([free]) => free), ['0.03'])
    const twice = await emptyPurse().wallet(['receive', '-', '--any-mint'], { input: token, exit: EXIT.failed })
    assert.match(twice.stderr, /spent/)
    assert.equal((await bob.pay(scene.url('/article'))).stdout, ARTICLE)
    assert.deepEqual(await bob.balance(), [['0.01', '0.00']])
  })

  test('twelve words bring the money back into a new folder', async () => {
    const lost = await purseWith('0.07 USD')
    await lost.pay(scene.url('/article'))
    const { stdout: backup } = await lost.wallet(['backup'])
    const words = /^words: (.+)$/m.exec(backup)[1]
    assert.equal(words.split(' ').length, 12)
    const found = emptyPurse()
    await found.wallet(['restore', '-', '--mint', scene.farthing.issuer], { input: `${words}\n` })
    assert.deepEqual(await found.balance(), await lost.balance())
    assert.deepEqual(await found.balance(), [['0.06', '0.00']])
    assert.equal((await found.pay(scene.url('/article'))).stdout, ARTICLE)
  })

  test('a limit refuses before anything is sent', async () => {
    const one = await purseWith('0.05 USD')
    const hits = scene.site.hits('/article')
    await one.wallet(['limits', 'set', '--per-call', '0.009 USD'])
    const refused = await one.pay(scene.url('/article'), EXIT.budgetRefused)
    assert.match(refused.stderr, /0\.009 USD/)
    assert.equal(refused.stdout, '')
    assert.deepEqual(await one.balance(), [['0.05', '0.00']])
    await one.wallet(['limits', 'set', '--per-call', 'none', '--total', '0.015 USD'])
    await one.pay(scene.url('/article'))
    await one.pay(scene.url('/article?other'), EXIT.budgetRefused)
    assert.equal(scene.site.hits('/article') - hits, 1, 'only what was paid for was served')
    assert.deepEqual(await one.balance(), [['0.04', '0.00']])
  })

  test('too little money, and nobody there, are told apart', async () => {
    const poor = await purseWith('0.009 USD')
    const short = await poor.pay(scene.url('/article'), EXIT.fundsShort)
    assert.match(short.stderr, /0\.01 USD/)
    assert.deepEqual(await poor.balance(), [['0.009', '0.00']])

    const nobody = createServer().listen(0, '127.0.0.1')
    await once(nobody, 'listening')
    const { port } = nobody.address()
    nobody.close()
    await once(nobody, 'close')
    await poor.pay(`http://127.0.0.1:${port}/article`, EXIT.unreachable)
  })

  test('the server dies with the credential in its hands: unknown, then paid once', async () => {
    const one = await purseWith('0.05 USD')
    const { earned } = await settledBooks(scene.home)
    const paying = one.start('pay', scene.url('/slow'))
    await scene.site.slow()
    await scene.kill()
    const { exit, stderr } = await paying.ended
    assert.equal(exit, EXIT.outcomeUnknown, stderr)
    assert.match(stderr, /same command again/)

    await scene.start()
    assert.equal((await settledBooks(scene.home)).earned, earned, 'the hold was released')
    assert.equal((await carriedOn(one)).stdout, ARTICLE)
    assert.deepEqual(await one.balance(), [['0.04', '0.00']])
    assert.equal((await settledBooks(scene.home)).earned, earned + CENT)
  })

  test('the payer dies while it waits, and the upstream answers: paid once', async () => {
    const one = await purseWith('0.05 USD')
    const { earned } = await settledBooks(scene.home)
    const paying = one.start('pay', scene.url('/slow'))
    const finish = await scene.site.slow()
    paying.kill()
    assert.equal((await paying.ended).signal, 'SIGKILL')
    finish()
    assert.equal((await carriedOn(one)).stdout, ARTICLE)
    assert.deepEqual(await one.balance(), [['0.04', '0.00']])
    assert.equal((await settledBooks(scene.home)).earned, earned + CENT)
  })

  test('both die, one after the other: paid once', async () => {
    const one = await purseWith('0.05 USD')
    const { earned } = await settledBooks(scene.home)
    const paying = one.start('pay', scene.url('/slow'))
    await scene.site.slow()
    paying.kill()
    await paying.ended
    await scene.kill()
    await one.pay(scene.url('/slow'), EXIT.outcomeUnknown)
    await scene.start()
    assert.equal((await carriedOn(one)).stdout, ARTICLE)
    assert.deepEqual(await one.balance(), [['0.04', '0.00']])
    assert.equal((await settledBooks(scene.home)).earned, earned + CENT)
  })

  /** The same command again; this time the upstream answers. */
  async function carriedOn(one) {
    const paying = one.start('pay', scene.url('/slow'))
    // Should it end without asking the upstream, its own words are the better failure.
    await Promise.race([scene.site.slow().then((finish) => finish()), paying.ended])
    const end = await paying.ended
    assert.equal(end.exit, EXIT.ok, end.stderr)
    return end
  }
})

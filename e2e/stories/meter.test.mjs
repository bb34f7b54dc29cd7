// Prices by what is used, with the real program: a stream is charged by its events, at the ceiling it ends, and kill -9 in the middle
// charges what was written down and not a unit more.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { getDecodedToken } from '@cashu/cashu-ts'
import { settledBooks, trial } from '../lib/books.mjs'
import { fund, openWallet, sum, tokenOf } from '../lib/cashu.mjs'
import { ask, get, stage } from '../lib/story.mjs'

const CENT = 10_000 // uusd
const EACH = 1_000
const PAYMENTS = '/.well-known/farthing/payments'
const RULE = `
[[price]]
path = "/paid/events"
amount = "0.01 USD"

[price.meter]
count = "events"
each = "0.001 USD"
`

describe('metered', { timeout: 60_000 }, () => {
  const scene = stage({ more: RULE })
  let account
  let proofs = []

  async function credential() {
    account ??= await openWallet(scene.farthing.issuer)
    if (sum(proofs) < CENT) proofs = proofs.concat(await fund(account, 100_000))
    const { keep, token } = await tokenOf(account, CENT, proofs, account.mint.mintUrl)
    proofs = keep
    return { 'x-cashu': token }
  }

  /** A stream that is paid for, read event by event. */
  async function listen(headers) {
    const asking = get(scene.url('/paid/events'), headers)
    const site = await scene.site.events()
    const response = await asking
    assert.equal(response.status, 200)
    assert.match(response.headers.get('farthing-meter'), /^by=events; each=0\.001 USD; per=1; most=0\.01 USD$/)
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    const until = async (words) => {
      while (!text.includes(words)) {
        const { value, done } = await reader.read()
        assert.ok(!done, `no ${words} before the end of ${text}`)
        text += value
      }
      return text
    }
    return { ...site, until }
  }

  const told = async (headers) => {
    const answer = await ask(scene.url(PAYMENTS), { headers })
    return { ...answer, words: JSON.parse(answer.body) }
  }

  test('a stream is charged by its events, and its last event has the change', async () => {
    const { earned } = await settledBooks(scene.home)
    const headers = await credential()
    const stream = await listen(headers)
    for (const words of ['one', 'two', 'three']) {
      stream.send(words)
      await stream.until(`data: ${words}\n\n`)
    }
    assert.equal((await trial(scene.home)).held, CENT, 'it flows, and nothing is charged yet')
    stream.end()
    const text = await stream.until('event: farthing\n')
    const whole = text.includes('}\n\n', text.indexOf('event: farthing')) ? text : await stream.until('}\n\n')
    const last = JSON.parse(/event: farthing\ndata: (.*)\n/.exec(whole)[1])
    assert.equal(last.charged, String(3 * EACH))
    assert.equal(sum(getDecodedToken(last.change).proofs), CENT - 3 * EACH)
    assert.equal((await settledBooks(scene.home)).earned, earned + 3 * EACH)
    const { words, headers: fields } = await told(headers)
    assert.deepEqual([words.state, words.charged.amount], ['charged', String(3 * EACH)])
    assert.equal(fields['x-cashu'], last.change, 'who has lost the end is told the same again')
  })

  test('at the ceiling it ends with a problem', async () => {
    const stream = await listen(await credential())
    for (let n = 0; n < 11; n += 1) stream.send(`number ${n}`)
    const text = await stream.until('meter-ceiling')
    assert.ok(text.includes('data: number 9\n\n') && !text.includes('number 10'))
    stream.end()
  })

  test('kill -9 in the middle: what was written down is charged, and the rest is change', async () => {
    const { earned } = await settledBooks(scene.home)
    const headers = await credential()
    const stream = await listen(headers)
    for (const words of ['one', 'two', 'three', 'four']) stream.send(words)
    await stream.until('data: four\n\n')
    // Within a second all of it is written down.
    let now
    do now = await told(headers)
    while (now.words.charged.amount !== String(4 * EACH))
    assert.equal(now.words.state, 'held')
    stream.send('five')
    await scene.kill()
    await scene.start()
    const { words, headers: fields } = await told(headers)
    assert.equal(words.state, 'charged')
    const charged = Number(words.charged.amount)
    assert.ok(charged === 4 * EACH || charged === 5 * EACH, `charged ${charged}`)
    assert.equal(sum(getDecodedToken(fields['x-cashu']).proofs), CENT - charged)
    assert.equal((await settledBooks(scene.home)).earned, earned + charged)
    stream.end()
  })
})

// Plain curl: a person at a terminal, with a token in the clipboard.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { fund, openWallet, tokenOf } from '../lib/cashu.mjs'
import { stage } from '../lib/story.mjs'
import { FILM } from '../lib/streams.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const run = promisify(execFile)

/** `curl -s -i`, taken apart: the last status, the headers in lower case, the body. */
async function curl(...words) {
  const { stdout } = await run('curl', ['-s', '-i', '--max-time', '30', ...words])
  const [head, ...rest] = stdout.split('\r\n\r\n')
  const [first, ...lines] = head.split('\r\n')
  const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]))
  return { status: Number(first.split(' ')[1]), headers, body: rest.join('\r\n\r\n') }
}

describe('curl', () => {
  const scene = stage()
  const article = () => `${scene.farthing.gate}/article`

  test('gets a 402 that a person can read', async () => {
    const { status, headers, body } = await curl(article())
    assert.equal(status, 402)
    assert.match(headers.get('content-type'), /^application\/problem\+json/)
    assert.match(body, /0\.01/, 'the price, in decimals')
    assert.match(body, /USD/)
  })

  test('gets a page instead, when it says that it is a browser', async () => {
    const { status, headers, body } = await curl('-H', 'Accept: text/html,application/xhtml+xml', article())
    assert.equal(status, 402)
    assert.match(headers.get('content-type'), /^text\/html/)
    assert.match(body, /0\.01/)
  })

  test('HEAD has the same offer and no body', async () => {
    const { status, headers, body } = await curl('--head', article())
    assert.equal(status, 402)
    assert.ok(headers.get('x-cashu'))
    assert.equal(body, '')
  })

  test('speaks HTTP/2 without TLS to the gate', async () => {
    const { status } = await curl('--http2-prior-knowledge', article())
    assert.equal(status, 402)
  })

  test('pays with a token, then comes back with the pass', async () => {
    const account = await openWallet(scene.farthing.issuer)
    const { token } = await tokenOf(account, 10_000, await fund(account, 20_000), scene.farthing.issuer)
    const paid = await curl('-H', `X-Cashu: ${token}`, article())
    assert.equal(paid.status, 200)
    assert.equal(paid.body, ARTICLE)
    assert.match(paid.headers.get('farthing-receipt') ?? '', /^[\w-]+\.[\w-]+\.[\w-]+$/, 'a compact JWS')

    const pass = paid.headers.get('farthing-pass')
    assert.ok(pass, 'the pass')
    const back = await curl('-H', `Farthing-Pass: ${pass}`, article())
    assert.equal(back.status, 200)
    assert.equal(back.body, ARTICLE)
  })

  test('refusals are JSON with a stable code and the next step', async () => {
    const { status, headers, body } = await curl('-H', 'X-Cashu: cashuBnonsense', article())
    assert.equal(status, 400)
    assert.match(headers.get('content-type'), /^application\/problem\+json/)
    const { code, status: said, next } = JSON.parse(body)
    assert.equal(said, 400)
    assert.match(code, /^[a-z]+(-[a-z]+)+$/)
    assert.ok(next, body)
  })

  test('pays over HTTP/2 and then takes a range with the pass', async () => {
    const film = `${scene.farthing.gate}/paid/film`
    const account = await openWallet(scene.farthing.issuer)
    const { token } = await tokenOf(account, 10_000, await fund(account, 20_000), scene.farthing.issuer)
    const paid = await curl('--http2-prior-knowledge', '--range', '0-9', '-H', `X-Cashu: ${token}`, film)
    assert.equal(paid.status, 206)
    const pass = paid.headers.get('farthing-pass')
    const part = await curl('--http2-prior-knowledge', '--range', '40-99', '-H', `Farthing-Pass: ${pass}`, film)
    assert.equal(part.status, 206)
    assert.equal(part.headers.get('content-range'), `bytes 40-99/${FILM.length}`)
    assert.equal(part.body, FILM.subarray(40, 100).toString(), 'bytes below 128 are characters')
  })
})

// What is no page: ranges, large downloads and uploads, server-sent events, WebSockets. The gate passes them on as they
// come, keeps nothing in memory and delays nothing, paid or free.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { describe, test } from 'node:test'
import { CheckStateEnum } from '@cashu/cashu-ts'
import WebSocket from 'ws'
import { settledBooks } from '../lib/books.mjs'
import { fund, openWallet, states, tokenOf } from '../lib/cashu.mjs'
import { ask, get, stage } from '../lib/story.mjs'
import { BIG_BYTES, FILM } from '../lib/streams.mjs'

const CENT = 10_000 // uusd
const MIB = 1024 * 1024
const RSS_GROWTH_MOST = 24 * MIB

describe('streams', { timeout: 60_000 }, () => {
  const scene = stage()

  async function credential() {
    const account = await openWallet(scene.farthing.issuer)
    const proofs = await fund(account, 2 * CENT)
    const { proofs: sent, token } = await tokenOf(account, CENT, proofs, account.mint.mintUrl)
    return { account, sent, headers: { 'x-cashu': token } }
  }

  /** The memory that the gate has now, in bytes. */
  function memory() {
    const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${scene.farthing.pid}/status`, 'utf8'))
    return Number(kib) * 1024
  }

  test('a film is paid once and then fetched in ranges with the pass', async () => {
    const { earned } = await settledBooks(scene.home)
    const { headers } = await credential()
    const first = await get(scene.url('/paid/film'), { ...headers, range: 'bytes=0-999' })
    assert.equal(first.status, 206)
    assert.deepEqual(Buffer.from(await first.arrayBuffer()), FILM.subarray(0, 1_000))
    const pass = { 'farthing-pass': first.headers.get('farthing-pass') }
    for (const [from, to] of [[1_000, 1_999], [50_000, 99_999]]) {
      const part = await get(scene.url('/paid/film'), { ...pass, range: `bytes=${from}-${to}` })
      assert.equal(part.status, 206)
      assert.equal(part.headers.get('content-range'), `bytes ${from}-${to}/${FILM.length}`)
      assert.match(part.headers.get('cache-control'), /private/)
      assert.deepEqual(Buffer.from(await part.arrayBuffer()), FILM.subarray(from, to + 1))
    }
    assert.equal((await settledBooks(scene.home)).earned, earned + CENT)
  })

  test('HEAD with a credential takes nothing, with the pass it shows the fields', async () => {
    const { account, sent, headers } = await credential()
    const unpaid = await ask(scene.url('/paid/film'), { method: 'HEAD', headers })
    assert.equal(unpaid.status, 402)
    assert.deepEqual(await states(account.wallet, sent), [CheckStateEnum.UNSPENT])
    const paid = await ask(scene.url('/paid/film'), { headers })
    const pass = { 'farthing-pass': paid.headers['farthing-pass'] }
    const { status, headers: fields, body } = await ask(scene.url('/paid/film'), { method: 'HEAD', headers: pass })
    assert.deepEqual([status, fields['content-length'], body], [200, String(FILM.length), ''])
  })

  test(`${BIG_BYTES / MIB} MiB pass through, paid, and the gate's memory stays where it was`, async () => {
    const { headers } = await credential()
    // Once before, so that what is made at the first request is made.
    await ask(scene.url('/paid/film'), { headers: (await credential()).headers })
    const before = memory()
    const response = await get(scene.url('/paid/big'), headers)
    assert.equal(response.status, 200)
    let [bytes, most, looked] = [0, before, 0]
    for await (const part of response.body) {
      bytes += part.length
      if (bytes - looked > 4 * MIB) {
        looked = bytes
        most = Math.max(most, memory())
      }
    }
    assert.equal(bytes, BIG_BYTES)
    assert.ok(most - before < RSS_GROWTH_MOST, `grew by ${(most - before) / MIB} MiB`)
  })

  test('a large upload streams as well', async () => {
    const before = memory()
    const part = Buffer.alloc(MIB, 'upload')
    const hash = createHash('sha256')
    const asking = request(scene.url('/upload'), { method: 'POST', agent: false })
    const answered = once(asking, 'response')
    let most = before
    for (let count = 0; count < 64; count += 1) {
      hash.update(part)
      if (!asking.write(part)) await once(asking, 'drain')
      most = Math.max(most, memory())
    }
    asking.end()
    const [response] = await answered
    const { bytes, hash: theirs } = JSON.parse((await response.toArray()).join(''))
    assert.deepEqual([bytes, theirs], [64 * MIB, hash.digest('hex')])
    assert.ok(most - before < RSS_GROWTH_MOST, `grew by ${(most - before) / MIB} MiB`)
  })

  test('each event is here before the next one is sent', async () => {
    const { headers } = await credential()
    const asked = get(scene.url('/paid/events'), { ...headers, accept: 'text/event-stream' })
    const events = await scene.site.events()
    const response = await asked
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('content-type'), 'text/event-stream')
    assert.ok(response.headers.get('farthing-receipt'), 'the receipt is here before the first event')
    const reader = response.body.getReader()
    for (const words of ['one', 'two', 'three']) {
      events.send(words)
      const { value } = await reader.read()
      assert.equal(Buffer.from(value).toString(), `data: ${words}\n\n`)
    }
    events.end()
    assert.equal((await reader.read()).done, true)
  })

  /** Opens a chat and says something; the echo and the fields of the upgrade come back. */
  async function chat(path, headers = {}) {
    const socket = new WebSocket(scene.url(path).replace('http', 'ws'), { headers })
    const upgraded = once(socket, 'upgrade')
    await once(socket, 'open')
    const [{ headers: fields }] = await upgraded
    for (const words of ['hello', 'x'.repeat(100_000)]) {
      socket.send(words)
      const [echo] = await once(socket, 'message')
      assert.equal(echo.toString(), words)
    }
    const closed = once(socket, 'close')
    socket.close(1000, 'enough')
    const [code] = await closed
    assert.equal(code, 1000, 'the closing came back from the other side')
    return fields
  }

  test('a WebSocket on a free path passes', async () => {
    const fields = await chat('/chat')
    assert.equal(fields['farthing-receipt'], undefined)
  })

  test('a WebSocket with a price opens when it is paid for', async () => {
    const { earned } = await settledBooks(scene.home)
    const { account, sent, headers } = await credential()
    const socket = new WebSocket(scene.url('/paid/chat').replace('http', 'ws'))
    const [, refused] = await once(socket, 'unexpected-response')
    assert.equal(refused.statusCode, 402)
    refused.destroy()
    const fields = await chat('/paid/chat', headers)
    assert.ok(fields['farthing-receipt'], 'the receipt is in the answer to the upgrade')
    assert.deepEqual(await states(account.wallet, sent), [CheckStateEnum.SPENT])
    assert.equal((await settledBooks(scene.home)).earned, earned + CENT)
  })
})

// The key of our account is on another machine: the gate settles with what that machine signs, waits while it is gone, and
// goes on when it is back. The signer is anvil's own `eth_signTransaction`, behind a door of its own.
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { decodePaymentResponseHeader } from '@x402/fetch'
import { x402Buyer } from '../lib/buyer.mjs'
import { chainStage } from '../lib/chain_gate.mjs'
import { nodeDoor } from '../lib/node_door.mjs'
import { run } from '../lib/program.mjs'
import { get } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000
const DOLLAR = 1_000_000

describe('another machine signs', { timeout: 110_000 }, () => {
  let signer
  let account
  const scene = chainStage(async (chain) => {
    signer = await nodeDoor(chain.url)
    account = chain.accounts[0].address
    return { signer: signer.url, account }
  })
  after(() => signer?.shut())

  const status = async () => {
    const { stdout } = await run(['chain', 'status', '--json', '--config', scene.home.config])
    return JSON.parse(stdout)[0]
  }

  async function isServed(response, payer) {
    assert.equal(response.status, 200, await response.clone().text())
    assert.equal(await response.text(), ARTICLE)
    const { success, transaction } = decodePaymentResponseHeader(response.headers.get('payment-response'))
    assert.equal(success, true)
    const { from } = await scene.chain.client.getTransaction({ hash: transaction })
    assert.equal(from.toLowerCase(), account.toLowerCase(), 'the account of the configuration has sent it')
    assert.equal(await scene.chain.balance(payer.address), DOLLAR - CENT)
    await scene.agreement()
  }

  test('the account of the configuration settles, and nothing here has its key', async () => {
    assert.equal(scene.own.toLowerCase(), account.toLowerCase())
    const payer = await scene.payer(DOLLAR)
    const asked = signer.asked('eth_signTransaction')
    await isServed(await x402Buyer(payer).fetch(scene.url('/article')), payer)
    await asked
    assert.deepEqual((await status()).signer, { place: new URL(signer.url).host, fault: null })
  })

  test('while it is gone the payment waits in the outbox, and is settled once when it is back', async () => {
    const payer = await scene.payer(DOLLAR)
    const url = scene.url('/article')
    const headers = await x402Buyer(payer).sign(url)
    await signer.shut()
    const waiting = get(url, headers)
    let stands
    do stands = await status()
    while (stands.under_way === 0)
    assert.match(stands.signer.fault, /expected a signature of the signer at 127\.0\.0\.1:\d+/)
    assert.equal(await scene.chain.balance(payer.address), DOLLAR, 'nothing has moved')
    await signer.open()
    await isServed(await waiting, payer)
    assert.equal((await status()).signer.fault, null)
  })

  test('killed while the signer is gone, the gate goes on with the same payment', async () => {
    const payer = await scene.payer(DOLLAR)
    const url = scene.url('/article')
    const headers = await x402Buyer(payer).sign(url)
    await signer.shut()
    const broken = get(url, headers).catch((error) => error)
    while ((await status()).under_way === 0) continue
    await scene.kill()
    assert.ok((await broken) instanceof Error)
    await signer.open()
    await scene.start()
    let response = await get(url, headers)
    while (response.status === 409 || response.status === 503) response = await get(url, headers)
    await isServed(response, payer)
  })
})

// The extensions of x402 at the gate, with the reference's own functions: who names a payment, who comes back by signing in, and
// who has to prove later what was offered and paid.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  decodeSignedOffers,
  extractJWSHeader,
  extractOffersFromPaymentRequired,
  extractReceiptFromResponse,
  findAcceptsObjectFromSignedOffer,
  verifyOfferSignatureJWS,
  verifyReceiptMatchesOffer,
  verifyReceiptSignatureJWS,
} from '@x402/extensions/offer-receipt'
import { generatePaymentId } from '@x402/extensions/payment-identifier'
import { createSIWxPayload, encodeSIWxHeader, wrapFetchWithSIWx } from '@x402/extensions/sign-in-with-x'
import { WAY, x402Buyer } from '../lib/buyer.mjs'
import { chainStage } from '../lib/chain_gate.mjs'
import { extendedBuyer, requiredOf } from '../lib/extended.mjs'
import { problem } from '../lib/offer.mjs'
import { get } from '../lib/story.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000
const DOLLAR = 1_000_000

describe('extensions of x402 at the gate', { timeout: 110_000 }, () => {
  const scene = chainStage(() => ({ x402: 'offer_receipt = true' }))
  const balance = (account) => scene.chain.balance(account.address)

  async function isServed(response) {
    assert.equal(response.status, 200, await response.clone().text())
    assert.equal(await response.text(), ARTICLE)
  }

  async function isRefused(response, status, code) {
    assert.deepEqual([response.status, (await problem(response)).code], [status, code])
  }

  test('a payment id is for one payment, also across a restart', async () => {
    const [payer, other] = [await scene.payer(DOLLAR), await scene.payer(DOLLAR)]
    const [url, id] = [scene.url('/article'), generatePaymentId()]
    const headers = await extendedBuyer(payer).named(url, id)
    const second = await extendedBuyer(other).named(url, id)
    await isServed(await get(url, headers))
    await isRefused(await get(url, second), 409, 'payment-name-taken')
    await scene.kill()
    await scene.start()
    await isRefused(await get(url, second), 409, 'payment-name-taken')
    await isRefused(await get(url, headers), 402, 'payment-used')
    assert.deepEqual([await balance(payer), await balance(other)], [DOLLAR - CENT, DOLLAR])
    const elsewhere = scene.url('/paid/first')
    await isServed(await get(elsewhere, await extendedBuyer(other).named(elsewhere, id)))
    await scene.agreement()
  })

  test('of sixteen payments at once with one id one is made', async () => {
    const payer = await scene.payer(DOLLAR)
    const [url, id] = [scene.url('/article'), generatePaymentId()]
    const buyer = extendedBuyer(payer)
    const all = await Promise.all(Array.from({ length: 16 }, () => buyer.named(url, id)))
    const answers = await Promise.all(all.map((headers) => get(url, headers)))
    const statuses = answers.map(({ status }) => status).sort()
    assert.deepEqual(statuses, [200, ...Array(15).fill(409)])
    assert.equal(await balance(payer), DOLLAR - CENT)
    await scene.agreement()
  })

  test('what the upstream fails to do leaves its id', async () => {
    const payer = await scene.payer(DOLLAR)
    const [url, id] = [scene.url('/broken/500'), generatePaymentId()]
    const buyer = extendedBuyer(payer)
    for (let round = 0; round < 2; round += 1) {
      const failed = await get(url, await buyer.named(url, id))
      assert.equal(failed.status, 502, await failed.text())
    }
    assert.equal(await balance(payer), DOLLAR)
  })

  test('the client comes back by itself, and pays once', async () => {
    const payer = await scene.payer(DOLLAR)
    const buyer = extendedBuyer(payer)
    const url = scene.url('/article')
    await isServed(await buyer.fetch(url))
    assert.equal(await balance(payer), DOLLAR - CENT)
    const before = buyer.sent.length
    await isServed(await buyer.fetch(url))
    assert.equal(await balance(payer), DOLLAR - CENT)
    const sent = buyer.sent.slice(before)
    assert.deepEqual(sent.map((fields) => fields.has('sign-in-with-x')), [false, true])
    assert.ok(sent.every((fields) => !fields.has('payment-signature')))
    // The reference's other way, which only signs in.
    await isServed(await wrapFetchWithSIWx(fetch, payer)(url))
    // Whoever has seen the sign-in, and whoever sends it elsewhere.
    const seen = { 'sign-in-with-x': sent[1].get('sign-in-with-x') }
    await isRefused(await get(url, seen), 402, 'sign-in-nonce')
    await isRefused(await get(scene.url('/paid/first'), seen), 402, 'sign-in-elsewhere')
    // Paid is paid after a restart; a sign-in from before it is not one any more.
    const left = await signIn(url, payer)
    await scene.kill()
    await scene.start()
    await isRefused(await get(url, left), 402, 'sign-in-nonce')
    await isServed(await get(url, await signIn(url, payer)))
    assert.equal(await balance(payer), DOLLAR - CENT)
    await scene.agreement()
  })

  /** Signs in with the 402 of a page, and perhaps with what was changed of it. */
  async function signIn(url, account, changed = {}) {
    const { info, supportedChains } = (await requiredOf(await get(url))).extensions['sign-in-with-x']
    const payload = await createSIWxPayload({ ...info, ...supportedChains[0], ...changed }, account, url)
    return { 'sign-in-with-x': encodeSIWxHeader(payload) }
  }

  test('nobody else signs in, and nothing else is signed', async () => {
    const [payer, other] = [await scene.payer(DOLLAR), await scene.payer(0)]
    const url = scene.url('/article')
    await isServed(await extendedBuyer(payer).fetch(url))
    await isRefused(await get(url, await signIn(url, other)), 402, 'sign-in-unpaid')
    const inHisName = { address: payer.address, signMessage: (message) => other.signMessage(message) }
    await isRefused(await get(url, await signIn(url, inHisName)), 402, 'sign-in-signature')
    for (const [changed, code] of [
      [{ nonce: 'a'.repeat(48) }, 'sign-in-nonce'],
      [{ issuedAt: new Date(Date.now() - 600_000).toISOString() }, 'sign-in-time'],
      [{ issuedAt: new Date(Date.now() + 600_000).toISOString() }, 'sign-in-time'],
      [{ expirationTime: new Date(Date.now() + 86_400_000).toISOString() }, 'sign-in-nonce'],
      [{ chainId: 'eip155:1' }, 'sign-in-chain'],
      [{ uri: scene.url('/paid/first') }, 'sign-in-elsewhere'],
    ]) {
      const refused = await get(url, await signIn(url, payer, changed))
      assert.equal(refused.status, 402)
      const { code: got, reason } = await problem(refused)
      assert.equal(got, code, JSON.stringify(changed))
      assert.match(reason, /^invalid_siwx_/)
    }
    await isServed(await get(url, await signIn(url, payer)))
    assert.equal(await balance(payer), DOLLAR - CENT)
  })

  test('signed offers and receipts are genuine to the reference', async () => {
    const payer = await scene.payer(DOLLAR)
    const url = scene.url('/article')
    const required = await requiredOf(await get(url))
    const offers = decodeSignedOffers(extractOffersFromPaymentRequired(required))
    assert.ok(offers.length > 0)
    for (const offer of offers) {
      const payload = await verifyOfferSignatureJWS(offer.signedOffer)
      assert.deepEqual([payload.resourceUrl, payload.amount], [url, String(CENT)])
      assert.ok(payload.validUntil > Date.now() / 1_000)
      assert.equal(findAcceptsObjectFromSignedOffer(offer, required.accepts), required.accepts[offer.acceptIndex])
    }
    const response = await x402Buyer(payer, WAY.eip3009).fetch(url)
    const receipt = extractReceiptFromResponse(response)
    const payload = await verifyReceiptSignatureJWS(receipt)
    assert.deepEqual([payload.payer, payload.resourceUrl, payload.transaction], [payer.address, url, undefined])
    assert.ok(verifyReceiptMatchesOffer(receipt, offers[0], [payer.address]))
    await isServed(response)
    // The key is the one that this server names, and no other signature is taken for its own.
    const { kid } = extractJWSHeader(receipt.signature)
    const about = await (await get(scene.url('/.well-known/farthing.json'))).json()
    const [, key] = /^did:jwk:([^#]+)#0$/.exec(kid)
    assert.equal(JSON.parse(Buffer.from(key, 'base64url')).x, about.statement_key)
    assert.notEqual(about.statement_key, about.receipt_key)
    const [head, body] = receipt.signature.split('.')
    const forged = { ...receipt, signature: `${head}.${body}.${offers[0].signedOffer.signature.split('.')[2]}` }
    await assert.rejects(verifyReceiptSignatureJWS(forged))
  })

  test('whoever has no coin for an allowance signs it, because the offer says that it is carried', async () => {
    const payer = await scene.payer(DOLLAR)
    await scene.chain.client.setBalance({ address: payer.address, value: 0n })
    await isServed(await x402Buyer(payer, WAY.permit2, scene.chain.url).fetch(scene.url('/article')))
    assert.equal(await balance(payer), DOLLAR - CENT)
    await scene.agreement()
  })
})

describe('a gate that demands payment ids', { timeout: 60_000 }, () => {
  const scene = chainStage(() => ({ x402: 'payment_identifier = "required"\nsign_in = false' }))

  test('says so, refuses payments without one, and takes those with one', async () => {
    const payer = await scene.payer(DOLLAR)
    const url = scene.url('/article')
    const { extensions } = await requiredOf(await get(url))
    assert.equal(extensions['payment-identifier'].info.required, true)
    assert.ok(!('sign-in-with-x' in extensions) && !('offer-receipt' in extensions))
    const unnamed = await get(url, await x402Buyer(payer, WAY.eip3009).sign(url))
    assert.deepEqual([unnamed.status, (await problem(unnamed)).code], [400, 'payment-name-missing'])
    assert.equal(await scene.chain.balance(payer.address), DOLLAR)
    assert.equal((await get(url, await extendedBuyer(payer).named(url, generatePaymentId()))).status, 200)
    await scene.agreement()
  })
})

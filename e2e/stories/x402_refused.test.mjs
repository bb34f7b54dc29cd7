// Payments that would not settle, each refused before the upstream is asked, with the reason that the reference's own
// facilitator has for the same payment at the same moment on the same chain. Nothing moves, and nothing stays held.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { WAY, allowPermit2, x402Buyer } from '../lib/buyer.mjs'
import { PLACES, USDC, artifact } from '../lib/chain.mjs'
import { chainStage } from '../lib/chain_gate.mjs'
import { problem } from '../lib/offer.mjs'
import { headersOf, payloadOf, resigned } from '../lib/resigned.mjs'
import { judge } from '../lib/seller.mjs'
import { get } from '../lib/story.mjs'

const CENT = 10_000
const DOLLAR = 1_000_000
const now = () => Math.floor(Date.now() / 1_000)

/** What is changed before it is signed, and why it is refused then. */
const AUTHORIZATION = {
  'it is for somebody else': [(said, { other }) => (said.to = other), 'invalid_exact_evm_recipient_mismatch'],
  'it has expired': [
    (said) => (said.validBefore = String(now() - 1)),
    'invalid_exact_evm_payload_authorization_valid_before',
  ],
  'it expires before it could be in a block': [
    (said) => (said.validBefore = String(now() + 3)),
    'invalid_exact_evm_payload_authorization_valid_before',
  ],
  'it is not valid yet': [
    (said) => (said.validAfter = String(now() + 60)),
    'invalid_exact_evm_payload_authorization_valid_after',
  ],
  'it is one unit more': [
    (said) => (said.value = String(CENT + 1)),
    'invalid_exact_evm_payload_authorization_value_mismatch',
  ],
  'it is one unit less': [
    (said) => (said.value = String(CENT - 1)),
    'invalid_exact_evm_payload_authorization_value_mismatch',
  ],
}
const PERMIT = {
  'it is for somebody else': [(said, { other }) => (said.witness.to = other), 'invalid_permit2_recipient_mismatch'],
  'it is carried by somebody else': [(said, { other }) => (said.spender = other), 'invalid_permit2_spender'],
  'it has expired': [(said) => (said.deadline = String(now() - 1)), 'permit2_deadline_expired'],
  'it is not valid yet': [(said) => (said.witness.validAfter = String(now() + 60)), 'permit2_not_yet_valid'],
  'it is one unit more': [(said) => (said.permitted.amount = String(CENT + 1)), 'permit2_amount_mismatch'],
  'it is one unit less': [(said) => (said.permitted.amount = String(CENT - 1)), 'permit2_amount_mismatch'],
  'it is of another token': [(said, { other }) => (said.permitted.token = other), 'permit2_token_mismatch'],
}

describe('what would not settle is refused as the reference refuses it', { timeout: 110_000 }, () => {
  const scene = chainStage()

  async function signed(way = WAY.eip3009) {
    const payer = await scene.payer(DOLLAR)
    if (way !== WAY.eip3009) await allowPermit2(scene.chain, payer)
    return { payer, url: scene.url('/article'), headers: await x402Buyer(payer, way).sign(scene.url('/article')) }
  }

  /** Both refuse for this reason, and nobody has lost anything. */
  async function isRefused({ payer, url }, headers, reason) {
    const [hits, earned] = [scene.site.hits('/article'), await scene.earned()]
    const had = await scene.chain.balance(payer.address)
    const payload = payloadOf(headers)
    const theirs = await judge(scene.chain).verify(payload, payload.accepted)
    assert.deepEqual([theirs.isValid, theirs.invalidReason], [false, reason], 'the reference')
    const response = await get(url, headers)
    const required = JSON.parse(Buffer.from(response.headers.get('payment-required'), 'base64').toString())
    const { code, reason: said } = await problem(response)
    assert.deepEqual([response.status, code, said, required.error], [402, 'chain-payment-invalid', reason, reason])
    assert.equal(scene.site.hits('/article'), hits, 'the upstream was not asked')
    assert.deepEqual([await scene.chain.balance(payer.address), await scene.earned()], [had, earned])
    await scene.agreement()
  }

  for (const [way, cases] of [['eip3009', AUTHORIZATION], ['permit2', PERMIT]]) {
    for (const [what, [change, reason]] of Object.entries(cases)) {
      test(`${way}: ${what}`, async () => {
        const payment = await signed(WAY[way])
        const other = scene.chain.accounts[3].address
        await isRefused(payment, await resigned(payment.payer, payment.headers, (said) => change(said, { other })), reason)
      })
    }
  }

  test('a signature of somebody else', async () => {
    const [payment, thief] = [await signed(), await scene.payer(0)]
    await isRefused(payment, await resigned(thief, payment.headers, () => {}), 'invalid_exact_evm_signature')
    const permit = await signed(WAY.permit2)
    await isRefused(permit, await resigned(thief, permit.headers, () => {}), 'invalid_permit2_signature')
  })

  test('a number that its payer has used for something else', async () => {
    const payment = await signed()
    const other = scene.chain.accounts[3].address
    const elsewhere = payloadOf(await resigned(payment.payer, payment.headers, (said) => (said.to = other))).payload
    const { from, to, value, validAfter, validBefore, nonce } = elsewhere.authorization
    const words = [from, to, value, validAfter, validBefore, nonce, elsewhere.signature]
    await scene.chain.write('transferWithAuthorization', words)
    await isRefused(payment, payment.headers, 'invalid_exact_evm_nonce_already_used')
  })

  test('a payer who has one unit too little, is on the black list, or whose token stands still', async () => {
    const payment = await signed()
    const { payer, headers } = payment
    const sinks = scene.chain.accounts[3].address
    await scene.chain.write('transfer', [sinks, BigInt(DOLLAR - CENT + 1)], payer)
    await isRefused(payment, headers, 'invalid_exact_evm_insufficient_balance')
    await scene.chain.mint(payer.address, 1)
    for (const [off, on, words] of [['blacklist', 'unBlacklist', [payer.address]], ['pause', 'unpause', []]]) {
      await scene.chain.write(off, words)
      await isRefused(payment, headers, 'invalid_exact_evm_transaction_simulation_failed')
      await scene.chain.write(on, words)
    }
    assert.equal((await get(payment.url, headers)).status, 200, 'and then it is as good as before')
    await scene.agreement()
  })

  test('the same for Permit2, and a payer who has allowed nothing', async () => {
    const payment = await signed(WAY.permit2)
    const { payer, headers } = payment
    await scene.chain.write('pause', [])
    await isRefused(payment, headers, 'permit2_simulation_failed')
    await scene.chain.write('unpause', [])
    await scene.chain.write('approve', [PLACES.Permit2StandIn, 0n], payer)
    const [hits, response] = [scene.site.hits('/article'), await get(payment.url, headers)]
    assert.deepEqual([response.status, (await problem(response)).reason], [412, 'permit2_allowance_required'])
    const payload = payloadOf(headers)
    const theirs = await judge(scene.chain).verify(payload, payload.accepted)
    assert.equal(theirs.invalidReason, 'permit2_allowance_required')
    assert.equal(scene.site.hits('/article'), hits)
    await allowPermit2(scene.chain, payer)
    assert.equal((await get(payment.url, headers)).status, 200)
    await scene.agreement()
  })

  test('an offer that was never made is none of ours', async () => {
    const payment = await signed()
    for (const change of [{ amount: '1' }, { payTo: payment.payer.address }, { network: 'eip155:1' }]) {
      const payload = payloadOf(payment.headers)
      Object.assign(payload.accepted, change)
      const response = await get(payment.url, headersOf(payload))
      assert.deepEqual([response.status, (await problem(response)).code], [402, 'offer-unknown'], JSON.stringify(change))
    }
  })

  // The last one: what stands at the dollar's place afterwards is no dollar.
  test('a token without authorizations (EIP-3009)', async () => {
    const payment = await signed()
    const code = await scene.chain.client.getCode({ address: USDC })
    await scene.chain.client.setCode({ address: USDC, bytecode: artifact('PlainToken').runtime })
    const payload = payloadOf(payment.headers)
    const theirs = await judge(scene.chain).verify(payload, payload.accepted)
    assert.equal(theirs.invalidReason, 'invalid_exact_evm_eip3009_not_supported')
    const response = await get(payment.url, payment.headers)
    assert.deepEqual(
      [response.status, (await problem(response)).reason],
      [402, 'invalid_exact_evm_eip3009_not_supported'],
    )
    await scene.chain.client.setCode({ address: USDC, bytecode: code })
    assert.equal((await get(payment.url, payment.headers)).status, 200)
    await scene.agreement()
  })
})

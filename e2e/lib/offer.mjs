// Reads what a 402 offers in the Cashu dialect (NUT-24): one or two payment requests in `X-Cashu`.
import assert from 'node:assert/strict'
import { decodePaymentRequest } from '@cashu/cashu-ts'

/** The creqA of a 402, decoded by cashu-ts; a creqB (any case) must stand beside it. */
export function cashuOffer(headerValue) {
  assert.ok(headerValue, '402 has an X-Cashu header')
  const requests = headerValue.split(',').map((text) => text.trim())
  const requestA = requests.find((text) => text.startsWith('creqA'))
  const requestB = requests.find((text) => /^creqb1/i.test(text))
  assert.ok(requestA, `a creqA in X-Cashu, got ${headerValue}`)
  assert.ok(requestB, `a creqB in X-Cashu, got ${headerValue}`)
  return decodePaymentRequest(requestA)
}

/** The machine-readable refusal: RFC 9457 with our stable code. */
export async function problem(response) {
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/)
  const body = await response.json()
  assert.equal(body.status, response.status, 'the body repeats the status')
  for (const member of ['type', 'title', 'detail', 'code']) {
    assert.equal(typeof body[member], 'string', `problem has ${member}: ${JSON.stringify(body)}`)
  }
  return body
}

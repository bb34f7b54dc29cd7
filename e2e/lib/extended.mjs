// The reference's client of x402 with its extensions: names for payments, signing in, signed offers and receipts.
import assert from 'node:assert/strict'
import { x402Client, x402HTTPClient } from '@x402/core/client'
import { ExactEvmScheme } from '@x402/evm/exact/client'
import { createSIWxClientExtension } from '@x402/extensions/sign-in-with-x'
import { appendPaymentIdentifierToExtensions } from '@x402/extensions/payment-identifier'
import { wrapFetchWithPayment } from '@x402/fetch'
import { get } from './story.mjs'

/**
 * A client for an account. `fetch` asks, signs in if the seller knows who has paid, and pays if not; what it has sent is in
 * `sent`, the latest last.
 */
export function extendedBuyer(account) {
  const sent = []
  const seen = (request) => {
    sent.push(new Headers(request.headers))
    return fetch(request)
  }
  const client = new x402Client()
    .register('eip155:*', new ExactEvmScheme(account))
    .registerExtension(createSIWxClientExtension({ signers: [account] }))
  const inner = new x402HTTPClient(client)
  return {
    address: account.address,
    sent,
    fetch: wrapFetchWithPayment(seen, inner),
    /** Signs a payment under a name without sending it; resolves with the fields that carry it. */
    async named(url, id) {
      const required = await requiredOf(await get(url))
      appendPaymentIdentifierToExtensions(required.extensions, id)
      return inner.encodePaymentSignatureHeader(await client.createPaymentPayload(required))
    },
  }
}

/** What a 402 asks for, as the reference reads it. All of its fields together must go through any proxy. */
export async function requiredOf(response) {
  assert.equal(response.status, 402)
  const bytes = [...response.headers].reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0)
  assert.ok(bytes < 8_192, `${bytes} bytes of fields`)
  const inner = new x402HTTPClient(new x402Client())
  return inner.getPaymentRequiredResponse((name) => response.headers.get(name), await response.json())
}

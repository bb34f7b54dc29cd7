// Channels that somebody else wrote: the x402 packages' own buyer, seller and facilitator of `batch-settlement`, and what the
// escrow on the chain says about a channel.
import { x402Client, x402HTTPClient } from '@x402/core/client'
import { HTTPFacilitatorClient, x402ResourceServer } from '@x402/core/server'
import { toClientEvmSigner } from '@x402/evm'
import { BatchSettlementEvmScheme as ChannelBuyer } from '@x402/evm/batch-settlement/client'
import { BatchSettlementEvmScheme as ChannelFacilitator } from '@x402/evm/batch-settlement/facilitator'
import { BatchSettlementEvmScheme as ChannelServer } from '@x402/evm/batch-settlement/server'
import { paymentMiddleware, setSettlementOverrides } from '@x402/express'
import { declareEip2612GasSponsoringExtension } from '@x402/extensions'
import { decodePaymentResponseHeader, wrapFetchWithPayment } from '@x402/fetch'
import express from 'express'
import { DOMAIN, PLACES, USDC, artifact } from './chain.mjs'
import { meeting } from './meeting.mjs'
import { PAGE, facilitator, listen } from './seller.mjs'

const { abi } = artifact('BatchSettlement')

/** The reference's facilitator that settles channels too. With `authorizer` it signs claims and refunds for sellers. */
export const channelFacilitator = (chain, authorizer) =>
  facilitator(chain, (signer) => [new ChannelFacilitator(signer, authorizer)])

/**
 * The reference's express server, paid by channels. `routes` are prices by path; `actual` is what is charged of one. With
 * `authorizer` it signs its claims and refunds itself; with `key` it shows the facilitator that it is the seller. `worker` is
 * the reference's own, which claims and settles.
 */
export async function channelSeller(chain, facilitatorUrl, routes, authorizer, key) {
  const network = `eip155:${chain.chainId}`
  const payTo = chain.accounts[2].address
  const shown = key ? { Authorization: `Bearer ${key}` } : {}
  const createAuthHeaders = async () => ({ verify: shown, settle: shown, supported: shown })
  const client = new HTTPFacilitatorClient({ url: facilitatorUrl, createAuthHeaders })
  const scheme = new ChannelServer(payTo, authorizer ? { receiverAuthorizerSigner: authorizer } : {})
  const server = new x402ResourceServer(client).register(network, scheme)
  const sold = ({ units, extra = DOMAIN, sponsored }) => ({
    accepts: {
      scheme: 'batch-settlement',
      network,
      payTo,
      price: { amount: String(units), asset: USDC, extra },
      maxTimeoutSeconds: 60,
    },
    ...(sponsored ? { extensions: declareEip2612GasSponsoringExtension() } : {}),
  })
  const config = Object.entries(routes).map(([path, one]) => [`GET ${path}`, sold(one)])
  let served = 0
  const slow = meeting()
  const seen = []
  const app = express()
  app.use((request, _, next) => {
    const field = request.header('payment-signature')
    seen.push(field ? JSON.parse(Buffer.from(field, 'base64').toString()).payload : null)
    next()
  })
  app.use(paymentMiddleware(Object.fromEntries(config), server))
  app.get(/.*/, (request, response) => {
    served += 1
    const actual = routes[request.path]?.actual
    if (actual !== undefined) setSettlementOverrides(response, { amount: String(actual) })
    if (request.path === '/slow') slow.arrive(() => response.type('text').send(PAGE))
    else response.type('text').send(PAGE)
  })
  return {
    ...(await listen(app)),
    payTo,
    served: () => served,
    /** What came with each request, oldest first; null where nothing was paid. */
    seen,
    /** Resolves, with a function that lets it answer, when /slow was paid. */
    slow: () => slow.wait(),
    /** Loses its memory. */
    async forget() {
      const storage = scheme.getStorage()
      for (const { channelId } of await storage.list()) await storage.updateChannel(channelId, () => undefined)
    },
    /** What the seller has written down of its channels. */
    channels: () => scheme.getStorage().list(),
    worker: scheme.createChannelManager(client, network, USDC),
    facilitator: client,
  }
}

/**
 * The reference's client for an account, which looks at the chain by itself. With `session` another key signs its vouchers;
 * `deposits` says how much it puts in, where that is not what it is asked for.
 * A new one of the same account remembers nothing.
 */
export function channelBuyer(chain, account, { session, salt, deposits } = {}) {
  const signer = toClientEvmSigner(account, chain.client)
  const options = { rpcUrl: chain.url, ...(session ? { voucherSigner: session } : {}), ...(salt ? { salt } : {}), ...(deposits ? { depositStrategy: deposits } : {}) }
  const scheme = new ChannelBuyer(signer, options)
  const client = new x402Client().register('eip155:*', scheme)
  const inner = new x402HTTPClient(client)
  const sent = []
  const noting = async (...words) => {
    const request = new Request(...words)
    const field = request.headers.get('payment-signature')
    if (field) sent.push(JSON.parse(Buffer.from(field, 'base64').toString()).payload)
    return fetch(request)
  }
  const ask = wrapFetchWithPayment(noting, inner)
  return {
    address: account.address,
    /** Every payment that went out, oldest first. */
    sent,
    fetch: ask,
    /** Asks and pays; resolves with what the answer says of the payment. */
    async buy(url) {
      const response = await ask(url)
      const body = await response.text()
      if (response.status !== 200 || body !== PAGE) throw new Error(`expected the page, got ${response.status}: ${body}`)
      return decodePaymentResponseHeader(response.headers.get('payment-response'))
    },
    /** Signs a payment for a resource without sending it; resolves with the field that carries it. */
    async sign(url) {
      const response = await fetch(url)
      const required = inner.getPaymentRequiredResponse((name) => response.headers.get(name), await response.json())
      return inner.encodePaymentSignatureHeader(await client.createPaymentPayload(required))
    },
    refund: (url, units) => scheme.refund(url, { fetch: noting, ...(units ? { amount: String(units) } : {}) }),
  }
}

/** What the escrow has: of one channel, of a receiver, and in all. */
export const escrowOf = (chain) => {
  const read = (functionName, ...args) =>
    chain.client.readContract({ address: PLACES.BatchSettlement, abi, functionName, args })
  return {
    async channel(id) {
      const [[balance, claimed], [pending, since], refunds] = await Promise.all([
        read('channels', id),
        read('pendingWithdrawals', id),
        read('refundNonce', id),
      ])
      return { balance: Number(balance), claimed: Number(claimed), pending: Number(pending), since, refunds: Number(refunds) }
    },
    async receiver(address) {
      const [claimed, settled] = await read('receivers', address, USDC)
      return { claimed: Number(claimed), settled: Number(settled) }
    },
    balance: () => chain.balance(PLACES.BatchSettlement),
    /** The payer's side calls it itself. */
    async call(account, functionName, ...args) {
      const request = { address: PLACES.BatchSettlement, abi, functionName, args, account, chain: chain.client.chain }
      return chain.client.waitForTransactionReceipt({ hash: await chain.client.writeContract(request) })
    },
  }
}

// Sellers and a facilitator that somebody else wrote: the x402 packages' own, and mppx's server. Each is a plain web
// server on a free port; what is sold is one page, and how often it was made is counted.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { x402Facilitator } from '@x402/core/facilitator'
import { HTTPFacilitatorClient, x402ResourceServer } from '@x402/core/server'
import { toFacilitatorEvmSigner } from '@x402/evm'
import { ExactEvmScheme as ExactFacilitator } from '@x402/evm/exact/facilitator'
import { ExactEvmScheme as ExactServer } from '@x402/evm/exact/server'
import { UptoEvmScheme as UptoFacilitator } from '@x402/evm/upto/facilitator'
import { UptoEvmScheme as UptoServer } from '@x402/evm/upto/server'
import { paymentMiddleware, setSettlementOverrides } from '@x402/express'
import { declareEip2612GasSponsoringExtension } from '@x402/extensions'
import express from 'express'
import { Mppx, Request as MppxRequest, evm } from 'mppx/server'
import { DOMAIN, USDC } from './chain.mjs'
import { meeting } from './meeting.mjs'

export const PAGE = 'a page that costs dollars\n'

/** Lets a handler answer on a free port. */
export async function listen(handler) {
  const server = createServer(handler)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = async () => {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  return { url: `http://127.0.0.1:${server.address().port}`, stop }
}

/**
 * What judges and settles in the reference's facilitator for a chain, with the gas of account 0. `more(signer)` are further
 * schemes that it settles.
 */
export function judge(chain, more = () => []) {
  const account = chain.accounts[0]
  const { client } = chain
  // One after the other: two that ask for the account's next number at once would be sent under the same one.
  let sent = Promise.resolve()
  const inTurn = (send) => {
    const mine = sent.then(send)
    sent = mine.catch(() => {})
    return mine
  }
  const signer = toFacilitatorEvmSigner({
    address: account.address,
    getCode: (args) => client.getCode(args),
    // It tries a ceiling's settlement by reading, and only the facilitator itself may settle that.
    readContract: (args) => client.readContract({ ...args, args: args.args ?? [], account }),
    verifyTypedData: (args) => client.verifyTypedData(args),
    writeContract: (args) => inTurn(() => client.writeContract({ ...args, account, chain: client.chain })),
    sendTransaction: (args) => inTurn(() => client.sendTransaction({ ...args, account, chain: client.chain })),
    waitForTransactionReceipt: (args) => client.waitForTransactionReceipt(args),
  })
  const network = `eip155:${chain.chainId}`
  const inner = new x402Facilitator()
    .register(network, new ExactFacilitator(signer))
    .register(network, new UptoFacilitator(signer))
  for (const scheme of more(signer)) inner.register(network, scheme)
  return inner
}

/** The reference's facilitator for a chain, over HTTP; with further schemes as above. */
export async function facilitator(chain, more) {
  const inner = judge(chain, more)
  const app = express().use(express.json())
  const asked = { verify: 0, settle: 0 }
  for (const what of ['verify', 'settle']) {
    app.post(`/${what}`, async (request, response) => {
      asked[what] += 1
      const { paymentPayload, paymentRequirements } = request.body
      response.json(await inner[what](paymentPayload, paymentRequirements))
    })
  }
  app.get('/supported', (_, response) => response.json(inner.getSupported()))
  return { ...(await listen(app)), asked }
}

const asset = (units, extra = DOMAIN) => ({ amount: String(units), asset: USDC, extra })

/**
 * The reference's express server. `routes` are its ways to pay by path; each sells the page. Where one is `sponsored`, payers
 * without an allowance for Permit2 sign it and the facilitator carries it. `slow()` resolves, with a
 * function that lets it answer, when /slow was paid.
 */
export async function x402Seller(chain, facilitatorUrl, routes) {
  const network = `eip155:${chain.chainId}`
  const payTo = chain.accounts[2].address
  const accepts = ({ scheme = 'exact', units, extra, payTo: other = payTo, asset: token }) => ({
    scheme,
    network,
    payTo: other,
    price: { ...asset(units, extra), ...(token ? { asset: token } : {}) },
    maxTimeoutSeconds: 60,
  })
  const more = ({ sponsored }) => (sponsored ? { extensions: declareEip2612GasSponsoringExtension() } : {})
  const sold = (one) => ({ accepts: accepts(one), description: 'a page', ...more(one) })
  const config = Object.entries(routes).map(([path, one]) => [`GET ${path}`, sold(one)])
  const server = new x402ResourceServer(new HTTPFacilitatorClient({ url: facilitatorUrl }))
    .register(network, new ExactServer())
    .register(network, new UptoServer())
  const slow = meeting()
  const served = new Map()
  const seen = []
  const app = express()
  app.use((request, _, next) => {
    const signature = request.header('payment-signature')
    if (signature) seen.push(signature)
    next()
  })
  app.use(paymentMiddleware(Object.fromEntries(config), server))
  app.get(/.*/, (request, response) => {
    served.set(request.path, (served.get(request.path) ?? 0) + 1)
    const actual = routes[request.path]?.actual
    if (actual !== undefined) setSettlementOverrides(response, { amount: String(actual) })
    if (request.path === '/slow') slow.arrive(() => response.type('text').send(PAGE))
    else response.type('text').send(PAGE)
  })
  return {
    ...(await listen(app)),
    payTo,
    /** Every payment that came, each once. */
    payments: () => new Set(seen).size,
    served: (path) => served.get(path) ?? 0,
    slow: () => slow.wait(),
  }
}

/** mppx's own server, which takes `evm.charge` and settles by the reference's facilitator. */
export async function mppxSeller(chain, facilitatorUrl, units) {
  const payTo = chain.accounts[2].address
  const mppx = Mppx.create({
    secretKey: 'a secret for stories only, of more than 32 bytes',
    methods: [
      evm({
        currency: USDC,
        chainId: chain.chainId,
        decimals: 6,
        authorization: DOMAIN,
        recipient: payTo,
        x402: { facilitator: facilitatorUrl },
      }),
    ],
  })
  const charge = mppx.evm.charge({ amount: String(units / 1_000_000) })
  const handler = MppxRequest.toNodeListener(async (request) => {
    const result = await charge(request)
    if (result.status === 402) return result.challenge
    return result.withReceipt(new Response(PAGE, { headers: { 'content-type': 'text/plain' } }))
  })
  return { ...(await listen(handler)), payTo }
}

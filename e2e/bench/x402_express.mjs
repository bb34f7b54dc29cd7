// The reference as the bench's peer: `@x402/express` sells one page, and the reference's facilitator verifies and settles in
// the same process. Nothing here is slower than it has to be: no HTTP between the two, a log of nothing, and a
// nonce manager of viem's, without which payments that come at once take each other's transaction numbers.
//
//   node x402_express.mjs '{"node", "chainId", "token", "domain", "path", "units", "payTo", "ready"}'
import { once } from 'node:events'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { x402Facilitator } from '@x402/core/facilitator'
import { x402ResourceServer } from '@x402/core/server'
import { toFacilitatorEvmSigner } from '@x402/evm'
import { ExactEvmScheme as ExactFacilitator } from '@x402/evm/exact/facilitator'
import { ExactEvmScheme as ExactServer } from '@x402/evm/exact/server'
import { paymentMiddleware } from '@x402/express'
import express from 'express'
import { createWalletClient, defineChain, http, publicActions, toHex } from 'viem'
import { mnemonicToAccount, nonceManager, privateKeyToAccount } from 'viem/accounts'

const told = JSON.parse(process.argv[2])
const network = `eip155:${told.chainId}`
/** As long as the page of the site behind the gate. */
const PAGE = 'farthing'.repeat(64)

// An account of anvil's that nobody else uses here.
const { privateKey } = mnemonicToAccount('test test test test test test test test test test test junk', {
  addressIndex: 3,
}).getHdKey()
const managed = process.env.BENCH_WITHOUT_NONCE_MANAGER ? {} : { nonceManager }
const account = privateKeyToAccount(toHex(privateKey), managed)
const chain = defineChain({
  id: told.chainId,
  name: 'a bench',
  nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
  rpcUrls: { default: { http: [told.node] } },
})
const client = createWalletClient({ account, chain, transport: http(told.node), pollingInterval: 50 }).extend(publicActions)
const signer = toFacilitatorEvmSigner({
  address: account.address,
  getCode: (args) => client.getCode(args),
  readContract: (args) => client.readContract({ ...args, args: args.args ?? [] }),
  verifyTypedData: (args) => client.verifyTypedData(args),
  writeContract: (args) => client.writeContract(args),
  sendTransaction: (args) => client.sendTransaction(args),
  waitForTransactionReceipt: (args) => client.waitForTransactionReceipt(args),
})
const facilitator = new x402Facilitator().register(network, new ExactFacilitator(signer))
const server = new x402ResourceServer({
  verify: (payload, requirements) => facilitator.verify(payload, requirements),
  settle: (payload, requirements) => facilitator.settle(payload, requirements),
  getSupported: async () => facilitator.getSupported(),
}).register(network, new ExactServer())

const price = { amount: told.units, asset: told.token, extra: told.domain }
const sold = { accepts: { scheme: 'exact', network, payTo: told.payTo, price, maxTimeoutSeconds: 60 }, description: 'a page' }
const app = express()
app.use(paymentMiddleware({ [`GET ${told.path}`]: sold }, server))
app.get(told.path, (_, response) => response.type('text').send(PAGE))

const listener = createServer(app)
listener.listen(0, '127.0.0.1')
await once(listener, 'listening')
const { version } = JSON.parse(readFileSync(new URL('../node_modules/@x402/express/package.json', import.meta.url)))
writeFileSync(`${told.ready}.new`, JSON.stringify({ port: listener.address().port, name: `@x402/express ${version}` }))
renameSync(`${told.ready}.new`, told.ready)

// The reference as the bench's peer: `@x402/express` sells one page, and the reference's facilitator verifies and settles in
// the same process. Nothing here is slower than it has to be: no HTTP between the two, a log of nothing, and a
// nonce manager of viem's, without which payments that come at once take each other's transaction numbers.
//
// It is paid by `exact`, or, where `scheme` says `batch-settlement`, through channels: with what the reference keeps them in unless
// told otherwise (its memory), claims signed by a key of the seller's own, and `POST /close` that claims and settles everything.
//
//   node x402_express.mjs '{"node", "chainId", "token", "domain", "path", "units", "payTo", "scheme", "ready"}'
import { once } from 'node:events'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { x402Facilitator } from '@x402/core/facilitator'
import { x402ResourceServer } from '@x402/core/server'
import { toFacilitatorEvmSigner } from '@x402/evm'
import { BatchSettlementEvmScheme as ChannelFacilitator } from '@x402/evm/batch-settlement/facilitator'
import { BatchSettlementEvmScheme as ChannelServer } from '@x402/evm/batch-settlement/server'
import { ExactEvmScheme as ExactFacilitator } from '@x402/evm/exact/facilitator'
import { ExactEvmScheme as ExactServer } from '@x402/evm/exact/server'
import { paymentMiddleware } from '@x402/express'
import express from 'express'
import { createWalletClient, defineChain, http, publicActions, toHex } from 'viem'
import { mnemonicToAccount, nonceManager, privateKeyToAccount } from 'viem/accounts'
// viem ships it and does not export it.
import { multicall3Bytecode } from '../node_modules/viem/_esm/constants/contracts.js'

const told = JSON.parse(process.argv[2])
const network = `eip155:${told.chainId}`
/** As long as the page of the site behind the gate. */
const PAGE = 'farthing'.repeat(64)

// Accounts of anvil's that nobody else uses here.
const keyOf = (addressIndex) => {
  const words = 'test test test test test test test test test test test junk'
  return toHex(mnemonicToAccount(words, { addressIndex }).getHdKey().privateKey)
}
const managed = process.env.BENCH_WITHOUT_NONCE_MANAGER ? {} : { nonceManager }
const account = privateKeyToAccount(keyOf(3), managed)
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
const facilitator = new x402Facilitator()
  .register(network, new ExactFacilitator(signer))
  .register(network, new ChannelFacilitator(signer))
const inProcess = {
  verify: (payload, requirements) => facilitator.verify(payload, requirements),
  settle: (payload, requirements) => facilitator.settle(payload, requirements),
  getSupported: async () => facilitator.getSupported(),
}
const channels = new ChannelServer(told.payTo, { receiverAuthorizerSigner: privateKeyToAccount(keyOf(4)) })
const server = new x402ResourceServer(inProcess).register(network, new ExactServer()).register(network, channels)

const scheme = told.scheme ?? 'exact'
const price = { amount: told.units, asset: told.token, extra: told.domain }
const sold = { accepts: { scheme, network, payTo: told.payTo, price, maxTimeoutSeconds: 60 }, description: 'a page' }
const app = express()
app.use(paymentMiddleware({ [`GET ${told.path}`]: sold }, server))
app.get(told.path, (_, response) => response.type('text').send(PAGE))

if (scheme === 'batch-settlement') {
  // The facilitator asks the chain several questions at once, by the contract that is for that on every chain.
  const hash = await client.deployContract({ abi: [], bytecode: multicall3Bytecode })
  const { contractAddress } = await client.waitForTransactionReceipt({ hash })
  const bytecode = await client.getCode({ address: contractAddress })
  const place = ['0xcA11bde05977b3631167028862bE2a173976CA11', bytecode]
  await client.request({ method: 'anvil_setCode', params: place })
  const worker = channels.createChannelManager(inProcess, network, told.token)
  app.post('/close', async (_, response) => {
    const claimed = await worker.claim()
    const { transaction } = await worker.settle()
    const stored = await channels.getStorage().list()
    const charged = stored.reduce((sum, { chargedCumulativeAmount }) => sum + BigInt(chargedCumulativeAmount), 0n)
    response.json({ claimed: claimed.reduce((sum, { vouchers }) => sum + vouchers, 0), transaction, charged: String(charged) })
  })
}

const listener = createServer(app)
listener.listen(0, '127.0.0.1')
await once(listener, 'listening')
const { version } = JSON.parse(readFileSync(new URL('../node_modules/@x402/express/package.json', import.meta.url)))
writeFileSync(`${told.ready}.new`, JSON.stringify({ port: listener.address().port, name: `@x402/express ${version}` }))
renameSync(`${told.ready}.new`, told.ready)

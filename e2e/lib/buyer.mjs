// Payers that somebody else wrote: the x402 packages' own client, with each of its ways to pay, and mppx's `evm.charge`.
import assert from 'node:assert/strict'
import { x402Client, x402HTTPClient } from '@x402/core/client'
import { AuthCaptureEvmScheme } from '@x402/evm/auth-capture/client'
import { ExactEvmScheme } from '@x402/evm/exact/client'
import { UptoEvmScheme } from '@x402/evm/upto/client'
import { ExactEvmSchemeV1 } from '@x402/evm/v1'
import { wrapFetchWithPayment } from '@x402/fetch'
import { Mppx, evm } from 'mppx/client'
import { encodeFunctionData } from 'viem'
import { getAddress, serializeErc6492Signature } from 'viem/utils'
import { CHAIN_ID, DOMAIN, PLACES, USDC, artifact, deploy } from './chain.mjs'
import { get } from './story.mjs'

/** Ways to pay; each fits one offer. */
export const WAY = {
  eip3009: ({ scheme, extra }) => scheme === 'exact' && extra.assetTransferMethod === undefined,
  permit2: ({ scheme, extra }) => scheme === 'exact' && extra.assetTransferMethod === 'permit2',
  upto: ({ scheme }) => scheme === 'upto',
}

/** The way through an escrow, where a rule asks for it. */
export const isThroughEscrow = ({ scheme }) => scheme === 'auth-capture'

/**
 * The reference's client for an account. Without a way it chooses by itself. With a node it looks whether Permit2 may move
 * its dollars, and signs an allowance where the seller's facilitator would carry it. With `anyToken` its owner lets it pay in others than
 * the dollars that it knows.
 */
export function x402Buyer(account, way, node, { anyToken = false } = {}) {
  const options = node ? { rpcUrl: node } : undefined
  const client = new x402Client()
    .register('eip155:*', new ExactEvmScheme(account, options))
    .register('eip155:*', new UptoEvmScheme(account, options))
    .register('eip155:*', new AuthCaptureEvmScheme(account))
  if (anyToken) client.setSpendControls({ allowedAssets: true })
  if (way) client.registerPolicy((_, offers) => offers.filter(way))
  const inner = new x402HTTPClient(client)
  return {
    address: account.address,
    /** Asks, pays and asks again, as `@x402/fetch` does. */
    fetch: wrapFetchWithPayment(fetch, inner),
    /** Signs a payment for a resource without sending it; resolves with the fields that carry it. */
    async sign(url) {
      const response = await get(url)
      assert.equal(response.status, 402)
      const body = await response.json()
      const required = inner.getPaymentRequiredResponse((name) => response.headers.get(name), body)
      return inner.encodePaymentSignatureHeader(await client.createPaymentPayload(required))
    },
    /** What the answer says of the settlement. */
    settled: (response) => inner.getPaymentSettleResponse((name) => response.headers.get(name)),
  }
}

/** A client of version 1, which reads the body of a 402 and sends `X-PAYMENT`. */
export function x402BuyerV1(account) {
  const client = new x402Client().registerV1('base-sepolia', new ExactEvmSchemeV1(account))
  const inner = new x402HTTPClient(client)
  // What a client of that time sees of a 402: its body.
  const old = async (request) => {
    const response = await fetch(request)
    const headers = new Headers(response.headers)
    headers.delete('payment-required')
    return new Response(response.body, { status: response.status, headers })
  }
  return { fetch: wrapFetchWithPayment(old, inner) }
}

/** mppx's client, that takes the method `evm`. */
export function mppxBuyer(account) {
  const method = evm.charge({ account, authorization: DOMAIN, networks: [CHAIN_ID], currencies: [USDC] })
  return Mppx.create({ methods: [method], polyfill: false })
}

/** Lets Permit2 move an account's dollars, as payers do once. */
export async function allowPermit2(chain, account, units = 10n ** 18n) {
  await chain.write('approve', [PLACES.Permit2StandIn, units], account)
}

/** Deploys what makes wallets that are contracts; of one chain it is made once. */
export async function walletFactory(chain) {
  const { abi, bytecode } = artifact('SmartWalletFactory')
  chain.factory ??= await deploy(chain.client, chain.accounts[9], abi, bytecode)
  return chain.factory
}

const SALT = `0x${'00'.repeat(31)}01`

/** A wallet that is a contract and asks its owner (ERC-1271). */
export async function deployed(chain, owner) {
  const { abi, bytecode } = artifact('SmartWallet')
  const address = await deploy(chain.client, chain.accounts[9], abi, bytecode, [owner.address])
  return { address: getAddress(address), signTypedData: (typed) => owner.signTypedData(typed) }
}

/** The same before it is there: its signatures say how to make it (ERC-6492). */
export async function undeployed(chain, owner) {
  const { abi } = artifact('SmartWalletFactory')
  const factory = await walletFactory(chain)
  const args = [owner.address, SALT]
  const address = await chain.client.readContract({ address: factory, abi, functionName: 'addressOf', args })
  const data = encodeFunctionData({ abi, functionName: 'deploy', args })
  const signTypedData = async (typed) =>
    serializeErc6492Signature({ address: factory, data, signature: await owner.signTypedData(typed) })
  return { address, signTypedData }
}

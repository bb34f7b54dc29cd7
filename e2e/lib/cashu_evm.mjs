// A cashu-ts 2.5.3 wallet that buys and sells credits for money on a chain.
//
// cashu-ts 2.5.3 knows the method bolt11 alone, and lets its owner ask the mint in its place. Here that one asks for the
// method `evm` instead; quotes, blinding, locks, change and refusals stay the library's own.
import { MintOperationError } from '@cashu/cashu-ts'
import { openWallet } from './cashu.mjs'

/** Asks as cashu-ts does, with `evm` where it writes `bolt11`. */
async function request({ endpoint, requestBody, headers, ...options }) {
  const body = requestBody && JSON.stringify(requestBody)
  const fields = { ...headers, ...(body && { 'content-type': 'application/json' }) }
  const response = await fetch(endpoint.replace(/\/bolt11(?=\/|$)/, '/evm'), { ...options, headers: fields, body })
  const answer = await response.json()
  if (response.ok) return answer
  if (response.status === 400) throw new MintOperationError(answer.code, answer.detail)
  throw new Error(`${endpoint}: ${response.status} ${JSON.stringify(answer)}`)
}

/** Opens such a wallet at the issuer. */
export async function openEvmWallet(issuer) {
  const account = await openWallet(issuer, { request })
  const { mint, wallet, keysetId } = account
  return {
    ...account,
    /** Asks for a withdrawal to an account on the chain; without a token, in the first that counts as the unit. */
    withdrawalQuote: (to, amount) => mint.createMeltQuote({ unit: wallet.unit, request: to, amount }),
    withdrawalState: (quote) => mint.checkMeltQuote(quote),
    /** Pays for it with credits; resolves with the quote and the change. */
    withdraw: (quote, proofs) => wallet.meltProofs(quote, proofs, { keysetId }),
  }
}

// Payments that say something else than was asked for, soundly signed: what the reference's client would never make.
import { CHAIN_ID, DOMAIN, PLACES, USDC } from './chain.mjs'

const NAME = 'PAYMENT-SIGNATURE'
const word = (name) => ({ name, type: 'uint256' })
const account = (name) => ({ name, type: 'address' })

const AUTHORIZATION = {
  domain: { ...DOMAIN, chainId: CHAIN_ID, verifyingContract: USDC },
  primaryType: 'TransferWithAuthorization',
  types: {
    TransferWithAuthorization: [
      account('from'),
      account('to'),
      word('value'),
      word('validAfter'),
      word('validBefore'),
      { name: 'nonce', type: 'bytes32' },
    ],
  },
}

const PERMIT = {
  domain: { name: 'Permit2', chainId: CHAIN_ID, verifyingContract: PLACES.Permit2StandIn },
  primaryType: 'PermitWitnessTransferFrom',
  types: {
    PermitWitnessTransferFrom: [
      { name: 'permitted', type: 'TokenPermissions' },
      account('spender'),
      word('nonce'),
      word('deadline'),
      { name: 'witness', type: 'Witness' },
    ],
    TokenPermissions: [account('token'), word('amount')],
    Witness: [account('to'), word('validAfter')],
  },
}

/** The payment that fields carry. */
export const payloadOf = (headers) => JSON.parse(Buffer.from(headers[NAME], 'base64').toString())

/** The fields that carry a payment. */
export const headersOf = (payload) => ({ [NAME]: Buffer.from(JSON.stringify(payload)).toString('base64') })

/** A payment after `change` of what is signed in it, signed anew by `payer`. */
export async function resigned(payer, headers, change) {
  const payload = payloadOf(headers)
  const { payload: paid } = payload
  const said = paid.authorization ?? paid.permit2Authorization
  change(said)
  paid.signature = await payer.signTypedData({ ...(paid.authorization ? AUTHORIZATION : PERMIT), message: said })
  return headersOf(payload)
}

// The `credit` method of Farthing as an mppx client sees it: a custom method, defined with mppx's own `Method.from`.
import { Credential, Method, z } from 'mppx'
import { OutputData } from '@cashu/cashu-ts'
import { tokenOf } from './cashu.mjs'

/** method="credit" intent="charge": prepaid, blind-signed credits of the mints that the request names. */
export const creditCharge = Method.from({
  name: 'credit',
  intent: 'charge',
  schema: {
    request: z.object({
      amount: z.string().check(z.regex(/^(0|[1-9][0-9]*)$/)),
      currency: z.string(),
      mints: z.array(z.string()).check(z.minLength(1)),
    }),
    credential: {
      payload: z.object({ token: z.string(), outputs: z.optional(z.array(z.unknown())) }),
    },
  },
})

/**
 * The client side: pays from a purse `{account, proofs}`, sending `extra` too much, with blank outputs for the change
 * when `blanks` is given. What was sent is noted in `purse.sent`, the blanks in `purse.blanks`.
 */
export function creditClient(purse, { extra = 0, blanks = 0 } = {}) {
  purse.sent = []
  return Method.toClient(creditCharge, {
    canHandleChallenge: ({ challenge }) => challenge.request.mints.includes(purse.account.mint.mintUrl),
    async createCredential({ challenge }) {
      const { amount, currency, mints } = creditCharge.schema.request.parse(challenge.request)
      const { keep, proofs, token } = await tokenOf(purse.account, Number(amount) + extra, purse.proofs, mints[0], currency)
      purse.proofs = keep
      purse.sent.push(...proofs)
      const payload = { token }
      if (blanks > 0) {
        // NUT-08: the amounts of blank outputs mean nothing, the mint writes them.
        purse.blanks = Array.from({ length: blanks }, () => OutputData.createSingleRandomData(1, purse.account.keysetId))
        payload.outputs = purse.blanks.map(({ blindedMessage }) => blindedMessage)
      }
      return Credential.serialize(Credential.from({ challenge, payload }))
    },
  })
}

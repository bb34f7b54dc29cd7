// The method `credit` with the intent `session` as an mppx client sees it: the first call opens a session, those after it pay with
// steps. Defined with mppx's own `Method.from`; what mppx knows of sessions is of other methods.
import { OutputData } from '@cashu/cashu-ts'
import { Credential, Method, z } from 'mppx'
import { tokenOf } from './cashu.mjs'
import { chainOf } from './hash_chain.mjs'

/** method="credit" intent="session": prepaid credits, paid out by the links of a hash chain. */
export const creditSession = Method.from({
  name: 'credit',
  intent: 'session',
  schema: {
    request: z.object({
      amount: z.string().check(z.regex(/^(0|[1-9][0-9]*)$/)),
      currency: z.string(),
      suggestedDeposit: z.string(),
      mints: z.array(z.string()).check(z.minLength(1)),
      methodDetails: z.object({ sessionProtocol: z.string(), steps: z.number(), lifetime: z.number() }),
    }),
    credential: { payload: z.object({ action: z.string() }) },
  },
})

/** Credits as a token, taken from a purse `{account, proofs}`. */
async function taken(purse, amount, { mints, currency }) {
  const { keep, token } = await tokenOf(purse.account, amount, purse.proofs, mints[0], currency)
  purse.proofs = keep
  return token
}

/** The client side: pays from a purse; the session that is open is `purse.session`, with the chain and the last step. */
export function sessionClient(purse, { steps }) {
  return Method.toClient(creditSession, {
    canHandleChallenge: ({ challenge }) => challenge.request.mints?.includes(purse.account.mint.mintUrl),
    async createCredential({ challenge }) {
      const request = creditSession.schema.request.parse(challenge.request)
      const session = purse.session
      if (session) {
        session.last += 1
        const payload = { action: 'voucher', session: session.id, step: session.last, link: session.chain.link(session.last) }
        return Credential.serialize(Credential.from({ challenge, payload }))
      }
      const chain = chainOf(steps, Number(request.amount))
      const token = await taken(purse, steps * Number(request.amount), request)
      purse.session = { id: chain.id, chain, last: 1 }
      const payload = { action: 'open', token, chain: chain.terms, step: 1, link: chain.link(1) }
      return Credential.serialize(Credential.from({ challenge, payload }))
    },
  })
}

/** More credits go in, and the next chain pays for the call. */
export async function topUp(purse, challenge, { steps, amount }) {
  const chain = chainOf(steps, Number(challenge.request.amount))
  const token = await taken(purse, amount, challenge.request)
  const { id: session, chain: before } = purse.session
  purse.session = { id: session, chain, last: 1 }
  const payload = { action: 'topUp', session, key: before.key, token, chain: chain.terms, step: 1, link: chain.link(1) }
  return Credential.serialize(Credential.from({ challenge, payload }))
}

/** The session is closed; what is left comes back in the blank outputs. */
export function close(purse, challenge) {
  purse.blanks = Array.from({ length: 24 }, () => OutputData.createSingleRandomData(1, purse.account.keysetId))
  const { id: session, chain } = purse.session
  const outputs = purse.blanks.map(({ blindedMessage }) => blindedMessage)
  const payload = { action: 'close', session, key: chain.key, outputs }
  return Credential.serialize(Credential.from({ challenge, payload }))
}

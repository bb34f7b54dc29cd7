// A cashu-ts 2.5.3 wallet for an issuer with version-2 keyset ids.
//
// cashu-ts 2.5.3 knows version-1 ids only: `getActiveKeyset` drops ids that do not begin with "00", and `getKeys`
// recomputes a version-1 id of what it fetched. Keys handed to the constructor are not recomputed, so we check the
// version-2 id here, hand the keys over, and name the keyset in every call. Everything else is the library's own.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { CashuMint, CashuWallet, MintQuoteState, getEncodedTokenV4 } from '@cashu/cashu-ts'

export const UNIT = 'uusd'

/** NUT-02 version 2: "01" and the SHA-256 of the keys, the unit, the fee and the expiry, written as text. */
export function keysetIdV2({ keys, unit, input_fee_ppk: fee, final_expiry: expiry }) {
  const byAmount = Object.entries(keys).sort(([a], [b]) => (BigInt(a) < BigInt(b) ? -1 : 1))
  let text = byAmount.map(([amount, key]) => `${amount}:${key.toLowerCase()}`).join(',')
  text += `|unit:${unit.toLowerCase()}`
  if (fee) text += `|input_fee_ppk:${fee}`
  if (expiry) text += `|final_expiry:${expiry}`
  return `01${createHash('sha256').update(text).digest('hex')}`
}

/**
 * Opens a wallet at the issuer: keys fetched, their id checked, one active keyset of the unit chosen. `request` asks the
 * issuer instead of cashu-ts.
 */
export async function openWallet(issuer, { seed = randomBytes(64), unit = UNIT, request } = {}) {
  const mint = new CashuMint(issuer, request)
  const { keysets } = await mint.getKeySets()
  const active = keysets.find((keyset) => keyset.active && keyset.unit === unit)
  assert.ok(active, `an active keyset for ${unit}, got ${JSON.stringify(keysets)}`)
  const [keys] = (await mint.getKeys(active.id)).keysets
  assert.equal(keysetIdV2({ ...active, ...keys }), active.id, 'the keyset id is the hash of its keys')
  const wallet = new CashuWallet(mint, { unit, keys: [keys], keysets, bip39seed: new Uint8Array(seed) })
  return { mint, wallet, keys, keysetId: active.id, seed }
}

/** A quote of the self-paying `bolt11` method, that exists with `test_funding = true` only. */
export async function paidQuote(wallet, amount) {
  const { quote } = await wallet.createMintQuote(amount)
  const { state } = await wallet.checkMintQuote(quote)
  assert.equal(state, MintQuoteState.PAID, 'test funding pays its own quotes')
  return quote
}

/** Credits from test funding. */
export async function fund({ wallet, keysetId }, amount, options = {}) {
  return wallet.mintProofs(amount, await paidQuote(wallet, amount), { keysetId, ...options })
}

/** Proofs of exactly `amount`, as a token; what is left comes back too. */
export async function tokenOf({ wallet, keysetId }, amount, proofs, mint, unit = UNIT) {
  const { keep, send } = await wallet.send(amount, proofs, { keysetId })
  return { keep, proofs: send, token: getEncodedTokenV4({ mint, unit, proofs: send }) }
}

/** The sum of some proofs. */
export const sum = (proofs) => proofs.reduce((total, { amount }) => total + amount, 0)

/** The states of some proofs at the issuer, each named once. */
export async function states(wallet, proofs) {
  return [...new Set((await wallet.checkProofsStates(proofs)).map(({ state }) => state))]
}

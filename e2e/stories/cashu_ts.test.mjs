// cashu-ts 2.5.3 uses Farthing as its mint: mint, swap, send, receive, check, restore, locks and refusals.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  CheckStateEnum,
  MintOperationError,
  getDecodedToken,
  getEncodedTokenV4,
  hasValidDleq,
  injectWebSocketImpl,
} from '@cashu/cashu-ts'
import { schnorr } from '@noble/curves/secp256k1'
import { bytesToHex } from '@noble/curves/abstract/utils'
import WebSocket from 'ws'
import { UNIT, fund, openWallet, paidQuote, states, sum, tokenOf } from '../lib/cashu.mjs'
import { stage } from '../lib/story.mjs'

describe('cashu-ts at the issuer', () => {
  const scene = stage()
  const open = (options) => openWallet(scene.farthing.issuer, options)

  test('the info page says what the mint can do', async () => {
    const { wallet } = await open()
    const info = await wallet.getMintInfo()
    for (const nut of [7, 9, 10, 11, 12, 14, 20]) {
      assert.equal(info.isSupported(nut).supported, true, `NUT-${nut} is announced`)
    }
    const { disabled, params } = info.isSupported(4)
    assert.equal(disabled, false)
    assert.ok(params.some(({ method, unit }) => method === 'bolt11' && unit === UNIT), 'bolt11 test funding')
    assert.ok(params.some(({ method, unit }) => method === 'code' && unit === UNIT), 'top-up codes')
  })

  test('minted credits carry a proof that the published key signed them', async () => {
    const account = await open()
    const proofs = await fund(account, 12_345)
    assert.equal(sum(proofs), 12_345)
    for (const proof of proofs) assert.ok(hasValidDleq(proof, account.keys), `DLEQ of ${proof.amount}`)
    assert.deepEqual(await states(account.wallet, proofs), [CheckStateEnum.UNSPENT])
  })

  test('a quote gives its credits once', async () => {
    const { wallet, keysetId } = await open()
    const quote = await paidQuote(wallet, 64)
    await wallet.mintProofs(64, quote, { keysetId })
    await assert.rejects(wallet.mintProofs(64, quote, { keysetId }), (error) => {
      assert.ok(error instanceof MintOperationError, `a coded refusal, got ${error}`)
      assert.equal(error.code, 20002, 'already issued')
      return true
    })
  })

  test('a locked quote gives its credits to the key that locked it, and to nobody else', async () => {
    const { wallet, keysetId } = await open()
    const privateKey = schnorr.utils.randomPrivateKey()
    const pubkey = `02${bytesToHex(schnorr.getPublicKey(privateKey))}`
    const quote = await wallet.createLockedMintQuote(32, pubkey)
    assert.equal(quote.pubkey, pubkey)
    const stranger = bytesToHex(schnorr.utils.randomPrivateKey())
    await assert.rejects(wallet.mintProofs(32, quote, { keysetId, privateKey: stranger }), { code: 20008 })
    const proofs = await wallet.mintProofs(32, quote, { keysetId, privateKey: bytesToHex(privateKey) })
    assert.equal(sum(proofs), 32)
  })

  test('a token goes from one wallet to another, and only once', async () => {
    const alice = await open()
    const bob = await open()
    const proofs = await fund(alice, 10_000)
    const { keep, proofs: sent, token } = await tokenOf(alice, 2_501, proofs, scene.farthing.issuer)
    assert.equal(sum(keep), 7_499)
    assert.equal(getDecodedToken(token).mint, scene.farthing.issuer)

    const received = await bob.wallet.receive(token, { keysetId: bob.keysetId })
    assert.equal(sum(received), 2_501)
    assert.deepEqual(await states(alice.wallet, sent), [CheckStateEnum.SPENT])
    assert.deepEqual(await states(alice.wallet, keep), [CheckStateEnum.UNSPENT])
    await assert.rejects(bob.wallet.receive(token, { keysetId: bob.keysetId }), { code: 11001 })
  })

  test('credits locked to a key need its signature', async () => {
    const alice = await open()
    const bob = await open()
    const privateKey = schnorr.utils.randomPrivateKey()
    const pubkey = `02${bytesToHex(schnorr.getPublicKey(privateKey))}`
    const proofs = await fund(alice, 128)
    const { send } = await alice.wallet.send(100, proofs, { keysetId: alice.keysetId, pubkey })
    const token = getEncodedTokenV4({ mint: scene.farthing.issuer, unit: UNIT, proofs: send })
    await assert.rejects(bob.wallet.receive(token, { keysetId: bob.keysetId }), MintOperationError)
    const received = await bob.wallet.receive(token, {
      keysetId: bob.keysetId,
      privkey: bytesToHex(privateKey),
    })
    assert.equal(sum(received), 100)
  })

  test('a wallet that lost everything but its seed gets its credits back', async () => {
    const lost = await open()
    const minted = await fund(lost, 1_023, { counter: 0 })
    await lost.wallet.send(500, minted, { keysetId: lost.keysetId })

    const found = await open({ seed: lost.seed })
    const { proofs, lastCounterWithSignature } = await found.wallet.restore(0, 100, { keysetId: found.keysetId })
    assert.equal(lastCounterWithSignature, minted.length - 1, 'only what the mint has signed')
    assert.deepEqual(new Set(proofs.map(({ secret }) => secret)), new Set(minted.map(({ secret }) => secret)))
    assert.equal(sum(proofs), 1_023, 'with the amounts that the mint has signed, not those that were asked')

    const now = await found.wallet.checkProofsStates(proofs)
    const unspent = proofs.filter((_, index) => now[index].state === CheckStateEnum.UNSPENT)
    const again = await found.wallet.receive(
      { mint: scene.farthing.issuer, unit: UNIT, proofs: unspent },
      { keysetId: found.keysetId, counter: 100 },
    )
    assert.equal(sum(again), sum(unspent), 'what was restored can be spent')
  })

  test('a swap that is sent twice, because its answer was lost, gives the same credits', async () => {
    const account = await open()
    const proofs = await fund(account, 64)
    const { payload } = account.wallet.createSwapPayload(64, proofs, account.keys)
    const first = await account.mint.swap(payload)
    assert.deepEqual(await account.mint.swap(payload), first)
  })

  test('a wallet that listens hears when its credits are spent', async () => {
    injectWebSocketImpl(WebSocket)
    const { mint, wallet, keysetId } = await open()
    const proofs = await fund({ wallet, keysetId }, 16)
    try {
      const heard = new Promise((resolve, reject) => {
        AbortSignal.timeout(20_000).onabort = () => reject(new Error('nothing was heard for 20 s'))
        const subscribed = wallet.onProofStateUpdates(
          proofs,
          ({ state, proof }) => {
            // The first word is the present state; only then do we spend, so nothing can be missed.
            if (state === CheckStateEnum.UNSPENT) {
              wallet.receive({ mint: mint.mintUrl, unit: UNIT, proofs }, { keysetId }).catch(reject)
            }
            if (state === CheckStateEnum.SPENT) resolve(proof)
          },
          reject,
        )
        subscribed.catch(reject)
      })
      assert.equal((await heard).secret, proofs[0].secret)
    } finally {
      mint.disconnectWebSocket()
    }
  })

  test('a swap that creates money is refused, and the credits stay whole', async () => {
    const account = await open()
    const proofs = await fund(account, 8)
    const outputs = account.wallet.createOutputData(16, account.keys).map(({ blindedMessage }) => blindedMessage)
    const inputs = proofs.map(({ dleq: _, ...proof }) => proof)
    await assert.rejects(account.mint.swap({ inputs, outputs }), { code: 11005 })
    assert.deepEqual(await states(account.wallet, proofs), [CheckStateEnum.UNSPENT])
  })
})

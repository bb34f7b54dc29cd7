// The PyPI package x402 pays our gate on a real anvil: another implementation of the same protocol, by other hands.
//
// X402_PYTHON names a Python that has the packages of requirements.txt.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { chainStage } from '../lib/chain_gate.mjs'
import { ARTICLE } from '../lib/upstream.mjs'

const CENT = 10_000
const PAY = fileURLToPath(new URL('pay.py', import.meta.url))

/** Runs the program and reads what it prints. */
async function buy(url, key) {
  const python = process.env.X402_PYTHON
  assert.ok(python, 'X402_PYTHON is not set: make a venv, install python/requirements.txt there and name its python')
  const child = spawn(python, [PAY, url], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(key)
  const [said, [exit]] = await Promise.all([text(child.stdout), once(child, 'close')])
  assert.equal(exit, 0, said)
  return JSON.parse(said)
}

describe('the Python client pays the gate', { timeout: 110_000 }, () => {
  const scene = chainStage()

  for (const path of ['/article', '/paid/first']) {
    test(`${path} is paid to the unit`, async () => {
      const key = generatePrivateKey()
      const { address } = privateKeyToAccount(key)
      const earned = await scene.earned()
      await scene.chain.mint(address, 3 * CENT)
      const { status, body, headers } = await buy(scene.url(path), key)
      assert.deepEqual([status, body], [200, ARTICLE])
      const settled = JSON.parse(Buffer.from(headers['payment-response'], 'base64').toString())
      assert.deepEqual([settled.success, settled.payer], [true, address])
      const { status: onChain } = await scene.chain.client.getTransactionReceipt({ hash: settled.transaction })
      assert.equal(onChain, 'success')
      assert.deepEqual([await scene.chain.balance(address), await scene.earned()], [2 * CENT, earned + CENT])
      await scene.agreement()
    })
  }

  test('what it cannot pay it does not have', async () => {
    const key = generatePrivateKey()
    await scene.chain.mint(privateKeyToAccount(key).address, CENT - 1)
    const { status, headers } = await buy(scene.url('/article'), key)
    const required = JSON.parse(Buffer.from(headers['payment-required'], 'base64').toString())
    assert.deepEqual([status, required.error], [402, 'invalid_exact_evm_insufficient_balance'])
    await scene.agreement()
  })
})

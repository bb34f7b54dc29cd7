// A real chain for a story: anvil on a free port, with a dollar and the published contracts in their places. Knows
// nothing of HTTP dialects.
//
// Needs `npm ci --prefix contracts`, which brings anvil; what is deployed are the committed artifacts.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createTestClient, defineChain, http, publicActions, walletActions } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
// viem ships it and does not export it.
import { multicall3Bytecode } from '../node_modules/viem/_esm/constants/contracts.js'

const CONTRACTS = new URL('../../contracts/', import.meta.url)
const WORDS = 'test test test test test test test test test test test junk'

/** The chain and the dollar that clients of x402 know by themselves: Base Sepolia and its USDC. */
export const CHAIN_ID = 84_532
export const USDC = '0x036CbD53842c5426634e7929541eC2318f3dCF7e'
export const DOMAIN = { name: 'USDC', version: '2' }

/** Contracts that are at one address on every chain. */
export const PLACES = {
  Permit2StandIn: '0x000000000022D473030F116dDEE9F6B43aC78BA3',
  ExactPermit2Proxy: '0x402085c248EeA27D92E8b30b2C58ed07f9E20001',
  UptoPermit2Proxy: '0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002',
  BatchSettlement: '0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003',
  AuthorizationCollector: '0x4020806089470a89826cB9fB1f4059150b550004',
  Permit2Collector: '0x4020425FAf3B746C082C2f942b4E5159887B0005',
  AuthCaptureEscrowStandIn: '0xf96815976523E00e65Be8f34cA5e64b4f41EB19c',
  Eip3009CollectorStandIn: '0x8612dfdc421f80336cd14E8EF9cb1E765dB5ab88',
}
const MULTICALL3 = '0xcA11bde05977b3631167028862bE2a173976CA11'

/** What was compiled of a contract. */
export const artifact = (name) => JSON.parse(readFileSync(new URL(`artifacts/${name}.json`, CONTRACTS)))

/** The program itself: the script that npm puts before it does not pass on a SIGKILL. */
function program() {
  const machine = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`
  const path = fileURLToPath(new URL(`node_modules/@foundry-rs/anvil-${machine}/bin/anvil`, CONTRACTS))
  if (!existsSync(path)) throw new Error(`expected anvil at ${path}: run \`npm --prefix contracts ci --ignore-scripts\``)
  return path
}

/** Resolves with the address at which anvil says that it listens. */
async function listening(child) {
  const lines = createInterface({ input: child.stdout })
  const said = []
  for await (const line of lines) {
    said.push(line)
    const found = /^Listening on (\S+)/.exec(line)
    if (found) return `http://${found[1]}`
  }
  throw new Error(`anvil has ended before it listened:\n${said.join('\n')}`)
}

/**
 * Starts a chain on a free port. `accounts` are anvil's ten, each with coins for gas: 0 is the facilitator's, 1 a payer's, 2
 * whoever is paid. `token(name, ...)` reads the dollar; `mint` makes dollars; `stop` ends it.
 */
export async function chain({ chainId = CHAIN_ID } = {}) {
  const child = spawn(program(), ['--port', '0', '--chain-id', String(chainId), '--mnemonic', WORDS], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'close')
    child.kill('SIGKILL')
    await ended
  }
  try {
    const url = await listening(child)
    child.stdout.resume()
    const accounts = Array.from({ length: 10 }, (_, addressIndex) => mnemonicToAccount(WORDS, { addressIndex }))
    const definition = defineChain({
      id: chainId,
      name: 'a story',
      nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
      rpcUrls: { default: { http: [url] } },
    })
    const client = createTestClient({ mode: 'anvil', chain: definition, transport: http(url), pollingInterval: 50 })
      .extend(publicActions)
      .extend(walletActions)
    const self = { url, chainId, accounts, client, definition, stop, ...tokenOf(client, accounts[9]) }
    await place(client, accounts[9])
    return self
  } catch (error) {
    // A chain that half stands keeps the program from ending.
    await stop()
    throw error
  }
}

/** Deploys a contract and resolves with its address. */
export async function deploy(client, account, abi, bytecode, args = []) {
  const hash = await client.deployContract({ account, abi, bytecode, args })
  const { contractAddress } = await client.waitForTransactionReceipt({ hash })
  return contractAddress
}

/** Puts everything where clients look for it. */
async function place(client, owner) {
  for (const [name, address] of Object.entries(PLACES)) {
    await client.setCode({ address, bytecode: artifact(name).runtime })
  }
  const { abi, bytecode } = artifact('TestDollar')
  const copies = [
    [USDC, await deploy(client, owner, abi, bytecode, [DOMAIN.name, 'USDC', DOMAIN.version, owner.address])],
    [MULTICALL3, await deploy(client, owner, [], multicall3Bytecode)],
  ]
  for (const [address, from] of copies) {
    await client.setCode({ address, bytecode: await client.getCode({ address: from }) })
  }
}

/** Reads and makes the dollar. */
function tokenOf(client, owner) {
  const { abi } = artifact('TestDollar')
  const read = (functionName, ...args) => client.readContract({ address: USDC, abi, functionName, args })
  const write = async (functionName, args, account = owner) => {
    const hash = await client.writeContract({ address: USDC, abi, functionName, args, account, chain: client.chain })
    return client.waitForTransactionReceipt({ hash })
  }
  return {
    read,
    write,
    mint: (to, units) => write('mint', [to, BigInt(units)]),
    /** What an account has, in minor units. */
    balance: async (account) => Number(await read('balanceOf', account)),
  }
}

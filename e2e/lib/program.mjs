// Runs the binary as a person or a script would: arguments in, exit code, stdout and stderr out.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { binary } from './farthing.mjs'

/** The exit codes that scripts may rely on. */
export const EXIT = { ok: 0, failed: 1, unreachable: 3, notAllowed: 4, fundsShort: 6, budgetRefused: 7, outcomeUnknown: 8 }

/** Starts it; `ended` resolves with `{exit, signal, stdout, stderr}`, `says(shape)` with what it says meanwhile. */
export function start(words, { folder, input = '' } = {}) {
  const child = spawn(binary(), words, { cwd: folder, env: { HOME: folder ?? '/' }, stdio: 'pipe' })
  const said = { stdout: [], stderr: [] }
  for (const name of ['stdout', 'stderr']) child[name].on('data', (bytes) => said[name].push(bytes))
  // Whoever ends without reading closes the pipe; what it says is what counts.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const text = (name) => Buffer.concat(said[name]).toString()
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exit, signal) => resolve({ exit, signal, stdout: text('stdout'), stderr: text('stderr') }))
  })
  /** Resolves with the first thing of this shape that it says to people. */
  const says = (shape) =>
    new Promise((resolve) => {
      const look = () => {
        const found = shape.exec(text('stderr'))
        if (found) resolve(found[0])
        return found
      }
      if (!look()) child.stderr.on('data', look)
    })
  return { ended, says, kill: () => child.kill('SIGKILL') }
}

/** Runs it and insists on its exit code. */
export async function run(words, { exit = EXIT.ok, ...options } = {}) {
  const end = await start(words, options).ended
  assert.equal(end.exit, exit, `farthing ${words.join(' ')}\nstdout: ${end.stdout}\nstderr: ${end.stderr}`)
  return end
}

/** A payer at a command line, with a wallet in a folder of its own. */
export function purse() {
  const folder = mkdtempSync(join(tmpdir(), 'farthing-purse-'))
  const words = (more) => [...more, '--wallet', join(folder, 'wallet')]
  const self = {
    start: (...more) => start(words(more), { folder }),
    pay: (url, exit = EXIT.ok, ...more) => run(words(['pay', url, ...more]), { folder, exit }),
    wallet: (more, options = {}) => run(words(['wallet', ...more]), { folder, ...options }),
    /** What is free and what is set aside, in decimals. */
    async balance() {
      const { balances } = JSON.parse((await self.wallet(['balance', '--json'])).stdout)
      return balances.map(({ free, reserved }) => [free.decimal, reserved.decimal])
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
  return self
}

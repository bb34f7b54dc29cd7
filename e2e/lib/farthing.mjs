// Starts the real farthing binary for a story, and stops it. Knows the command line and the config, nothing of the wire.
//
// Contract with the binary: `farthing serve --config FILE --ready-file PATH` writes PATH atomically (write, then rename)
// when both the gate and the issuer answer: {"gate": URL, "issuer": URL, "socket": PATH}. Ports are always 0 here.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const START_LIMIT_MS = 30_000

/** Path of the binary under test; every story fails, loudly, without it. */
export function binary() {
  const path = process.env.FARTHING_BIN
  if (!path) throw new Error('FARTHING_BIN is not set: build with `cargo build -p farthing` and name target/debug/farthing')
  return path
}

/**
 * The config of the stories: one asset, test funding, a cent for a page, ten minutes of pass. `headLimit` is how long the
 * upstream may think; `flow` is when payments on a chain are settled; `more` is text of its own at the end, such as chains.
 */
export function configText({ dataFolder, upstream, passphraseFile, port = 0, headLimit = '30s', flow, more = '' }) {
  const price = (path) => `
[[price]]
path = "${path}"
amount = "0.01 USD"
pass = "10m"
${flow ? `flow = "${flow}"\n` : ''}`
  return `[server]
listen = "127.0.0.1:${port}"
data = ${JSON.stringify(dataFolder)}
upstream = ${JSON.stringify(upstream)}

[server.timeouts]
head = "${headLimit}"

[issuer]
test_funding = true
passphrase_file = ${JSON.stringify(passphraseFile)}

[[asset]]
code = "USD"
scale = 6
unit = "uusd"
${['/article', '/broken/**', '/paid/**', '/slow'].map(price).join('')}${more}`
}

/**
 * A home folder on disk that outlives restarts of the binary; `remove()` at the end of the story. `keep(url)` makes the
 * next start use the port that this one got, so that payers find it again.
 */
export function home(upstream, options = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'farthing-e2e-'))
  const passphraseFile = join(folder, 'passphrase')
  const config = join(folder, 'farthing.toml')
  const write = (kept) =>
    writeFileSync(config, configText({ ...options, ...kept, dataFolder: join(folder, 'data'), upstream, passphraseFile }))
  writeFileSync(passphraseFile, 'a passphrase for stories only\n', { mode: 0o600 })
  write({})
  return {
    folder,
    config,
    keep: (url) => write({ port: new URL(url).port }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Starts `serve`, or `sandbox`, in a home folder and resolves when the ready file is there. */
export async function serve(place, command = 'serve') {
  const program = binary()
  const readyFile = join(place.folder, 'ready.json')
  rmSync(readyFile, { force: true })
  const talk = []
  // Watch before start, so that the rename cannot be missed.
  const watcher = watch(place.folder)
  const child = spawn(program, [command, '--config', place.config, '--ready-file', readyFile], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.on('data', (bytes) => talk.push(bytes))
  child.stderr.on('data', (bytes) => talk.push(bytes))
  const said = () => Buffer.concat(talk).toString()
  try {
    await ready({ child, watcher, readyFile, said })
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  } finally {
    watcher.close()
  }
  const { gate, issuer, features } = JSON.parse(readFileSync(readyFile, 'utf8'))
  return { gate, issuer, features, pid: child.pid, said, stop: () => end(child, 'SIGTERM'), crash: () => end(child, 'SIGKILL') }
}

function ready({ child, watcher, readyFile, said }) {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(
      () => reject(new Error(`no ready file after ${START_LIMIT_MS} ms; farthing said:\n${said()}`)),
      START_LIMIT_MS,
    )
    const settle = (finish, value) => {
      clearTimeout(limit)
      finish(value)
    }
    const look = () => existsSync(readyFile) && settle(resolve)
    watcher.on('change', look)
    child.once('error', (error) => settle(reject, error))
    child.once('exit', (code, signal) =>
      settle(reject, new Error(`farthing ended before it was ready (${code ?? signal}); it said:\n${said()}`)),
    )
    look()
  })
}

async function end(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill(signal)
  await gone
}

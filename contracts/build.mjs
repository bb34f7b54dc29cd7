// Compiles src/ and writes artifacts/, one JSON a contract, so that cargo and the stories need no Solidity compiler.
// `--check` writes nothing: it compiles again and fails when what is committed differs from what comes out.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compile, version } from './solc.mjs'

const ROOT = dirname(fileURLToPath(import.meta.url))
const ARTIFACTS = join(ROOT, 'artifacts')
const REBUILD = 'run `npm run build` in contracts/ and commit artifacts/'

/** One setting of foundry.toml. */
function setting(name) {
  const text = readFileSync(join(ROOT, 'foundry.toml'), 'utf8')
  const found = new RegExp(`^${name} = "?([^"\\n]+)"?$`, 'm').exec(text)
  if (!found) throw new Error(`expected \`${name} = ..\` in foundry.toml, got none; add it`)
  return found[1]
}

/** The paths of our own sources, relative to this folder and in order. */
function ownSources(folder = 'src') {
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = posix.join(folder, entry.name)
      if (entry.isDirectory()) return ownSources(path)
      return entry.name.endsWith('.sol') ? [path] : []
    })
    .sort()
}

/** Where an import of `from` lies, as the name that the compiler will ask for. */
function importName(from, path) {
  return path.startsWith('.') ? posix.join(posix.dirname(from), path) : path
}

/** All sources that `entries` reach, by name. Names are relative, so no artifact knows the machine. */
function closure(entries) {
  const sources = {}
  const open = [...entries]
  while (open.length > 0) {
    const name = open.pop()
    if (sources[name]) continue
    const file = name.startsWith('src/') ? join(ROOT, name) : join(ROOT, 'node_modules', name)
    const content = readFileSync(file, 'utf8')
    sources[name] = { content }
    for (const [, path] of content.matchAll(/^import\s+(?:[^"';]*?from\s+)?["']([^"']+)["'];/gm)) {
      open.push(importName(name, path))
    }
  }
  return Object.fromEntries(Object.entries(sources).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Standard JSON for the compiler. */
function question(entries) {
  return {
    language: 'Solidity',
    sources: closure(entries),
    settings: {
      optimizer: { enabled: setting('optimizer') === 'true', runs: Number(setting('optimizer_runs')) },
      evmVersion: setting('evm_version'),
      metadata: {
        bytecodeHash: setting('bytecode_hash'),
        appendCBOR: setting('cbor_metadata') === 'true',
      },
      outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
    },
  }
}

/** The text of every artifact by file name: contracts of ours that can be deployed. */
function build() {
  const entries = ownSources()
  const said = JSON.parse(compile(JSON.stringify(question(entries))))
  const mistakes = (said.errors ?? []).filter(
    ({ severity, sourceLocation }) => severity === 'error' || sourceLocation?.file.startsWith('src/'),
  )
  if (mistakes.length > 0) throw new Error(mistakes.map((mistake) => mistake.formattedMessage).join('\n'))
  const texts = new Map()
  for (const source of entries) {
    for (const [contract, { abi, evm }] of Object.entries(said.contracts[source] ?? {})) {
      if (evm.bytecode.object === '') continue
      const bytecode = `0x${evm.bytecode.object}`
      const runtime = `0x${evm.deployedBytecode.object}`
      const name = `${contract}.json`
      if (texts.has(name)) throw new Error(`expected one contract called ${contract}, got two; rename one`)
      texts.set(name, `${JSON.stringify({ contract, solc: version, abi, bytecode, runtime }, null, 1)}\n`)
    }
  }
  return texts
}

/** What differs between artifacts/ and `texts`, a line each. */
function differences(texts) {
  const committed = existsSync(ARTIFACTS) ? readdirSync(ARTIFACTS) : []
  const extra = committed.filter((name) => !texts.has(name)).map((name) => `artifacts/${name}: no such contract in src/`)
  const stale = [...texts].flatMap(([name, text]) => {
    if (!committed.includes(name)) return [`artifacts/${name}: missing`]
    const same = readFileSync(join(ARTIFACTS, name), 'utf8') === text
    return same ? [] : [`artifacts/${name}: not what src/ compiles to`]
  })
  return [...extra, ...stale]
}

function write(texts) {
  rmSync(ARTIFACTS, { recursive: true, force: true })
  mkdirSync(ARTIFACTS)
  for (const [name, text] of texts) writeFileSync(join(ARTIFACTS, name), text)
}

function main(words) {
  const check = words.length === 1 && words[0] === '--check'
  if (words.length > 0 && !check) {
    process.stderr.write(`expected nothing or --check, got ${words.join(' ')}\n`)
    return 2
  }
  const texts = build()
  if (!check) {
    write(texts)
    process.stdout.write(`${texts.size} artifacts written with solc ${version}\n`)
    return 0
  }
  const found = differences(texts)
  if (found.length === 0) {
    process.stdout.write(`${texts.size} artifacts are what src/ compiles to with solc ${version}\n`)
    return 0
  }
  process.stderr.write(`${found.join('\n')}\n${found.length} artifacts differ; ${REBUILD}\n`)
  return 1
}

try {
  process.exitCode = main(process.argv.slice(2))
} catch (mistake) {
  process.stderr.write(`${mistake.message}\n`)
  process.exitCode = 1
}

// The compiler that npm pinned, behind the two questions that forge asks: which version, and compile this.
// `compile` is also what build.mjs uses, so that tests and artifacts come from the same compiler.
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import solc from 'solc'

/** For example `0.8.35`. */
export const version = solc.version().split('+')[0]

/** Answers standard JSON. Every source must stand in the question: nothing else is read from disk. */
export function compile(question) {
  return solc.compile(question)
}

function answer(words) {
  if (words.includes('--version')) {
    return `solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`
  }
  if (words.includes('--standard-json')) return compile(readFileSync(0, 'utf8'))
  return undefined
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const said = answer(process.argv.slice(2))
  if (said === undefined) {
    process.stderr.write(`expected --version or --standard-json, got ${process.argv.slice(2).join(' ') || 'nothing'}\n`)
    process.exitCode = 2
  } else {
    process.stdout.write(said)
  }
}

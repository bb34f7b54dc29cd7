// A hash chain that pays for a session, by the formulas of docs/sessions.md and nothing else.
import { createHash, randomBytes } from 'node:crypto'

const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts.map((part) => Buffer.from(part)))).digest()

/** A chain of so many steps, each worth `step`. */
export function chainOf(steps, step) {
  const [salt, key] = [randomBytes(16), randomBytes(32)]
  const links = [randomBytes(32)]
  for (let at = steps; at > 0; at--) links.unshift(sha256('farlnk1', salt, links[0]))
  const lock = sha256('farthing/session/lock/1', key)
  const id = sha256('farthing/session/1', salt, links[0], lock).subarray(0, 16)
  const named = { salt: salt.toString('hex'), anchor: links[0].toString('hex'), lock: lock.toString('hex') }
  const header = (at) => `${id.toString('base64url')}.${at}.${links[at].toString('base64url')}`
  const link = (at) => links[at].toString('hex')
  return { id: id.toString('hex'), key: key.toString('hex'), terms: { ...named, step, steps }, header, link }
}

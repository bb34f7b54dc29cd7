// A door between the gate and its node: it can be shut, lose an answer, and tell when a transaction went through. The
// chain behind it knows nothing of it.
import { once } from 'node:events'
import { createServer } from 'node:http'

const SEND = 'eth_sendRawTransaction'

/**
 * Opens a door to the node at `target`. `sent()` resolves with the hash of the next transaction that the node takes, `taken()`
 * says how many it has taken;
 * `asked(method)` when the node is asked for something the next time;
 * `shut()` refuses connections until `open()`; `loseNext()` lets the next transaction through and hangs up instead of
 * answering. `lead(url)` leads to another node from now on; `lie(method, result)` answers a method with that, until
 * `lie(method)`.
 */
export async function nodeDoor(target) {
  const waiting = []
  const listening = new Map()
  const lies = new Map()
  let isLosing = false
  let taken = 0
  const pass = async (request, response) => {
    const parts = []
    for await (const part of request) parts.push(part)
    const body = Buffer.concat(parts)
    const { method, id } = JSON.parse(body.toString())
    listening.get(method)?.splice(0).forEach((someone) => someone())
    if (lies.has(method)) {
      const lie = JSON.stringify({ jsonrpc: '2.0', id, result: lies.get(method) })
      return response.writeHead(200, { 'content-type': 'application/json' }).end(lie)
    }
    const answer = await fetch(target, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    const text = await answer.text()
    if (method === SEND) {
      const { result } = JSON.parse(text)
      if (result) taken += 1
      if (result) waiting.splice(0).forEach((someone) => someone(result))
      if (isLosing) {
        isLosing = false
        return response.destroy()
      }
    }
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(text)
  }
  // A node that is not there any more hangs up as well.
  const server = createServer((request, response) => pass(request, response).catch(() => response.destroy()))
  const open = async (port = 0) => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return server.address().port
  }
  const shut = async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  const port = await open()
  return {
    url: `http://127.0.0.1:${port}`,
    sent: () => new Promise((resolve) => waiting.push(resolve)),
    taken: () => taken,
    asked: (method) =>
      new Promise((resolve) => listening.set(method, [...(listening.get(method) ?? []), resolve])),
    lead: (url) => (target = url),
    lie: (method, result) => (result === undefined ? lies.delete(method) : lies.set(method, result)),
    loseNext: () => (isLosing = true),
    shut,
    open: () => open(port),
  }
}

// What the upstream has that is no page: a film with ranges, a large download, an upload, server-sent events, a chat.
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { WebSocketServer } from 'ws'
import { meeting } from './meeting.mjs'

/** The film; each byte tells its place. */
export const FILM = Buffer.from(Array.from({ length: 100_000 }, (_, place) => place % 251))
/** The size of the large download. */
export const BIG_BYTES = 200 * 1024 * 1024

const CHUNK = Buffer.alloc(64 * 1024, 'farthing')

/** Routes, the upgrade of the chat, and the meeting with whoever listens to events. */
export function streams() {
  const events = meeting()
  const chat = new WebSocketServer({ noServer: true })
  const talk = (socket) => socket.on('message', (words, isBinary) => socket.send(words, { binary: isBinary }))
  const routes = {
    '/paid/film': film,
    '/paid/big': big,
    '/paid/events': (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.flushHeaders()
      events.arrive({ send: (words) => response.write(`data: ${words}\n\n`), end: () => response.end() })
    },
    '/upload': upload,
  }
  const upgrade = (request, socket, head) => {
    if (['/chat', '/paid/chat'].includes(request.url)) chat.handleUpgrade(request, socket, head, talk)
    else socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n')
  }
  const close = () => chat.clients.forEach((socket) => socket.terminate())
  return { routes, upgrade, events: events.wait, close }
}

function film(request, response) {
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
  const fields = { 'content-type': 'video/mp4', 'accept-ranges': 'bytes' }
  if (!range) return response.writeHead(200, { ...fields, 'content-length': FILM.length }).end(FILM)
  const [from, to] = [Number(range[1]), Number(range[2])]
  const part = FILM.subarray(from, to + 1)
  const where = { 'content-range': `bytes ${from}-${to}/${FILM.length}`, 'content-length': part.length }
  response.writeHead(206, { ...fields, ...where }).end(part)
}

function big(_, response) {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': BIG_BYTES })
  const chunks = function* () {
    for (let sent = 0; sent < BIG_BYTES; sent += CHUNK.length) yield CHUNK
  }
  // Whoever leaves in the middle is no fault of ours.
  pipeline(Readable.from(chunks()), response).catch(() => {})
}

async function upload(request, response) {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const part of request) {
    hash.update(part)
    bytes += part.length
  }
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ bytes, hash: hash.digest('hex') }))
}

// The merchant's own web server, that the gate stands before. It counts its hits, so that a story can tell
// "delivered once" from "asked twice", and it can fail in the ways that upstreams fail.
import { once } from 'node:events'
import { createServer } from 'node:http'

export const ARTICLE = '<!doctype html><title>Article</title><p>A page that costs a cent.</p>\n'

const LLMS = '# The story site\n\n- GET /article: one article, 0.01 USD\n'

const OPENAPI = {
  openapi: '3.1.0',
  info: { title: 'The story site', version: '1' },
  paths: {
    '/article': {
      get: {
        summary: 'One article',
        'x-payment-info': { offers: [{ method: 'credit', intent: 'charge', amount: '10000', currency: 'uusd' }] },
        responses: { 200: { description: 'the article' }, 402: { description: 'payment required' } },
      },
    },
  },
}

/** Starts the upstream on a free port. `slow()` resolves, with a function that lets it answer, when /slow is asked. */
export async function upstream() {
  const hits = new Map()
  const waiting = []
  const asked = []
  const answer = {
    '/article': (_, response) => response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(ARTICLE),
    '/openapi.json': (_, response) => json(response, OPENAPI),
    '/llms.txt': (_, response) => response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(LLMS),
    '/free': (_, response) => response.writeHead(200, { 'content-type': 'text/plain' }).end('free\n'),
    '/broken/500': (_, response) => response.writeHead(500, { 'content-type': 'text/plain' }).end('broken\n'),
    '/broken/reset': (request) => request.socket.destroy(),
    '/slow': (_, response) => {
      const finish = () => response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(ARTICLE)
      const someone = waiting.shift()
      if (someone) someone(finish)
      else asked.push(finish)
    },
  }
  const server = createServer((request, response) => {
    const path = new URL(request.url, 'http://upstream').pathname
    hits.set(path, (hits.get(path) ?? 0) + 1)
    const route = answer[path]
    if (route) route(request, response)
    else response.writeHead(404, { 'content-type': 'text/plain' }).end('not here\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    hits: (path) => hits.get(path) ?? 0,
    slow: () => new Promise((resolve) => (asked.length > 0 ? resolve(asked.shift()) : waiting.push(resolve))),
    stop: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

function json(response, value) {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

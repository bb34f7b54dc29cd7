// The merchant's own web server, that the gate stands before. It counts its hits, so that a story can tell
// "delivered once" from "asked twice", and it can fail in the ways that upstreams fail.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { meeting } from './meeting.mjs'
import { streams } from './streams.mjs'

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

/**
 * Starts the upstream on a free port. `slow()` resolves, with a function that lets it answer, when /slow is asked;
 * `half()` with a function that resets the connection, when half of /broken/half is written; `events()` with one that
 * sends an event, when /paid/events is asked.
 */
export async function upstream() {
  const hits = new Map()
  const slow = meeting()
  const half = meeting()
  const { routes, upgrade, events, close } = streams()
  const answer = {
    ...routes,
    '/article': (_, response) => html(response),
    '/openapi.json': (_, response) => json(response, OPENAPI),
    '/llms.txt': (_, response) => response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(LLMS),
    '/free': (_, response) => response.writeHead(200, { 'content-type': 'text/plain' }).end('free\n'),
    '/broken/500': (_, response) => response.writeHead(500, { 'content-type': 'text/plain' }).end('broken\n'),
    '/broken/moved': (_, response) => response.writeHead(302, { location: '/article' }).end(),
    '/broken/reset': (request) => request.socket.resetAndDestroy(),
    '/broken/silent': () => {},
    '/broken/half': (request, response) => {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-length': ARTICLE.length })
      response.write(ARTICLE.slice(0, 20), () => half.arrive(() => request.socket.resetAndDestroy()))
    },
    '/slow': (_, response) => slow.arrive(() => html(response)),
    '/paid/first': (_, response) => html(response),
    '/paid/metered': (request, response) => {
      response.setHeader('farthing-cost', new URL(request.url, 'http://upstream').searchParams.get('cost'))
      html(response)
    },
  }
  const server = createServer((request, response) => {
    const path = new URL(request.url, 'http://upstream').pathname
    hits.set(path, (hits.get(path) ?? 0) + 1)
    const route = answer[path]
    if (route) route(request, response)
    else response.writeHead(404, { 'content-type': 'text/plain' }).end('not here\n')
  })
  server.on('upgrade', upgrade)
  const listen = async (port) => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return server.address().port
  }
  const stop = async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    close()
    server.close()
    server.closeAllConnections()
    await closed
  }
  const port = await listen(0)
  return {
    url: `http://127.0.0.1:${port}`,
    hits: (path) => hits.get(path) ?? 0,
    slow: slow.wait,
    half: half.wait,
    events,
    stop,
    again: () => listen(port),
  }
}

function html(response) {
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(ARTICLE)
}

function json(response, value) {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

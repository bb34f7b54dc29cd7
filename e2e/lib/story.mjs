// The stage of a story: an upstream and a gate before it, taken down again whatever happens.
import { request } from 'node:http'
import { after, before } from 'node:test'
import { home, serve } from './farthing.mjs'
import { upstream } from './upstream.mjs'

/**
 * Registers the hooks of a `describe` block; fields are filled before the first test. `options` go to the configuration;
 * they may be a function that finds them. After `kill()` comes `start()`: the same folder, the same port.
 */
export function stage(options = {}) {
  const scene = {
    /** SIGKILL: nothing can be put in order any more. */
    kill: () => scene.farthing.crash(),
    async start() {
      scene.farthing = await serve(scene.home)
      scene.home.keep(scene.farthing.gate)
    },
    url: (path) => `${scene.farthing.gate}${path}`,
  }
  const end = async () => {
    // The site first: the gate lets what is in flight come to its end.
    await scene.site?.stop()
    await scene.farthing?.stop()
    scene.home?.remove()
  }
  before(async () => {
    try {
      scene.site = await upstream()
      scene.home = home(scene.site.url, typeof options === 'function' ? await options() : options)
      await scene.start()
    } catch (error) {
      // A stage that half stands keeps the program from ending.
      await end()
      throw error
    }
  })
  after(end)
  return scene
}

/** A fetch that never follows a redirect and never retries. */
export const get = (url, headers = {}) => fetch(url, { headers, redirect: 'manual' })

/**
 * Asks over a connection of its own, and never twice. `isWhole` says whether the body came to its end; a connection that
 * breaks before the head is an error.
 */
export function ask(url, { method = 'GET', headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const asking = request(url, { method, headers, agent: false }, (response) => {
      const parts = []
      response.on('data', (part) => parts.push(part))
      response.on('error', () => {})
      response.on('close', () => {
        const { statusCode: status, headers: fields, complete: isWhole } = response
        resolve({ status, headers: fields, isWhole, body: Buffer.concat(parts).toString() })
      })
    })
    asking.on('error', reject)
    asking.end(body)
  })
}

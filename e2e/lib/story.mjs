// The stage of a story: an upstream and a gate before it, taken down again whatever happens.
import { after, before } from 'node:test'
import { home, serve } from './farthing.mjs'
import { upstream } from './upstream.mjs'

/** Registers the hooks of a `describe` block; fields are filled before the first test. */
export function stage() {
  const scene = {}
  before(async () => {
    scene.site = await upstream()
    scene.home = home(scene.site.url)
    scene.farthing = await serve(scene.home)
  })
  after(async () => {
    await scene.farthing?.stop()
    await scene.site?.stop()
    scene.home?.remove()
  })
  return scene
}

/** A fetch that never follows a redirect and never retries. */
export const get = (url, headers = {}) => fetch(url, { headers, redirect: 'manual' })

// A real browser for a story: headless Chromium, driven by the DevTools protocol alone. It runs no script of ours in pages but to read
// them and to click where a person would.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import WebSocket from 'ws'

const PROGRAM = process.env.CHROMIUM ?? 'chromium-headless-shell'

/** Starts one with an empty profile; `stop()` ends it and removes the profile. */
export async function browser() {
  const profile = mkdtempSync(join(tmpdir(), 'farthing-browser-'))
  // The sandbox of Chromium cannot be had by root, as whom CI runs; the pages here are all ours.
  const words = ['--remote-debugging-port=0', `--user-data-dir=${profile}`, '--no-sandbox', '--disable-gpu', 'about:blank']
  const child = spawn(PROGRAM, words, { stdio: ['ignore', 'ignore', 'pipe'] })
  let opened
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit')
      // Told to end, it ends its own programs; killed, it would leave them, and they what they write to.
      if (opened) opened.close()
      else child.kill('SIGKILL')
      await gone
    }
    child.stderr.destroy()
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  }
  try {
    opened = await page(await address(child))
    return { ...opened, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The address that it says on stderr when it is there. */
async function address(child) {
  const said = []
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line)
    const found = /^DevTools listening on (ws:\S+)/.exec(line)
    if (found) {
      child.stderr.resume()
      return found[1]
    }
  }
  throw new Error(`${PROGRAM} ended before it was there; it said:\n${said.join('\n')}`)
}

async function page(url) {
  const socket = new WebSocket(url)
  await once(socket, 'open')
  const waiting = new Map()
  const listening = new Set()
  let number = 0
  socket.on('message', (bytes) => {
    const message = JSON.parse(bytes)
    if (message.id === undefined) {
      for (const listener of [...listening]) listener(message)
      return
    }
    // Nobody waits for the answer to the last word.
    const { resolve, reject } = waiting.get(message.id) ?? { resolve() {}, reject() {} }
    waiting.delete(message.id)
    if (message.error) reject(new Error(message.error.message))
    else resolve(message.result)
  })
  let sessionId
  const send = (method, params = {}) =>
    new Promise((resolve, reject) => {
      number += 1
      waiting.set(number, { resolve, reject })
      socket.send(JSON.stringify({ id: number, method, params, sessionId }))
    })
  const { targetInfos } = await send('Target.getTargets')
  const { targetId } = targetInfos.find(({ type }) => type === 'page')
  sessionId = (await send('Target.attachToTarget', { targetId, flatten: true })).sessionId
  await send('Page.enable')
  await send('Network.enable')

  /** Does something that loads a page, and resolves with that page's answer when it is there whole. */
  const loading = async (act) => {
    let answer
    const loaded = new Promise((resolve) => {
      const listener = ({ method, params }) => {
        if (method === 'Network.responseReceived' && params.type === 'Document') answer = params.response
        if (method === 'Page.loadEventFired' && answer) {
          listening.delete(listener)
          resolve()
        }
      }
      listening.add(listener)
    })
    await act()
    await loaded
    return answer
  }
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await send('Runtime.evaluate', { expression, returnByValue: true })
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`)
    return result.value
  }
  const click = (selector) =>
    loading(async () => {
      const { x, y } = await evaluate(`(() => {
        const element = document.querySelector(${JSON.stringify(selector)})
        element.scrollIntoView()
        const { left, top, width, height } = element.getBoundingClientRect()
        return { x: left + width / 2, y: top + height / 2 }
      })()`)
      for (const type of ['mousePressed', 'mouseReleased']) {
        await send('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 })
      }
    })
  return {
    close: () => socket.send(JSON.stringify({ id: 0, method: 'Browser.close' })),
    send,
    evaluate,
    click,
    open: (url) => loading(() => send('Page.navigate', { url })),
    reload: () => loading(() => send('Page.reload')),
    text: () => evaluate('document.body.innerText'),
    /** Fields that it adds to every request, as an extension would. */
    adding: (headers) => send('Network.setExtraHTTPHeaders', { headers }),
    cookies: async (url) => (await send('Network.getCookies', { urls: [url] })).cookies,
  }
}

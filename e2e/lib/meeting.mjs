// Where a story and the upstream meet: the upstream arrives with something in its hands, the story waits for it, and
// neither has to come first.

/** `arrive(value)` hands over, `wait()` resolves with what was handed over; first come, first served. */
export function meeting() {
  const waiting = []
  const arrived = []
  return {
    arrive(value) {
      const someone = waiting.shift()
      if (someone) someone(value)
      else arrived.push(value)
    },
    wait: () => new Promise((resolve) => (arrived.length > 0 ? resolve(arrived.shift()) : waiting.push(resolve))),
  }
}

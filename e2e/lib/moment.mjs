// Moments at which a story kills something. Nothing is waited for here: the moment itself is the point.

/** A number between nothing and `most`, by chance. */
export const chance = (most) => Math.random() * most

/** Lets the event loop turn until so many milliseconds have passed; finer than a timer. */
export async function turnsUntil(milliseconds) {
  const end = performance.now() + milliseconds
  while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve))
}

// @ts-check

/** Waiting times that double from `firstMs` to `longestMs`, each up to a quarter longer by chance. */
export class Backoff {
  #firstMs;
  #longestMs;
  #attempts = 0;

  /**
   * @param {number} firstMs
   * @param {number} longestMs
   */
  constructor(firstMs, longestMs) {
    this.#firstMs = firstMs;
    this.#longestMs = longestMs;
  }

  /** The next waiting time in milliseconds. Chance keeps many pages from coming back in the same instant. */
  next() {
    const delay = Math.min(this.#longestMs, this.#firstMs * 2 ** this.#attempts);
    this.#attempts += 1;
    return delay * (1 + Math.random() / 4);
  }

  /** Begin with the shortest again. */
  reset() {
    this.#attempts = 0;
  }
}

// @ts-check
/**
 * How late the picture is: from the moment it was taken to the moment this browser shows it.
 *
 * Two things make the figure: the server's "timing" events say when the picture with a given RTP timestamp was taken, on
 * the server's clock; exchanges of the time say how that clock stands to ours. The one with the shortest round trip
 * counts. Where either is missing, old or contradictory there is no figure: better none than a wrong one.
 *
 * @typedef {{ offsetMs: number, roundTripMs: number, at: number }} Exchange
 */

const TICKS_PER_MS = 90;
const EXCHANGES_KEPT = 8;
const FIRST_EXCHANGES = 4;
const EXCHANGE_EVERY_MS = 10_000;
const EXCHANGE_OLD_MS = 60_000;
const TIMING_OLD_MS = 5_000;
const SHOWN_FOR_MS = 1_500;
const LARGEST_MS = 10_000;
/** Clocks run apart by so much between two exchanges; more means that one of them has jumped or slept. */
const DRIFT_MS = 20;

export class Delay {
  /** @type {Exchange[]} */
  #exchanges = [];
  /** @type {{ rtpTimestamp: number, capturedAt: number, at: number } | null} */
  #timing = null;
  /** @type {{ camera: number | null, server: number | null }} */
  #told = { camera: null, server: null };
  /** @type {{ delayMs: number, at: number }[]} */
  #shown = [];

  /** Forget everything: another server may answer now, or the same one with another clock. */
  reset() {
    this.#exchanges = [];
    this.#timing = null;
    this.#told = { camera: null, server: null };
    this.#shown = [];
  }

  /** What the server tells of the delay: milliseconds from the camera to its door, and from there to its exit. */
  get told() {
    return this.#told;
  }

  /** Whether it is time to ask for the server's time once more. */
  get wantsExchange() {
    const newest = this.#exchanges.at(-1);
    return this.#exchanges.length < FIRST_EXCHANGES || (newest && performance.now() - newest.at > EXCHANGE_EVERY_MS);
  }

  /** What to ask. */
  request() {
    return { type: "clock", sent: performance.now() };
  }

  /**
   * Take the server's answer to a request.
   *
   * @param {{ sent: number, server_ms: number }} answer
   */
  compare({ sent, server_ms: serverMs }) {
    const at = performance.now();
    const roundTripMs = at - sent;
    if (roundTripMs < 0) {
      return;
    }
    const exchange = { offsetMs: serverMs + roundTripMs / 2 - at, roundTripMs, at };
    const best = this.#best();
    if (best && Math.abs(best.offsetMs - exchange.offsetMs) > (best.roundTripMs + roundTripMs) / 2 + DRIFT_MS) {
      this.#exchanges = [];
      this.#shown = [];
    }
    this.#exchanges = [...this.#exchanges.slice(1 - EXCHANGES_KEPT), exchange];
  }

  /**
   * Take the server's word on when a picture was taken.
   *
   * @param {{ rtp_timestamp: number, captured_at_ms: number | null, camera_ms: number | null, server_ms: number }} timing
   */
  learn({ rtp_timestamp: rtpTimestamp, captured_at_ms: capturedAt, camera_ms: camera, server_ms: server }) {
    this.#told = { camera, server };
    this.#timing = capturedAt === null ? null : { rtpTimestamp, capturedAt, at: performance.now() };
  }

  /**
   * A picture is shown.
   *
   * @param {number} rtpTimestamp its timestamp, modulo 2^32
   * @param {number} displayedAt when, on the clock of `performance.now()`
   */
  show(rtpTimestamp, displayedAt) {
    const best = this.#best();
    const now = performance.now();
    if (!best || !this.#timing || now - this.#timing.at > TIMING_OLD_MS) {
      return;
    }
    // | 0: the shorter way round between two 32-bit timestamps.
    const takenAt = this.#timing.capturedAt + ((rtpTimestamp - this.#timing.rtpTimestamp) | 0) / TICKS_PER_MS;
    const delayMs = displayedAt + best.offsetMs - takenAt;
    if (delayMs > 0 && delayMs < LARGEST_MS) {
      this.#shown = [...this.#shown.filter((each) => now - each.at < SHOWN_FOR_MS), { delayMs, at: now }];
    }
  }

  /** The median of the last pictures in milliseconds, or null where it is not known. */
  get milliseconds() {
    const now = performance.now();
    const values = this.#shown.filter((each) => now - each.at < SHOWN_FOR_MS).map((each) => each.delayMs);
    values.sort((a, b) => a - b);
    return values.length ? Math.round(/** @type {number} */ (values[values.length >> 1])) : null;
  }

  #best() {
    const now = performance.now();
    const fresh = this.#exchanges.filter((each) => now - each.at < EXCHANGE_OLD_MS);
    return fresh.length ? fresh.reduce((best, each) => (each.roundTripMs < best.roundTripMs ? each : best)) : null;
  }
}

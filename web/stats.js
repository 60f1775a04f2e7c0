// @ts-check
/** What is going on with one picture, in figures, as its player tells them: about once a second while the panel is open. */

import { request } from "./api.js";
import { element } from "./dom.js";
import { strings } from "./strings.js";

const SERVER_EVERY_MS = 3_000;

/**
 * @typedef {import("./viewer.js").Stats} Stats
 * @typedef {import("./legs.js").Legs} Legs
 * @typedef {"camera" | "server" | "network" | "buffer" | "display"} Leg
 * @typedef {import("./viewer.js").SurveillxViewer} Player
 * @typedef {{ state: import("./api.js").RecognitionState, every: number, ageMs: number, recognised: number, at: number, rate: number | null }} Recognition
 */

export class StatsPanel {
  element;
  #cameraId;
  #figures = element("dl", {});
  #legs = element("div", { className: "legs", ariaHidden: "true" });
  /** @type {Recognition | null} */
  #recognition = null;
  #timer;
  #closed = new AbortController();

  /**
   * @param {Player} player
   * @param {string} cameraId
   * @param {string} label of the panel
   */
  constructor(player, cameraId, label) {
    this.#cameraId = cameraId;
    // It scrolls where the tile is small, and must be reachable to do so.
    this.element = element("div", { className: "stats", role: "group", ariaLabel: label, tabIndex: 0 }, [this.#figures, this.#legs]);
    player.addEventListener("stats", (event) => this.#show(/** @type {CustomEvent} */ (event).detail), { signal: this.#closed.signal });
    this.#timer = setInterval(() => this.#ask(), SERVER_EVERY_MS);
    this.#ask();
  }

  close() {
    this.#closed.abort();
    clearInterval(this.#timer);
    this.element.remove();
  }

  /** @param {Stats} stats */
  #show(stats) {
    const rows = [...ofPicture(stats), ...ofDelay(stats), ...ofRecognition(this.#recognition)];
    this.#figures.replaceChildren(
      ...rows.map(([what, figure]) =>
        element("div", {}, [element("dt", { textContent: what }), element("dd", { textContent: figure })]),
      ),
    );
    this.#legs.replaceChildren(...bars(stats));
  }

  async #ask() {
    /** @type {import("./api.js").CameraStatus[]} */
    const cameras = await request("/api/cameras").catch(() => []);
    const camera = cameras.find(({ id }) => id === this.#cameraId);
    this.#recognition = camera ? next(this.#recognition, camera) : null;
  }
}

/**
 * What recognition does now: its rate is how many pictures it looked at since the server was last asked.
 *
 * @param {Recognition | null} before
 * @param {import("./api.js").CameraStatus} camera
 * @returns {Recognition}
 */
function next(before, { recognition, recognition_every: every, result_age_ms: ageMs, frames: { recognised } }) {
  const at = performance.now();
  // Fewer than before: the server was started anew.
  const rate = before && recognised >= before.recognised ? (1000 * (recognised - before.recognised)) / (at - before.at) : null;
  return { state: recognition, every, ageMs, recognised, at, rate };
}

/**
 * @param {Stats} stats
 * @returns {[string, string][]}
 */
function ofPicture({ transport, rendition, width, height, fps, bitrate_bps, lost, freezes, frozen_s }) {
  const words = strings.stats;
  return [
    [words.way, words.wayAndRendition(transport, rendition)],
    [words.picture, width && height ? words.size(width, height) : words.unknown],
    [words.rate, fps === null ? words.unknown : words.perSecond(fps)],
    [words.bitrate, bitrate_bps === null ? words.unknown : words.megabits(bitrate_bps / 1e6)],
    [words.lost, lost === null ? words.unknown : words.share(lost)],
    [words.freezes, freezes === null ? words.unknown : words.frozen(freezes, frozen_s ?? 0)],
  ];
}

/**
 * @param {Stats} stats
 * @returns {[string, string][]}
 */
function ofDelay({ delay_ms, legs }) {
  const words = strings.stats;
  const known = knownLegs(legs).map(([leg, ms]) => words.leg(words.legs[leg], ms));
  return [
    [words.delay, delay_ms === null ? words.unknown : words.milliseconds(delay_ms)],
    ...(known.length ? /** @type {[string, string][]} */ ([[words.delayByLeg, known.join(", ")]]) : []),
  ];
}

/**
 * @param {Recognition | null} recognition
 * @returns {[string, string][]}
 */
function ofRecognition(recognition) {
  const words = strings.stats;
  if (recognition === null) {
    return [[words.recognition, words.unknown]];
  }
  const { state, rate, every, ageMs } = recognition;
  if (state !== "running") {
    return [[words.recognition, words.states[state]]];
  }
  return [
    [words.recognition, rate === null ? words.states[state] : words.recognised(rate, every)],
    [words.resultAge, words.milliseconds(ageMs)],
  ];
}

/** @param {Legs} legs @returns {[Leg, number][]} those that are known, in the picture's order */
function knownLegs(legs) {
  /** @type {Leg[]} */
  const order = ["camera", "server", "network", "buffer", "display"];
  return order.flatMap((leg) => {
    const ms = legs[leg];
    return ms === null ? [] : [/** @type {[Leg, number]} */ ([leg, Math.max(0, Math.round(ms))])];
  });
}

/** The legs side by side, each as wide as it takes. @param {Stats} stats */
function bars({ legs }) {
  return knownLegs(legs).map(([leg, ms]) => {
    const bar = element("span", { className: leg });
    bar.style.flexGrow = String(ms);
    return bar;
  });
}

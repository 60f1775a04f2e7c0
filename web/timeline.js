// @ts-check
/**
 * Who was recognised in the last minutes, on a strip of time: now is at its end, each person a bar from first to last seen.
 *
 * A list for screen readers too, the newest first; it scrolls sideways where the window is narrow.
 *
 * @typedef {{ personId: number, name: string, cameraId: string, from: number, to: number }} Stay times in ms since 1970
 */

import { element } from "./dom.js";
import { strings } from "./strings.js";

const SPAN_MS = 5 * 60_000;
const DRAW_EVERY_MS = 1_000;
/** Seen again within this time, somebody was there all along. */
const SAME_STAY_MS = 20_000;
/** A bar is at least as long as a name takes. */
const SHORTEST_MS = 35_000;
const MOST_STAYS = 200;

export class Timeline {
  #strip;
  #empty;
  #list = element("ol", {});
  #nameOf;
  /** @type {Stay[]} the newest last */
  #stays = [];
  /** @type {Map<Stay, HTMLLIElement>} */
  #bars = new Map();

  /**
   * @param {HTMLElement} strip
   * @param {HTMLElement} empty shown while there is nobody
   * @param {(cameraId: string) => string} nameOf a camera
   */
  constructor(strip, empty, nameOf) {
    this.#strip = strip;
    this.#empty = empty;
    this.#nameOf = nameOf;
    strip.append(this.#list);
    setInterval(() => this.#draw(), DRAW_EVERY_MS);
    this.#draw();
  }

  /**
   * @param {{ person_id: number | null, name: string }[]} faces
   * @param {string} cameraId
   */
  saw(faces, cameraId) {
    for (const { person_id: personId, name } of faces) {
      if (personId !== null) {
        this.note({ personId, name, cameraId }, Date.now());
      }
    }
  }

  /**
   * @param {{ personId: number, name: string, cameraId: string }} who
   * @param {number} at ms since 1970
   */
  note({ personId, name, cameraId }, at) {
    const known = this.#stays.findLast((stay) => stay.personId === personId && stay.cameraId === cameraId);
    if (known && at - known.to < SAME_STAY_MS && known.from - at < SAME_STAY_MS) {
      known.from = Math.min(known.from, at);
      known.to = Math.max(known.to, at);
    } else if (Date.now() - at < SPAN_MS) {
      this.#stays = [...this.#stays.slice(1 - MOST_STAYS), { personId, name, cameraId, from: at, to: at }];
    }
  }

  #draw() {
    const now = Date.now();
    this.#stays = this.#stays.filter(({ to }) => now - to < SPAN_MS);
    for (const [stay, bar] of this.#bars) {
      if (!this.#stays.includes(stay)) {
        bar.remove();
        this.#bars.delete(stay);
      }
    }
    /** @type {number[]} where each lane is taken until */
    const lanes = [];
    for (const stay of this.#stays) {
      place(this.#bar(stay), stay, now, lanes);
    }
    this.#strip.style.setProperty("--lanes", String(Math.max(1, lanes.length)));
    this.#showStrip(this.#stays.length > 0);
  }

  /** @param {boolean} isShown */
  #showStrip(isShown) {
    if (this.#empty.hidden !== isShown) {
      this.#empty.hidden = isShown;
      this.#strip.scrollLeft = this.#strip.scrollWidth; // to now
    }
  }

  /** @param {Stay} stay */
  #bar(stay) {
    let bar = this.#bars.get(stay);
    if (!bar) {
      const link = element("a", { href: `/people?person=${stay.personId}`, draggable: false });
      link.append(element("bdi", { textContent: stay.name }), element("span", { className: "visually-hidden" }));
      bar = element("li", {}, [link]);
      this.#bars.set(stay, bar);
      this.#list.prepend(bar);
    }
    const words = strings.stay(clock(stay.from), clock(stay.to), this.#nameOf(stay.cameraId));
    const link = /** @type {HTMLAnchorElement} */ (bar.firstElementChild);
    if (link.title !== words) {
      link.title = words;
      /** @type {HTMLElement} */ (link.lastElementChild).textContent = ` ${words}`;
    }
    return bar;
  }
}

/**
 * Put a bar at its time, in the first lane with room for it.
 *
 * @param {HTMLElement} bar
 * @param {Stay} stay
 * @param {number} now
 * @param {number[]} lanes
 */
function place(bar, { from, to }, now, lanes) {
  const start = Math.max(now - SPAN_MS, Math.min(from, to - SHORTEST_MS));
  const free = lanes.findIndex((until) => until <= start);
  const lane = free < 0 ? lanes.length : free;
  lanes[lane] = to;
  bar.style.setProperty("--lane", String(lane));
  bar.style.left = `${100 * (1 - (now - start) / SPAN_MS)}%`;
  bar.style.width = `${(100 * (to - start)) / SPAN_MS}%`;
}

/** @param {number} at */
function clock(at) {
  return strings.time(new Date(at));
}

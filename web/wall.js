// @ts-check
/**
 * The wall of cameras: tiles as large as they fit, one enlarged, in the order and choice that this browser remembers.
 *
 * Dispatches "change" when cameras come, go, change places or are chosen, "told" with words for a screen reader, and
 * "fault" with words for everybody.
 */

import { Attention } from "./attention.js";
import { fit } from "./fit.js";
import { recall, remember } from "./remembered.js";
import { strings } from "./strings.js";
import { Tile } from "./tile.js";

/** CSS pixels; below it a wall scrolls. A wall as high as the page scrolls with it, and a phone shows one in a row. */
const LEAST_WIDTH = 180;
const LEAST_WIDTH_ON_PAGE = 300;
/** Of the window's height, where the wall is as high as it needs to be. */
const SHARE_OF_WINDOW = 0.75;

export class Wall extends EventTarget {
  #list;
  #cameras;
  #hasTools;
  #fixed;
  #attention = new Attention();
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  /** @type {string[]} */
  #order;
  /** @type {Set<string>} */
  #left;
  /** @type {string | null} */
  #enlarged = null;
  /** @type {Tile | null} */
  #dragged = null;
  /** Tiles that came with the page, by camera. @type {Map<string, HTMLElement>} */
  #made = new Map();

  /**
   * @param {HTMLElement} list
   * @param {import("./cameras.js").Cameras} cameras
   * @param {{ hasTools: boolean, only: string[] }} options `only` these, in this order, whatever is remembered; empty: all
   */
  constructor(list, cameras, { hasTools, only }) {
    super();
    this.#list = list;
    this.#cameras = cameras;
    this.#hasTools = hasTools;
    this.#fixed = only;
    const kept = /** @type {{ order?: unknown, left?: unknown } | null} */ (recall("wall"));
    this.#order = only.length ? only : ids(kept?.order);
    this.#left = new Set(only.length ? [] : ids(kept?.left));
    this.#takeOver();
    new ResizeObserver(() => this.#arrange()).observe(list);
    addEventListener("resize", () => this.#arrange());
    cameras.addEventListener("change", (event) => this.#learn(/** @type {CustomEvent} */ (event).detail));
    cameras.ids.forEach((id) => this.#learn(id));
  }

  /** Every camera, in order; also those that are left out. */
  get ids() {
    const known = this.#fixed.length ? this.#fixed : this.#cameras.ids;
    return [...known].sort((a, b) => place(this.#order, a) - place(this.#order, b));
  }

  /** Those on the wall, in order. */
  get shown() {
    return this.ids.filter((id) => this.#tiles.has(id));
  }

  get enlarged() {
    return this.#enlarged;
  }

  /** @param {string} id */
  isChosen(id) {
    return !this.#left.has(id);
  }

  /** The tile that `element` is in, or the one that is enlarged, or under the pointer, or the first. @param {Element | null} element */
  tileAt(element) {
    const tiles = this.shown.flatMap((id) => this.#tiles.get(id) ?? []);
    return (
      tiles.find((tile) => tile.element.contains(element)) ??
      tiles.find(({ id }) => id === this.#enlarged) ??
      tiles.find((tile) => tile.element.matches(":hover")) ??
      tiles[0]
    );
  }

  /** @param {string} id @param {boolean} isChosen */
  choose(id, isChosen) {
    if (isChosen) {
      this.#left.delete(id);
      this.#show(id);
    } else {
      this.#left.add(id);
      this.#hide(id);
    }
    this.#keep();
  }

  /** Show one alone, or with null all of them. @param {string | null} id */
  enlarge(id) {
    this.#enlarged = id !== null && this.#tiles.has(id) && this.#tiles.size > 1 ? id : null;
    this.#tiles.forEach((tile) => {
      tile.enlarged = tile.id === this.#enlarged;
      tile.element.hidden = this.#enlarged !== null && tile.id !== this.#enlarged;
      tile.element.classList.remove("prepared");
    });
    this.#list.toggleAttribute("data-enlarged", this.#enlarged !== null);
    this.#arrange();
  }

  /** Let the picture of one begin behind the enlarged one. @param {string | undefined} id */
  prepare(id) {
    const tile = this.#tiles.get(id ?? "");
    if (tile?.element.hidden) {
      tile.element.classList.add("prepared");
      tile.element.hidden = false;
    }
  }

  /** @param {string} id */
  #learn(id) {
    const tile = this.#tiles.get(id);
    if (tile) {
      tile.name = this.#cameras.name(id);
    } else if (this.#fixed.length ? this.#fixed.includes(id) : this.isChosen(id)) {
      this.#show(id);
    }
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string} id */
  #show(id) {
    const tile = new Tile(id, this.#hasTools, this.#made.get(id));
    this.#made.delete(id);
    tile.name = this.#cameras.name(id);
    tile.addEventListener("enlarge", () => this.enlarge(this.#enlarged === id ? null : id));
    tile.addEventListener("move", (event) => this.#step(tile, /** @type {CustomEvent} */ (event).detail));
    tile.addEventListener("rename", (event) => this.#rename(id, /** @type {CustomEvent} */ (event).detail));
    tile.addEventListener("fault", (event) => {
      this.dispatchEvent(new CustomEvent("fault", { detail: /** @type {CustomEvent} */ (event).detail }));
    });
    this.#letDrag(tile);
    this.#tiles.set(id, tile);
    const next = this.shown[this.shown.indexOf(id) + 1];
    put(this.#list, tile.element, this.#tiles.get(next ?? "")?.element ?? null);
    this.#attention.watch(tile.player);
    this.enlarge(this.#enlarged);
  }

  /** What came with the page stays where it is wanted; nothing else of the page's is in the list. */
  #takeOver() {
    for (const item of /** @type {HTMLElement[]} */ ([...this.#list.children])) {
      const id = item.querySelector("surveillx-viewer")?.getAttribute("camera") ?? "";
      if (this.#fixed.length ? this.#fixed.includes(id) : this.isChosen(id)) {
        this.#made.set(id, item);
      } else {
        item.remove();
      }
    }
  }

  /** @param {string} id */
  #hide(id) {
    const tile = this.#tiles.get(id);
    if (tile) {
      this.#attention.forget(tile.player);
      tile.close();
      this.#tiles.delete(id);
      this.enlarge(this.#enlarged);
    }
  }

  /** @param {string} id @param {string} name */
  #rename(id, name) {
    this.#cameras.rename(id, name);
    this.#tell(strings.renamed(name));
  }

  /** @param {Tile} tile @param {number} by */
  #step(tile, by) {
    const to = this.shown.indexOf(tile.id) + by;
    if (to >= 0 && to < this.#tiles.size) {
      this.#move(tile, to);
      tile.focus(by < 0 ? "earlier" : "later"); // lost where the browser cannot move an element as it is
      this.#tell(strings.moved(tile.name, to + 1, this.#tiles.size));
    }
  }

  /** @param {Tile} tile @param {number} to its place among those shown */
  #move(tile, to) {
    const others = this.shown.filter((id) => id !== tile.id);
    const before = others[to];
    const order = this.ids.filter((id) => id !== tile.id);
    order.splice(before === undefined ? order.length : order.indexOf(before), 0, tile.id);
    this.#order = order;
    put(this.#list, tile.element, this.#tiles.get(before ?? "")?.element ?? null);
    this.#keep();
  }

  /** @param {Tile} tile */
  #letDrag(tile) {
    const { element } = tile;
    element.addEventListener("dragstart", () => {
      this.#dragged = tile;
      element.classList.add("dragged");
    });
    element.addEventListener("dragend", () => {
      this.#dragged = null;
      element.classList.remove("dragged");
    });
    element.addEventListener("dragover", (event) => {
      if (this.#dragged !== null) {
        event.preventDefault();
      }
    });
    element.addEventListener("drop", (event) => {
      event.preventDefault();
      if (this.#dragged !== null && this.#dragged !== tile) {
        this.#move(this.#dragged, this.shown.indexOf(tile.id));
      }
    });
  }

  #keep() {
    if (!this.#fixed.length) {
      remember("wall", { order: this.#order, left: [...this.#left] });
    }
    this.dispatchEvent(new Event("change"));
  }

  #arrange() {
    const tiles = [...this.#tiles.values()];
    tiles.forEach((tile) => (tile.alone = tiles.length < 2));
    const { gap, rowGap, overflowY } = getComputedStyle(this.#list);
    const isBounded = overflowY === "auto";
    const room = {
      width: this.#list.clientWidth,
      height: isBounded ? this.#list.clientHeight : SHARE_OF_WINDOW * innerHeight,
      gap: parseFloat(rowGap || gap) || 0,
    };
    const count = this.#enlarged === null ? tiles.length : 1;
    const { columns, width } = fit(count, room, isBounded ? LEAST_WIDTH : LEAST_WIDTH_ON_PAGE);
    this.#list.style.setProperty("--columns", String(columns));
    this.#list.style.setProperty("--tile-width", `${width}px`);
  }

  /** @param {string} words */
  #tell(words) {
    this.dispatchEvent(new CustomEvent("told", { detail: words }));
  }
}

/** @param {unknown} kept */
function ids(kept) {
  return Array.isArray(kept) ? kept.map(String) : [];
}

/** @param {string[]} order @param {string} id */
function place(order, id) {
  const found = order.indexOf(id);
  return found < 0 ? order.length : found;
}

/**
 * Change places without the player noticing, where the browser can: inserted anew, it would connect anew.
 *
 * @param {HTMLElement} list
 * @param {HTMLElement} element
 * @param {HTMLElement | null} before
 */
function put(list, element, before) {
  if (element.parentElement === list && element.nextElementSibling === before) {
    return;
  }
  if (element.isConnected && "moveBefore" in list && typeof list.moveBefore === "function") {
    list.moveBefore(element, before);
  } else {
    list.insertBefore(element, before);
  }
}

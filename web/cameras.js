// @ts-check
/** The cameras as the server tells of them: what they are called, and whether they send. */

import { strings } from "./strings.js";

/**
 * @typedef {{ name: string, state: "online" | "stale" | "offline" }} Known
 */

/** Dispatches "change" with a camera's id as `detail` when it is new, renamed, or in another state. */
export class Cameras extends EventTarget {
  /** @type {Map<string, Known>} */
  #known = new Map();

  /** In the order in which the server told of them. */
  get ids() {
    return [...this.#known.keys()];
  }

  /** @param {string} id */
  name(id) {
    return this.#known.get(id)?.name || strings.camera(id);
  }

  /** @param {string} id */
  isOnline(id) {
    return this.#known.get(id)?.state === "online";
  }

  /** The name is stored; the server tells everyone, us too. @param {string} id @param {string} name */
  rename(id, name) {
    this.learn(id, { name, state: this.#known.get(id)?.state ?? "offline" });
  }

  /**
   * @param {string} id
   * @param {Known} now
   */
  learn(id, { name, state }) {
    const before = this.#known.get(id);
    if (before?.name !== name || before.state !== state) {
      this.#known.set(id, { name, state });
      this.dispatchEvent(new CustomEvent("change", { detail: id }));
    }
  }
}

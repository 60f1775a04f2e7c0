// @ts-check
/** What staff changed, newest first; asked for when the reader opens it, and again whenever something changed since. */

import { ApiError, request } from "./api.js";
import { element } from "./dom.js";
import { strings } from "./strings.js";

const LINES = 50;

export class AuditHistory {
  #details;
  #list;
  #empty;

  /** @param {HTMLDetailsElement} details with a list, and a paragraph for when there is nothing in it */
  constructor(details) {
    this.#details = details;
    this.#list = /** @type {HTMLOListElement} */ (details.querySelector("ol"));
    this.#empty = /** @type {HTMLParagraphElement} */ (details.querySelector("p"));
    details.addEventListener("toggle", () => this.refresh());
  }

  /** Something may have changed. */
  async refresh() {
    if (!this.#details.open) {
      return;
    }
    try {
      const [lines, people] = await Promise.all([request(`/api/audit?limit=${LINES}`), request("/api/people")]);
      this.#show(lines, new Map(people.map((/** @type {import("./api.js").Person} */ each) => [each.id, each.name])));
    } catch (error) {
      const words = error instanceof ApiError ? error.message : String(error);
      this.#list.replaceChildren(element("li", { textContent: words }));
    }
  }

  /**
   * @param {import("./api.js").AuditRecord[]} lines
   * @param {Map<number, string>} names
   */
  #show(lines, names) {
    this.#list.replaceChildren(...lines.map((each) => line(each, names.get(each.person_id ?? 0))));
    this.#empty.hidden = lines.length > 0;
  }
}

/**
 * @param {import("./api.js").AuditRecord} record
 * @param {string | undefined} name
 */
function line({ at, words, who }, name) {
  return element("li", {}, [
    element("time", { dateTime: at, textContent: strings.moment(at) }),
    ...(name ? [element("strong", { textContent: name, dir: "auto" })] : []),
    element("span", { textContent: words }),
    ...(who ? [element("span", { className: "quiet", textContent: who, dir: "auto" })] : []),
  ]);
}

// @ts-check
/** One day's attendance as rows of a table, newest first; the Live and the Attendance page share it. */

import { request } from "./api.js";
import { element } from "./dom.js";
import { strings } from "./strings.js";

export class AttendanceRoll {
  #body;
  #summary;
  #empty;
  /** @type {Set<number>} */
  #ids = new Set();

  /**
   * @param {HTMLTableSectionElement} body
   * @param {HTMLElement} summary gets the number of people
   * @param {HTMLElement} empty shown while there are no rows
   */
  constructor(body, summary, empty) {
    this.#body = body;
    this.#summary = summary;
    this.#empty = empty;
    this.#count();
  }

  /** Show another day. @param {string} day YYYY-MM-DD */
  async load(day) {
    /** @type {import("./api.js").Attendance[]} */
    const rows = await request(`/api/attendance?date=${encodeURIComponent(day)}`);
    this.clear();
    rows.sort((a, b) => a.timestamp.localeCompare(b.timestamp)).forEach((row) => this.add(row));
  }

  clear() {
    this.#ids.clear();
    this.#body.replaceChildren();
    this.#count();
  }

  /** Put a row on top; one that is there already stays. @param {import("./api.js").Attendance} row */
  add(row) {
    if (this.#ids.has(row.id)) {
      return;
    }
    this.#ids.add(row.id);
    this.#body.prepend(
      element("tr", {}, [
        element("td", { className: "name", textContent: row.name, dir: "auto" }),
        element("td", { textContent: row.roll_no ?? "" }),
        element("td", {}, [element("time", { dateTime: row.timestamp, textContent: wallClock(row.timestamp) })]),
        element("td", { textContent: row.camera_id }),
      ]),
    );
    this.#count();
  }

  #count() {
    this.#summary.textContent = this.#ids.size ? strings.present(this.#ids.size) : "";
    this.#empty.hidden = this.#ids.size > 0;
  }
}

/** The school's time of day, wherever the browser is: timestamps carry the school's offset. @param {string} timestamp */
export function wallClock(timestamp) {
  return timestamp.slice(11, 16);
}

// @ts-check
/** Today's attendance as rows of a table, newest first, for the Live page. */

import { request } from "./api.js";
import { element } from "./dom.js";
import { strings } from "./strings.js";

export class AttendanceRoll {
  #body;
  #summary;
  #empty;
  #nameOf;
  /** @type {Map<number, { personId: number, made: HTMLTableRowElement }>} by the mark's id */
  #rows = new Map();

  /**
   * @param {HTMLTableSectionElement} body
   * @param {HTMLElement} summary gets the number of people
   * @param {HTMLElement} empty shown while there are no rows
   * @param {(cameraId: string) => string} nameOf a camera
   */
  constructor(body, summary, empty, nameOf) {
    this.#nameOf = nameOf;
    this.#body = body;
    this.#summary = summary;
    this.#empty = empty;
    this.#count();
  }

  /** Show another day; returns its rows, the oldest first. @param {string} day YYYY-MM-DD */
  async load(day) {
    /** @type {import("./api.js").Attendance[]} */
    const rows = await request(`/api/attendance?date=${encodeURIComponent(day)}`);
    this.clear();
    rows.sort((a, b) => a.timestamp.localeCompare(b.timestamp)).forEach((row) => this.add(row));
    return rows;
  }

  clear() {
    this.#rows.clear();
    this.#body.replaceChildren();
    this.#count();
  }

  /** Put a row on top; one that is there already stays. @param {import("./api.js").Attendance} row */
  add(row) {
    if (this.#rows.has(row.id)) {
      return;
    }
    const camera = element("td", { textContent: this.#nameOf(row.camera_id) });
    camera.dataset.camera = row.camera_id;
    const made = element("tr", {}, [
      element("td", { className: "name", textContent: row.name, dir: "auto" }),
      element("td", { textContent: row.roll_no ?? "" }),
      element("td", {}, [element("time", { dateTime: row.timestamp, textContent: wallClock(row.timestamp) })]),
      camera,
    ]);
    this.#rows.set(row.id, { personId: row.person_id, made });
    this.#body.prepend(made);
    this.#count();
  }

  /** Take away a row that was wrong. @param {number} id */
  remove(id) {
    this.#rows.get(id)?.made.remove();
    this.#rows.delete(id);
    this.#count();
  }

  /** Cameras have other names now. */
  relabel() {
    for (const cell of this.#body.querySelectorAll("td")) {
      if (cell.dataset.camera !== undefined) {
        cell.textContent = this.#nameOf(cell.dataset.camera);
      }
    }
  }

  #count() {
    const people = new Set([...this.#rows.values()].map(({ personId }) => personId)).size;
    this.#summary.textContent = people ? strings.present(people) : "";
    this.#empty.hidden = people > 0;
  }
}

/** The school's time of day, wherever the browser is: timestamps carry the school's offset. @param {string} timestamp */
export function wallClock(timestamp) {
  return timestamp.slice(11, 16);
}

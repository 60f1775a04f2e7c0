// @ts-check
/**
 * A day's present and absent people as two tables, searched by name.
 *
 * A row that did not change keeps its elements, so that the focus stays where it is while others arrive.
 * Dispatches "why" with the id of a mark, and "mark" with `{ person, button }`, as `detail`.
 */

import { element, find } from "./dom.js";
import { wallClock } from "./roll.js";
import { strings } from "./strings.js";

/**
 * @typedef {import("./api.js").Attendance} Attendance
 * @typedef {import("./api.js").AbsentPerson} AbsentPerson
 * @typedef {import("./api.js").DayAttendance} DayAttendance
 */

/** The reader's: databases put Z before a, and É behind both. */
const alphabet = new Intl.Collator();

export class DayLists extends EventTarget {
  #present = new KeptRows(find("#present tbody", HTMLTableSectionElement), find("#nobody-present", HTMLElement));
  #absent = new KeptRows(find("#absent tbody", HTMLTableSectionElement), find("#nobody-absent", HTMLElement));
  #summary = find("#summary", HTMLElement);
  #anonymous = find("#anonymous", HTMLElement);
  /** @type {DayAttendance | null} */
  #day = null;

  clear() {
    this.#day = null;
    this.#present.clear();
    this.#absent.clear();
    this.#summary.textContent = this.#anonymous.textContent = "";
  }

  /**
   * @param {DayAttendance} day
   * @param {string} words searched for
   */
  show(day, words) {
    this.#day = { ...day, absent: day.absent.sort((a, b) => alphabet.compare(a.name, b.name)) };
    const present = new Set(day.present.map((row) => row.person_id)).size;
    this.#summary.textContent = strings.counts(present, day.absent.length);
    this.#anonymous.textContent = day.anonymous > 0 ? strings.anonymous(day.anonymous) : "";
    find("#present", HTMLTableElement).classList.toggle("one-session", day.sessions.length === 0);
    this.search(words);
  }

  /** Show only whose name or roll number has these words in it. @param {string} words */
  search(words) {
    const wanted = plain(words.trim());
    const isWanted = (/** @type {Attendance | AbsentPerson} */ { name, roll_no }) =>
      plain(name).includes(wanted) || plain(roll_no ?? "").includes(wanted);
    if (this.#day) {
      this.#present.show(this.#day.present.filter(isWanted), (row) => this.#presentCells(row));
      this.#absent.show(this.#day.absent.filter(isWanted), (person) => this.#absentCells(person));
    }
  }

  /** @param {Attendance} row */
  #presentCells(row) {
    const why = button(strings.why, strings.whyFor(row.name));
    why.addEventListener("click", () => this.dispatchEvent(new CustomEvent("why", { detail: row.id })));
    return [
      ...identity(row),
      element("td", { className: "session", textContent: row.session }),
      element("td", {}, row.source === "manual" ? [] : [time(row.timestamp)]),
      element("td", {}, [place(row)]),
      element("td", { className: "action" }, [why]),
    ];
  }

  /** @param {AbsentPerson} person */
  #absentCells(person) {
    const mark = button(strings.markPresent, strings.markPresentFor(person.name));
    mark.addEventListener("click", () => {
      this.dispatchEvent(new CustomEvent("mark", { detail: { person, button: mark } }));
    });
    return [...identity(person), element("td", { className: "action" }, [mark])];
  }
}

/** The rows of one table. */
class KeptRows {
  #body;
  #empty;
  /** @type {Map<string, HTMLTableRowElement>} */
  #rows = new Map();

  /**
   * @param {HTMLTableSectionElement} body
   * @param {HTMLElement} empty shown while there are no rows
   */
  constructor(body, empty) {
    this.#body = body;
    this.#empty = empty;
  }

  clear() {
    this.#rows.clear();
    this.#body.replaceChildren();
    this.#empty.hidden = true;
  }

  /**
   * @template T
   * @param {T[]} items
   * @param {(item: T) => HTMLTableCellElement[]} cells
   */
  show(items, cells) {
    /** @type {Map<string, HTMLTableRowElement>} */
    const rows = new Map();
    for (const item of items) {
      const key = JSON.stringify(item);
      rows.set(key, this.#rows.get(key) ?? element("tr", {}, cells(item)));
    }
    this.#rows.forEach((row, key) => rows.has(key) || row.remove());
    [...rows.values()].forEach((row, index) => {
      if (this.#body.children[index] !== row) {
        this.#body.insertBefore(row, this.#body.children[index] ?? null);
      }
    });
    this.#rows = rows;
    this.#empty.hidden = rows.size > 0;
  }
}

/** @param {Attendance | AbsentPerson} person */
function identity({ name, roll_no, class_name }) {
  return [
    element("td", { className: "name", textContent: name, dir: "auto" }),
    element("td", { textContent: roll_no ?? "" }),
    element("td", { textContent: class_name ?? "" }),
  ];
}

/** Where it was seen, or who says so. @param {Attendance} row */
function place(row) {
  if (row.source === "recognised") {
    return document.createTextNode(row.camera_id);
  }
  return element("span", { className: "tag", textContent: row.source === "manual" ? strings.byHand : strings.bySchool });
}

/** @param {string} timestamp */
function time(timestamp) {
  return element("time", { dateTime: timestamp, textContent: wallClock(timestamp) });
}

/**
 * @param {string} words
 * @param {string} label with the name, for who cannot see the row
 */
function button(words, label) {
  return element("button", { type: "button", textContent: words, ariaLabel: label });
}

/** Without case and accents, so that "zoe" finds "Zoë". @param {string} text */
function plain(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase();
}

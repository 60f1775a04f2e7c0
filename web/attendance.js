// @ts-check
/** The Attendance page: who was there on a day and who was not, by class, session and camera; it follows what happens. */

import { ApiError, request } from "./api.js";
import { AuditHistory } from "./history.js";
import { DayLists } from "./daylists.js";
import { find } from "./dom.js";
import { EventsSocket } from "./events.js";
import { ProofDialog } from "./proof.js";
import { strings } from "./strings.js";

/** Thirty pupils may come through a door at once: one question to the server is enough. */
const GATHER_MS = 200;
const FILTERS = /** @type {const} */ (["class_name", "session", "camera_id"]);

const picker = find("#day", HTMLInputElement);
const search = find("#search", HTMLInputElement);
const csv = find("#csv", HTMLAnchorElement);
const status = find("#status", HTMLElement);
const next = find("#next", HTMLButtonElement);
const selects = FILTERS.map((name) => find(`#${name}`, HTMLSelectElement));

const lists = new DayLists();
const proof = new ProofDialog(find("#proof", HTMLDialogElement));
const audit = new AuditHistory(find("#history", HTMLDetailsElement));
const events = new EventsSocket({ types: ["attendance", "attendance_removed"] });

/** The request under way; a newer one ends it. */
let loading = new AbortController();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let gathering;

/**
 * @param {string} text
 * @param {"done" | "error"} kind
 */
function say(text, kind) {
  status.textContent = text;
  status.dataset.kind = kind;
}

/** @param {unknown} error */
function sayError(error) {
  say(error instanceof ApiError ? error.message : String(error), "error");
}

/** What the page shows, as the server's query. */
function query() {
  const chosen = selects.filter((select) => select.value).map((select) => [select.id, select.value]);
  return new URLSearchParams([["date", picker.value], ...chosen]);
}

/** Ask for the day that is chosen, and show it. */
async function load() {
  loading.abort();
  const mine = (loading = new AbortController());
  try {
    const day = await request(`/api/attendance/day?${query()}`, { signal: mine.signal });
    if (mine === loading) {
      show(day);
    }
  } catch (error) {
    if (mine === loading) {
      lists.clear();
      sayError(error);
    }
  }
}

/** @param {import("./api.js").DayAttendance} day */
function show(day) {
  if (status.dataset.kind === "error") {
    status.textContent = "";
  }
  [day.classes, day.sessions, day.cameras].forEach((values, place) => offer(selects[place], values));
  lists.show(day, search.value);
  audit.refresh();
}

/**
 * Offer what can be chosen; a filter with nothing to choose is hidden.
 *
 * @param {HTMLSelectElement} select
 * @param {string[]} values
 */
function offer(select, values) {
  const chosen = select.value;
  const offered = chosen && !values.includes(chosen) ? [...values, chosen] : values;
  const [all] = select.options;
  select.replaceChildren(all, ...offered.map((value) => new Option(value, value)));
  select.value = chosen;
  const label = select.closest("label");
  if (label) {
    label.hidden = offered.length < 2 && !chosen;
  }
}

/** The reader chose another day or filter. */
function choose() {
  if (!picker.value) {
    return;
  }
  const chosen = query().toString();
  csv.href = `/api/attendance.csv?${chosen}`;
  history.replaceState(null, "", `?${chosen}`);
  find("#day-words", HTMLElement).textContent = strings.dayInWords(picker.value);
  next.disabled = picker.value >= picker.max;
  status.textContent = "";
  load();
}

/** @param {number} days */
function step(days) {
  const day = new Date(`${picker.value}T00:00:00Z`);
  day.setUTCDate(day.getUTCDate() + days);
  goTo(day.toISOString().slice(0, 10));
}

/** @param {string} day YYYY-MM-DD */
function goTo(day) {
  picker.value = day;
  choose();
}

/** Something happened: load soon, together with what else happens by then. */
function follow() {
  clearTimeout(gathering);
  gathering = setTimeout(load, GATHER_MS);
}

/** @param {import("./api.js").Attendance} row */
function marked(row) {
  const day = row.timestamp.slice(0, 10);
  const showsToday = picker.value === picker.max;
  if (day > picker.max) {
    picker.max = day;
    if (showsToday) {
      goTo(day);
    }
  } else if (day === picker.value) {
    follow();
  }
}

/**
 * @param {import("./api.js").AbsentPerson} person
 * @param {HTMLButtonElement} button
 */
async function markByHand(person, button) {
  button.disabled = true;
  const session = query().get("session");
  try {
    const json = { person_id: person.person_id, date: picker.value, ...(session ? { session } : {}) };
    await request("/api/attendance", { method: "POST", json });
    say(strings.markedByHand(person.name), "done");
    await load();
  } catch (error) {
    button.disabled = false;
    sayError(error);
  }
}

/** Begin with what the address says, so that a link to a view works. */
function start() {
  const asked = new URLSearchParams(location.search);
  FILTERS.forEach((name, place) => {
    const value = asked.get(name) ?? "";
    if (value) {
      selects[place].append(new Option(value, value));
      selects[place].value = value;
    }
  });
  choose();
}

picker.addEventListener("change", choose);
selects.forEach((select) => select.addEventListener("change", choose));
search.addEventListener("input", () => lists.search(search.value));
find("#previous", HTMLButtonElement).addEventListener("click", () => step(-1));
next.addEventListener("click", () => step(1));
find("#today", HTMLButtonElement).addEventListener("click", () => goTo(picker.max));
lists.addEventListener("why", (event) => proof.open(/** @type {CustomEvent} */ (event).detail));
lists.addEventListener("mark", (event) => {
  const { person, button } = /** @type {CustomEvent} */ (event).detail;
  markByHand(person, button);
});
proof.addEventListener("removed", (event) => {
  say(/** @type {CustomEvent} */ (event).detail, "done");
  load();
});
events.addEventListener("open", follow);
events.addEventListener("message", (message) => {
  const event = /** @type {CustomEvent} */ (message).detail;
  if (event.type === "attendance") {
    marked(event);
  } else if (event.type === "attendance_removed") {
    follow();
  }
});
start();
events.start();

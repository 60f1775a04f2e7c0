// @ts-check
/**
 * The System page: how cameras, recognition, database and machine are, and what to do where something is wrong.
 * It asks every few seconds while somebody looks, and at once when the server tells of a change.
 *
 * @typedef {{ kind: string, what: string, todo: string, since: string | null, camera_id: string | null }} Problem
 * @typedef {{ id: string, name: string, state: string, since: string, width: number, height: number, fps: number,
 *   renditions: Record<string, number>, publisher_since: string | null, recognition_fps: number,
 *   result_age_ms: number }} CameraStatus
 * @typedef {{ problems: Problem[], cameras: CameraStatus[], sessions: { publisher?: number, viewer?: number, limit: number },
 *   recognition: { state: string, words: string, restarts: number },
 *   database: { kind: string, away_since: string | null, waiting_marks: number }, degraded: string,
 *   disk: { free_bytes: number, total_bytes: number }, started_at: string, up_s: number,
 *   versions: Record<string, string> }} System
 */

import { ApiError, request } from "./api.js";
import { element, find } from "./dom.js";
import { EventsSocket } from "./events.js";
import { strings } from "./strings.js";

const EVERY_MS = 5_000;
/** Changes come in groups: a camera that goes is told as stale, then as offline. */
const SETTLE_MS = 200;
/** @type {Record<string, string>} */
const DATABASES = { sqlite: "SQLite", postgresql: "PostgreSQL" };

const status = find("#status", HTMLElement);
const wrong = find("#wrong", HTMLElement);
const problems = find("#problems", HTMLUListElement);
const rows = find("#cameras-table tbody", HTMLTableSectionElement);
const events = new EventsSocket({ types: ["camera", "server"] });
/** @type {ReturnType<typeof setTimeout> | undefined} */
let next;
let shownAt = new Date();
let shownProblems = "";

/** Sets a text where it is another one, so that a reader's place and a selection stay. @param {Element} where @param {string} words */
function say(where, words) {
  if (where.textContent !== words) {
    where.textContent = words;
  }
}

/** @param {string} words @param {"done" | "error"} kind */
function tell(words, kind) {
  say(status, words);
  status.dataset.kind = kind;
}

async function refresh() {
  clearTimeout(next);
  try {
    show(await request("/api/system"));
  } catch (error) {
    tell(strings.notCurrent(error instanceof ApiError ? error.message.replace(/\.$/, "") : String(error), shownAt), "error");
  }
  if (!document.hidden) {
    refreshIn(EVERY_MS);
  }
}

/** @param {number} delayMs */
function refreshIn(delayMs) {
  clearTimeout(next);
  next = setTimeout(refresh, delayMs);
}

/** @param {System} system */
function show(system) {
  shownAt = new Date();
  const count = system.problems.length;
  tell(count ? strings.problems(count) : strings.allWell, count ? "error" : "done");
  showProblems(system.problems);
  showCameras(system.cameras);
  showServer(system);
  find("#system", HTMLElement).hidden = false;
}

/** @param {Problem[]} found */
function showProblems(found) {
  wrong.hidden = found.length === 0;
  const told = JSON.stringify(found);
  if (told !== shownProblems) {
    shownProblems = told;
    problems.replaceChildren(...found.map(problemItem));
  }
}

/** @param {Problem} problem */
function problemItem({ what, todo, since }) {
  const title = element("strong", { textContent: what, dir: "auto" });
  const when = element("span", { className: "quiet", textContent: since ? ` ${strings.sinceMoment(since)}` : "" });
  const whatToDo = element("p", { textContent: todo, dir: "auto" });
  return element("li", { className: "panel" }, [element("p", {}, [title, when]), whatToDo]);
}

/** @param {CameraStatus[]} cameras */
function showCameras(cameras) {
  find("#no-cameras", HTMLElement).hidden = cameras.length > 0;
  cameras.forEach((camera, index) => {
    const row = rows.rows[index] ?? rows.appendChild(cameraRow());
    row.dataset.state = camera.state;
    cameraCells(camera).forEach((words, column) => say(row.cells[column], words));
  });
}

function cameraRow() {
  const name = element("th", { scope: "row", className: "name", dir: "auto" });
  const rest = Array.from({ length: 5 }, () => element("td", {}));
  rest[0].className = "state";
  return element("tr", {}, [name, ...rest]);
}

/** @param {CameraStatus} camera */
function cameraCells(camera) {
  const watching = Object.entries(camera.renditions).filter(([, count]) => count > 0);
  return [
    camera.name || strings.camera(camera.id),
    strings.cameraState(camera),
    camera.state === "online" ? strings.picture(camera) : "",
    watching.map(([rendition, count]) => strings.viewersOf(count, rendition)).join(", ") || strings.noViewers,
    strings.publishing(camera.publisher_since),
    camera.state === "online" ? strings.recognised(camera.recognition_fps, camera.result_age_ms) : "",
  ];
}

/** @param {System} system */
function showServer({ recognition, database, degraded, sessions, disk, up_s, started_at, versions }) {
  const { surveillx, ...libraries } = versions;
  const state = strings.recognitionState[recognition.state];
  const kind = DATABASES[database.kind] ?? database.kind;
  const waiting = database.waiting_marks ? strings.marksWaiting(database.waiting_marks) : "";
  fill("#recognition", recognition.state === "off" ? [state] : [state, strings.restarts(recognition.restarts)]);
  fill("#database", [strings.databaseState(kind, database.away_since), waiting]);
  fill("#load", [degraded || strings.keepsUp]);
  fill("#connections", [strings.connections((sessions.publisher ?? 0) + (sessions.viewer ?? 0), sessions.limit)]);
  fill("#disk", [strings.diskFree(disk.free_bytes, disk.total_bytes)]);
  fill("#up", [strings.upSince(up_s, started_at)]);
  const beside = Object.entries(libraries).map(([name, version]) => `${name} ${version}`);
  fill("#version", [`SurveillX ${surveillx}`, ...beside]);
}

/** @param {string} selector @param {string[]} parts */
function fill(selector, parts) {
  say(find(selector, HTMLElement), parts.filter(Boolean).join(", "));
}

events.addEventListener("message", () => refreshIn(SETTLE_MS));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(next);
  } else {
    refresh();
  }
});
events.start();
refresh();

// @ts-check
/** The Live page: a player for every camera, new ones by themselves, and today's attendance as it happens. */

import "./viewer.js";
import { request } from "./api.js";
import { find } from "./dom.js";
import { EventsSocket } from "./events.js";
import { AttendanceRoll, wallClock } from "./roll.js";
import { strings } from "./strings.js";

const grid = find("#cameras", HTMLElement);
const panel = find("#attendance", HTMLElement);
const news = find("#news", HTMLElement);
const roll = new AttendanceRoll(
  find("#attendance tbody", HTMLTableSectionElement),
  find("#summary", HTMLElement),
  find("#nobody", HTMLElement),
);
const events = new EventsSocket({ types: ["camera", "attendance", "attendance_removed"] });
let day = panel.dataset.day ?? "";

/** @param {string} id */
function showCamera(id) {
  const shown = [...grid.querySelectorAll("surveillx-viewer")].some((each) => each.getAttribute("camera") === id);
  if (!shown) {
    const viewer = document.createElement("surveillx-viewer");
    viewer.setAttribute("camera", id);
    grid.append(viewer);
  }
}

/** Catch up with what happened while there was no connection. */
async function refresh() {
  /** @type {import("./api.js").CameraStatus[]} */
  const cameras = await request("/api/cameras");
  cameras.forEach(({ id }) => showCamera(id));
  await roll.load(day);
}

/** @param {import("./api.js").Attendance} row */
function marked(row) {
  const itsDay = row.timestamp.slice(0, 10);
  if (itsDay > day) {
    day = itsDay;
    roll.clear();
  }
  roll.add(row);
  news.textContent = strings.marked(row.name, wallClock(row.timestamp));
}

events.addEventListener("open", () => {
  // What fails here is told by the players, and done again when the connection is back.
  refresh().catch(() => {});
});
events.addEventListener("message", (message) => {
  const event = /** @type {CustomEvent} */ (message).detail;
  if (event.type === "camera") {
    showCamera(event.camera_id);
  } else if (event.type === "attendance") {
    marked(event);
  } else if (event.type === "attendance_removed") {
    roll.remove(event.id);
    news.textContent = strings.markRemoved;
  }
});
events.start();

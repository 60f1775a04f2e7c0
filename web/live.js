// @ts-check
/** The Live page: the wall of cameras, who was recognised just now, and today's attendance as it happens. */

import "./viewer.js";
import { request } from "./api.js";
import { Cameras } from "./cameras.js";
import { Chime } from "./chime.js";
import { find } from "./dom.js";
import { EventsSocket } from "./events.js";
import { cycle, readAddress, stayAwake } from "./kiosk.js";
import { AttendanceRoll, wallClock } from "./roll.js";
import { strings } from "./strings.js";
import { Timeline } from "./timeline.js";
import { Toasts } from "./toasts.js";
import { chooseCameras, soundButton, useKeys } from "./wall_controls.js";
import { Wall } from "./wall.js";

const address = readAddress();
const cameras = new Cameras();
/** @param {string} id */
const nameOf = (id) => cameras.name(id);
const panel = find("#attendance", HTMLElement);
const news = find("#news", HTMLElement);
const chime = new Chime();
const toasts = new Toasts(find("#toasts", HTMLElement));
const roll = new AttendanceRoll(
  find("#attendance tbody", HTMLTableSectionElement),
  find("#summary", HTMLElement),
  find("#nobody", HTMLElement),
  nameOf,
);
const timeline = new Timeline(find("#strip", HTMLElement), find("#strip-empty", HTMLElement), nameOf);
const wall = new Wall(find("#cameras", HTMLElement), cameras, { hasTools: !address.isKiosk, only: address.cameras });
const events = new EventsSocket({ types: ["camera", "attendance", "attendance_removed"] });
const sightings = new EventsSocket({ types: ["detections"] });
let day = panel.dataset.day ?? "";

/** Catch up with what happened while there was no connection. */
async function refresh() {
  /** @type {import("./api.js").CameraStatus[]} */
  const all = await request("/api/cameras");
  all.forEach((camera) => cameras.learn(camera.id, camera));
  // Today's attendance is for staff.
  if (!panel.hidden) {
    const rows = await roll.load(day);
    rows.forEach(recall);
  }
}

/** @param {import("./api.js").Attendance} row */
function recall({ person_id: personId, name, camera_id: cameraId, timestamp, source }) {
  if (source === "recognised") {
    timeline.note({ personId, name, cameraId }, Date.parse(timestamp));
  }
}

/** @param {import("./api.js").Attendance} row */
function marked(row) {
  const itsDay = row.timestamp.slice(0, 10);
  if (itsDay > day) {
    day = itsDay;
    roll.clear();
  }
  roll.add(row);
  toasts.show(strings.marked(row.name, wallClock(row.timestamp)));
  chime.play();
}

/** Nobody looks at a hidden page's timeline. */
function followSightings() {
  if (document.visibilityState === "visible") {
    sightings.start();
  } else {
    sightings.close();
  }
}

cameras.addEventListener("change", () => roll.relabel());
events.addEventListener("open", () => {
  // What fails here is told by the players, and done again when the connection is back.
  refresh().catch(() => {});
});
events.addEventListener("message", (message) => {
  const event = /** @type {CustomEvent} */ (message).detail;
  if (event.type === "camera") {
    cameras.learn(event.camera_id, event);
  } else if (event.type === "attendance") {
    marked(event);
  } else if (event.type === "attendance_removed") {
    roll.remove(event.id);
    news.textContent = strings.markRemoved;
  }
});
sightings.addEventListener("message", (message) => {
  const event = /** @type {CustomEvent} */ (message).detail;
  timeline.saw(event.faces, event.camera_id);
});
wall.addEventListener("told", (event) => {
  news.textContent = /** @type {CustomEvent} */ (event).detail;
});
wall.addEventListener("fault", (event) => toasts.show(/** @type {CustomEvent} */ (event).detail));

for (const { id, name } of JSON.parse(find("#cameras", HTMLElement).dataset.cameras ?? "[]")) {
  cameras.learn(id, { name, state: "offline" });
}
events.start();
if (address.isKiosk) {
  stayAwake();
  if (address.cycleS) {
    cycle(wall, cameras, address.cycleS);
  }
} else {
  chooseCameras(find("#choose", HTMLDetailsElement), wall, cameras);
  soundButton(find("#sound", HTMLButtonElement), chime);
  useKeys(wall);
  followSightings();
  document.addEventListener("visibilitychange", followSightings);
}

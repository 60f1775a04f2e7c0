// @ts-check
/** The banner of every page: what of the server is not as it should be, told as it changes. Without a fault it is hidden. */

import { find } from "./dom.js";
import { EventsSocket } from "./events.js";
import { strings } from "./strings.js";

/**
 * @typedef {{ recognition: "off" | "starting" | "running" | "restarting", recognition_words: string,
 *   database: "ok" | "away", waiting_marks: number, degraded: string }} ServerState
 */

/** Loading the models takes seconds after every start; only a longer wait is worth a word. */
const STARTING_MS = 10_000;
/** For so long the page says that the server is no longer busy. */
const RELIEVED_MS = 10_000;

const banner = find("#notices", HTMLElement);
const events = new EventsSocket({ types: ["server"] });
/** @type {ReturnType<typeof setTimeout> | undefined} */
let patience;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let relief;
/** @type {ServerState | undefined} */
let latest;

/** @param {string[]} sentences */
function say(sentences) {
  banner.replaceChildren(...sentences.map((sentence) => Object.assign(document.createElement("p"), { textContent: sentence })));
  banner.hidden = sentences.length === 0;
}

/** @param {ServerState} server */
function tell(server) {
  latest = server;
  const sentences = [];
  if (server.degraded) {
    sentences.push(server.degraded);
  } else if (relief !== undefined) {
    sentences.push(strings.keepsUpAgain);
  }
  if (server.recognition === "restarting") {
    sentences.push(strings.recognitionAway(server.recognition_words));
  }
  if (server.database === "away" || server.waiting_marks > 0) {
    sentences.push(strings.databaseAway(server.waiting_marks));
  }
  say(sentences);
}

/** @param {ServerState} server */
function follow(server) {
  clearTimeout(patience);
  relieve(server);
  tell(server);
  if (server.recognition === "starting") {
    patience = setTimeout(() => tell({ ...server, recognition: "restarting" }), STARTING_MS);
  }
}

/** Who read that the server is busy may know that it is over. @param {ServerState} server */
function relieve(server) {
  if (server.degraded) {
    clearTimeout(relief);
    relief = undefined;
  } else if (latest?.degraded) {
    relief = setTimeout(() => {
      relief = undefined;
      if (latest) {
        tell(latest);
      }
    }, RELIEVED_MS);
  }
}

events.addEventListener("message", (message) => {
  const event = /** @type {CustomEvent} */ (message).detail;
  if (event.type === "server") {
    follow(event);
  }
});
events.start();

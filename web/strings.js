// @ts-check
/** Every sentence the scripts show, in one place. */

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long" });

/** "14:03", or "14:03 on 5 January" when that was not today. @param {string} iso */
function moment(iso) {
  const date = new Date(iso);
  const today = date.toDateString() === new Date().toDateString();
  return today ? clock.format(date) : `${clock.format(date)} on ${day.format(date)}`;
}

/** A sentence as a part of another one: the server's end with a full stop. @param {string} sentence */
function clause(sentence) {
  return sentence.replace(/\.$/, "");
}

export const strings = {
  serverUnreachable: "The server cannot be reached",
  serverSlow: "The server did not answer in time",
  /** @param {number} status */
  serverError: (status) => `The server refused this (${status})`,

  webrtcUnsupported: "This browser has no WebRTC",
  webrtcBlocked: "WebRTC could not connect; UDP may be blocked",
  webrtcLost: "The WebRTC connection was lost",
  webrtcStalled: "The WebRTC picture stood still",
  webrtcNoPicture: "WebRTC connected, but no picture came",
  webrtcLate: "WebRTC is slow to connect",

  /** @param {string} id */
  camera: (id) => `Camera ${id}`,
  connecting: "Connecting",
  poster: "JPEG picture while WebRTC connects",
  live: "Live over WebRTC",
  liveBadge: "Live · WebRTC",
  connectingBadge: "Connecting…",
  stalled: "No new picture",
  /** @param {string} why */
  stalledBadge: (why) => `Stalled: ${why}, trying again`,
  denied: "Sign in to watch this camera",
  signIn: "Sign in",
  fullScreen: "Full screen",
  /** @param {string} why @param {string} when */
  fallbackBadge: (why, when) => `JPEG fallback: ${clause(why)}, ${when}`,
  /** @param {string} why @param {string} when */
  retryBadge: (why, when) => `${clause(why)}, ${when}`,
  retryingNow: "trying again",
  /** @param {number} seconds */
  retryingIn: (seconds) => `retrying in ${seconds} s`,
  /** @param {string} id @param {string} since */
  offline: (id, since) => `Camera ${id} has been offline since ${moment(since)}`,
  /** @param {string} id @param {string} since */
  stale: (id, since) => `Camera ${id} has sent no picture since ${moment(since)}`,

  /** @param {string} words */
  recognitionRestarting: (words) => `Recognition is restarting${words ? `: ${clause(words)}` : ""}. The picture goes on; names and attendance come back by themselves.`,
  /** @param {number} waiting */
  databaseAway: (waiting) =>
    waiting === 0
      ? "The database does not answer. Attendance is kept safely until it does."
      : `The database does not answer. ${waiting === 1 ? "1 attendance mark is" : `${waiting} attendance marks are`} kept safely until it does.`,

  /** @param {number} count */
  present: (count) => (count === 1 ? "1 person present" : `${count} people present`),
  /** @param {string} name @param {string} time */
  marked: (name, time) => `${name} was marked present at ${time}`,

  /** @param {number} count */
  photos: (count) => (count === 1 ? "1 photo" : `${count} photos`),
  /** @param {string} roll */
  rollNo: (roll) => `Roll no. ${roll}`,
  adding: "Looking at the photos…",
  /** @param {string} name */
  added: (name) => `${name} was added and is recognised from now on.`,
  /** @param {string} name */
  confirmDelete: (name) => `Delete ${name}? The photos, the face data and all attendance of this person go with it.`,
  /** @param {string} name */
  deleted: (name) => `${name} was deleted.`,
  delete: "Delete",
  /** @param {string} name */
  deletePerson: (name) => `Delete ${name}`,
};

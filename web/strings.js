// @ts-check
/**
 * Every sentence the scripts show, in one place.
 *
 * @typedef {"recognised" | "manual" | "school"} Source who made a mark
 */

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long" });

const wholeDay = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeZone: "UTC" });

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
  /** @param {number} delayMs from the camera to the screen */
  liveDelayBadge: (delayMs) => `Live · WebRTC ${delayMs} ms`,
  /** @param {string} rendition @param {string} why the server's words */
  liveSlow: (rendition, why) => `Live over WebRTC in ${rendition}, because ${why}`,
  /** @param {string} badge what it says on a good line @param {string} rendition */
  slowBadge: (badge, rendition) => `${badge}, ${rendition}: slow line`,
  /** @param {string} why the server's words */
  lineTooSlow: (why) => `This line is too slow for video: ${why}`,
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

  /** @param {string} words a sentence of the server's */
  recognitionAway: (words) => `${words} The picture goes on; names and attendance come back by themselves.`,
  keepsUpAgain: "The server is no longer busy: names and pictures come at their full rate.",
  /** @param {number} waiting */
  databaseAway: (waiting) =>
    waiting === 0
      ? "The database does not answer. Attendance is kept safely until it does."
      : `The database does not answer. ${waiting === 1 ? "1 attendance mark is" : `${waiting} attendance marks are`} kept safely until it does.`,

  /** @param {number} count */
  present: (count) => (count === 1 ? "1 person present" : `${count} people present`),
  markRemoved: "A mark was removed",
  /** @param {string} name @param {string} time */
  marked: (name, time) => `${name} was marked present at ${time}`,

  moment,
  /** "Monday, 2 March 2026". @param {string} date YYYY-MM-DD */
  dayInWords: (date) => wholeDay.format(new Date(`${date}T00:00:00Z`)),
  /** @param {number} here @param {number} missing */
  counts: (here, missing) => `${here} present, ${missing} absent`,
  /** @param {number} count */
  anonymous: (count) =>
    count === 1 ? "One more was present, whose data was deleted since." : `${count} more were present, whose data was deleted since.`,
  why: "Why?",
  /** @param {string} name */
  whyFor: (name) => `Why is ${name} marked as present?`,
  markPresent: "Mark present",
  /** @param {string} name */
  markPresentFor: (name) => `Mark ${name} as present`,
  /** @param {string} name */
  markedByHand: (name) => `${name} is marked as present, by hand.`,
  byHand: "by hand",
  bySchool: "school’s program",
  /** @param {{ source: Source, timestamp: string, camera_id: string, session: string }} mark */
  seen: ({ source, timestamp, camera_id, session }) => {
    const when = `${strings.dayInWords(timestamp.slice(0, 10))}${session ? `, ${session}` : ""}`;
    return {
      recognised: `Seen by camera ${camera_id} at ${timestamp.slice(11, 19)} on ${when}.`,
      manual: `Marked by hand for ${when}.`,
      school: `The school’s own program wrote this at ${timestamp.slice(11, 16)} on ${when}.`,
    }[source];
  },
  /** @param {number} looks */
  looksAgreed: (looks) => (looks === 1 ? "One look at this face." : `${looks} looks at this face agreed.`),
  /** @param {number} distance @param {number} threshold */
  distanceOf: (distance, threshold) =>
    `Distance ${distance.toFixed(2)}, where 0 is the same picture and ${threshold.toFixed(2)} the limit.`,
  /** @param {number} margin */
  marginOf: (margin) => `${margin.toFixed(2)} nearer than the next person.`,
  noCrop: "No picture of the face is kept with marks.",
  noEvidence: "The picture and the measurements of the face are not kept any more.",
  /** @param {{ id: number, track_id: number | null, model: string | null }} proof */
  measuredWith: ({ id, track_id, model }) => `Mark ${id}, track ${track_id}, measured with ${model}`,
  /** @param {string} name @param {boolean} canRemember */
  wrongMeans: (name, canRemember) =>
    canRemember
      ? `The mark is removed, and from now on this face is not taken for ${name}. The real ${name} can still be marked. The history keeps a line of it.`
      : `The mark is removed. This face is not kept any more, so it could be taken for ${name} again.`,
  removeMeans: "The mark that was made by hand is removed. The history keeps a line of it.",
  /** @param {string} name */
  removed: (name) => `The mark of ${name} was removed.`,
  /** @param {string} name */
  removedAndRemembered: (name) => `The mark was removed. This face is not taken for ${name} again.`,

  /** @param {number} count */
  photos: (count) => (count === 1 ? "1 photo" : `${count} photos`),
  /** @param {string} roll */
  rollNo: (roll) => `Roll no. ${roll}`,
  /** @param {string} name */
  inClass: (name) => `Class ${name}`,
  allClasses: "All classes",
  /** @param {number} found @param {number} all */
  people: (found, all) => (found === all ? `${all} enrolled` : `${found} of ${all}`),
  noConsent: "No consent",
  /** @param {string} name */
  edit: (name) => `Edit ${name}`,
  name: "Name",
  rollNoOptional: "Roll no. (optional)",
  classOptional: "Class (optional)",
  consent: "Consent given",
  consentHelp: "Without consent: pixelated everywhere, never marked.",
  choosePhotos: "Choose photos, or drop them here",
  choosePhotosHelp: "The person alone, facing the camera, in good light. Several are better than one.",
  photoNeeded: "Choose at least one photo first.",
  waiting: "Ready",
  looking: "Looking at the face…",
  photoStored: "Added",
  alreadyThere: "Stored already",
  remove: "Leave out",
  /** @param {string} file */
  removePhoto: (file) => `Leave out ${file}`,
  removeStored: "Delete this photo",
  add: "Add",
  addAnyway: "Add anyway",
  addPerson: "Add person",
  addRest: "Add these photos",
  adding: "Looking at the photos…",
  /** @param {number} refused @param {number} stored */
  refused: (refused, stored) =>
    `${refused === 1 ? "1 photo was" : `${refused} photos were`} refused; see why beside it. ` +
    (stored ? `The other ${stored === 1 ? "one is" : `${stored} are`} stored.` : "Nothing is stored yet."),
  /** @param {string} name */
  added: (name) => `${name} was added and is recognised from now on.`,
  /** @param {string} name */
  saved: (name) => `${name} was saved.`,
  confirmDelete: "The photos and everything measured of this face go for good, at once. What becomes of attendance is configured; the receipt tells.",
  keep: "Keep",
  done: "Done",
  /** @param {string} name */
  deleted: (name) => `${name} was deleted.`,
  receiptWords: "This is the receipt of what was deleted.",
  /** @param {Record<string, any>} receipt @returns {[string, string][]} */
  receipt: (receipt) => [
    ["Pictures of the face", String(receipt.photos)],
    ["Measurements of the face", String(receipt.embeddings)],
    ["Pictures that proved attendance", String(receipt.evidence)],
    ["Faces among visitors", String(receipt.visitors)],
    ["Attendance", Object.entries(receipt.attendance).map(([what, count]) => `${count} ${what}`).join(", ")],
    ["Name and numbers", receipt.record],
    ["When", new Date(receipt.deleted_at).toLocaleString()],
  ],
  /** @param {string} name */
  deletePerson: (name) => `Delete ${name}?`,
  someoneNew: "Someone new",
  clickFace: "Click the face of the person to add. Wait until they look at the camera.",
  /** @param {string} name */
  pickFace: (name) => `Pick this face: ${name}`,
  reading: "Reading…",
  /** @param {number} people @param {number} photos @param {number} faults */
  planned: (people, photos, faults) =>
    `${people === 1 ? "1 person" : `${people} people`} with ${photos === 1 ? "1 photo" : `${photos} photos`}` +
    (faults ? `; ${faults} cannot be used, see below.` : "."),
  /** @param {string} name */
  importing: (name) => `Adding ${name}…`,
  outcome: { "person added": "Person added", "photo added": "Photo added", "already there": "Stored already", refused: "Refused" },
  /** @param {number} people @param {number} photos @param {number} there @param {number} refused */
  imported: (people, photos, there, refused) =>
    `${people === 1 ? "1 person" : `${people} people`} added, ${photos} further photos, ${there} stored already, ${refused} refused.`,
  /** @param {string} summary */
  stopped: (summary) => `Stopped. ${summary}`,

  /** @param {number} count */
  visitors: (count) => (count === 1 ? "1 visitor" : `${count} visitors`),
  noVisitors: ["No unknown visitors", "Whoever the cameras see clearly and nobody is enrolled for appears here by itself."],
  noneIgnored: ["Nobody is ignored", "Visitors you ignore are kept here until they are deleted by themselves."],
  visitorPhoto: "Face of an unknown visitor",
  /** @param {number} times @param {string} first @param {string} last @param {string} camera */
  visitorSeen: (times, first, last, camera) =>
    times === 1 ? `Seen once, ${last} at camera ${camera}` : `Seen ${times} times, first ${first}, last ${last} at camera ${camera}`,
  delete: "Delete",
  mayBe: "May be",
  addAsPhoto: "Yes, add as a photo",
  /** @param {string} name */
  addAsPhotoOf: (name) => `Yes, add as a photo of ${name}`,
  /** @param {string} name */
  photoAdded: (name) => `The face is now a photo of ${name}.`,
  enrol: "Enrol",
  enrolAnyway: "Enrol anyway",
  ignore: "Ignore",
  bringBack: "Bring back",
  visitorIgnored: "The visitor is ignored and not shown any more.",
  visitorBack: "The visitor is back in the list.",
  visitorDeleted: "The visitor's faces were deleted.",
  confirmDeleteVisitor: "Delete this visitor's faces? Whoever comes again appears again; to prevent that, ignore instead.",
  save: "Save",
  cancel: "Cancel",

  /** @param {string} often @param {number} more people at risk than now */
  consequence: (often, more) => {
    const people = `${Math.abs(more)} ${Math.abs(more) === 1 ? "person" : "people"} ${more > 0 ? "more" : "fewer"}`;
    const missed = more === 0 ? "As many people at risk of being missed as now" : `${people} at risk of being missed than now`;
    return `False marks: ${often}. ${missed}.`;
  },
  /** @param {number} aDay */
  risk: (aDay) => (aDay >= 1 ? `${aDay} a day` : `one in ${Math.round(1 / aDay).toLocaleString()} days`),
  /** @param {number} threshold */
  setting: (threshold) => `SURVEILLX_RECOGNITION_DISTANCE=${threshold.toFixed(2)}`,
  /** @param {number} threshold */
  useSuggested: (threshold) => `Use ${threshold.toFixed(2)}, which keeps to it`,
  noThreshold: "No threshold keeps to it",
  /** @param {number} distance @param {string} often */
  alike: (distance, often) => `${distance.toFixed(2)} apart; taken for each other ${often}`,
  and: "and",
};

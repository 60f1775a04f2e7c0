// @ts-check
/**
 * What the scripts show, by name and with typed values; the words themselves are in `locales/en.json`.
 *
 * @typedef {"recognised" | "manual" | "school"} Source who made a mark
 */

import { locale, text } from "./words.js";

const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(locale, { day: "numeric", month: "long" });

const wholeDay = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeZone: "UTC" });

const number = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });

/** "14:03", or "14:03 on 5 January" when that was not today. @param {string} iso */
function moment(iso) {
  const date = new Date(iso);
  const time = clock.format(date);
  const today = date.toDateString() === new Date().toDateString();
  return today ? time : text("moment.other_day", { time, date: day.format(date) });
}

const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const hundredth = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });

/** What a name may be called on any disk. @param {string} name */
function fileName(name) {
  return name.replace(/[\\/:*?"<>|\p{Cc}]+/gu, "-");
}

/** "2026-11-23 14.05.12", which sorts and is allowed on any disk. @param {Date} at */
function fileDate(at) {
  const [year, ...rest] = [at.getFullYear(), at.getMonth() + 1, at.getDate(), at.getHours(), at.getMinutes(), at.getSeconds()];
  const [month, date, ...time] = rest.map((each) => String(each).padStart(2, "0"));
  return `${year}-${month}-${date} ${time.join(".")}`;
}

/** A sentence as a part of another one: the server's end with a full stop. @param {string} sentence */
function clause(sentence) {
  return sentence.replace(/\.$/, "");
}

/** "3 days", "5 hours", "12 minutes". @param {number} seconds */
function duration(seconds) {
  const [minutes, hours, days] = [60, 3600, 86_400].map((each) => Math.floor(seconds / each));
  if (days >= 2) {
    return text("system.days", { count: days });
  }
  if (hours >= 2) {
    return text("system.hours", { count: hours });
  }
  return minutes ? text("system.minutes", { count: minutes }) : text("system.just_now");
}

/** @param {number} count */
const photos = (count) => text("common.photos", { count });
/** @param {number} count */
const persons = (count) => text("common.people", { count });

export const strings = {
  /** What "Test my connection" says. @param {string} name @param {Record<string, string | number>} [values] */
  connection: (name, values) => text(`connection.${name}`, values),

  serverUnreachable: text("server.unreachable"),
  serverSlow: text("server.slow"),
  /** @param {number} status */
  serverError: (status) => text("server.refused", { status }),

  webrtcUnsupported: text("player.webrtc_unsupported"),
  webrtcBlocked: text("player.webrtc_blocked"),
  webrtcLost: text("player.webrtc_lost"),
  webrtcStalled: text("player.webrtc_stalled"),
  webrtcNoPicture: text("player.webrtc_no_picture"),
  webrtcLate: text("player.webrtc_late"),

  /** @param {string} id */
  camera: (id) => text("player.camera", { id }),
  connecting: text("player.connecting"),
  paused: text("player.paused"),
  noPicture: text("player.no_picture"),
  poster: text("player.poster"),
  live: text("player.live"),
  liveBadge: text("player.live_badge"),
  /** @param {number} delayMs from the camera to the screen */
  liveDelayBadge: (delayMs) => text("player.live_delay_badge", { delay: delayMs }),
  /** @param {string} rendition @param {string} why the server's words */
  liveSlow: (rendition, why) => text("player.live_slow", { rendition, why }),
  /** @param {string} badge what it says on a good line @param {string} rendition */
  slowBadge: (badge, rendition) => text("player.slow_badge", { badge, rendition }),
  /** @param {string} why the server's words */
  lineTooSlow: (why) => text("player.line_too_slow", { why }),
  connectingBadge: text("player.connecting_badge"),
  stalled: text("player.stalled"),
  /** @param {string} why */
  stalledBadge: (why) => text("player.stalled_badge", { why }),
  denied: text("player.denied"),
  signIn: text("player.sign_in"),
  fullScreen: text("player.full_screen"),
  /** @param {string} why @param {string} when */
  fallbackBadge: (why, when) => text("player.fallback_badge", { why: clause(why), when }),
  /** @param {string} why @param {string} when */
  retryBadge: (why, when) => text("player.retry_badge", { why: clause(why), when }),
  retryingNow: text("player.retrying_now"),
  /** @param {number} seconds */
  retryingIn: (seconds) => text("player.retrying_in", { seconds }),
  /** @param {string} name of the camera @param {string} since */
  offline: (name, since) => text("player.offline", { name, since: moment(since) }),
  /** @param {string} name of the camera @param {string} since */
  stale: (name, since) => text("player.stale", { name, since: moment(since) }),
  /** @param {string} since */
  offlineBadge: (since) => text("player.offline_badge", { since: moment(since) }),
  /** @param {string} since */
  staleBadge: (since) => text("player.stale_badge", { since: moment(since) }),

  names: text("boxes.names"),
  facesInPicture: text("boxes.faces"),
  unknownFace: text("boxes.unknown"),
  /** @param {string} name */
  openPerson: (name) => text("boxes.open_person", { name }),
  openVisitors: text("boxes.open_visitors"),

  /** @param {string} words a sentence of the server's */
  recognitionAway: (words) => text("notices.recognition_away", { words }),
  keepsUpAgain: text("notices.keeps_up_again"),
  /** @param {number} waiting */
  databaseAway: (waiting) =>
    waiting === 0 ? text("notices.database_away") : text("notices.marks_waiting", { count: waiting }),

  /** @param {number} count */
  present: (count) => text("live.present", { count }),
  markRemoved: text("live.mark_removed"),
  /** @param {string} name @param {string} time */
  marked: (name, time) => text("live.marked", { name, time }),
  /** @param {number} shown @param {number} all */
  camerasShown: (shown, all) => (shown === all ? text("live.all_cameras") : text("live.some_cameras", { shown, all })),
  sound: text("live.sound"),
  dismiss: text("live.dismiss"),
  tools: {
    /** @param {string} name */
    enlarge: (name) => text("live.enlarge", { name }),
    /** @param {string} name */
    stats: (name) => text("live.stats", { name }),
    /** @param {string} name */
    snapshot: (name) => text("live.snapshot", { name }),
    /** @param {string} name */
    pictureInPicture: (name) => text("live.picture_in_picture", { name }),
    /** @param {string} name */
    rename: (name) => text("live.rename", { name }),
    /** @param {string} name */
    earlier: (name) => text("live.earlier", { name }),
    /** @param {string} name */
    later: (name) => text("live.later", { name }),
  },
  cameraName: text("live.camera_name"),
  /** @param {string} name */
  renamed: (name) => text("live.renamed", { name }),
  /** @param {string} name @param {number} place @param {number} count */
  moved: (name, place, count) => text("live.moved", { name, place, count }),
  /** @param {string} name */
  noPictureYet: (name) => text("live.no_picture_yet", { name }),
  /** @param {string} name @param {Date} at */
  snapshotFile: (name, at) => `${fileName(name)} ${fileDate(at)}.png`,
  /** @param {string} from @param {string} to @param {string} camera */
  stay: (from, to, camera) =>
    from === to ? text("live.seen_at", { from, camera }) : text("live.seen_from_to", { from, to, camera }),
  /** @param {Date} at */
  time: (at) => clock.format(at),
  stats: {
    /** @param {string} name */
    label: (name) => text("stats.label", { name }),
    unknown: text("stats.unknown"),
    way: text("stats.way"),
    /** @param {string} transport @param {string} rendition */
    wayAndRendition: (transport, rendition) =>
      transport === "webrtc" ? text("stats.webrtc", { rendition }) : transport === "jpeg" ? text("stats.jpeg") : text("stats.no_way"),
    picture: text("stats.picture"),
    /** @param {number} width @param {number} height */
    size: (width, height) => text("stats.size", { width, height }),
    rate: text("stats.rate"),
    /** @param {number} fps */
    perSecond: (fps) => text("stats.per_second", { rate: tenth.format(fps) }),
    bitrate: text("stats.bitrate"),
    /** @param {number} megabits */
    megabits: (megabits) => text("stats.megabits", { rate: hundredth.format(megabits) }),
    lost: text("stats.lost"),
    /** @param {number} share 0 to 1 */
    share: (share) => percent.format(share),
    freezes: text("stats.freezes"),
    /** @param {number} count @param {number} seconds altogether */
    frozen: (count, seconds) =>
      count === 0 ? text("stats.none") : text("stats.frozen", { count, seconds: tenth.format(seconds) }),
    delay: text("stats.delay"),
    delayByLeg: text("stats.delay_by_leg"),
    /** @param {number} ms */
    milliseconds: (ms) => text("stats.milliseconds", { ms: whole.format(ms) }),
    /** @param {string} leg @param {number} ms */
    leg: (leg, ms) => text("stats.leg", { leg, ms: whole.format(ms) }),
    legs: {
      camera: text("stats.leg_camera"),
      server: text("stats.leg_server"),
      network: text("stats.leg_network"),
      buffer: text("stats.leg_buffer"),
      display: text("stats.leg_display"),
    },
    recognition: text("stats.recognition"),
    resultAge: text("stats.result_age"),
    /** @param {number} rate @param {number} every */
    recognised: (rate, every) => text("stats.recognised", { rate: tenth.format(rate), every }),
    states: {
      off: text("stats.recognition_off"),
      starting: text("stats.recognition_starting"),
      running: text("stats.recognition_running"),
      restarting: text("stats.recognition_restarting"),
    },
  },

  moment,
  /** @param {string} time "14:20" */
  today: (time) => text("moment.today", { time }),
  /** @param {string} dayWords "Mon" @param {string} time */
  past: (dayWords, time) => text("moment.past", { day: dayWords, time }),
  /** "Monday, 2 March 2026". @param {string} date YYYY-MM-DD */
  dayInWords: (date) => wholeDay.format(new Date(`${date}T00:00:00Z`)),
  /** @param {number} here @param {number} missing */
  counts: (here, missing) => text("attendance.counts", { here, missing }),
  /** @param {number} count */
  anonymous: (count) => text("attendance.anonymous", { count }),
  why: text("attendance.why"),
  /** @param {string} name */
  whyFor: (name) => text("attendance.why_for", { name }),
  markPresent: text("attendance.mark_present"),
  /** @param {string} name */
  markPresentFor: (name) => text("attendance.mark_present_for", { name }),
  /** @param {string} name */
  markedByHand: (name) => text("attendance.marked_by_hand", { name }),
  byHand: text("attendance.by_hand"),
  bySchool: text("attendance.by_school"),
  /** @param {{ source: Source, timestamp: string, camera_id: string, session: string }} mark */
  seen: ({ source, timestamp, camera_id, session }) => {
    const date = strings.dayInWords(timestamp.slice(0, 10));
    const when = session ? text("attendance.day_and_session", { day: date, session }) : date;
    return {
      recognised: text("proof.recognised", { camera: camera_id, time: timestamp.slice(11, 19), when }),
      manual: text("proof.manual", { when }),
      school: text("proof.school", { time: timestamp.slice(11, 16), when }),
    }[source];
  },
  /** @param {number} looks */
  looksAgreed: (looks) => text("proof.looks_agreed", { count: looks }),
  /** @param {number} distance @param {number} threshold */
  distanceOf: (distance, threshold) =>
    text("proof.distance", { distance: distance.toFixed(2), threshold: threshold.toFixed(2) }),
  /** @param {number} margin */
  marginOf: (margin) => text("proof.margin", { margin: margin.toFixed(2) }),
  noCrop: text("proof.no_crop"),
  noEvidence: text("proof.no_evidence"),
  /** @param {{ id: number, track_id: number | null, model: string | null }} proof */
  measuredWith: ({ id, track_id, model }) => text("proof.measured_with", { id, track: String(track_id), model: String(model) }),
  /** @param {string} name @param {boolean} canRemember */
  wrongMeans: (name, canRemember) =>
    canRemember ? text("proof.wrong_remembered", { name }) : text("proof.wrong_forgotten", { name }),
  removeMeans: text("proof.remove_means"),
  /** @param {string} name */
  removed: (name) => text("proof.removed", { name }),
  /** @param {string} name */
  removedAndRemembered: (name) => text("proof.removed_remembered", { name }),

  photos,
  /** @param {string} roll */
  rollNo: (roll) => text("people.roll", { roll }),
  /** @param {string} name */
  inClass: (name) => text("people.in_class", { name }),
  allClasses: text("people.all_classes"),
  /** @param {number} found @param {number} all */
  people: (found, all) =>
    found === all ? text("people.count", { count: all }) : text("people.found", { found, all }),
  noConsent: text("people.no_consent"),
  /** @param {string} name */
  edit: (name) => text("people.edit", { name }),
  name: text("common.name"),
  rollNoOptional: text("people.roll_no_optional"),
  classOptional: text("people.class_optional"),
  consent: text("people.consent"),
  consentHelp: text("people.consent_help"),
  choosePhotos: text("people.choose_photos"),
  choosePhotosHelp: text("people.choose_photos_help"),
  photoNeeded: text("people.photo_needed"),
  waiting: text("people.waiting"),
  looking: text("people.looking"),
  photoStored: text("people.photo_stored"),
  alreadyThere: text("people.already_there"),
  remove: text("people.leave_out"),
  /** @param {string} file */
  removePhoto: (file) => text("people.leave_out_photo", { file }),
  removeStored: text("people.delete_photo"),
  add: text("common.add"),
  addAnyway: text("people.add_anyway"),
  addPerson: text("people.add_person"),
  addRest: text("people.add_rest"),
  adding: text("people.adding"),
  /** @param {number} refused @param {number} stored */
  refused: (refused, stored) => {
    const rest = stored ? text("people.rest_stored", { count: stored }) : text("people.nothing_stored");
    return `${text("people.refused", { count: refused })} ${rest}`;
  },
  /** @param {string} name */
  added: (name) => text("people.added", { name }),
  /** @param {string} name */
  saved: (name) => text("people.saved", { name }),
  confirmDelete: text("people.delete_means"),
  keep: text("common.keep"),
  done: text("common.done"),
  /** @param {string} name */
  deleted: (name) => text("people.deleted", { name }),
  receiptWords: text("receipt.words"),
  /** @param {Record<string, any>} receipt @returns {[string, string][]} */
  receipt: (receipt) => [
    [text("receipt.photos"), String(receipt.photos)],
    [text("receipt.embeddings"), String(receipt.embeddings)],
    [text("receipt.evidence"), String(receipt.evidence)],
    [text("receipt.visitors"), String(receipt.visitors)],
    [text("receipt.attendance"), Object.entries(receipt.attendance).map(([what, count]) => `${count} ${what}`).join(", ")],
    [text("receipt.record"), receipt.record],
    [text("receipt.when"), new Date(receipt.deleted_at).toLocaleString(locale)],
  ],
  /** @param {string} name */
  deletePerson: (name) => text("people.delete", { name }),
  personGone: text("people.gone"),
  someoneNew: text("pick.someone_new"),
  clickFace: text("pick.click"),
  /** @param {string} name */
  pickFace: (name) => text("pick.face", { name }),
  reading: text("import.reading"),
  /** @param {number} people @param {number} pictures @param {number} faults */
  planned: (people, pictures, faults) => {
    const found = { people: persons(people), photos: photos(pictures) };
    return faults ? text("import.planned_faults", { ...found, faults }) : text("import.planned", found);
  },
  /** @param {string} name */
  importing: (name) => text("import.importing", { name }),
  outcome: {
    "person added": text("import.person_added"),
    "photo added": text("import.photo_added"),
    "already there": text("import.already_there"),
    refused: text("import.refused"),
  },
  /** @param {number} people @param {number} further @param {number} there @param {number} refused */
  imported: (people, further, there, refused) =>
    text("import.imported", { people: persons(people), photos: further, there, refused }),
  /** @param {string} summary */
  stopped: (summary) => text("import.stopped", { summary }),

  /** @param {number} count */
  visitors: (count) => text("visitors.count", { count }),
  noVisitors: [text("visitors.none"), text("visitors.none_means")],
  noneIgnored: [text("visitors.none_ignored"), text("visitors.none_ignored_means")],
  visitorPhoto: text("visitors.photo"),
  /** @param {number} times @param {string} first @param {string} last @param {string} camera */
  visitorSeen: (times, first, last, camera) =>
    times === 1 ? text("visitors.seen_once", { last, camera }) : text("visitors.seen", { times, first, last, camera }),
  delete: text("common.delete"),
  mayBe: text("visitors.may_be"),
  addAsPhoto: text("visitors.add_as_photo"),
  /** @param {string} name */
  addAsPhotoOf: (name) => text("visitors.add_as_photo_of", { name }),
  /** @param {string} name */
  photoAdded: (name) => text("visitors.photo_added", { name }),
  enrol: text("visitors.enrol"),
  enrolAnyway: text("visitors.enrol_anyway"),
  ignore: text("visitors.ignore"),
  bringBack: text("visitors.bring_back"),
  visitorIgnored: text("visitors.ignored"),
  visitorBack: text("visitors.back"),
  visitorDeleted: text("visitors.deleted"),
  confirmDeleteVisitor: text("visitors.confirm_delete"),
  save: text("common.save"),
  cancel: text("common.cancel"),

  /** @param {string} often @param {number} more people at risk than now */
  consequence: (often, more) => {
    const count = Math.abs(more);
    const change = more > 0 ? text("calibration.more", { count }) : text("calibration.fewer", { count });
    return text("calibration.consequence", { often, missed: more === 0 ? text("calibration.as_many") : change });
  },
  /** @param {number} aDay */
  risk: (aDay) =>
    aDay >= 1
      ? text("calibration.risk_often", { times: aDay })
      : text("calibration.risk_seldom", { days: Math.round(1 / aDay).toLocaleString(locale) }),
  /** @param {number} threshold */
  setting: (threshold) => `SURVEILLX_RECOGNITION_DISTANCE=${threshold.toFixed(2)}`,
  /** @param {number} threshold */
  useSuggested: (threshold) => text("calibration.use_suggested", { threshold: threshold.toFixed(2) }),
  noThreshold: text("calibration.no_threshold"),
  /** @param {number} distance @param {string} often */
  alike: (distance, often) => text("calibration.alike", { distance: distance.toFixed(2), often }),
  and: text("common.and"),

  allWell: text("system.all_well"),
  /** @param {number} count */
  problems: (count) => text("system.problems", { count }),
  /** @param {string} since */
  sinceMoment: (since) => text("system.since", { since: moment(since) }),
  /** @param {string} why @param {Date} at */
  notCurrent: (why, at) => text("system.not_current", { why, time: clock.format(at) }),
  /** @param {{ state: string, since: string }} camera */
  cameraState: ({ state, since }) => {
    const at = { since: moment(since) };
    const offline = text("system.offline", at);
    return state === "online" ? text("system.online", at) : state === "stale" ? text("system.stale", at) : offline;
  },
  /** @param {{ width: number, height: number, fps: number }} picture */
  picture: ({ width, height, fps }) => text("system.picture_of", { width, height, fps: number.format(fps) }),
  noViewers: text("system.no_viewers"),
  /** @param {number} count @param {string} rendition */
  viewersOf: (count, rendition) => text("system.viewers_of", { count, rendition }),
  /** @param {string | null} since */
  publishing: (since) => (since ? text("system.publishing", { since: moment(since) }) : text("system.not_publishing")),
  /** @param {number} rate a second @param {number} ageMs */
  recognised: (rate, ageMs) =>
    rate ? text("system.recognised", { rate: number.format(rate), age: ageMs }) : text("system.not_recognised"),
  /** By the name of recognition's state. @type {Record<string, string>} */
  recognitionState: {
    off: text("system.off"),
    starting: text("system.starting"),
    running: text("system.running"),
    restarting: text("system.restarting"),
  },
  /** @param {number} count */
  restarts: (count) => (count ? text("system.restarts", { count }) : text("system.no_restarts")),
  /** @param {string} kind @param {string | null} awaySince */
  databaseState: (kind, awaySince) =>
    awaySince ? text("system.database_away", { kind, since: moment(awaySince) }) : text("system.database_ok", { kind }),
  /** @param {number} count */
  marksWaiting: (count) => text("system.marks_waiting", { count }),
  /** @param {number} open @param {number} limit */
  connections: (open, limit) => text("system.sessions", { open, limit }),
  keepsUp: text("system.keeps_up"),
  /** @param {number} free @param {number} total in bytes */
  diskFree: (free, total) =>
    text("system.disk_free", { free: number.format(free / 1e9), total: number.format(total / 1e9) }),
  /** @param {number} seconds @param {string} since */
  upSince: (seconds, since) => text("system.up_since", { time: duration(seconds), since: moment(since) }),
};

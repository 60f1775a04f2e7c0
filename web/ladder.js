// @ts-check
/**
 * What a player shows, from what it knows: one pure function, so that the words and the picture cannot disagree.
 *
 * | known                                   | data-transport  | data-state |
 * | signing in is needed                    | none            | denied     |
 * | the camera sends nothing                | webrtc/jpeg/none| offline    |
 * | WebRTC decodes, but perhaps the slate   | webrtc          | connecting |
 * | WebRTC decodes                          | webrtc          | live       |
 * | JPEG shows, WebRTC still in its time    | jpeg            | connecting |
 * | JPEG shows, WebRTC late, stalled, failed| jpeg            | live       |
 * | neither, WebRTC had a picture           | webrtc          | stalled    |
 * | neither, JPEG had a picture             | jpeg            | stalled    |
 * | nothing yet                             | none            | connecting |
 * | it was told to pause (`viewer.js`)      | none            | paused     |
 *
 * @typedef {"webrtc" | "jpeg" | "none"} Transport
 * @typedef {"connecting" | "live" | "stalled" | "offline" | "denied" | "paused"} PlayerState
 * @typedef {{ state: "online" | "stale" | "offline", since: string }} CameraFact
 * @typedef {object} Facts
 * @property {string} name of the camera
 * @property {boolean} denied
 * @property {string} missing why there is no such camera, or ""
 * @property {import("./webrtc.js").LinkState} webrtc
 * @property {boolean} untold WebRTC's picture is newer than what the server told, so it may be an offline camera's slate
 * @property {number | null} delayMs from the camera to the screen; null while that is not known
 * @property {string} failure why the last WebRTC attempt ended, or ""
 * @property {string} rendition what WebRTC sends
 * @property {string} slow why that is not the best there is, or ""
 * @property {number | null} retryInS seconds to the next attempt; null while one is under way
 * @property {import("./jpeg.js").JpegState} jpeg
 * @property {CameraFact | null} camera null until the server tells
 * @property {boolean} serverGone the events broke off and are not back
 * @typedef {{ transport: Transport, state: PlayerState, reason: string, badge: string }} View
 */

import { strings } from "./strings.js";

/**
 * @param {Facts} facts
 * @returns {View}
 */
export function describe(facts) {
  if (facts.denied) {
    return { transport: "none", state: "denied", reason: strings.denied, badge: strings.denied };
  }
  const transport = chooseTransport(facts);
  const silence = facts.missing ? { reason: facts.missing, badge: facts.missing } : describeSilence(facts);
  if (silence) {
    return { transport, state: "offline", ...silence };
  }
  if (transport === "webrtc" && facts.untold && facts.webrtc === "playing") {
    return { transport, state: "connecting", reason: strings.connecting, badge: strings.connectingBadge };
  }
  if (transport === "webrtc") {
    return facts.webrtc === "playing" ? describeLive(facts) : describeStalled(transport, facts);
  }
  return transport === "jpeg" ? describeJpeg(facts) : describeNothing(facts);
}

/**
 * @param {Facts} facts
 * @returns {View}
 */
function describeLive({ delayMs, rendition, slow }) {
  const badge = delayMs === null ? strings.liveBadge : strings.liveDelayBadge(delayMs);
  return slow
    ? { transport: "webrtc", state: "live", reason: strings.liveSlow(rendition, slow), badge: strings.slowBadge(badge, rendition) }
    : { transport: "webrtc", state: "live", reason: strings.live, badge };
}

/**
 * @param {Facts} facts
 * @returns {Transport}
 */
function chooseTransport({ webrtc, jpeg }) {
  if (webrtc === "playing") {
    return "webrtc";
  }
  if (jpeg === "showing") {
    return "jpeg";
  }
  if (webrtc === "stalled") {
    return "webrtc";
  }
  return jpeg === "stalled" ? "jpeg" : "none";
}

/** @param {Facts} facts */
function describeSilence({ name, camera }) {
  if (camera?.state === "offline") {
    return { reason: strings.offline(name, camera.since), badge: strings.offlineBadge(camera.since) };
  }
  return camera?.state === "stale"
    ? { reason: strings.stale(name, camera.since), badge: strings.staleBadge(camera.since) }
    : null;
}

/**
 * @param {Transport} transport
 * @param {Facts} facts
 * @returns {View}
 */
function describeStalled(transport, { serverGone }) {
  const reason = serverGone ? strings.serverUnreachable : strings.stalled;
  return { transport, state: "stalled", reason, badge: strings.stalledBadge(reason) };
}

/**
 * @param {Facts} facts
 * @returns {View}
 */
function describeJpeg(facts) {
  const transport = "jpeg";
  if (facts.jpeg === "stalled") {
    return describeStalled(transport, facts);
  }
  if (facts.webrtc === "connecting" && !facts.failure) {
    return { transport, state: "connecting", reason: strings.poster, badge: strings.connectingBadge };
  }
  const why = facts.failure || (facts.webrtc === "stalled" ? strings.webrtcStalled : strings.webrtcLate);
  return { transport, state: "live", reason: why, badge: strings.fallbackBadge(why, whenRetried(facts)) };
}

/**
 * @param {Facts} facts
 * @returns {View}
 */
function describeNothing(facts) {
  const reason = facts.failure || strings.connecting;
  return { transport: "none", state: "connecting", reason, badge: retryBadge(facts) };
}

/** @param {Facts} facts */
function retryBadge(facts) {
  return facts.failure ? strings.retryBadge(facts.failure, whenRetried(facts)) : strings.connectingBadge;
}

/** @param {Facts} facts */
function whenRetried({ retryInS }) {
  return retryInS === null || retryInS < 1 ? strings.retryingNow : strings.retryingIn(Math.round(retryInS));
}

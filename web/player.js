// @ts-check
/**
 * One camera, live, in an element that it is given: the connections behind `<surveillx-viewer>`.
 *
 * Both ways are tried at once: JPEG has a picture first, WebRTC takes over with its first decoded frame and JPEG ends.
 * JPEG stands in again whenever WebRTC stalls or fails, and WebRTC is tried again for ever.
 *
 *   stopped --start--> running: WebRTC attempt + JPEG
 *   running --WebRTC plays--> JPEG ends
 *   running --no frame for 1.5 s (3 s where the camera is silent), or the computer slept--> a second attempt beside the
 *       first; the first to play stays
 *   running --WebRTC late, stalled or failed--> JPEG; next attempt after 5 to 60 s, after a lost picture at once
 *   running --server: the line carries no video--> JPEG; next attempt after 30 s to 5 min
 *   running --server back, network back--> next attempt at once
 *   running --401, 403--> denied: nothing more until `start` is called again
 *   any --stop--> stopped
 *
 * Dispatches "change" when `view` may have changed, "told" with each event of the server as `detail`, "frame" with the
 * RTP timestamp of a picture that is shown (null where it is not known), and "problem" with an ApiError when an attempt
 * failed.
 *
 * @typedef {"auto" | "webrtc" | "jpeg"} Way which ways are tried
 */

import { Backoff } from "./backoff.js";
import { JpegLink } from "./jpeg.js";
import { describe } from "./ladder.js";
import { CameraNews } from "./news.js";
import { strings } from "./strings.js";
import { WebRtcLink } from "./webrtc.js";

const FIRST_RETRY_MS = 5_000;
const LONGEST_RETRY_MS = 60_000;
/** After a picture was there: the network may only have changed. */
const PROMPT_RETRY_MS = 300;
/** After a line that carried not even the smallest rendition: each attempt takes from the JPEG pictures. */
const FIRST_SLOW_RETRY_MS = 30_000;
const LONGEST_SLOW_RETRY_MS = 300_000;
/** A WebRTC picture that lasted this long proves that the way is good. */
const PROVEN_MS = 10_000;
const TICK_MS = 1_000;
/** Between two ticks a computer that slept, or a tab that did not run, has missed at least this much. */
const SLEPT_MS = 3_000;
/** While the picture stands still, a second connection is tried so often. */
const FIRST_RESCUE_MS = 500;
const LONGEST_RESCUE_MS = 4_000;
/** A picture that stands still for so long needs a second connection. */
const RESCUE_MS = 1_500;
/** Unless the camera itself is silent: after 2 s the server sends its slate, over the connection that is there. */
const PATIENT_MS = 3_000;
/** So long after a change of the rendition the line may still be full. */
const STEERED_MS = 5_000;
/** So long a picture that came before the camera's state may turn out to be the slate. */
const TOLD_WITHIN_MS = 3_000;
const BEST_RENDITION = "720p";
const SMALLEST_RENDITION = "360p";
/** As good as the line carries. */
const AUTO = "auto";

export class Player extends EventTarget {
  #stage;
  #server;
  #cameraId;
  #way;
  /** What the server sends; the next attempt begins with it. */
  #rendition = BEST_RENDITION;
  /** The best that is wanted. */
  #limit;
  /** What the camera is called, for the words. */
  name;
  #types;
  #picture;
  #canvas = document.createElement("canvas");
  /** Null while stopped. @type {CameraNews | null} */
  #news = null;
  /** The connection whose picture is shown, or the first attempt. @type {WebRtcLink | null} */
  #webrtc = null;
  /** A second one beside it while its picture stands still. @type {WebRtcLink | null} */
  #rescue = null;
  /** @type {JpegLink | null} */
  #jpeg = null;
  /** The server went away since this attempt began; when it is back, the attempt's session is unknown to it. */
  #outlived = false;
  /** When the events broke off; null while they are there, or never were. @type {number | null} */
  #lostAt = null;
  #denied = false;
  #missing = "";
  #failure = "";
  #playingSince = 0;
  #backoff = new Backoff(FIRST_RETRY_MS, LONGEST_RETRY_MS);
  #slowBackoff = new Backoff(FIRST_SLOW_RETRY_MS, LONGEST_SLOW_RETRY_MS);
  #rescueBackoff = new Backoff(FIRST_RESCUE_MS, LONGEST_RESCUE_MS);
  /** When the server last put this viewer on another rendition. */
  #steeredAt = -Infinity;
  /** Why the rendition is not the best one, in words, or "". */
  #slow = "";
  #retryAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #rescueTimer;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #clock;
  #tickedAt = 0;

  /**
   * @param {HTMLElement} stage takes the `<video>` that is shown (class "shown") and the `<canvas>` for JPEG
   * @param {object} options
   * @param {import("./api.js").Server} options.server
   * @param {string} options.cameraId
   * @param {Way} [options.way]
   * @param {boolean} [options.small] whether the smallest rendition is enough
   * @param {string[]} [options.types] further events of the server to be told of
   * @param {import("./webrtc.js").PictureKind} [options.shown] over WebRTC; JPEG pictures are annotated always
   */
  constructor(stage, { server, cameraId, way = "auto", small = false, types = [], shown = "annotated" }) {
    super();
    this.#stage = stage;
    this.#server = server;
    this.#cameraId = cameraId;
    this.#way = way;
    this.#limit = small ? SMALLEST_RENDITION : AUTO;
    this.name = strings.camera(cameraId);
    this.#types = types;
    this.#picture = shown;
    this.#canvas.part.add("jpeg");
    stage.replaceChildren(this.#canvas);
  }

  get isRunning() {
    return this.#news !== null;
  }

  get denied() {
    return this.#denied;
  }

  /** What the server calls the connection that is shown; null while there is none. */
  get sessionId() {
    return this.#webrtc?.sessionId ?? null;
  }

  /** From the camera to the screen; null while that is not known. */
  get delayMs() {
    return this.#webrtc?.state === "playing" ? (this.#news?.delay.milliseconds ?? null) : null;
  }

  /** What the server tells of the delay. */
  get toldLegs() {
    return this.#news?.delay.told ?? null;
  }

  get rendition() {
    return this.#rendition;
  }

  /** What is to be shown, in words too. */
  get view() {
    return describe({
      name: this.name,
      denied: this.#denied,
      missing: this.#missing,
      webrtc: this.#webrtc?.state ?? "closed",
      untold: this.#isUntold,
      delayMs: this.delayMs,
      failure: this.#failure,
      rendition: this.#rendition,
      slow: this.#slow,
      retryInS: this.#retryAt ? (this.#retryAt - performance.now()) / 1000 : null,
      jpeg: this.#jpeg?.state ?? "closed",
      camera: this.#news?.camera ?? null,
      serverGone: this.#outlived && !this.#news?.camera,
    });
  }

  /**
   * Whether the picture may be the slate of an offline camera: its connection was made after the events broke off, as with
   * a server that was started again. One that outlived them shows what it showed.
   */
  get #isUntold() {
    const isNew = this.#webrtc !== null && this.#lostAt !== null && this.#webrtc.begunAt > this.#lostAt;
    return isNew && performance.now() - this.#playingSince < TOLD_WITHIN_MS;
  }

  /** The element with the picture, or null while there is none. */
  get picture() {
    const { transport } = this.view;
    return transport === "webrtc" ? (this.#webrtc?.video ?? null) : transport === "jpeg" ? this.#canvas : null;
  }

  /** Show pictures of this kind, with the server's next keyframe. @param {import("./webrtc.js").PictureKind} kind */
  show(kind) {
    this.#picture = kind;
    this.#webrtc?.show(kind);
    this.#rescue?.show(kind);
  }

  start() {
    this.#failure = this.#missing = "";
    this.#denied = false;
    this.#lostAt = null;
    this.#backoff.reset();
    this.#news = this.#hear(new CameraNews(this.#server, this.#cameraId, this.#types));
    this.#news.start();
    this.#tickedAt = Date.now();
    this.#clock = setInterval(() => this.#tick(), TICK_MS);
    this.#attempt();
    this.#changed();
  }

  stop() {
    clearInterval(this.#clock);
    clearTimeout(this.#retry);
    this.#endRescue();
    this.#news?.close();
    this.#webrtc?.close();
    this.#jpeg?.close();
    this.#news = this.#webrtc = this.#jpeg = null;
    this.#retryAt = 0;
    // Nothing of this picture may be seen when another one is to come.
    this.#canvas.width = this.#canvas.height = 0;
  }

  /** Whether the smallest rendition is enough from now on. @param {boolean} isEnough */
  small(isEnough) {
    this.#limit = isEnough ? SMALLEST_RENDITION : AUTO;
    for (const link of [this.#webrtc, this.#rescue]) {
      link?.limit(this.#limit);
    }
  }

  /** Something has changed for the better: do not wait for the next attempt's time. */
  tryNow() {
    if (!this.isRunning) {
      return;
    }
    this.#backoff.reset();
    if (this.#webrtc === null) {
      this.#attempt();
    } else if (this.#webrtc.state !== "playing" && this.#webrtc.state !== "connecting") {
      this.#startRescue();
    }
  }

  /** Another network, perhaps: what was known of the line is void. */
  changeLine() {
    this.#slow = "";
    this.#slowBackoff.reset();
    this.tryNow();
  }

  /** @returns {Promise<import("./webrtc.js").LinkStats | null>} null where WebRTC shows nothing */
  async linkStats() {
    return this.#webrtc?.state === "playing" ? this.#webrtc.stats() : null;
  }

  #tick() {
    const now = Date.now();
    if (now - this.#tickedAt > SLEPT_MS) {
      this.#woke();
    }
    this.#tickedAt = now;
    this.#news?.tick();
    this.#changed();
  }

  /** Whatever was connected may be gone, and will not say so for half a minute. */
  #woke() {
    this.#news?.delay.reset();
    this.#news?.renewAfter(0);
    this.#webrtc?.woke();
    if (this.#webrtc === null) {
      this.tryNow();
    } else {
      this.#startRescue();
    }
  }

  /** @param {CameraNews} news */
  #hear(news) {
    news.addEventListener("change", () => this.#changed());
    news.addEventListener("back", () => this.#regainServer());
    news.addEventListener("lost", () => this.#loseServer());
    news.addEventListener("viewer", (event) => this.#steered(/** @type {CustomEvent} */ (event).detail));
    news.addEventListener("told", (event) => this.#tell("told", /** @type {CustomEvent} */ (event).detail));
    return news;
  }

  #newLink() {
    if (this.#limit !== AUTO) {
      this.#rendition = this.#limit;
    } else if (!this.#slow) {
      this.#rendition = BEST_RENDITION;
    }
    const link = new WebRtcLink(this.#server, this.#cameraId, { rendition: this.#rendition, limit: this.#limit, picture: this.#picture });
    this.#stage.prepend(link.video);
    link.addEventListener("change", () => this.#webrtcChanged(link));
    link.addEventListener("silent", (event) => this.#standsStill(link, /** @type {CustomEvent} */ (event).detail.ms));
    link.addEventListener("frame", (event) => this.#frame(link, /** @type {CustomEvent} */ (event).detail));
    link.addEventListener("failed", (event) => this.#webrtcFailed(link, /** @type {CustomEvent} */ (event).detail.error));
    return link;
  }

  #attempt() {
    clearTimeout(this.#retry);
    this.#retryAt = 0;
    this.#outlived = false;
    if (this.#way !== "jpeg") {
      // Kept before it starts: it may fail at once.
      this.#webrtc = this.#newLink();
      this.#webrtc.start();
    }
    this.#standIn();
  }

  /**
   * The picture stands still: is it this line, or the camera?
   *
   * @param {WebRtcLink} link
   * @param {number} forMs
   */
  #standsStill(link, forMs) {
    if (link !== this.#webrtc) {
      return;
    }
    this.#news?.ask(); // so that silence means something
    // Of no use to a silent camera: the new connections of all its viewers at once. And where the line is too slow, the
    // server lets it run empty before it sends the smaller picture: a second connection would fill it again.
    const isExpected = this.#news?.isCameraSilent || performance.now() - this.#steeredAt < STEERED_MS;
    if (forMs > (isExpected ? PATIENT_MS : RESCUE_MS) && !this.#rescueTimer) {
      this.#startRescue();
    }
  }

  /** Make before break: the picture stands still, so a new connection is tried while the old one may recover. */
  #startRescue() {
    this.#clearRescueTimer();
    if (this.isRunning && this.#rescue === null) {
      this.#outlived = false;
      this.#rescue = this.#newLink();
      this.#rescue.start();
    }
  }

  #clearRescueTimer() {
    clearTimeout(this.#rescueTimer);
    this.#rescueTimer = undefined;
  }

  #endRescue() {
    this.#clearRescueTimer();
    this.#rescue?.close();
    this.#rescue = null;
    this.#rescueBackoff.reset();
  }

  /** The second connection has a picture: it is the one from now on. */
  #swap() {
    const old = this.#webrtc;
    this.#webrtc = this.#rescue;
    this.#rescue = null;
    this.#endRescue();
    old?.close();
    // What led nowhere for the pictures leads nowhere for the events.
    this.#news?.renewAfter(RESCUE_MS);
  }

  /** @param {WebRtcLink} link */
  #webrtcChanged(link) {
    if (link === this.#rescue && link.state === "playing") {
      this.#swap();
    }
    if (link !== this.#webrtc) {
      return;
    }
    if (link.state === "playing") {
      this.#endRescue();
      link.video.classList.add("shown");
      this.#failure = this.#missing = "";
      this.#playingSince = performance.now();
      if (this.#isUntold) {
        this.#news?.renewAfter(0); // the server is there again: do not wait for the events' next attempt
      }
    } else if (link.state === "stalled" && this.#outlived && this.#news?.camera) {
      this.#startRescue();
    }
    this.#standIn();
    this.#changed();
  }

  /**
   * @param {WebRtcLink} link
   * @param {VideoFrameCallbackMetadata | undefined} frame
   */
  #frame(link, frame) {
    if (link !== this.#webrtc) {
      return;
    }
    if (frame?.rtpTimestamp !== undefined) {
      this.#news?.delay.show(frame.rtpTimestamp, frame.expectedDisplayTime);
    }
    this.#shown(frame?.rtpTimestamp ?? null);
  }

  /** @param {number | null} rtpTimestamp */
  #shown(rtpTimestamp) {
    this.#tell("frame", rtpTimestamp);
  }

  /**
   * @param {WebRtcLink} link
   * @param {import("./api.js").ApiError} error
   */
  #webrtcFailed(link, error) {
    if (link === this.#rescue && !error.denied) {
      this.#rescue = null;
      const delayMs = Math.max(this.#rescueBackoff.next(), error.retryAfterMs);
      this.#rescueTimer = setTimeout(() => this.#rescueAgain(), delayMs);
    } else if (link === this.#webrtc || link === this.#rescue) {
      this.#webrtc = link === this.#webrtc ? null : this.#webrtc;
      this.#endRescue();
      this.#failed(error);
    }
  }

  #rescueAgain() {
    this.#clearRescueTimer();
    if (this.#webrtc !== null && this.#webrtc.state !== "playing") {
      this.#startRescue();
    }
  }

  /** @param {import("./api.js").ApiError} error */
  #failed(error) {
    if (error.denied) {
      this.#denied = true;
      this.stop();
    } else {
      this.#failure = error.message;
      this.#missing = error.status === 404 ? error.message : "";
      this.#retryIn(Math.max(this.#nextDelay(), error.retryAfterMs));
      this.#standIn();
    }
    this.#tell("problem", error);
    this.#changed();
  }

  #nextDelay() {
    const lasted = this.#playingSince ? performance.now() - this.#playingSince : 0;
    this.#playingSince = 0;
    if (lasted < PROVEN_MS) {
      return this.#backoff.next();
    }
    this.#backoff.reset();
    return PROMPT_RETRY_MS;
  }

  /** @param {number} delayMs */
  #retryIn(delayMs) {
    this.#retryAt = performance.now() + delayMs;
    this.#retry = setTimeout(() => this.#attempt(), delayMs);
  }

  /**
   * The server has put this viewer on another rendition.
   * @param {{ session_id: string, rendition: string, reason: string }} event
   */
  #steered({ session_id: sessionId, rendition, reason }) {
    const link = this.#webrtc;
    if (link === null || sessionId !== link.sessionId) {
      return;
    }
    this.#steeredAt = performance.now();
    this.#slow = rendition === BEST_RENDITION ? "" : reason;
    this.#rendition = rendition === "jpeg" ? SMALLEST_RENDITION : rendition;
    if (rendition === "jpeg") {
      link.close();
      this.#webrtc = null;
      this.#endRescue();
      this.#failure = strings.lineTooSlow(reason);
      this.#retryIn(this.#slowBackoff.next());
      this.#standIn();
    } else if (rendition === BEST_RENDITION) {
      this.#slowBackoff.reset();
    }
    this.#changed();
  }

  /** JPEG runs exactly while WebRTC shows nothing. */
  #standIn() {
    const wanted = this.isRunning && this.#way !== "webrtc" && this.#webrtc?.state !== "playing";
    if (wanted && this.#jpeg === null) {
      this.#jpeg = new JpegLink(this.#server, this.#cameraId, this.#canvas);
      this.#jpeg.addEventListener("change", () => this.#changed());
      this.#jpeg.addEventListener("frame", () => this.#shown(null));
      this.#jpeg.addEventListener("refused", (event) => this.#failed(/** @type {CustomEvent} */ (event).detail.error));
      this.#jpeg.start();
    }
    if (wanted && this.#webrtc?.state !== "connecting") {
      this.#jpeg?.stream();
    } else if (!wanted) {
      this.#jpeg?.close();
      this.#jpeg = null;
    }
  }

  #loseServer() {
    this.#outlived = true;
    this.#lostAt ??= performance.now();
    this.#changed();
  }

  #regainServer() {
    this.#lostAt = null;
    this.tryNow();
  }

  #changed() {
    this.#tell("change");
  }

  /**
   * @param {string} type
   * @param {unknown} [detail]
   */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

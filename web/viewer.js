// @ts-check
/**
 * `<surveillx-viewer camera="1">`: one camera, live.
 *
 * Both ways are tried at once: JPEG has a picture first, WebRTC takes over with its first decoded frame and JPEG ends.
 * JPEG stands in again whenever WebRTC stalls or fails, and WebRTC is tried again for ever.
 *
 *   stopped --shown--> running: WebRTC attempt + JPEG
 *   running --WebRTC plays--> JPEG ends
 *   running --WebRTC late, stalled or failed--> JPEG; next attempt after 5 to 60 s, after a lost picture at once
 *   running --server: the line carries no video--> JPEG; next attempt after 30 s to 5 min
 *   running --server back, network back--> next attempt at once
 *   running --401, 403--> denied: nothing more until the page is loaded anew
 *   any --hidden, page left, element removed--> stopped
 *
 * The element's data-camera, data-transport, data-rendition, data-state and data-reason say what it shows; `ladder.js` has the table.
 */

import { Backoff } from "./backoff.js";
import { Delay } from "./delay.js";
import { EventsSocket } from "./events.js";
import { JpegLink } from "./jpeg.js";
import { describe } from "./ladder.js";
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
const BADGE_MS = 1_000;
const BEST_RENDITION = "720p";
const SMALLEST_RENDITION = "360p";

export class SurveillxViewer extends HTMLElement {
  static observedAttributes = ["camera"];

  #video = document.createElement("video");
  #canvas = document.createElement("canvas");
  #title = document.createElement("span");
  #badge = document.createElement("span");
  #words = document.createElement("span");
  #notice = document.createElement("p");
  /** @type {EventsSocket | null} */
  #events = null;
  /** @type {WebRtcLink | null} */
  #webrtc = null;
  /** @type {JpegLink | null} */
  #jpeg = null;
  /** @type {import("./ladder.js").CameraFact | null} */
  #camera = null;
  /** The server went away since this attempt began; when it is back, the attempt's session is unknown to it. */
  #outlived = false;
  #delay = new Delay();
  #denied = false;
  #missing = "";
  #failure = "";
  #playingSince = 0;
  #backoff = new Backoff(FIRST_RETRY_MS, LONGEST_RETRY_MS);
  #slowBackoff = new Backoff(FIRST_SLOW_RETRY_MS, LONGEST_SLOW_RETRY_MS);
  /** What the server sends; the next attempt begins with it. */
  #rendition = BEST_RENDITION;
  /** Why that is not the best one, in words, or "". */
  #slow = "";
  #retryAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #clock;
  /** @type {AbortController | null} */
  #listeners = null;

  get cameraId() {
    return this.getAttribute("camera") ?? "1";
  }

  connectedCallback() {
    this.#build();
    const { signal } = (this.#listeners = new AbortController());
    document.addEventListener("visibilitychange", () => this.#follow(), { signal });
    addEventListener("pagehide", () => this.#stop(), { signal });
    addEventListener("pageshow", () => this.#follow(), { signal });
    addEventListener("online", () => this.#changeLine(), { signal });
    this.#follow();
  }

  disconnectedCallback() {
    this.#listeners?.abort();
    this.#stop();
  }

  attributeChangedCallback() {
    if (this.#events !== null) {
      this.#stop();
      this.#follow();
    }
  }

  #build() {
    this.#video.muted = true;
    this.#video.autoplay = true;
    this.#video.playsInline = true;
    this.#title.className = "title";
    this.#badge.className = "badge";
    this.#badge.ariaHidden = "true";
    // For screen readers: told when something changes, not with every second of the countdown.
    this.#words.className = "visually-hidden";
    this.#words.role = "status";
    this.#notice.className = "notice";
    const caption = document.createElement("div");
    caption.className = "caption";
    caption.append(this.#title, this.#badge, this.#fullScreenButton());
    this.replaceChildren(this.#video, this.#canvas, this.#notice, caption, this.#words);
  }

  #fullScreenButton() {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "full-screen";
    button.title = button.ariaLabel = strings.fullScreen;
    button.hidden = !document.fullscreenEnabled;
    button.addEventListener("click", () => {
      const changed = document.fullscreenElement === this ? document.exitFullscreen() : this.requestFullscreen();
      changed.catch(() => {});
    });
    return button;
  }

  #follow() {
    const shown = document.visibilityState === "visible" && this.isConnected;
    if (shown && this.#events === null && !this.#denied) {
      this.#start();
    } else if (!shown) {
      this.#stop();
      this.#render();
    }
  }

  #start() {
    this.#failure = this.#missing = "";
    this.#backoff.reset();
    this.#events = new EventsSocket({ cameraId: this.cameraId, types: ["camera", "timing", "viewer"] });
    this.#events.addEventListener("message", (event) => this.#told(/** @type {CustomEvent} */ (event).detail));
    this.#events.addEventListener("open", () => this.#compareClocks());
    this.#events.addEventListener("lost", () => this.#forgetCamera());
    this.#events.start();
    this.#clock = setInterval(() => this.#tick(), BADGE_MS);
    this.#attempt();
    this.#render();
  }

  #tick() {
    this.#compareClocks();
    this.#render();
  }

  #compareClocks() {
    if (this.#delay.wantsExchange) {
      this.#events?.send(this.#delay.request());
    }
  }

  #stop() {
    clearInterval(this.#clock);
    this.#delay.reset();
    clearTimeout(this.#retry);
    this.#events?.close();
    this.#webrtc?.close();
    this.#jpeg?.close();
    this.#events = this.#webrtc = this.#jpeg = this.#camera = null;
  }

  #attempt() {
    clearTimeout(this.#retry);
    this.#retryAt = 0;
    this.#outlived = false;
    const link = new WebRtcLink(this.cameraId, this.#video, { delay: this.#delay, rendition: this.#rendition });
    this.#webrtc = link;
    link.addEventListener("change", () => this.#webrtcChanged(link));
    link.addEventListener("failed", (event) => this.#webrtcFailed(link, /** @type {CustomEvent} */ (event).detail.error));
    link.start();
    this.#standIn();
  }

  /** @param {WebRtcLink} link */
  #webrtcChanged(link) {
    if (link !== this.#webrtc) {
      return;
    }
    if (link.state === "playing") {
      this.#failure = this.#missing = "";
      this.#playingSince = performance.now();
    } else if (link.state === "stalled" && this.#outlived && this.#camera !== null) {
      this.#tryNow();
    }
    this.#standIn();
    this.#render();
  }

  /**
   * @param {WebRtcLink} link
   * @param {import("./api.js").ApiError} error
   */
  #webrtcFailed(link, error) {
    if (link !== this.#webrtc) {
      return;
    }
    this.#webrtc = null;
    if (error.denied) {
      this.#denied = true;
      this.#stop();
    } else {
      this.#failure = error.message;
      this.#missing = error.status === 404 ? error.message : "";
      this.#retryIn(Math.max(this.#nextDelay(), error.retryAfterMs));
      this.#standIn();
    }
    this.#render();
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

  /** Something has changed for the better: do not wait for the next attempt's time. */
  #tryNow() {
    if (this.#events === null) {
      return;
    }
    this.#backoff.reset();
    if (this.#webrtc?.state === "stalled") {
      this.#webrtc.close();
      this.#webrtc = null;
    }
    if (this.#webrtc === null) {
      this.#attempt();
    }
  }

  /** Another network, perhaps: what was known of the line is void. */
  #changeLine() {
    this.#rendition = BEST_RENDITION;
    this.#slow = "";
    this.#slowBackoff.reset();
    this.#tryNow();
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
    this.#slow = rendition === BEST_RENDITION ? "" : reason;
    this.#rendition = rendition === "jpeg" ? SMALLEST_RENDITION : rendition;
    if (rendition === "jpeg") {
      link.close();
      this.#webrtc = null;
      this.#failure = strings.lineTooSlow(reason);
      this.#retryIn(this.#slowBackoff.next());
      this.#standIn();
    } else if (rendition === BEST_RENDITION) {
      this.#slowBackoff.reset();
    }
    this.#render();
  }

  /** JPEG runs exactly while WebRTC shows nothing. */
  #standIn() {
    const wanted = this.#events !== null && this.#webrtc?.state !== "playing";
    if (wanted && this.#jpeg === null) {
      this.#jpeg = new JpegLink(this.cameraId, this.#canvas);
      this.#jpeg.addEventListener("change", () => this.#render());
      this.#jpeg.start();
    } else if (!wanted) {
      this.#jpeg?.close();
      this.#jpeg = null;
    }
  }

  /** @param {any} event */
  #told(event) {
    if (event.type === "clock") {
      this.#delay.compare(event);
    } else if (event.type === "timing") {
      this.#delay.learn(event);
    } else if (event.type === "viewer") {
      this.#steered(event);
    } else {
      this.#cameraChanged(event);
    }
  }

  /** @param {{ type: string, camera_id: string, state: "online" | "stale" | "offline", since: string }} event */
  #cameraChanged(event) {
    if (event.type !== "camera" || event.camera_id !== this.cameraId) {
      return;
    }
    // The first word of a new connection: the server, or the camera, is back.
    const isNews = this.#camera === null;
    this.#camera = { state: event.state, since: event.since };
    if (isNews) {
      this.#tryNow();
    }
    this.#render();
  }

  #forgetCamera() {
    this.#camera = null;
    this.#delay.reset();
    this.#outlived = true;
    this.#render();
  }

  #render() {
    const view = describe({
      cameraId: this.cameraId,
      denied: this.#denied,
      missing: this.#missing,
      webrtc: this.#webrtc?.state ?? "closed",
      delayMs: this.#delay.milliseconds,
      failure: this.#failure,
      rendition: this.#rendition,
      slow: this.#slow,
      retryInS: this.#retryAt ? (this.#retryAt - performance.now()) / 1000 : null,
      jpeg: this.#jpeg?.state ?? "closed",
      camera: this.#camera,
      serverGone: this.#outlived && this.#camera === null,
    });
    this.#title.textContent = strings.camera(this.cameraId);
    this.#badge.textContent = view.badge;
    Object.assign(this.dataset, { camera: this.cameraId, transport: view.transport, state: view.state });
    this.dataset.rendition = view.transport === "webrtc" ? this.#rendition : view.transport;
    if (view.state === "live" && view.transport === "webrtc" && this.#delay.milliseconds !== null) {
      this.dataset.delay = String(this.#delay.milliseconds);
    } else {
      delete this.dataset.delay;
    }
    if (this.dataset.reason !== view.reason) {
      this.dataset.reason = this.#words.textContent = view.reason;
    }
    this.#showNotice(view);
  }

  /** @param {import("./ladder.js").View} view */
  #showNotice({ transport, state, reason }) {
    const notice = transport === "none" ? reason : "";
    if (this.#notice.firstChild?.textContent === notice) {
      return;
    }
    this.#notice.replaceChildren(notice);
    if (state === "denied") {
      const link = document.createElement("a");
      link.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
      link.textContent = strings.signIn;
      this.#notice.append(link);
    }
  }
}

customElements.define("surveillx-viewer", SurveillxViewer);

// @ts-check
/**
 * `<surveillx-viewer camera="1">`: one camera, live. docs/player.md has its attributes, events, methods and parts.
 *
 * The element shows what its `Player` does, and stops it while nobody can see it: hidden tab, page left, `paused`. Its
 * data-camera, data-transport, data-rendition, data-state and data-reason say what it shows; `ladder.js` has the table.
 *
 * @typedef {import("./webrtc.js").LinkStats & { delay_ms: number | null, legs: import("./legs.js").Legs,
 *   rendition: string, transport: string }} Stats
 */

import { Server } from "./api.js";
import { Boxes } from "./boxes.js";
import { legsOf } from "./legs.js";
import { Player } from "./player.js";
import { onSignedIn } from "./sign_in.js";
import { strings } from "./strings.js";
import { style } from "./viewer_style.js";

const STATS_MS = 1_000;
/** The value of `rendition` for a picture that is shown small. */
const SMALL = "360p";

export class SurveillxViewer extends HTMLElement {
  static observedAttributes = ["camera", "server", "token", "name", "transport", "rendition", "boxes", "controls", "paused"];

  #stage = document.createElement("div");
  #boxes;
  #names = document.createElement("button");
  #title = document.createElement("span");
  #badge = document.createElement("span");
  #words = document.createElement("span");
  #notice = document.createElement("p");
  /** @type {Player | null} */
  #player = null;
  /** The camera has said its name. */
  #told = "";
  #shown = "";
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #statsTimer;
  /** @type {AbortController | null} */
  #listeners = null;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [style];
    const poster = document.createElement("slot");
    poster.name = "poster";
    root.append(poster, this.#stage);
    this.#boxes = new Boxes(root);
    this.#build(root);
  }

  get cameraId() {
    return this.getAttribute("camera") ?? "1";
  }

  /** connecting, live, stalled, offline, denied or paused. */
  get state() {
    return this.dataset.state ?? "connecting";
  }

  /** webrtc, jpeg or none. */
  get transport() {
    return this.dataset.transport ?? "none";
  }

  /** Why, in words. */
  get reason() {
    return this.dataset.reason ?? "";
  }

  /** The bearer token, for pages of another origin; kept out of the document. */
  get token() {
    return this.#token;
  }

  set token(value) {
    this.#token = value;
    this.#restart();
  }

  #token = "";

  /** How faces are shown. @returns {import("./boxes.js").BoxesMode} */
  get boxes() {
    const mode = this.getAttribute("boxes");
    return mode === "drawn" || mode === "none" ? mode : "burned";
  }

  set boxes(mode) {
    this.setAttribute("boxes", mode);
  }

  get paused() {
    return this.hasAttribute("paused");
  }

  pause() {
    this.setAttribute("paused", "");
  }

  resume() {
    this.removeAttribute("paused");
  }

  /** Try again at once, also after access was refused. */
  retry() {
    if (this.#player?.isRunning) {
      this.#player.tryNow();
    } else {
      this.#restart();
    }
  }

  /**
   * The picture that is shown.
   *
   * @returns {Promise<Blob>} PNG, in the picture's own size
   * @throws {Error} there is none
   */
  async snapshot() {
    const picture = this.#player?.picture ?? null;
    const [width, height] = sizeOf(picture);
    if (!picture || !width || !height) {
      throw new Error(strings.noPicture);
    }
    const copy = new OffscreenCanvas(width, height);
    copy.getContext("2d")?.drawImage(picture, 0, 0);
    return copy.convertToBlob({ type: "image/png" });
  }

  /** @returns {Promise<Stats>} how the picture is just now; what is not known is null */
  async stats() {
    const link = (await this.#player?.linkStats()) ?? NOTHING;
    const { rendition = "none", transport = "none" } = this.dataset;
    const delayMs = this.#player?.delayMs ?? null;
    const told = this.#player?.toldLegs ?? { camera: null, server: null };
    const legs = legsOf(delayMs, told, { buffer: link.buffer_ms, display: link.display_ms });
    return { ...link, delay_ms: delayMs, legs, rendition, transport };
  }

  async requestPictureInPicture() {
    const picture = this.#player?.picture;
    if (!(picture instanceof HTMLVideoElement)) {
      throw new Error(strings.noPicture);
    }
    return picture.requestPictureInPicture();
  }

  connectedCallback() {
    const { signal } = (this.#listeners = new AbortController());
    document.addEventListener("visibilitychange", () => this.#follow(), { signal });
    addEventListener("pagehide", () => this.#stop(), { signal });
    addEventListener("pageshow", () => this.#follow(), { signal });
    addEventListener("online", () => this.#player?.changeLine(), { signal });
    // Somebody may have signed in meanwhile, in another tab or window of this browser or of a page of another origin.
    const ask = () => this.#player?.denied && this.#restart();
    addEventListener("focus", ask, { signal });
    onSignedIn(ask, signal);
    this.#statsTimer = setInterval(() => this.#tellStats(), STATS_MS);
    this.#follow();
  }

  /** Moved within the page by moveBefore: the picture goes on. */
  connectedMoveCallback() {}

  disconnectedCallback() {
    this.#listeners?.abort();
    clearInterval(this.#statsTimer);
    this.#stop();
  }

  /**
   * @param {string} name
   * @param {string | null} before
   * @param {string | null} after
   */
  attributeChangedCallback(name, before, after) {
    if (before === after) {
      return;
    }
    if (name === "name" || name === "controls") {
      this.#render();
    } else if (name === "boxes") {
      this.#player?.show(this.#picture);
      this.#render();
    } else if (name === "paused") {
      this.#follow();
    } else if (name === "rendition") {
      this.#player?.small(after === SMALL);
    } else {
      this.#told = name === "camera" ? "" : this.#told;
      this.#poster?.remove(); // of another camera, perhaps
      this.#restart();
    }
  }

  /** @param {ShadowRoot} root */
  #build(root) {
    this.#stage.className = "stage";
    this.#title.className = "title";
    this.#badge.className = "badge";
    this.#badge.ariaHidden = "true";
    // For screen readers: told when something changes, not with every second of the countdown.
    this.#words.className = "words";
    this.#words.role = "status";
    this.#notice.className = "notice";
    const controls = document.createElement("div");
    controls.className = "controls";
    controls.append(this.#namesButton(), this.#fullScreenButton());
    const caption = document.createElement("div");
    caption.className = "caption";
    caption.append(this.#title, this.#badge, controls);
    for (const [element, part] of /** @type {[HTMLElement, string][]} */ ([
      [caption, "caption"],
      [this.#title, "title"],
      [this.#badge, "badge"],
      [controls, "controls"],
      [this.#notice, "notice"],
    ])) {
      element.part.add(part);
    }
    root.append(this.#notice, caption, this.#words);
  }

  /** Switches names and boxes off, and back to how they were. */
  #namesButton() {
    const button = this.#names;
    button.type = "button";
    button.className = "names";
    button.part.add("button");
    button.title = button.ariaLabel = strings.names;
    /** @type {import("./boxes.js").BoxesMode} */
    let before = "burned";
    button.addEventListener("click", () => {
      const now = this.boxes;
      this.boxes = now === "none" ? before : "none";
      before = now === "none" ? before : now;
    });
    return button;
  }

  #fullScreenButton() {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "full-screen";
    button.part.add("button");
    button.title = button.ariaLabel = strings.fullScreen;
    button.hidden = !document.fullscreenEnabled;
    button.addEventListener("click", () => {
      const changed = document.fullscreenElement === this ? document.exitFullscreen() : this.requestFullscreen();
      changed.catch(() => {});
    });
    return button;
  }

  /** @returns {import("./webrtc.js").PictureKind} */
  get #picture() {
    return this.boxes === "burned" ? "annotated" : "clean";
  }

  /** A first picture that came with the page; it goes when there is another, or something to say. */
  get #poster() {
    return this.querySelector(":scope > [slot=poster]");
  }

  #follow() {
    const wanted = document.visibilityState === "visible" && this.isConnected && !this.paused;
    if (wanted && !this.#player?.isRunning) {
      this.#start();
    } else if (!wanted) {
      this.#stop();
    }
    this.#render();
  }

  get #server() {
    return new Server({ base: this.getAttribute("server") ?? undefined, token: this.token || this.getAttribute("token") || "" });
  }

  #restart() {
    if (this.#player !== null) {
      this.#stop();
      this.#follow();
    }
  }

  #start() {
    const player = (this.#player = new Player(this.#stage, {
      server: this.#server,
      cameraId: this.cameraId,
      way: /** @type {import("./player.js").Way} */ (this.getAttribute("transport") ?? "auto"),
      small: this.getAttribute("rendition") === SMALL,
      types: ["detections"],
      shown: this.#picture,
    }));
    this.#boxes.opensPages = this.#server.isOwn;
    player.addEventListener("frame", (event) => {
      this.#boxes.frame(/** @type {CustomEvent} */ (event).detail, ...sizeOf(player.picture));
    });
    player.addEventListener("change", () => player === this.#player && this.#render());
    player.addEventListener("told", (event) => this.#learn(/** @type {CustomEvent} */ (event).detail));
    player.addEventListener("problem", (event) => this.#tellProblem(/** @type {CustomEvent} */ (event).detail));
    player.start();
  }

  #stop() {
    this.#player?.stop();
    this.#player = null;
    this.#boxes.clear();
    this.#stage.replaceChildren();
  }

  /** @param {any} event */
  #learn(event) {
    if (event.type === "camera" && event.camera_id === this.cameraId && event.name) {
      this.#told = event.name;
    } else if (event.type === "detections") {
      this.#boxes.show(event);
    }
  }

  #render() {
    const name = this.getAttribute("name") || this.#told || strings.camera(this.cameraId);
    if (this.#player !== null) {
      this.#player.name = name;
    }
    const view = this.#player?.view ?? (this.paused ? PAUSED : RESTING);
    this.#title.textContent = name;
    this.#badge.textContent = view.badge;
    Object.assign(this.dataset, { camera: this.cameraId, transport: view.transport, state: view.state });
    this.dataset.rendition = view.transport === "webrtc" ? (this.#player?.rendition ?? "none") : view.transport;
    const delayMs = view.state === "live" ? (this.#player?.delayMs ?? null) : null;
    if (view.transport === "webrtc" && delayMs !== null) {
      this.dataset.delay = String(delayMs);
    } else {
      delete this.dataset.delay;
    }
    if (this.dataset.reason !== view.reason) {
      this.dataset.reason = this.#words.textContent = view.reason;
    }
    // JPEG pictures are annotated always.
    this.#boxes.mode = view.transport === "webrtc" ? this.boxes : "burned";
    this.#boxes.inert = this.getAttribute("controls") === "none";
    this.#names.ariaPressed = String(this.boxes !== "none");
    this.#showNotice(view);
    this.#tellState();
  }

  /** @param {import("./ladder.js").View} view */
  #showNotice({ transport, state, reason }) {
    if (transport !== "none" || reason !== strings.connecting) {
      this.#poster?.remove();
    }
    const notice = transport === "none" && !this.#poster ? reason : "";
    if (this.#notice.firstChild?.textContent === notice) {
      return;
    }
    this.#notice.replaceChildren(notice);
    if (state === "denied" && this.#server.isOwn) {
      const link = document.createElement("a");
      link.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
      link.textContent = strings.signIn;
      this.#notice.append(link);
    }
  }

  #tellState() {
    const { state, transport, reason, rendition = "none" } = { ...this.dataset };
    const shown = [state, transport, reason, rendition].join();
    if (shown !== this.#shown) {
      this.#shown = shown;
      this.#tell("statechange", { state, transport, reason, rendition });
    }
  }

  async #tellStats() {
    if (this.#player?.isRunning) {
      this.#tell("stats", await this.stats());
    }
  }

  /** @param {import("./api.js").ApiError} error */
  #tellProblem(error) {
    this.#tell("error", { message: error.message, status: error.status });
  }

  /**
   * @param {string} type
   * @param {object} detail
   */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }
}

/**
 * @param {HTMLVideoElement | HTMLCanvasElement | null} picture
 * @returns {[number, number]} in its own pixels
 */
function sizeOf(picture) {
  if (picture instanceof HTMLVideoElement) {
    return [picture.videoWidth, picture.videoHeight];
  }
  return [picture?.width ?? 0, picture?.height ?? 0];
}

/** @type {import("./webrtc.js").LinkStats} */
const NOTHING = {
  fps: null,
  width: null,
  height: null,
  bitrate_bps: null,
  lost: null,
  freezes: null,
  frozen_s: null,
  buffer_ms: null,
  display_ms: null,
};
/** @type {import("./ladder.js").View} */
const PAUSED = { transport: "none", state: "paused", reason: strings.paused, badge: strings.paused };
/** @type {import("./ladder.js").View} */
const RESTING = { transport: "none", state: "connecting", reason: strings.connecting, badge: strings.connectingBadge };

if (!customElements.get("surveillx-viewer")) {
  customElements.define("surveillx-viewer", SurveillxViewer);
}

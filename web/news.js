// @ts-check
/**
 * What the server tells of one camera while its picture is shown: its state, how late it is, what line we are thought to
 * have. A connection that leads nowhere is noticed by its silence and replaced.
 *
 *   away --first word of the camera--> there ("back") --connection lost--> away ("lost")
 *
 * Dispatches "change" when `camera` may have changed, "back" and "lost" as above, "viewer" when the server has put a viewer
 * on another rendition, and "told" with every event; the event is the `detail`.
 */

import { Delay } from "./delay.js";
import { EventsSocket } from "./events.js";

/** The server tells each second of the pictures that it sends. */
const TOLD_EVERY_MS = 1_000;
/** Late by so much, it has not told: there was nothing to tell. */
const TOLD_LATE_MS = 400;
/** The server is asked for the time every 10 s: who is silent for longer is not there any more. */
const SILENT_MS = 13_000;
const TYPES = ["camera", "timing", "viewer"];

export class CameraNews extends EventTarget {
  #cameraId;
  #socket;
  #heardAt = performance.now();
  /** When the server last told of a picture that it has sent. */
  #sentAt = 0;
  /** How late the pictures are. */
  delay = new Delay();
  /** Null until the server tells. @type {import("./ladder.js").CameraFact | null} */
  camera = null;

  /**
   * @param {import("./api.js").Server} server
   * @param {string} cameraId
   * @param {string[]} types further events to be told of
   */
  constructor(server, cameraId, types) {
    super();
    this.#cameraId = cameraId;
    this.#socket = new EventsSocket({ server, cameraId, types: [...TYPES, ...types] });
    this.#socket.addEventListener("message", (event) => this.#hear(/** @type {CustomEvent} */ (event).detail));
    this.#socket.addEventListener("open", () => this.#compareClocks());
    this.#socket.addEventListener("lost", () => this.#lose());
  }

  start() {
    this.#socket.start();
  }

  close() {
    this.#socket.close();
  }

  /** Once a second. */
  tick() {
    this.renewAfter(SILENT_MS);
    this.#compareClocks();
  }

  /** Ask for an answer, whatever it is: is the server there? */
  ask() {
    this.#socket.send(this.delay.request());
  }

  /** Connect anew unless something was heard of late: over a network that is gone a connection stays open for minutes. */
  renewAfter(/** @type {number} */ silentMs) {
    if (performance.now() - this.#heardAt > silentMs) {
      this.#heardAt = performance.now();
      this.#socket.start();
    }
  }

  /** The server answers, but has sent no picture of this camera to anybody; it tells only while somebody watches. */
  get isCameraSilent() {
    const now = performance.now();
    return now - this.#heardAt < TOLD_EVERY_MS && now - this.#sentAt > TOLD_EVERY_MS + TOLD_LATE_MS;
  }

  #compareClocks() {
    if (this.delay.wantsExchange) {
      this.ask();
    }
  }

  /** @param {any} event */
  #hear(event) {
    this.#heardAt = performance.now();
    if (event.type === "clock") {
      this.delay.compare(event);
    } else if (event.type === "timing") {
      this.#sentAt = this.#heardAt;
      this.delay.learn(event);
    } else if (event.type === "viewer") {
      this.#tell("viewer", event);
    } else if (event.type === "camera" && event.camera_id === this.#cameraId) {
      this.#learn(event);
    }
    this.#tell("told", event);
  }

  /** @param {import("./ladder.js").CameraFact} event */
  #learn({ state, since }) {
    const isBack = this.camera === null;
    this.camera = { state, since };
    if (isBack) {
      this.#tell("back");
    }
    this.#tell("change");
  }

  #lose() {
    this.camera = null;
    this.delay.reset();
    this.#tell("lost");
  }

  /**
   * @param {string} type
   * @param {object} [detail]
   */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

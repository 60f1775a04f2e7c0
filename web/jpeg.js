// @ts-check
/**
 * A camera's pictures as JPEG, drawn on a canvas: one at once as a file, a poster while WebRTC connects; then, where
 * WebRTC is late or cannot get through, one after the other over Socket.IO, whose library is loaded only then.
 *
 *   connecting --poster, picture--> showing --no picture for 2 s--> stalled --picture--> showing
 *   any --connection lost--> stalled (Socket.IO connects again by itself)
 *   any --close()--> closed
 *
 * Each picture is acknowledged once it is drawn; the server holds back the next one until then, so that a slow line
 * shows fewer pictures, not older ones. Dispatches "change" whenever `state` changes, "frame" with each picture, and
 * "refused" with `{ error }` (an ApiError) as `detail` when only signing in helps.
 *
 * @typedef {"connecting" | "showing" | "stalled" | "closed"} JpegState
 * @typedef {{ frame: string, camera_id: string | number, timestamp: string }} FrameMessage
 */

import { ApiError } from "./api.js";
import { strings } from "./strings.js";

const STALLED_MS = 2_000;
const WATCH_MS = 250;
const POSTER_WITHIN_MS = 4_000;
const RETRY_MS = 500;
const LONGEST_RETRY_MS = 3_000;

export class JpegLink extends EventTarget {
  #server;
  #cameraId;
  #canvas;
  /** @type {import("/static/vendor/socket.io.js").Socket | null} */
  #socket = null;
  #abort = new AbortController();
  /** More than the poster is wanted. */
  #streams = false;
  /** @type {JpegState} */
  #state = "connecting";
  #pictureAt = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #watch;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;

  /**
   * @param {import("./api.js").Server} server
   * @param {string} cameraId
   * @param {HTMLCanvasElement} canvas
   */
  constructor(server, cameraId, canvas) {
    super();
    this.#server = server;
    this.#cameraId = cameraId;
    this.#canvas = canvas;
  }

  get state() {
    return this.#state;
  }

  start() {
    this.#watch = setInterval(() => this.#check(), WATCH_MS);
    this.#poster();
  }

  /** One picture is not enough any more. */
  stream() {
    if (!this.#streams) {
      this.#streams = true;
      this.#pictureAt = performance.now();
      this.#load();
    }
  }

  close() {
    this.#set("closed");
    this.#abort.abort();
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    this.#socket?.disconnect();
  }

  async #poster() {
    const path = `/api/cameras/${encodeURIComponent(this.#cameraId)}/snapshot.jpg`;
    try {
      const file = await this.#server.file(path, { signal: this.#abort.signal, timeoutMs: POSTER_WITHIN_MS });
      await this.#draw(file, () => this.#state === "connecting");
    } catch (error) {
      // What else goes wrong with it is no matter: the pictures after it come another way.
      if (error instanceof ApiError && error.denied) {
        this.#refuse(error);
      }
    }
  }

  /** @param {ApiError} error */
  #refuse(error) {
    if (this.#state !== "closed") {
      this.dispatchEvent(new CustomEvent("refused", { detail: { error } }));
    }
  }

  async #load() {
    const library = await import("/static/vendor/socket.io.js").catch(() => null);
    if (this.#state === "closed") {
      return;
    }
    if (library === null) {
      this.#retry = setTimeout(() => this.#load(), LONGEST_RETRY_MS);
    } else {
      this.#connect(library.io);
    }
  }

  /** @param {typeof import("/static/vendor/socket.io.js").io} io */
  #connect(io) {
    const socket = io(this.#server.url("/stream").href, {
      auth: { camera_id: this.#cameraId, ...(this.#server.token && { token: this.#server.token }) },
      forceNew: true,
      reconnectionDelay: RETRY_MS,
      reconnectionDelayMax: LONGEST_RETRY_MS,
      transports: ["websocket", "polling"],
      tryAllTransports: true,
    });
    this.#socket = socket;
    socket.on("frame", (/** @type {FrameMessage} */ message, /** @type {(() => void) | undefined} */ acknowledge) => {
      this.#show(message).finally(() => acknowledge?.());
    });
    socket.on("connect_error", (error) => {
      if (/** @type {{ data?: { reason?: string } }} */ (error).data?.reason === "denied") {
        this.#refuse(new ApiError(strings.denied, { status: 401 }));
      }
    });
    socket.on("disconnect", (reason) => {
      this.#set("stalled");
      // The one case in which Socket.IO does not come back by itself.
      if (reason === "io server disconnect") {
        socket.connect();
      }
    });
  }

  /** @param {FrameMessage} message */
  #show(message) {
    const bytes = Uint8Array.from(atob(message.frame), (letter) => letter.charCodeAt(0));
    return this.#draw(new Blob([bytes], { type: "image/jpeg" }), () => this.#state !== "closed");
  }

  /**
   * @param {Blob} jpeg
   * @param {() => boolean} isWanted asked once it is decoded
   */
  async #draw(jpeg, isWanted) {
    const bitmap = await createImageBitmap(jpeg).catch(() => null);
    if (bitmap === null || !isWanted()) {
      bitmap?.close();
      return;
    }
    if (this.#canvas.width !== bitmap.width || this.#canvas.height !== bitmap.height) {
      this.#canvas.width = bitmap.width;
      this.#canvas.height = bitmap.height;
    }
    this.#canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    bitmap.close();
    this.#pictureAt = performance.now();
    this.#set("showing");
    this.dispatchEvent(new Event("frame"));
  }

  #check() {
    if (this.#streams && this.#state === "showing" && performance.now() - this.#pictureAt > STALLED_MS) {
      this.#set("stalled");
    }
  }

  /** @param {JpegState} state */
  #set(state) {
    if (this.#state !== state && this.#state !== "closed") {
      this.#state = state;
      this.dispatchEvent(new Event("change"));
    }
  }
}

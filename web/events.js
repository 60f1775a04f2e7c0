// @ts-check
/**
 * The server's events over a WebSocket that comes back by itself.
 *
 *   closed --start--> connecting --open--> open --lost--> waiting --time--> connecting
 *   any --close()--> closed
 *
 * Dispatches "open", "lost", and "message" with the parsed event as `detail`.
 */

import { Server } from "./api.js";
import { Backoff } from "./backoff.js";

const FIRST_RETRY_MS = 400;
const LONGEST_RETRY_MS = 3_000;
/** The server closes with this code when we may not view: only signing in helps, so there is no hurry. */
const POLICY_VIOLATION = 1008;
const REFUSED_RETRY_MS = 30_000;

export class EventsSocket extends EventTarget {
  #server;
  #path;
  #backoff = new Backoff(FIRST_RETRY_MS, LONGEST_RETRY_MS);
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {{ server?: Server, cameraId?: string, types?: string[] }} [only] one camera's events, or some types; without
   *   them, everything
   */
  constructor({ server = new Server(), cameraId, types } = {}) {
    super();
    this.#server = server;
    const query = new URLSearchParams();
    if (cameraId !== undefined) {
      query.set("camera_id", cameraId);
    }
    if (types !== undefined) {
      query.set("types", types.join(","));
    }
    this.#path = query.size > 0 ? `/ws/events?${query}` : "/ws/events";
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  start() {
    this.close();
    this.#connect();
  }

  /**
   * Send something to the server; without a connection it is lost.
   *
   * @param {object} message
   */
  send(message) {
    if (this.isOpen) {
      this.#socket?.send(JSON.stringify(message));
    }
  }

  close() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #connect() {
    const url = this.#server.url(this.#path);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url, this.#server.subprotocols);
    this.#socket = socket;
    socket.onopen = () => {
      if (socket === this.#socket) {
        this.dispatchEvent(new Event("open"));
      }
    };
    socket.onmessage = ({ data }) => this.#receive(socket, data);
    socket.onclose = ({ code }) => this.#lost(socket, code);
  }

  /**
   * @param {WebSocket} socket
   * @param {string} data
   */
  #receive(socket, data) {
    if (socket === this.#socket) {
      // Reset only now: a server that accepts and closes at once must not be asked again without pause.
      this.#backoff.reset();
      this.dispatchEvent(new CustomEvent("message", { detail: JSON.parse(data) }));
    }
  }

  /**
   * @param {WebSocket} socket
   * @param {number} code
   */
  #lost(socket, code) {
    if (socket !== this.#socket) {
      return;
    }
    this.#socket = null;
    const delay = code === POLICY_VIOLATION ? REFUSED_RETRY_MS : this.#backoff.next();
    this.#timer = setTimeout(() => this.#connect(), delay);
    this.dispatchEvent(new Event("lost"));
  }
}

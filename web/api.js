// @ts-check
/**
 * The server's JSON routes. Every request has a deadline; every failure is an ApiError with words for a person.
 *
 * @typedef {"off" | "starting" | "running" | "restarting"} RecognitionState
 * @typedef {{ id: string, name: string, online: boolean, state: "online" | "stale" | "offline",
 *   recognition: RecognitionState, recognition_every: number, result_age_ms: number, frames: { recognised: number } }} CameraStatus
 * @typedef {{ id: number, name: string, roll_no: string | null, class_name: string | null, consent: boolean,
 *   photos: number }} Person
 * @typedef {{ id: number, name: string, distance: number }} Resemblance
 * @typedef {{ id: number, person_id: number, name: string, roll_no: string | null, class_name: string | null,
 *   camera_id: string, timestamp: string, distance: number | null, session: string,
 *   source: "recognised" | "manual" | "school" }} Attendance
 * @typedef {{ person_id: number, name: string, roll_no: string | null, class_name: string | null }} AbsentPerson
 * @typedef {{ date: string, sessions: string[], present: Attendance[], absent: AbsentPerson[], anonymous: number,
 *   classes: string[], cameras: string[] }} DayAttendance
 * @typedef {Attendance & { track_id: number | null, margin: number | null, looks: number | null, model: string | null,
 *   threshold: number | null, has_crop: boolean, has_face: boolean }} Proof
 * @typedef {{ id: number, at: string, action: string, person_id: number | null, words: string,
 *   who: string | null }} AuditRecord
 * @typedef {{ id: number, first_seen: string, last_seen: string, appearances: number, camera_id: string, faces: number,
 *   resembles: { id: number, name: string, distance: number } | null }} Visitor
 * @typedef {{ threshold: number, false_marks: number, low: number, high: number, at_risk: number, often: string }} Rates
 * @typedef {{ words: string[], now: Rates, suggested: Rates | null, curve: Rates[], wanted: string,
 *   people: { id: number, name: string, photos: number, status: string, missed: number, reasons: string[] }[],
 *   alike: { first_id: number, first_name: string, second_id: number, second_name: string, distance: number,
 *     often: string }[] }} Calibration
 * @typedef {{ method?: string, json?: unknown, form?: FormData, signal?: AbortSignal, timeoutMs?: number }} Options
 */

import { strings } from "./strings.js";

const TIMEOUT_MS = 8_000;

/** A request that did not succeed. `status` is 0 when no answer came. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {{ status?: number, reason?: string, resembles?: Resemblance[], retryAfterMs?: number }} [about]
   */
  constructor(message, { status = 0, reason = "", resembles = [], retryAfterMs = 0 } = {}) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.resembles = resembles;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether signing in would help. */
  get denied() {
    return this.status === 401 || this.status === 403;
  }
}

/** A server: this page's own, or one of another origin that allows it and is shown a token. */
export class Server {
  /** @param {{ base?: string, token?: string }} [options] `base` is where this module came from, unless another is named */
  constructor({ base = new URL("/", import.meta.url).href, token = "" } = {}) {
    this.base = base;
    this.token = token;
  }

  /** @param {string} path */
  url(path) {
    return new URL(path, this.base);
  }

  /** How a WebSocket shows the token: it cannot have headers, and a URL ends up in logs. */
  get subprotocols() {
    const bytes = new TextEncoder().encode(this.token);
    const text = btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    return this.token ? ["surveillx", `surveillx.bearer.${text}`] : [];
  }

  /** Whether the page that shows this is one of the server's own. */
  get isOwn() {
    return new URL(this.base).origin === location.origin;
  }

  /** What every request says of who asks. @returns {Record<string, string>} */
  get #authorization() {
    return this.token ? { Authorization: `Bearer ${this.token}` } : {};
  }

  /**
   * @param {string} path
   * @param {Options} [options]
   * @returns {Promise<any>} the parsed JSON, or null when the answer has no body
   * @throws {ApiError}
   */
  async request(path, options) {
    const response = await this.#ask(path, options);
    return response.status === 204 ? null : response.json();
  }

  /**
   * @param {string} path
   * @param {Options} [options]
   * @returns {Promise<Blob>} the file
   * @throws {ApiError}
   */
  async file(path, options) {
    const response = await this.#ask(path, options);
    return response.blob();
  }

  /**
   * @param {string} path
   * @param {Options} [options]
   */
  async #ask(path, { method = "GET", json, form, signal, timeoutMs = TIMEOUT_MS } = {}) {
    const deadline = AbortSignal.timeout(timeoutMs);
    const response = await send(this.url(path), {
      method,
      headers: { ...this.#authorization, ...(json === undefined ? {} : { "Content-Type": "application/json" }) },
      body: json === undefined ? form : JSON.stringify(json),
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    });
    if (!response.ok) {
      throw await problem(response);
    }
    return response;
  }

  /** Let a session end even while the page goes away. @param {string} sessionId */
  endSession(sessionId) {
    const path = `/webrtc/sessions/${encodeURIComponent(sessionId)}`;
    // The server ends it by itself where this cannot be delivered.
    fetch(this.url(path), { method: "DELETE", headers: this.#authorization, keepalive: true }).catch(() => {});
  }
}

const own = new Server();

/**
 * Ask this page's own server.
 *
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<any>} the parsed JSON, or null when the answer has no body
 * @throws {ApiError}
 */
export function request(path, options) {
  return own.request(path, options);
}

/**
 * @param {URL} url
 * @param {RequestInit} init
 */
async function send(url, init) {
  try {
    return await fetch(url, { ...init, cache: "no-store" });
  } catch (error) {
    const timedOut = error instanceof DOMException && error.name === "TimeoutError";
    throw new ApiError(timedOut ? strings.serverSlow : strings.serverUnreachable);
  }
}

/**
 * The error an `application/problem+json` answer describes.
 *
 * @param {Response} response
 */
async function problem(response) {
  const { detail, reason, resembles } = await response.json().catch(() => ({}));
  const retryAfterMs = Number(response.headers.get("Retry-After") ?? 0) * 1000;
  return new ApiError(typeof detail === "string" ? detail : strings.serverError(response.status), {
    status: response.status,
    reason: typeof reason === "string" ? reason : "",
    resembles: Array.isArray(resembles) ? resembles : [],
    retryAfterMs: Number.isFinite(retryAfterMs) ? retryAfterMs : 0,
  });
}

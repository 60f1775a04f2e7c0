// @ts-check
/**
 * One attempt to show a camera over WebRTC; make a new one for the next attempt.
 *
 *   connecting --first decoded frame--> playing --no frame for 2 s--> stalled --frame--> playing
 *   connecting --no frame for 1.5 s--> late (still trying) --frame--> playing
 *   connecting, late, playing, stalled --#fail--> closed
 *   any --close()--> closed
 *
 * Dispatches "change" whenever `state` changes, "frame" with each presented frame's metadata, "silent" with
 * `{ ms }` four times a second while no frame has come for longer than 0.75 s, and "failed" once with `{ error }` (an ApiError) as `detail`.
 *
 * @typedef {"connecting" | "late" | "playing" | "stalled" | "closed"} LinkState
 * @typedef {"annotated" | "clean"} PictureKind with boxes and names in it, or without
 * @typedef {{ picture: PictureKind, rendition: string }} Wish `rendition` is the best that is wanted, or "auto"
 * @typedef {object} LinkStats
 * @property {number | null} fps pictures decoded a second
 * @property {number | null} width
 * @property {number | null} height pixels of the picture
 * @property {number | null} bitrate_bps
 * @property {number | null} lost packets, 0 to 1, since the figures before
 * @property {number | null} freezes since the connection began
 * @property {number | null} frozen_s how long all of them lasted
 * @property {number | null} buffer_ms what pictures wait in the browser's jitter buffer
 * @property {number | null} display_ms what they take from there to the screen
 */

import { ApiError } from "./api.js";
import { iceServers } from "./ice.js";
import { strings } from "./strings.js";

const ANSWER_WITHIN_MS = 4_000;
const LATE_MS = 1_500;
const FIRST_FRAME_WITHIN_MS = 8_000;
const SILENT_MS = 750;
const STALLED_MS = 2_000;
const GIVE_UP_STALLED_MS = 10_000;
const DISCONNECTED_MS = 3_000;
const WATCH_MS = 250;
const ASK_AGAIN_MS = 2_000;
/** Figures of less time say little. */
const LEAST_STATS_S = 0.5;
/** Two seconds of pictures. */
const TOOK_KEPT = 60;

export class WebRtcLink extends EventTarget {
  #server;
  #cameraId;
  #rendition;
  /** @type {Wish} */
  #wish;
  /** What the server knows of it. @type {Wish} */
  #told;
  #isTelling = false;
  /** Shows the stream; whoever made this puts it into the page, or the browser decodes nothing. */
  video = document.createElement("video");
  #abort = new AbortController();
  /** @type {RTCPeerConnection | null} */
  #peer = null;
  /** @type {string | null} */
  #sessionId = null;
  /** @type {LinkState} */
  #state = "connecting";
  /** When this attempt was made. */
  begunAt = performance.now();
  #startedAt = performance.now();
  #frameAt = 0;
  #frames = 0;
  /** @type {number | null} */
  #disconnectedAt = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #watch;

  /** @type {Map<string, number>} */
  #counted = new Map();
  /** Until when `#counted` counts, on the clock of the statistics: milliseconds since 1970. */
  #countedAt = performance.timeOrigin + performance.now();
  /** @type {LinkStats | null} */
  #stats = null;
  /** From the arrival of the newest pictures to the screen, in milliseconds. @type {number[]} */
  #took = [];

  /**
   * @param {import("./api.js").Server} server
   * @param {string} cameraId
   * @param {object} options
   * @param {string} options.rendition what to begin with; the server changes it as the line allows
   * @param {string} options.limit the best that is wanted, or "auto"
   * @param {PictureKind} options.picture
   */
  constructor(server, cameraId, { rendition, limit, picture }) {
    super();
    this.#server = server;
    this.#cameraId = cameraId;
    this.#rendition = rendition;
    this.#wish = { picture, rendition: limit };
    this.#told = { picture, rendition: "auto" };
    this.video.muted = this.video.autoplay = this.video.playsInline = true;
    this.video.part.add("video");
  }

  /** What the server calls this connection; null until it has answered. */
  get sessionId() {
    return this.#sessionId;
  }

  get state() {
    return this.#state;
  }

  /** Want this rendition at most from now on. @param {string} rendition or "auto": as good as the line carries */
  limit(rendition) {
    this.#wish = { ...this.#wish, rendition };
    this.#tell();
  }

  /** Be sent this kind of picture from its next keyframe on. @param {PictureKind} picture */
  show(picture) {
    this.#wish = { ...this.#wish, picture };
    this.#tell();
  }

  /** Tell the server what is wanted, one request at a time, until it knows or the connection ends. */
  async #tell() {
    if (this.#sessionId === null || this.#isTelling) {
      return;
    }
    this.#isTelling = true;
    const path = `/webrtc/sessions/${encodeURIComponent(this.#sessionId)}`;
    while (JSON.stringify(this.#told) !== JSON.stringify(this.#wish) && this.#state !== "closed") {
      const wish = this.#wish;
      try {
        await this.#server.request(path, { method: "PATCH", json: wish, signal: this.#abort.signal });
        this.#told = wish;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
      }
    }
    this.#isTelling = false;
  }

  async start() {
    this.#watch = setInterval(() => this.#check(), WATCH_MS);
    try {
      const relays = await iceServers(this.#server);
      if (this.#isClosed) {
        return;
      }
      const peer = this.#open(relays);
      await peer.setLocalDescription();
      // Sent without any candidate of ours: the server learns our addresses from our checks, a relay's too, and
      // gathering can take long, most of all with a relay that does not answer.
      const answer = await this.#exchange(peer.localDescription?.sdp ?? "");
      if (this.#isClosed) {
        this.#server.endSession(answer.session_id);
        return;
      }
      this.#sessionId = answer.session_id;
      this.#tell();
      await peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    } catch (error) {
      this.#fail(error instanceof ApiError ? error : new ApiError(strings.webrtcUnsupported));
    }
  }

  get #isClosed() {
    return this.#state === "closed";
  }

  close() {
    if (this.#state === "closed") {
      return;
    }
    this.#state = "closed";
    clearInterval(this.#watch);
    this.#abort.abort();
    this.#peer?.close();
    this.video.srcObject = null;
    this.video.remove();
    if (this.#sessionId !== null) {
      this.#server.endSession(this.#sessionId);
    }
  }

  /** @param {RTCIceServer[]} relays */
  #open(relays) {
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: relays });
    this.#peer = peer;
    peer.addTransceiver("video", { direction: "recvonly" });
    peer.ontrack = ({ track }) => this.#show(track);
    peer.onconnectionstatechange = () => this.#connectionChanged(peer.connectionState);
    return peer;
  }

  /**
   * @param {string} sdp
   * @returns {Promise<{ sdp: string, session_id: string }>}
   */
  #exchange(sdp) {
    return this.#server.request("/webrtc/viewer", {
      method: "POST",
      json: { sdp, type: "offer", camera_id: this.#cameraId, rendition: this.#rendition, picture: this.#told.picture },
      signal: this.#abort.signal,
      timeoutMs: ANSWER_WITHIN_MS,
    });
  }

  /** @param {MediaStreamTrack} track */
  #show(track) {
    if (this.#state === "closed") {
      return;
    }
    this.video.srcObject = new MediaStream([track]);
    // Refused only by browsers that forbid even muted playing; then no frame comes and the deadline decides.
    this.video.play().catch(() => {});
    this.video.requestVideoFrameCallback?.((_now, frame) => this.#frame(frame));
  }

  /** @param {VideoFrameCallbackMetadata} [frame] */
  #frame(frame) {
    if (this.#state === "closed") {
      return;
    }
    this.#frameAt = performance.now();
    if (frame?.receiveTime !== undefined) {
      this.#took = [...this.#took.slice(1 - TOOK_KEPT), frame.expectedDisplayTime - frame.receiveTime];
    }
    this.#set("playing");
    this.dispatchEvent(new CustomEvent("frame", { detail: frame }));
    this.video.requestVideoFrameCallback?.((_now, next) => this.#frame(next));
  }

  /** @param {RTCPeerConnectionState} state */
  #connectionChanged(state) {
    if (state === "failed" || state === "closed") {
      this.#fail(new ApiError(this.#frameAt ? strings.webrtcLost : strings.webrtcBlocked));
    } else if (state === "disconnected") {
      this.#disconnectedAt ??= performance.now();
    } else if (state === "connected") {
      this.#disconnectedAt = null;
    }
  }

  #check() {
    const now = performance.now();
    this.#countFrames();
    if (this.#disconnectedAt !== null && now - this.#disconnectedAt > DISCONNECTED_MS) {
      this.#fail(new ApiError(strings.webrtcLost));
    } else if (this.#frameAt === 0) {
      this.#checkFirstFrame(now - this.#startedAt);
    } else if (now - this.#frameAt > GIVE_UP_STALLED_MS) {
      this.#fail(new ApiError(strings.webrtcStalled));
    } else if (now - this.#frameAt > SILENT_MS) {
      this.dispatchEvent(new CustomEvent("silent", { detail: { ms: now - this.#frameAt } }));
      if (now - this.#frameAt > STALLED_MS) {
        this.#set("stalled");
      }
    }
  }

  /** The computer slept: what did not come meanwhile says nothing. */
  woke() {
    this.#startedAt = performance.now();
    this.#frameAt &&= performance.now();
    this.#disconnectedAt &&= performance.now();
  }

  /** @returns {Promise<LinkStats | null>} of the last half second or more; null before the first picture */
  async stats() {
    const reports = [...((await this.#peer?.getStats())?.values() ?? [])];
    const video = reports.find((report) => report.type === "inbound-rtp" && report.kind === "video");
    if (!video) {
      return null;
    }
    const seconds = (video.timestamp - this.#countedAt) / 1000;
    if (this.#stats !== null && seconds < LEAST_STATS_S) {
      return this.#stats; // somebody else has just asked
    }
    this.#countedAt = video.timestamp;
    const lost = this.#passed("lost", video.packetsLost ?? 0);
    const received = this.#passed("received", video.packetsReceived ?? 0);
    const buffered = this.#passed("buffered", video.jitterBufferEmittedCount ?? 0);
    this.#stats = {
      fps: this.#passed("frames", video.framesDecoded ?? 0) / seconds,
      width: video.frameWidth ?? null,
      height: video.frameHeight ?? null,
      bitrate_bps: (this.#passed("octets", video.bytesReceived ?? 0) * 8) / seconds,
      lost: Math.max(0, lost) / Math.max(1, lost + received),
      freezes: video.freezeCount ?? null,
      frozen_s: video.totalFreezesDuration ?? null,
      ...this.#sinceArrival((this.#passed("delay", video.jitterBufferDelay ?? 0) * 1000) / Math.max(1, buffered)),
    };
    return this.#stats;
  }

  /** @param {number} bufferMs */
  #sinceArrival(bufferMs) {
    const took = this.#took.sort((a, b) => a - b)[this.#took.length >> 1];
    this.#took = [];
    return { buffer_ms: bufferMs, display_ms: took === undefined ? null : Math.max(0, took - bufferMs) };
  }

  /** By how much a counter grew since it was last looked at. @param {string} name @param {number} value */
  #passed(name, value) {
    const before = this.#counted.get(name) ?? 0;
    this.#counted.set(name, value);
    return value - before;
  }

  /** @param {number} waitedMs */
  #checkFirstFrame(waitedMs) {
    if (waitedMs > FIRST_FRAME_WITHIN_MS) {
      const connected = this.#peer?.connectionState === "connected";
      this.#fail(new ApiError(connected ? strings.webrtcNoPicture : strings.webrtcBlocked));
    } else if (waitedMs > LATE_MS) {
      this.#set("late");
    }
  }

  /** For browsers without requestVideoFrameCallback: Firefox before 132. */
  #countFrames() {
    if ("requestVideoFrameCallback" in this.video) {
      return;
    }
    const frames = /** @type {HTMLVideoElement} */ (this.video).getVideoPlaybackQuality().totalVideoFrames;
    if (frames !== this.#frames) {
      this.#frames = frames;
      this.#frame();
    }
  }

  /** @param {LinkState} state */
  #set(state) {
    if (this.#state !== state && this.#state !== "closed") {
      this.#state = state;
      this.dispatchEvent(new Event("change"));
    }
  }

  /** @param {ApiError} error */
  #fail(error) {
    if (this.#state !== "closed") {
      this.close();
      this.dispatchEvent(new CustomEvent("failed", { detail: { error } }));
    }
  }
}

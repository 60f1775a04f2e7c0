// @ts-check
/**
 * One attempt to show a camera over WebRTC; make a new one for the next attempt.
 *
 *   connecting --first decoded frame--> playing --no frame for 2 s--> stalled --frame--> playing
 *   connecting --no frame for 2.5 s--> late (still trying) --frame--> playing
 *   connecting, late, playing, stalled --#fail--> closed
 *   any --close()--> closed
 *
 * Dispatches "change" whenever `state` changes, and "failed" once with `{ error }` (an ApiError) as `detail`.
 *
 * @typedef {"connecting" | "late" | "playing" | "stalled" | "closed"} LinkState
 */

import { ApiError, endSession, request } from "./api.js";
import { strings } from "./strings.js";

const ANSWER_WITHIN_MS = 4_000;
const LATE_MS = 2_500;
const FIRST_FRAME_WITHIN_MS = 8_000;
const STALLED_MS = 2_000;
const GIVE_UP_STALLED_MS = 10_000;
const DISCONNECTED_MS = 3_000;
const WATCH_MS = 250;

export class WebRtcLink extends EventTarget {
  #cameraId;
  #video;
  #delay;
  #rendition;
  #abort = new AbortController();
  /** @type {RTCPeerConnection | null} */
  #peer = null;
  /** @type {string | null} */
  #sessionId = null;
  /** @type {LinkState} */
  #state = "connecting";
  #startedAt = performance.now();
  #frameAt = 0;
  #frames = 0;
  /** @type {number | null} */
  #disconnectedAt = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #watch;

  /**
   * @param {string} cameraId
   * @param {HTMLVideoElement} video shows the stream; it must be laid out, or the browser decodes nothing
   * @param {object} options
   * @param {import("./delay.js").Delay} options.delay is told of every picture that is shown
   * @param {string} options.rendition what to begin with; the server changes it as the line allows
   */
  constructor(cameraId, video, { delay, rendition }) {
    super();
    this.#cameraId = cameraId;
    this.#video = video;
    this.#delay = delay;
    this.#rendition = rendition;
  }

  /** What the server calls this connection; null until it has answered. */
  get sessionId() {
    return this.#sessionId;
  }

  get state() {
    return this.#state;
  }

  async start() {
    this.#watch = setInterval(() => this.#check(), WATCH_MS);
    try {
      const peer = this.#open();
      await peer.setLocalDescription();
      // Sent without any candidate of ours: the server learns our addresses from our checks, and gathering can take long.
      const answer = await this.#exchange(peer.localDescription?.sdp ?? "");
      if (this.#state === "closed") {
        endSession(answer.session_id);
        return;
      }
      this.#sessionId = answer.session_id;
      await peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    } catch (error) {
      this.#fail(error instanceof ApiError ? error : new ApiError(strings.webrtcUnsupported));
    }
  }

  close() {
    if (this.#state === "closed") {
      return;
    }
    this.#state = "closed";
    clearInterval(this.#watch);
    this.#abort.abort();
    this.#peer?.close();
    this.#video.srcObject = null;
    if (this.#sessionId !== null) {
      endSession(this.#sessionId);
    }
  }

  #open() {
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
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
    return request("/webrtc/viewer", {
      method: "POST",
      json: { sdp, type: "offer", camera_id: this.#cameraId, rendition: this.#rendition },
      signal: this.#abort.signal,
      timeoutMs: ANSWER_WITHIN_MS,
    });
  }

  /** @param {MediaStreamTrack} track */
  #show(track) {
    if (this.#state === "closed") {
      return;
    }
    this.#video.srcObject = new MediaStream([track]);
    // Refused only by browsers that forbid even muted playing; then no frame comes and the deadline decides.
    this.#video.play().catch(() => {});
    this.#video.requestVideoFrameCallback?.((_now, frame) => this.#frame(frame));
  }

  /** @param {VideoFrameCallbackMetadata} [frame] */
  #frame(frame) {
    if (this.#state === "closed") {
      return;
    }
    if (frame?.rtpTimestamp !== undefined) {
      this.#delay.show(frame.rtpTimestamp, frame.expectedDisplayTime);
    }
    this.#frameAt = performance.now();
    this.#set("playing");
    this.#video.requestVideoFrameCallback?.((_now, next) => this.#frame(next));
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
    } else if (now - this.#frameAt > STALLED_MS) {
      this.#set("stalled");
    }
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
    if ("requestVideoFrameCallback" in this.#video) {
      return;
    }
    const frames = /** @type {HTMLVideoElement} */ (this.#video).getVideoPlaybackQuality().totalVideoFrames;
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

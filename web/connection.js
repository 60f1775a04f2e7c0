// @ts-check
/**
 * "Test my connection": what a player does, one step after the other, each with what it found and what mends it.
 *
 *   server -> signing in -> events -> addresses -> offer -> media -> picture; relay and JPEG whatever became of media
 */

import { ApiError, request, Server } from "./api.js";
import { element, find } from "./dom.js";
import { iceServers } from "./ice.js";
import { strings } from "./strings.js";

const WITHIN_MS = 10_000;
const GATHER_WITHIN_MS = 5_000;
const server = new Server();
const list = find("#steps", HTMLOListElement);
const verdict = find("#verdict", HTMLElement);
const again = find("#again", HTMLButtonElement);
const camera = find("#camera", HTMLSelectElement);

/** A step found its fault. */
class Fault extends Error {
  /** @param {string} words @param {string} remedy */
  constructor(words, remedy) {
    super(words);
    this.remedy = remedy;
  }
}

/** One viewer's connection, and what is known of it. */
class Probe {
  sessionId = "";
  /** Where the server takes media, as "address:port". @type {string[]} */
  offered = [];
  answeredAt = 0;
  video = document.createElement("video");

  /** @param {RTCIceServer[]} relays @param {RTCIceTransportPolicy} policy */
  constructor(relays, policy = "all") {
    this.peer = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: relays, iceTransportPolicy: policy });
    this.peer.addTransceiver("video", { direction: "recvonly" });
    this.peer.ontrack = ({ track }) => {
      this.video.muted = true;
      this.video.srcObject = new MediaStream([track]);
      this.video.play().catch(() => {});
    };
  }

  /** The kinds of addresses that this browser has. @returns {Promise<Map<string, number>>} */
  async gather() {
    /** @type {Map<string, number>} */
    const kinds = new Map();
    this.peer.onicecandidate = ({ candidate }) => {
      if (candidate?.type) {
        kinds.set(candidate.type, (kinds.get(candidate.type) ?? 0) + 1);
      }
    };
    await this.peer.setLocalDescription();
    await within(GATHER_WITHIN_MS, this.peer, "icegatheringstatechange", () => this.peer.iceGatheringState === "complete");
    return kinds;
  }

  async offer() {
    const sdp = this.peer.localDescription?.sdp ?? "";
    const answer = await request("/webrtc/viewer", { method: "POST", json: { sdp, type: "offer", camera_id: camera.value } });
    this.sessionId = answer.session_id;
    this.answeredAt = performance.now();
    this.offered = [...answer.sdp.matchAll(/^a=candidate:\S+ \d+ \S+ \d+ (\S+) (\d+) /gm)].map(([, host, port]) => `${host}:${port}`);
    await this.peer.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  }

  /** Whether media gets through in time. */
  async connects() {
    const isOver = () => ["connected", "failed", "closed"].includes(this.peer.connectionState);
    await within(WITHIN_MS, this.peer, "connectionstatechange", isOver);
    return this.peer.connectionState === "connected";
  }

  /** The way that media takes: "host", "srflx", "prflx" or "relay". */
  async way() {
    const stats = [...(await this.peer.getStats()).values()];
    const pair = stats.find(({ type, nominated, state }) => type === "candidate-pair" && nominated && state === "succeeded");
    return stats.find(({ id }) => id === pair?.localCandidateId)?.candidateType ?? "";
  }

  /** Milliseconds from the answer to the first picture; null where none comes. @returns {Promise<number | null>} */
  firstPicture() {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(null), WITHIN_MS);
      this.video.requestVideoFrameCallback(() => {
        clearTimeout(timer);
        resolve(performance.now() - this.answeredAt);
      });
    });
  }

  close() {
    this.peer.close();
    if (this.sessionId) {
      server.endSession(this.sessionId);
    }
  }
}

/**
 * Wait until something is so, or time is up.
 *
 * @param {number} limitMs
 * @param {EventTarget} target
 * @param {string} event
 * @param {() => boolean} isSo
 * @returns {Promise<void>}
 */
function within(limitMs, target, event, isSo) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, limitMs);
    const look = () => isSo() && done();
    function done() {
      clearTimeout(timer);
      target.removeEventListener(event, look);
      resolve();
    }
    target.addEventListener(event, look);
    look();
  });
}

/**
 * Do a step and show it; its result is whether it went well.
 *
 * @param {string} name
 * @param {() => Promise<string>} work returns what it found, in words
 */
async function step(name, work) {
  const words = element("p", { textContent: strings.connection("trying") });
  const item = element("li", {}, [element("h3", { textContent: strings.connection(name) }), words]);
  item.dataset.outcome = "trying";
  list.append(item);
  const begun = performance.now();
  try {
    const found = await work();
    words.textContent = strings.connection("took", { found, ms: Math.round(performance.now() - begun) });
    item.dataset.outcome = "ok";
    return true;
  } catch (error) {
    words.textContent = error instanceof Error ? error.message : String(error);
    item.append(element("p", { className: "todo", textContent: todo(error) }));
    item.dataset.outcome = "failed";
    return false;
  }
}

/** @param {unknown} error */
function todo(error) {
  if (error instanceof Fault) {
    return error.remedy;
  }
  return error instanceof ApiError && error.denied ? strings.connection("sign_in_again") : strings.connection("ask");
}

/** @param {string} name @param {string} why */
function skip(name, why) {
  const item = element("li", {}, [element("h3", { textContent: strings.connection(name) }), element("p", { textContent: why })]);
  item.dataset.outcome = "skipped";
  list.append(item);
}

async function reachServer() {
  await request("/healthz");
  return strings.connection("server_ok");
}

async function signIn() {
  await request("/api/cameras");
  return strings.connection("signing_in_ok");
}

/** @returns {Promise<string>} */
function openEvents() {
  return new Promise((resolve, reject) => {
    const url = server.url("/ws/events?types=server");
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    const timer = setTimeout(() => socket.close(), WITHIN_MS);
    socket.onmessage = () => {
      clearTimeout(timer);
      socket.onclose = null;
      socket.close();
      resolve(strings.connection("events_ok"));
    };
    socket.onclose = () => {
      clearTimeout(timer);
      reject(new Fault(strings.connection("events_failed"), strings.connection("events_todo")));
    };
  });
}

/** @param {Probe} probe */
async function media(probe) {
  if (await probe.connects()) {
    return strings.connection((await probe.way()) === "relay" ? "media_relayed" : "media_ok");
  }
  const ports = [...new Set(probe.offered.map((each) => each.slice(each.lastIndexOf(":") + 1)))].join(", ");
  throw new Fault(strings.connection("media_failed", { where: probe.offered.join(", ") }), strings.connection("media_todo", { ports }));
}

/** @param {Probe} probe */
async function picture(probe) {
  const ms = await probe.firstPicture();
  if (ms === null) {
    throw new Fault(strings.connection("picture_failed"), strings.connection("picture_todo"));
  }
  return strings.connection("picture_ok", { ms: Math.round(ms) });
}

/** @param {RTCIceServer[]} relays */
async function relay(relays) {
  const probe = new Probe(relays, "relay");
  try {
    const kinds = await probe.gather();
    if (!kinds.has("relay")) {
      throw new Fault(strings.connection("relay_failed"), strings.connection("relay_todo"));
    }
    return strings.connection("relay_ok");
  } finally {
    probe.close();
  }
}

async function jpeg() {
  await server.file(`/api/cameras/${encodeURIComponent(camera.value)}/snapshot.jpg`);
  return strings.connection("jpeg_ok");
}

/** @param {RTCIceServer[]} relays */
async function tryMedia(relays) {
  const probe = new Probe(relays);
  try {
    return (
      (await step("addresses", async () => addresses(await probe.gather()))) &&
      (await step("offer", async () => {
        await probe.offer();
        return strings.connection("offer_ok", { where: probe.offered.join(", ") });
      })) &&
      (await step("media", () => media(probe))) &&
      (await step("picture", () => picture(probe)))
    );
  } finally {
    probe.close();
  }
}

/** @param {Map<string, number>} kinds */
function addresses(kinds) {
  if (kinds.size === 0) {
    throw new Fault(strings.connection("addresses_failed"), strings.connection("addresses_todo"));
  }
  return strings.connection("addresses_ok", { kinds: [...kinds].map(([kind, count]) => `${count} ${kind}`).join(", ") });
}

async function examine() {
  again.disabled = true;
  list.replaceChildren();
  verdict.textContent = "";
  const isReached = (await step("server", reachServer)) && (await step("signing_in", signIn));
  if (isReached) {
    await step("events", openEvents);
    const relays = await iceServers(server);
    await tryMedia(relays);
    if (relays.length > 0) {
      await step("relay", () => relay(relays));
    } else {
      skip("relay", strings.connection("relay_none"));
    }
    await step("jpeg", jpeg);
  }
  const isWell = list.querySelector('[data-outcome="failed"]') === null;
  verdict.textContent = strings.connection(isWell ? "well" : "not_well");
  verdict.dataset.kind = isWell ? "done" : "error";
  again.disabled = false;
}

again.addEventListener("click", examine);

/**
 * A page of another origin, with nothing of ours in it: publishes and watches with clients that others wrote, and with
 * what a browser has by itself. `window.publish` and `window.watch` hold one function for each client; all return a
 * function that ends what they began.
 */

import { WHEPClient } from "/node_modules/whip-whep/whep.js";
import { WHIPClient } from "/node_modules/whip-whep/whip.js";
import { requireCommonJs } from "./commonjs.js";

/** How many different pictures each `<video>` has shown. */
window.different = {};
/** The statuses of the plain client's answers to its candidates. */
window.trickled = [];

async function camera() {
  return navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360, frameRate: 15 } });
}

function screen(name) {
  const video = Object.assign(document.createElement("video"), { muted: true, autoplay: true, playsInline: true });
  document.body.append(video);
  const canvas = Object.assign(document.createElement("canvas"), { width: 32, height: 18 });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let before = "";
  window.different[name] = 0;
  const look = () => {
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const now = context.getImageData(0, 0, canvas.width, canvas.height).data.join();
    window.different[name] += now === before ? 0 : 1;
    before = now;
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  return video;
}

/** Offers at once, without any candidate, and tells each one when it is known (RFC 9725 section 4.3.1). */
async function trickle(peer, url, token) {
  const authorization = { Authorization: `Bearer ${token}` };
  const known = [];
  let tell = (candidate) => known.push(candidate);
  peer.onicecandidate = ({ candidate }) => candidate?.candidate && tell(candidate);
  await peer.setLocalDescription();
  const offer = peer.localDescription.sdp;
  const headers = { ...authorization, "Content-Type": "application/sdp" };
  const response = await fetch(url, { method: "POST", headers, body: offer });
  if (response.status !== 201) {
    throw new Error(`${response.status}: ${await response.text()}`);
  }
  const session = new URL(response.headers.get("Location"), url);
  const etag = response.headers.get("ETag");
  tell = async ({ candidate, sdpMid }) => {
    const password = offer.match(/a=ice-pwd:.*/)[0];
    const lines = [offer.match(/a=ice-ufrag:.*/)[0], password, "m=video 9 RTP/AVP 0", `a=mid:${sdpMid}`, `a=${candidate}`];
    const patch = { ...authorization, "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": etag };
    const answer = await fetch(session, { method: "PATCH", headers: patch, body: `${lines.join("\r\n")}\r\n` });
    window.trickled.push(answer.status);
  };
  await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
  known.forEach(tell);
  return async () => {
    peer.close();
    await fetch(session, { method: "DELETE", headers: authorization });
  };
}

window.publish = {
  async "whip-whep"(url, token) {
    const peer = new RTCPeerConnection();
    (await camera()).getTracks().forEach((track) => peer.addTransceiver(track, { direction: "sendonly" }));
    const client = new WHIPClient();
    await client.publish(peer, url, token);
    window.restart = () => client.restart();
    return () => client.stop();
  },
  async plain(url, token) {
    const peer = new RTCPeerConnection();
    (await camera()).getTracks().forEach((track) => peer.addTransceiver(track, { direction: "sendonly" }));
    return trickle(peer, url, token);
  },
};

window.watch = {
  async "whip-whep"(name, url, token) {
    const peer = new RTCPeerConnection();
    const video = screen(name);
    peer.addTransceiver("audio", { direction: "recvonly" });
    peer.addTransceiver("video", { direction: "recvonly" });
    peer.addEventListener("track", ({ track, streams }) => {
      if (track.kind === "video") {
        video.srcObject = streams[0];
      }
    });
    const client = new WHEPClient();
    await client.view(peer, url, token);
    return () => client.stop();
  },
  async eyevinn(name, url, token) {
    const { WebRTCPlayer } = await requireCommonJs("@eyevinn/webrtc-player");
    const player = new WebRTCPlayer({ video: screen(name), type: "whep", iceServers: [] });
    await player.load(new URL(url), `Bearer ${token}`);
    return () => player.unload();
  },
  async plain(name, url, token) {
    const peer = new RTCPeerConnection();
    const video = screen(name);
    peer.addTransceiver("video", { direction: "recvonly" });
    peer.ontrack = ({ streams }) => { video.srcObject = streams[0]; };
    return trickle(peer, url, token);
  },
};

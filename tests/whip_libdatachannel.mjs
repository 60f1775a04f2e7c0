/**
 * A publisher with OBS's WebRTC library, libdatachannel, set up as OBS's whip-output.cpp does: `node
 * tests/whip_libdatachannel.mjs URL TOKEN FILE`, until it is ended by SIGTERM, for a minute at most.
 *
 * FILE holds pictures in H.264 (Annex B), each after its length in four octets; they are sent again and again.
 */

import { readFileSync } from "node:fs";
import datachannel from "node-datachannel";

const [url, token, file] = process.argv.slice(2);
const FPS = 15;
const CLOCK = 90_000;
const VIDEO_SSRC = 2;
const PAYLOAD = 96;
const MAX_FRAGMENT = 1200;

function pictures() {
  const bytes = readFileSync(file);
  const found = [];
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at)) {
    found.push(bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at)));
  }
  return found;
}

const peer = new datachannel.PeerConnection("camera", { iceServers: [] });
const audio = new datachannel.Audio("0", "SendOnly");
audio.addOpusCodec(111);
audio.addSSRC(1, "cname", "stream", "stream-audio");
const audioTrack = peer.addTrack(audio);
const video = new datachannel.Video("1", "SendOnly");
video.addH264Codec(PAYLOAD);
video.addSSRC(VIDEO_SSRC, "cname", "stream", "stream-video");
const track = peer.addTrack(video);
const config = new datachannel.RtpPacketizationConfig(VIDEO_SSRC, "cname", PAYLOAD, CLOCK);
const packetizer = new datachannel.H264RtpPacketizer("StartSequence", config, MAX_FRAGMENT);
packetizer.addToChain(new datachannel.RtcpSrReporter(config));
packetizer.addToChain(new datachannel.RtcpNackResponder());
track.setMediaHandler(packetizer);
peer.setLocalDescription();

const authorization = { Authorization: `Bearer ${token}` };
const headers = { ...authorization, "Content-Type": "application/sdp" };
const response = await fetch(url, { method: "POST", headers, body: peer.localDescription().sdp });
const answer = await response.text();
if (response.status !== 201) {
  throw new Error(`${response.status}: ${answer}`);
}
peer.setRemoteDescription(answer, "answer");

const stream = pictures();
let sent = 0;
setInterval(() => {
  if (track.isOpen()) {
    config.timestamp += CLOCK / FPS;
    track.sendMessageBinary(stream[sent++ % stream.length]);
  }
}, 1000 / FPS);

async function end() {
  audioTrack.close();
  peer.close();
  const gone = await fetch(new URL(response.headers.get("Location"), url), { method: "DELETE", headers: authorization });
  process.exit(gone.status === 200 ? 0 : 1);
}
process.on("SIGTERM", end);
setTimeout(end, 60_000);

// @ts-check
/**
 * The relays (TURN) that a server offers to browsers which nothing else leads to it. The video waits for them only as
 * long as for a small answer of the server's own; whether a relay works, the browser finds out beside the direct way.
 */

const WITHIN_MS = 1_000;
/** The server's credentials are good for twice as long or more. */
const KEPT_MS = 5 * 60_000;

/** @type {WeakMap<import("./api.js").Server, { until: number, servers: Promise<RTCIceServer[]> }>} */
const known = new WeakMap();

/**
 * @param {import("./api.js").Server} server
 * @returns {Promise<RTCIceServer[]>} empty where there are none, and when the server does not tell: then it goes without
 */
export function iceServers(server) {
  const kept = known.get(server);
  if (kept !== undefined && performance.now() < kept.until) {
    return kept.servers;
  }
  const servers = server.request("/api/ice-servers", { timeoutMs: WITHIN_MS }).catch(() => {
    known.delete(server);
    return [];
  });
  known.set(server, { until: performance.now() + KEPT_MS, servers });
  return servers;
}

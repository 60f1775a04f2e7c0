// @ts-check
/**
 * The delay by its legs: the server tells of the camera's and its own, the browser of its buffer and of what decoding and
 * showing take. What is left of the whole is the network's.
 *
 * @typedef {{ camera: number | null, server: number | null, network: number | null, buffer: number | null,
 *   display: number | null }} Legs in milliseconds; null where it is not known
 */

/**
 * @param {number | null} delayMs from the camera to the screen
 * @param {{ camera: number | null, server: number | null }} told by the server
 * @param {{ buffer: number | null, display: number | null }} counted by the browser
 * @returns {Legs}
 */
export function legsOf(delayMs, { camera, server }, { buffer, display }) {
  const isWhole = delayMs !== null && camera !== null && server !== null && buffer !== null && display !== null;
  const network = isWhole ? Math.max(0, delayMs - camera - server - buffer - display) : null;
  return { camera, server, network, buffer, display };
}

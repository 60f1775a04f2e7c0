// @ts-check
/**
 * Where the faces of one camera are in the picture that is shown: the rules of `Overlays` in server/annotate.py.
 *
 * A picture's RTP timestamp is the `pts` of its moment modulo 2^32, perhaps a tick more. The result nearest to it
 * counts, moved along at constant velocity.
 *
 * @typedef {[number, number, number, number]} Box x, y, width, height
 * @typedef {object} Face as the server tells of it; boxes in pixels of the recognised picture
 * @property {number} track_id
 * @property {number | null} person_id null while nobody is recognised
 * @property {string} name
 * @property {number} confidence
 * @property {Box} box
 * @property {[number, number]} velocity in pixels a second
 * @property {number} unseen_s for how long it has not been found
 * @property {boolean} hidden pixelated in every picture, and never named
 * @typedef {{ pts: number, width: number, height: number, faces: Face[] }} DetectionsEvent
 * @typedef {{ face: Face, box: Box }} PlacedFace its box in shares of the picture's width and height
 */

const TICKS_PER_S = 90_000;
/** A box goes so long after its face was last found; later where results are rare, but no later than the longest. */
const KEEP_S = 0.5;
const LONGEST_KEEP_S = 2;
/** Browsers hold pictures back by less than this many results take. */
const RESULTS = 8;

export class Detections {
  /** @type {{ event: DetectionsEvent, at: number }[]} the newest last */
  #results = [];
  #keepS = KEEP_S;

  /** @param {DetectionsEvent} event */
  add(event) {
    const last = this.#results.at(-1)?.event;
    if (last && event.pts > last.pts) {
      const intervalS = (event.pts - last.pts) / TICKS_PER_S;
      this.#keepS = Math.min(Math.max(KEEP_S, 1.5 * intervalS), LONGEST_KEEP_S);
    } else if (last && event.pts === last.pts) {
      this.#results.pop(); // the second result of a picture only adds names
    } else {
      this.clear(); // the camera's clock began anew: the server was restarted
    }
    this.#results.push({ event, at: performance.now() });
    this.#results.splice(0, this.#results.length - RESULTS);
  }

  clear() {
    this.#results = [];
    this.#keepS = KEEP_S;
  }

  /**
   * The faces that boxes are drawn for, in the picture of this moment. Hidden ones have no box.
   *
   * @param {number | null} rtpTimestamp null where the browser does not tell: then it is taken for a picture of now
   * @returns {PlacedFace[]}
   */
  at(rtpTimestamp) {
    const nearest = this.#nearest(rtpTimestamp);
    if (nearest === null || nearest.ageS < -this.#keepS) {
      return [];
    }
    const { event, ageS } = nearest;
    return event.faces
      .filter((face) => !face.hidden && ageS + face.unseen_s <= this.#keepS)
      .map((face) => ({ face, box: placed(face, ageS, event) }));
  }

  /**
   * @param {number | null} rtpTimestamp
   * @returns {{ event: DetectionsEvent, ageS: number } | null}
   */
  #nearest(rtpTimestamp) {
    let best = null;
    for (const { event, at } of this.#results) {
      // | 0: the shorter way round between two 32-bit timestamps.
      const ageS =
        rtpTimestamp === null ? (performance.now() - at) / 1000 : ((rtpTimestamp - event.pts) | 0) / TICKS_PER_S;
      if (best === null || Math.abs(ageS) <= Math.abs(best.ageS)) {
        best = { event, ageS };
      }
    }
    return best;
  }
}

/**
 * @param {Face} face
 * @param {number} ageS
 * @param {DetectionsEvent} event
 * @returns {Box}
 */
function placed({ box: [x, y, w, h], velocity: [across, down] }, ageS, { width, height }) {
  return [(x + across * ageS) / width, (y + down * ageS) / height, w / width, h / height];
}

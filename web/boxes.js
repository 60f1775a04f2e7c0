// @ts-check
/**
 * The faces in a player's picture as buttons that lie over them and move with them.
 *
 * | mode   | the picture | the buttons                                           |
 * | burned | annotated   | cannot be seen; for the mouse, the finger and the keyboard |
 * | drawn  | clean       | outlined, with the name on a plate                    |
 * | none   | clean       | none                                                  |
 *
 * Dispatches "detections" with each result, and "faceclick", which may be cancelled: else a page of ours opens.
 *
 * @typedef {"burned" | "drawn" | "none"} BoxesMode
 */

import { boxesStyle } from "./boxes_style.js";
import { Detections } from "./detections.js";
import { element } from "./dom.js";
import { strings } from "./strings.js";

/** Nearer to the picture's edge than this share, there is no room for a plate. */
const PLATE_SHARE = 0.08;

export class Boxes {
  /** Whether a click opens our pages: not where the player is embedded on another origin. */
  opensPages = false;
  #detections = new Detections();
  #faces = element("div", { className: "faces" });
  #layer = element("div", { className: "boxes", role: "group", ariaLabel: strings.facesInPicture, tabIndex: -1 }, [this.#faces]);
  /** @type {Map<number, { button: HTMLButtonElement, face: import("./detections.js").Face }>} by track */
  #shown = new Map();
  #ratio = 0;

  /** @param {ShadowRoot} container the picture is fitted into the same place */
  constructor(container) {
    this.#layer.part.add("boxes");
    container.append(this.#layer);
    container.adoptedStyleSheets.push(boxesStyle);
    this.mode = "burned";
  }

  /** @returns {BoxesMode} */
  get mode() {
    return /** @type {BoxesMode} */ (this.#layer.dataset.mode);
  }

  set mode(mode) {
    this.#layer.dataset.mode = mode;
    this.#layer.hidden = mode === "none";
  }

  /** Whether they are only to look at. */
  get inert() {
    return this.#layer.inert;
  }

  set inert(inert) {
    this.#layer.inert = inert;
  }

  /** A result of recognition. @param {import("./detections.js").DetectionsEvent} event */
  show(event) {
    this.#detections.add(event);
    const detail = { faces: event.faces, pts: event.pts };
    this.#layer.dispatchEvent(new CustomEvent("detections", { detail, bubbles: true, composed: true }));
  }

  /**
   * A picture is on the screen.
   *
   * @param {number | null} rtpTimestamp null where it is not known
   * @param {number} width
   * @param {number} height
   */
  frame(rtpTimestamp, width, height) {
    if (width / height !== this.#ratio && width > 0 && height > 0) {
      this.#ratio = width / height;
      this.#layer.style.setProperty("--ratio", String(this.#ratio));
    }
    this.#place(this.mode === "none" ? [] : this.#detections.at(rtpTimestamp));
  }

  /** There is no picture any more, or one of another camera. */
  clear() {
    this.#detections.clear();
    this.#place([]);
  }

  /** @param {import("./detections.js").PlacedFace[]} placed */
  #place(placed) {
    this.#forgetAllBut(new Set(placed.map(({ face }) => face.track_id)));
    for (const { face, box } of placed) {
      const button = this.#buttonOf(face);
      const [left, top, width, height] = box.map((share) => `${(100 * share).toFixed(2)}%`);
      Object.assign(button.style, { left, top, width, height });
      button.dataset.plate = plate(box);
      button.classList.toggle("at-end", box[0] + box[2] / 2 > 0.5);
    }
  }

  /** @param {Set<number>} trackIds */
  #forgetAllBut(trackIds) {
    for (const [trackId, { button }] of this.#shown) {
      if (!trackIds.has(trackId)) {
        const hadFocus = button.matches(":focus");
        button.remove();
        this.#shown.delete(trackId);
        if (hadFocus) {
          (this.#faces.querySelector("button") ?? this.#layer).focus(); // not lost to the top of the page
        }
      }
    }
  }

  /**
   * The same button as long as the face is there, so that it keeps the focus.
   *
   * @param {import("./detections.js").Face} face
   */
  #buttonOf(face) {
    const known = this.#shown.get(face.track_id);
    const button = known?.button ?? this.#newButton(face.track_id);
    if (known?.face.person_id !== face.person_id || known?.face.name !== face.name) {
      describe(button, face, this.opensPages);
    }
    this.#shown.set(face.track_id, { button, face });
    return button;
  }

  /** @param {number} trackId */
  #newButton(trackId) {
    const button = element("button", { type: "button" }, [element("span", { dir: "auto", ariaHidden: "true" })]);
    button.part.add("box");
    button.addEventListener("click", () => this.#choose(trackId));
    this.#faces.append(button);
    return button;
  }

  /** @param {number} trackId */
  #choose(trackId) {
    const face = this.#shown.get(trackId)?.face;
    if (!face) {
      return;
    }
    const chosen = new CustomEvent("faceclick", { detail: { face }, bubbles: true, composed: true, cancelable: true });
    if (this.#layer.dispatchEvent(chosen) && this.opensPages) {
      location.assign(face.person_id === null ? "/visitors" : `/people?person=${face.person_id}`);
    }
  }
}

/**
 * @param {HTMLButtonElement} button
 * @param {import("./detections.js").Face} face
 * @param {boolean} opensPages
 */
function describe(button, face, opensPages) {
  const isKnown = face.person_id !== null;
  const name = isKnown ? face.name : strings.unknownFace;
  const [plateOf] = button.children;
  if (plateOf) {
    plateOf.textContent = name;
  }
  button.className = isKnown ? "box known" : "box";
  button.ariaLabel = !opensPages ? name : isKnown ? strings.openPerson(name) : strings.openVisitors;
}

/**
 * Where the name has room, as in the annotated picture.
 *
 * @param {import("./detections.js").Box} box
 */
function plate([, top, , height]) {
  if (top >= PLATE_SHARE) {
    return "above";
  }
  return top + height <= 1 - PLATE_SHARE ? "below" : "inside";
}

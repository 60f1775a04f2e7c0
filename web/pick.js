// @ts-check
/**
 * Adding a person from the live picture: click a face, type the name.
 *
 * A click keeps the face's best look on the server for a few minutes, so that its owner may leave while the name is typed.
 */

import "./viewer.js";
import { ApiError, request } from "./api.js";
import { element } from "./dom.js";
import { EventsSocket } from "./events.js";
import { PersonFields } from "./person-fields.js";
import { Sheet } from "./sheet.js";
import { strings } from "./strings.js";

/** Without news for so long, boxes would lie. */
const BOXES_STALE_MS = 1_500;
const LOOK_WITHIN_MS = 15_000;

/** @typedef {{ track_id: number, name: string, box: [number, number, number, number] }} SeenFace */

/** Dispatches "changed" with a sentence as `detail`. */
export class PickFace extends EventTarget {
  #sheet = new Sheet("#pick");
  #camera = this.#sheet.part(".camera", HTMLSelectElement);
  #picker = this.#sheet.part(".picker", HTMLElement);
  #picked = this.#sheet.part(".picked", HTMLElement);
  #portrait = this.#sheet.part(".look", HTMLImageElement);
  #person = this.#sheet.part(".person", HTMLSelectElement);
  #fields = new PersonFields(this.#sheet.part(".fields", HTMLFieldSetElement));
  /** @type {Map<number, HTMLButtonElement>} */
  #buttons = new Map();
  /** @type {EventsSocket | null} */
  #events = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #stale;
  #look = "";
  #confirm = false;

  constructor() {
    super();
    this.#camera.addEventListener("change", () => this.#watch());
    this.#person.addEventListener("change", () => this.#choose());
    this.#sheet.addEventListener("submit", () => this.#add());
    this.#sheet.addEventListener("closed", () => this.#stop());
  }

  /** @param {import("./api.js").Person[]} people */
  async open(people) {
    this.#forget();
    this.#person.replaceChildren(
      element("option", { value: "", textContent: strings.someoneNew }),
      ...people.map(({ id, name }) => element("option", { value: String(id), textContent: name })),
    );
    this.#sheet.open();
    try {
      /** @type {import("./api.js").CameraStatus[]} */
      const cameras = await request("/api/cameras");
      cameras.sort((a, b) => Number(b.online) - Number(a.online));
      this.#camera.replaceChildren(
        ...cameras.map(({ id }) => element("option", { value: id, textContent: strings.camera(id) })),
      );
      this.#watch();
    } catch (error) {
      this.#sheet.sayError(error);
    }
  }

  #watch() {
    this.#stop();
    const cameraId = this.#camera.value;
    const viewer = document.createElement("surveillx-viewer");
    viewer.setAttribute("camera", cameraId);
    viewer.setAttribute("controls", "none"); // a click on a face means something else here
    this.#picker.replaceChildren(viewer);
    this.#sheet.say(strings.clickFace);
    const events = (this.#events = new EventsSocket({ cameraId, types: ["detections"] }));
    events.addEventListener("message", (message) => this.#show(/** @type {CustomEvent} */ (message).detail));
    events.start();
  }

  #stop() {
    clearTimeout(this.#stale);
    this.#events?.close();
    this.#events = null;
    this.#buttons.clear();
    this.#picker.replaceChildren();
  }

  /** @param {{ type: string, width: number, height: number, faces: SeenFace[] }} detections */
  #show({ type, width, height, faces }) {
    if (type !== "detections") {
      return;
    }
    clearTimeout(this.#stale);
    this.#stale = setTimeout(() => this.#show({ type, width, height, faces: [] }), BOXES_STALE_MS);
    const seen = new Set(faces.map((face) => face.track_id));
    for (const [trackId, button] of this.#buttons) {
      if (!seen.has(trackId)) {
        button.remove();
        this.#buttons.delete(trackId);
      }
    }
    for (const face of faces) {
      this.#place(this.#buttonOf(face), face, width, height);
    }
  }

  /** The same button as long as the face is there, so that it keeps the focus. @param {SeenFace} face */
  #buttonOf({ track_id }) {
    const known = this.#buttons.get(track_id);
    if (known) {
      return known;
    }
    const button = element("button", { type: "button", className: "face" });
    button.addEventListener("click", () => this.#pick(track_id));
    this.#buttons.set(track_id, button);
    this.#picker.append(button);
    return button;
  }

  /**
   * Over the picture as it is shown: the player fits it into its own shape.
   *
   * @param {HTMLButtonElement} button
   * @param {SeenFace} face
   * @param {number} width of the picture
   * @param {number} height of the picture
   */
  #place(button, { name, box: [x, y, w, h] }, width, height) {
    button.ariaLabel = strings.pickFace(name);
    const { clientWidth, clientHeight } = this.#picker;
    const scale = Math.min(clientWidth / width, clientHeight / height);
    const left = (clientWidth - scale * width) / 2;
    const top = (clientHeight - scale * height) / 2;
    Object.assign(button.style, {
      left: `${left + scale * x}px`,
      top: `${top + scale * y}px`,
      width: `${scale * w}px`,
      height: `${scale * h}px`,
    });
  }

  /** @param {number} trackId */
  async #pick(trackId) {
    this.#forget();
    this.#sheet.say(strings.looking);
    try {
      const json = { camera_id: this.#camera.value, track_id: trackId };
      const { look, picture } = await request("/api/people/from-camera/look", { method: "POST", json, timeoutMs: LOOK_WITHIN_MS });
      this.#look = look;
      this.#portrait.src = `data:image/jpeg;base64,${picture}`;
      this.#picked.hidden = false;
      this.#sheet.submit.disabled = false;
      this.#sheet.say("");
      this.#choose();
    } catch (error) {
      this.#sheet.sayError(error);
    }
  }

  /** Someone new needs a name; for someone enrolled it is one more photo. */
  #choose() {
    this.#fields.hidden = this.#person.value !== "";
    this.#ask(false);
    if (this.#person.value === "") {
      this.#fields.focus();
    }
  }

  #forget() {
    this.#look = "";
    this.#picked.hidden = true;
    this.#portrait.removeAttribute("src");
    this.#fields.fill({});
    this.#fields.hidden = true;
    this.#sheet.submit.disabled = true;
    this.#ask(false);
  }

  /** @param {boolean} confirm whether the next click adds what was asked about */
  #ask(confirm) {
    this.#confirm = confirm;
    this.#sheet.submit.textContent = confirm ? strings.addAnyway : strings.add;
  }

  async #add() {
    if (this.#look === "") {
      return;
    }
    const who = this.#person.value === "" ? this.#fields.values : { person_id: Number(this.#person.value) };
    this.#sheet.submit.disabled = true;
    try {
      const json = { look: this.#look, confirm: this.#confirm, ...who };
      const person = await request("/api/people/from-camera", { method: "POST", json });
      this.#forget();
      this.#sheet.say(strings.added(person.name), "done");
      this.dispatchEvent(new CustomEvent("changed", { detail: strings.added(person.name) }));
    } catch (error) {
      this.#sheet.sayError(error);
      this.#sheet.submit.disabled = false;
      this.#ask(error instanceof ApiError && ["resembles", "different_people"].includes(error.reason));
    }
  }
}

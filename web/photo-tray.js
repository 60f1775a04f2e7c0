// @ts-check
/**
 * Photos that were chosen or dropped: a preview each, how far it is, and what was wrong with it.
 *
 *   waiting --send--> busy --accepted--> done
 *                     busy --refused--> refused --"add anyway", send again--> busy
 *   waiting, refused --remove--> gone
 *
 * Dispatches "chosen" when photos came, and "change" when one was sent or removed.
 */

import { ApiError } from "./api.js";
import { element } from "./dom.js";
import { strings } from "./strings.js";

/** Refusals that a person may overrule. */
const CONFIRMABLE = ["resembles", "different_people"];

/** @typedef {{ file: File, state: "waiting" | "busy" | "done" | "refused", item: HTMLLIElement, words: HTMLElement }} Chosen */

export class PhotoTray extends EventTarget {
  #list = element("ul", { className: "chosen" });
  #input = element("input", { type: "file", accept: "image/*", multiple: true, className: "visually-hidden" });
  /** @type {Chosen[]} */
  #chosen = [];
  /** @type {import("./enrol.js").Enrolment | null} */
  #enrolment = null;

  /** @param {HTMLElement} root gets the tray */
  constructor(root) {
    super();
    const drop = element("label", { className: "drop" }, [
      this.#input,
      element("strong", { textContent: strings.choosePhotos }),
      element("span", { className: "quiet", textContent: strings.choosePhotosHelp }),
    ]);
    this.#input.addEventListener("change", () => {
      this.add([...(this.#input.files ?? [])]);
      this.#input.value = "";
    });
    drop.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.dataset.over = "";
    });
    drop.addEventListener("dragleave", () => delete drop.dataset.over);
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      delete drop.dataset.over;
      this.add([...(event.dataTransfer?.files ?? [])]);
    });
    root.replaceChildren(drop, this.#list);
  }

  /** How many are in a state. @param {Chosen["state"]} state */
  count(state) {
    return this.#chosen.filter((each) => each.state === state).length;
  }

  clear() {
    for (const each of [...this.#chosen]) {
      this.#forget(each);
    }
  }

  /** Take away those that are stored. */
  clearDone() {
    for (const each of this.#chosen.filter(({ state }) => state === "done")) {
      this.#forget(each);
    }
  }

  /** @param {File[]} files */
  add(files) {
    for (const file of files) {
      const words = element("span", { className: "words", textContent: strings.waiting });
      const preview = element("img", { src: URL.createObjectURL(file), alt: "", width: 72, height: 72 });
      const item = element("li", {}, [preview, element("div", { className: "about" }, [words])]);
      const chosen = { file, state: /** @type {const} */ ("waiting"), item, words };
      preview.addEventListener("error", () => preview.classList.add("broken"));
      item.append(this.#button(strings.remove, () => this.#remove(chosen), strings.removePhoto(file.name)));
      this.#chosen.push(chosen);
      this.#list.append(item);
    }
    this.dispatchEvent(new Event("chosen"));
  }

  /** Send what waits or was refused before. @param {import("./enrol.js").Enrolment} enrolment */
  async send(enrolment) {
    this.#enrolment = enrolment;
    for (const each of this.#chosen.filter(({ state }) => state === "waiting" || state === "refused")) {
      await this.#send(each, false);
    }
  }

  /**
   * @param {Chosen} chosen
   * @param {boolean} confirm
   */
  async #send(chosen, confirm) {
    if (this.#enrolment === null || chosen.state === "busy") {
      return;
    }
    this.#show(chosen, "busy", strings.looking);
    try {
      const outcome = await this.#enrolment.send(chosen.file, { confirm });
      this.#show(chosen, "done", outcome === "already there" ? strings.alreadyThere : strings.photoStored);
    } catch (error) {
      this.#refuse(chosen, error);
    }
    this.dispatchEvent(new Event("change"));
  }

  /**
   * @param {Chosen} chosen
   * @param {unknown} error
   */
  #refuse(chosen, error) {
    this.#show(chosen, "refused", error instanceof Error ? error.message : String(error));
    if (!(error instanceof ApiError) || !CONFIRMABLE.includes(error.reason)) {
      return;
    }
    const [nearest] = error.resembles;
    if (nearest) {
      const face = element("img", { src: `/api/people/${nearest.id}/photo`, alt: nearest.name, title: nearest.name });
      Object.assign(face, { width: 72, height: 72 });
      chosen.words.before(face);
    }
    const anyway = this.#button(strings.addAnyway, () => this.#send(chosen, true));
    chosen.words.after(anyway);
  }

  /**
   * @param {Chosen} chosen
   * @param {Chosen["state"]} state
   * @param {string} words
   */
  #show(chosen, state, words) {
    chosen.state = state;
    chosen.item.dataset.state = state;
    chosen.words.textContent = words;
    chosen.words.parentElement?.replaceChildren(chosen.words);
    const remove = chosen.item.lastElementChild;
    if (remove instanceof HTMLButtonElement) {
      remove.hidden = state === "busy" || state === "done";
    }
  }

  /** @param {Chosen} chosen */
  #remove(chosen) {
    this.#forget(chosen);
    this.#input.focus();
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Chosen} chosen */
  #forget(chosen) {
    this.#chosen.splice(this.#chosen.indexOf(chosen), 1);
    const preview = chosen.item.querySelector("img");
    if (preview) {
      URL.revokeObjectURL(preview.src);
    }
    chosen.item.remove();
  }

  /**
   * @param {string} text
   * @param {() => void} act
   * @param {string} [label]
   */
  #button(text, act, label = text) {
    const button = element("button", { type: "button", textContent: text, ariaLabel: label });
    button.addEventListener("click", act);
    return button;
  }
}

// @ts-check
/**
 * "Why?": the face that was seen beside the enrolled photo, what was measured, and taking the mark back.
 *
 *   closed --open(id)--> asking --answer--> shown --wrong or remove--> sure? --confirm--> closed, "removed"
 *                                             ^------------keep----------'
 *
 * Dispatches "removed" with words for the page as `detail`.
 */

import { ApiError, request } from "./api.js";
import { element, find } from "./dom.js";
import { strings } from "./strings.js";

/** @typedef {import("./api.js").Proof} Proof */

export class ProofDialog extends EventTarget {
  #dialog;
  #name = find("#proof-name", HTMLElement);
  #words = find("#proof-words", HTMLElement);
  #seen = find("#proof-seen", HTMLElement);
  #enrolled = find("#proof-enrolled", HTMLElement);
  #facts = find("#proof-facts", HTMLUListElement);
  #details = find("#proof-details", HTMLElement);
  #status = find("#proof-status", HTMLElement);
  #ask = find("#proof-ask", HTMLElement);
  #sure = find("#proof-sure", HTMLElement);
  #consequence = find("#proof-consequence", HTMLElement);
  #wrong = find("#proof-wrong", HTMLButtonElement);
  #remove = find("#proof-remove", HTMLButtonElement);
  #confirm = find("#proof-confirm", HTMLButtonElement);
  #keep = find("#proof-keep", HTMLButtonElement);
  /** @type {Proof | null} */
  #proof = null;

  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    super();
    this.#dialog = dialog;
    this.#wrong.addEventListener("click", () => this.#askWhetherSure());
    this.#remove.addEventListener("click", () => this.#askWhetherSure());
    this.#confirm.addEventListener("click", () => this.#takeBack());
    this.#keep.addEventListener("click", () => this.#showSure(false));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => (this.#proof = null));
  }

  /** Show why a mark was made. @param {number} id */
  async open(id) {
    this.#clear();
    this.#dialog.showModal();
    try {
      const proof = await request(`/api/attendance/${id}`);
      if (this.#dialog.open) {
        this.#show(proof);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #clear() {
    this.#proof = null;
    for (const part of [this.#name, this.#words, this.#details, this.#status]) {
      part.textContent = "";
    }
    this.#facts.replaceChildren();
    this.#seen.hidden = this.#enrolled.hidden = true;
    this.#sure.hidden = this.#ask.hidden = true;
  }

  /** @param {Proof} proof */
  #show(proof) {
    this.#proof = proof;
    this.#name.textContent = proof.name;
    this.#words.textContent = strings.seen(proof);
    picture(this.#seen, proof.has_crop ? `/api/attendance/${proof.id}/crop` : "");
    picture(this.#enrolled, proof.has_crop ? `/api/people/${proof.person_id}/photo` : "");
    this.#facts.replaceChildren(...facts(proof).map((textContent) => element("li", { textContent })));
    this.#details.textContent = proof.model ? strings.measuredWith(proof) : "";
    this.#wrong.hidden = proof.source !== "recognised";
    this.#remove.hidden = proof.source !== "manual";
    this.#showSure(false);
  }

  #askWhetherSure() {
    const proof = this.#proof;
    if (proof) {
      this.#consequence.textContent =
        proof.source === "manual" ? strings.removeMeans : strings.wrongMeans(proof.name, proof.has_face);
      this.#showSure(true);
      this.#keep.focus();
    }
  }

  /** @param {boolean} isAsking */
  #showSure(isAsking) {
    this.#sure.hidden = !isAsking;
    this.#ask.hidden = isAsking;
  }

  async #takeBack() {
    const proof = this.#proof;
    if (!proof) {
      return;
    }
    this.#confirm.disabled = true;
    this.#status.textContent = "";
    try {
      const done = await takeBack(proof);
      this.#dialog.close();
      this.dispatchEvent(new CustomEvent("removed", { detail: done }));
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#confirm.disabled = false;
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    this.#status.textContent = error instanceof ApiError ? error.message : String(error);
    this.#status.dataset.kind = "error";
  }
}

/** Returns what was done, in words. @param {Proof} proof */
async function takeBack({ id, name, source }) {
  if (source === "manual") {
    await request(`/api/attendance/${id}`, { method: "DELETE" });
    return strings.removed(name);
  }
  const { is_remembered } = await request(`/api/attendance/${id}/wrong`, { method: "POST" });
  return is_remembered ? strings.removedAndRemembered(name) : strings.removed(name);
}

/** @param {Proof} proof */
function facts({ source, looks, distance, threshold, margin, has_crop, has_face }) {
  if (source !== "recognised") {
    return [];
  }
  return [
    looks === null ? "" : strings.looksAgreed(looks),
    distance === null || threshold === null ? "" : strings.distanceOf(distance, threshold),
    margin === null ? "" : strings.marginOf(margin),
    has_crop ? "" : has_face ? strings.noCrop : strings.noEvidence,
  ].filter(Boolean);
}

/**
 * Show a picture, or nothing where there is none.
 *
 * @param {HTMLElement} figure
 * @param {string} path
 */
function picture(figure, path) {
  const image = figure.querySelector("img");
  figure.hidden = !path;
  if (image && path) {
    image.onerror = () => (figure.hidden = true);
    image.src = path;
  }
}

// @ts-check
/** Deleting a person: a question first, then the receipt of what was deleted. */

import { request } from "./api.js";
import { element } from "./dom.js";
import { Sheet } from "./sheet.js";
import { strings } from "./strings.js";

/** Emptying the database's log waits for other programs that read. */
const DELETE_WITHIN_MS = 20_000;

/** Dispatches "changed" with a sentence as `detail`. */
export class DeletePerson extends EventTarget {
  #sheet = new Sheet("#goodbye");
  #title = this.#sheet.part("h2", HTMLElement);
  #words = this.#sheet.part(".words", HTMLElement);
  #receipt = this.#sheet.part(".receipt", HTMLElement);
  #close = this.#sheet.part(".close", HTMLButtonElement);
  /** @type {import("./api.js").Person | null} */
  #person = null;

  constructor() {
    super();
    this.#sheet.addEventListener("submit", () => this.#delete());
  }

  /** @param {import("./api.js").Person} person */
  open(person) {
    this.#person = person;
    this.#title.textContent = strings.deletePerson(person.name);
    this.#words.textContent = strings.confirmDelete;
    this.#receipt.hidden = true;
    this.#sheet.submit.hidden = false;
    this.#close.textContent = strings.keep;
    this.#sheet.open();
    this.#close.focus();
  }

  async #delete() {
    const person = this.#person;
    if (person === null) {
      return;
    }
    this.#sheet.submit.disabled = true;
    try {
      const path = `/api/people/${person.id}?receipt=1`;
      this.#show(await request(path, { method: "DELETE", timeoutMs: DELETE_WITHIN_MS }));
      this.dispatchEvent(new CustomEvent("changed", { detail: strings.deleted(person.name) }));
    } catch (error) {
      this.#sheet.sayError(error);
    } finally {
      this.#sheet.submit.disabled = false;
    }
  }

  /** @param {Record<string, any>} receipt */
  #show(receipt) {
    const rows = strings.receipt(receipt).flatMap(([what, value]) => [
      element("dt", { textContent: what }),
      element("dd", { textContent: value }),
    ]);
    this.#receipt.replaceChildren(...rows);
    this.#title.textContent = strings.deleted(receipt.name);
    this.#words.textContent = strings.receiptWords;
    this.#receipt.hidden = false;
    this.#sheet.submit.hidden = true;
    this.#close.textContent = strings.done;
    this.#close.focus();
  }
}

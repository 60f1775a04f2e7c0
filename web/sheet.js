// @ts-check
/** A dialog with a form: opening, closing, and the line that says how it goes. */

import { find } from "./dom.js";

/**
 * The one element inside `root` that matches.
 *
 * @template {Element} T
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} kind
 * @returns {T}
 */
export function within(root, selector, kind) {
  const found = root.querySelector(selector);
  if (!(found instanceof kind)) {
    throw new Error(`There is no ${kind.name} at ${selector}`);
  }
  return found;
}

/** Dispatches "closed" when the dialog was closed in whatever way, and "submit" when its form was. */
export class Sheet extends EventTarget {
  dialog;
  submit;
  #note;

  /** @param {string} selector of the dialog */
  constructor(selector) {
    super();
    this.dialog = find(selector, HTMLDialogElement);
    this.submit = within(this.dialog, "button[type=submit]", HTMLButtonElement);
    this.#note = within(this.dialog, ".note", HTMLElement);
    this.part(".close", HTMLButtonElement).addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => this.dispatchEvent(new Event("closed")));
    this.part("form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.dispatchEvent(new Event("submit"));
    });
  }

  open() {
    this.say("");
    if (!this.dialog.open) {
      this.dialog.showModal();
    }
  }

  close() {
    this.dialog.close();
  }

  /**
   * @param {string} text
   * @param {"busy" | "done" | "error"} [kind]
   */
  say(text, kind = "busy") {
    this.#note.textContent = text;
    this.#note.dataset.kind = kind;
  }

  /** @param {unknown} error */
  sayError(error) {
    this.say(error instanceof Error ? error.message : String(error), "error");
  }

  /**
   * @template {Element} T
   * @param {string} selector
   * @param {new () => T} kind
   */
  part(selector, kind) {
    return within(this.dialog, selector, kind);
  }
}

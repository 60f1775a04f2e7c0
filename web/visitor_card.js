// @ts-check
/**
 * One unknown visitor: the face, when it was seen, and what to do about it.
 *
 *   shown --Enrol--> asking for the name --Save--> busy --> done, or back with the reason in words
 *   shown --Ignore, Delete, "Yes, ..."--> busy --> done, or back with the reason
 *
 * Dispatches "done" when the visitor was dealt with (`words` says how), "gone" when somebody else was faster.
 */

import { ApiError, request } from "./api.js";
import { element } from "./dom.js";
import { shortMoment } from "./moments.js";
import { strings } from "./strings.js";

export class VisitorCard extends EventTarget {
  words = "";
  #visitor;
  #when = element("p", { className: "quiet" });
  #hint = element("div", { className: "hint", hidden: true });
  #error = element("div", { className: "card-error", role: "alert" });
  #actions = element("div", { className: "actions" });
  #form;
  #working = false;

  /**
   * @param {import("./api.js").Visitor} visitor
   * @param {{ isIgnored: boolean }} about
   */
  constructor(visitor, { isIgnored }) {
    super();
    this.#visitor = visitor;
    this.#form = this.#makeForm();
    this.#actions.append(...(isIgnored ? this.#ignoredActions() : this.#openActions()));
    const face = element("img", {
      src: `/api/visitors/${visitor.id}/photo`,
      alt: strings.visitorPhoto,
      loading: "lazy",
      width: 112,
      height: 112,
    });
    const about = element("div", { className: "about" }, [this.#when, this.#hint, this.#actions, this.#form, this.#error]);
    this.element = element("li", { className: "visitor" }, [face, about]);
    this.element.dataset.visitor = String(visitor.id);
    this.update(visitor);
  }

  /** Whether somebody is at it. */
  get isBusy() {
    return this.#working || !this.#form.hidden;
  }

  /** @param {import("./api.js").Visitor} visitor */
  update(visitor) {
    this.#visitor = visitor;
    const { appearances, first_seen: first, last_seen: last, camera_id: camera } = visitor;
    this.#when.textContent = strings.visitorSeen(appearances, shortMoment(first), shortMoment(last), camera);
    if (!this.isBusy && !this.#hint.contains(document.activeElement)) {
      this.#showHint(visitor.resembles);
    }
  }

  /** @param {import("./api.js").Visitor["resembles"]} person */
  #showHint(person) {
    this.#hint.hidden = person === null;
    if (person === null) {
      return;
    }
    const face = element("img", { src: `/api/people/${person.id}/photo`, alt: "", width: 40, height: 40 });
    const name = element("strong", { textContent: person.name, dir: "auto" });
    const question = element("span", {}, [strings.mayBe, " ", name, "?"].map(node));
    const yes = element("button", { type: "button", textContent: strings.addAsPhoto });
    yes.ariaLabel = strings.addAsPhotoOf(person.name);
    yes.addEventListener("click", () => this.#enrol({ person_id: person.id }, strings.photoAdded(person.name)));
    this.#hint.replaceChildren(face, question, yes);
  }

  #openActions() {
    return [
      this.#button(strings.enrol, () => this.#ask(true), "strong"),
      this.#button(strings.ignore, () => this.#do({ method: "POST", path: "/ignore" }, strings.visitorIgnored)),
      this.#deleteButton(),
    ];
  }

  #ignoredActions() {
    return [
      this.#button(strings.bringBack, () => this.#do({ method: "DELETE", path: "/ignore" }, strings.visitorBack)),
      this.#deleteButton(),
    ];
  }

  #deleteButton() {
    return this.#button(
      strings.delete,
      () => confirm(strings.confirmDeleteVisitor) && this.#do({ method: "DELETE", path: "" }, strings.visitorDeleted),
      "danger",
    );
  }

  /**
   * @param {string} text
   * @param {() => unknown} action
   * @param {string} [className]
   */
  #button(text, action, className = "") {
    const button = element("button", { type: "button", className, textContent: text });
    button.addEventListener("click", action);
    return button;
  }

  #makeForm() {
    const name = field("name", strings.name, { required: true, maxLength: 100, dir: "auto" });
    const number = field("roll_no", strings.rollNoOptional, { maxLength: 50 });
    const group = field("class_name", strings.classOptional, { maxLength: 50 });
    const save = element("button", { type: "submit", className: "strong", textContent: strings.save });
    const cancel = this.#button(strings.cancel, () => this.#ask(false));
    const buttons = element("div", { className: "actions" }, [save, cancel]);
    const fields = element("fieldset", {}, [name, number, group, buttons]);
    const form = element("form", { hidden: true }, [fields]);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const entries = [...new FormData(form)].filter(([, value]) => value !== "");
      const person = Object.fromEntries(entries);
      this.#enrol(person, strings.added(String(person.name)));
    });
    return form;
  }

  /** @param {boolean} asking */
  #ask(asking) {
    this.#form.hidden = !asking;
    this.#actions.hidden = asking;
    this.#error.replaceChildren();
    this.#first(asking ? this.#form : this.#actions)?.focus();
  }

  /** @param {HTMLElement} where */
  #first(where) {
    return /** @type {HTMLElement | null} */ (where.querySelector("input, button"));
  }

  /**
   * @param {Record<string, unknown>} person
   * @param {string} words
   */
  async #enrol(person, words) {
    await this.#do({ method: "POST", path: "/enrol", json: person }, words, (error) => {
      const again = this.#button(strings.enrolAnyway, () => this.#enrol({ ...person, confirm: true }, words));
      return error.reason === "resembles" || error.reason === "different_people" ? [again] : [];
    });
  }

  /**
   * @param {{ method: string, path: string, json?: unknown }} what
   * @param {string} words said when it is done
   * @param {(error: ApiError) => Node[]} [remedies] what may be done about an error
   */
  async #do({ method, path, json }, words, remedies = () => []) {
    this.#setWorking(true);
    this.#error.replaceChildren();
    try {
      await request(`/api/visitors/${this.#visitor.id}${path}`, { method, json });
      this.words = words;
      this.dispatchEvent(new Event("done"));
    } catch (error) {
      this.#fail(error, remedies);
    } finally {
      this.#setWorking(false);
    }
  }

  /**
   * @param {unknown} error
   * @param {(error: ApiError) => Node[]} remedies
   */
  #fail(error, remedies) {
    const known = error instanceof ApiError ? error : new ApiError(String(error));
    this.#error.replaceChildren(element("p", { textContent: known.message }), ...remedies(known));
    if (known.status === 404) {
      this.words = known.message;
      this.dispatchEvent(new Event("gone"));
    }
  }

  /** @param {boolean} working */
  #setWorking(working) {
    this.#working = working;
    for (const button of this.element.querySelectorAll("button")) {
      button.disabled = working;
    }
  }
}

/**
 * A labelled text field.
 *
 * @param {string} name
 * @param {string} label
 * @param {Partial<HTMLInputElement>} properties
 */
function field(name, label, properties) {
  const input = element("input", { name, autocomplete: "off", ...properties });
  return element("label", {}, [element("span", { textContent: label }), input]);
}

/** @param {string | Node} content */
function node(content) {
  return typeof content === "string" ? document.createTextNode(content) : content;
}

// @ts-check
/** Name, roll number, class and consent of one person, as fields of a form; every dialog on the People page has them. */

import { element } from "./dom.js";
import { strings } from "./strings.js";

/** @typedef {{ name: string, roll_no: string, class_name: string, consent: boolean }} About */

let count = 0;

export class PersonFields {
  #root;
  #name;
  #rollNo;
  #className;
  #consent = element("input", { type: "checkbox", checked: true });

  /** @param {HTMLFieldSetElement} root gets the fields */
  constructor(root) {
    this.#root = root;
    this.#name = this.#line(strings.name, { required: true, maxLength: 100, dir: "auto" });
    this.#rollNo = this.#line(strings.rollNoOptional, { maxLength: 50 });
    this.#className = this.#line(strings.classOptional, { maxLength: 50 });
    this.#className.setAttribute("list", "classes");
    const words = element("span", {}, [
      document.createTextNode(strings.consent),
      element("span", { className: "quiet", textContent: strings.consentHelp }),
    ]);
    root.append(element("label", { className: "check" }, [this.#consent, words]));
  }

  /** @returns {About} */
  get values() {
    return {
      name: this.#name.value,
      roll_no: this.#rollNo.value,
      class_name: this.#className.value,
      consent: this.#consent.checked,
    };
  }

  /** @param {{ name?: string, roll_no?: string | null, class_name?: string | null, consent?: boolean }} person */
  fill({ name = "", roll_no = "", class_name = "", consent = true }) {
    this.#name.value = name;
    this.#rollNo.value = roll_no ?? "";
    this.#className.value = class_name ?? "";
    this.#consent.checked = consent;
  }

  /** @param {boolean} isDisabled */
  set disabled(isDisabled) {
    this.#root.disabled = isDisabled;
  }

  /** @param {boolean} isHidden */
  set hidden(isHidden) {
    this.#root.hidden = this.#root.disabled = isHidden;
  }

  focus() {
    this.#name.focus();
  }

  /**
   * @param {string} label
   * @param {Partial<HTMLInputElement>} properties
   */
  #line(label, properties) {
    count += 1;
    const input = element("input", { id: `person-${count}`, autocomplete: "off", ...properties });
    this.#root.append(element("label", { htmlFor: input.id, textContent: label }), input);
    return input;
  }
}

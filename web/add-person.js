// @ts-check
/** Adding one person from files. Photos that cannot serve stay in sight with the reason; the others are stored. */

import { Enrolment } from "./enrol.js";
import { PersonFields } from "./person-fields.js";
import { PhotoTray } from "./photo-tray.js";
import { Sheet } from "./sheet.js";
import { strings } from "./strings.js";

/** Dispatches "changed" with a sentence as `detail` when somebody was added. */
export class AddPerson extends EventTarget {
  #sheet = new Sheet("#add");
  #fields = new PersonFields(this.#sheet.part(".fields", HTMLFieldSetElement));
  #tray = new PhotoTray(this.#sheet.part(".photo-tray", HTMLElement));
  /** @type {Enrolment | null} */
  #enrolment = null;
  #isSending = false;

  constructor() {
    super();
    this.#sheet.addEventListener("submit", () => this.#send());
    this.#sheet.addEventListener("closed", () => this.#tell());
    this.#tray.addEventListener("change", () => this.#finish());
    this.#tray.addEventListener("chosen", () => this.#render());
  }

  open() {
    this.#enrolment = null;
    this.#tray.clear();
    this.#fields.fill({});
    this.#sheet.open();
    this.#render();
    this.#fields.focus();
  }

  async #send() {
    if (this.#tray.count("waiting") + this.#tray.count("refused") === 0) {
      this.#sheet.say(strings.photoNeeded, "error");
      return;
    }
    if (this.#enrolment === null || this.#enrolment.personId === null) {
      this.#enrolment = new Enrolment(this.#fields.values);
    }
    this.#isSending = true;
    this.#render();
    await this.#tray.send(this.#enrolment);
    this.#isSending = false;
    this.#finish();
  }

  #stored() {
    return this.#enrolment !== null && this.#enrolment.personId !== null;
  }

  /** Close when all went well; else say what is left. */
  #finish() {
    this.#render();
    const left = this.#tray.count("waiting") + this.#tray.count("refused") + this.#tray.count("busy");
    if (!this.#isSending && this.#stored() && left === 0) {
      this.#sheet.close();
    }
  }

  #render() {
    this.#sheet.submit.disabled = this.#isSending;
    this.#sheet.submit.textContent = this.#stored() ? strings.addRest : strings.addPerson;
    this.#fields.disabled = this.#isSending || this.#stored();
    const refused = this.#tray.count("refused");
    if (this.#isSending) {
      this.#sheet.say(strings.adding);
    } else {
      this.#sheet.say(refused ? strings.refused(refused, this.#tray.count("done")) : "", "error");
    }
  }

  #tell() {
    if (this.#stored()) {
      this.dispatchEvent(new CustomEvent("changed", { detail: strings.added(this.#fields.values.name) }));
    }
  }
}

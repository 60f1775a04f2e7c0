// @ts-check
/** One person: photos, name, roll number, class and consent; and the way to delete them. */

import { request } from "./api.js";
import { element } from "./dom.js";
import { Enrolment } from "./enrol.js";
import { PersonFields } from "./person-fields.js";
import { PhotoTray } from "./photo-tray.js";
import { Sheet } from "./sheet.js";
import { strings } from "./strings.js";

/** Dispatches "changed" with a sentence as `detail`, and "remove" with the person when they are to be deleted. */
export class EditPerson extends EventTarget {
  #sheet = new Sheet("#edit");
  #title = this.#sheet.part("h2", HTMLElement);
  #faces = this.#sheet.part(".stored-faces", HTMLUListElement);
  #fields = new PersonFields(this.#sheet.part(".fields", HTMLFieldSetElement));
  #tray = new PhotoTray(this.#sheet.part(".photo-tray", HTMLElement));
  /** @type {import("./api.js").Person | null} */
  #person = null;
  #isChanged = false;

  constructor() {
    super();
    this.#sheet.addEventListener("submit", () => this.#save());
    this.#sheet.addEventListener("closed", () => this.#tell());
    this.#tray.addEventListener("chosen", () => this.#sendPhotos());
    this.#tray.addEventListener("change", () => this.#loadPhotos());
    this.#sheet.part(".remove", HTMLButtonElement).addEventListener("click", () => {
      this.#sheet.close();
      this.dispatchEvent(new CustomEvent("remove", { detail: this.#person }));
    });
  }

  /** @param {import("./api.js").Person} person */
  open(person) {
    this.#person = person;
    this.#isChanged = false;
    this.#title.textContent = person.name;
    this.#fields.fill(person);
    this.#tray.clear();
    this.#faces.replaceChildren();
    this.#sheet.open();
    this.#loadPhotos();
  }

  get #path() {
    return `/api/people/${this.#person?.id}`;
  }

  async #save() {
    this.#sheet.submit.disabled = true;
    try {
      this.#person = await request(this.#path, { method: "PATCH", json: this.#fields.values });
      this.#isChanged = true;
      this.#sheet.close();
    } catch (error) {
      this.#sheet.sayError(error);
    } finally {
      this.#sheet.submit.disabled = false;
    }
  }

  async #sendPhotos() {
    if (this.#person !== null) {
      await this.#tray.send(new Enrolment({}, this.#person.id));
      this.#tray.clearDone();
    }
  }

  async #loadPhotos() {
    const path = this.#path;
    try {
      /** @type {{ id: number }[]} */
      const photos = await request(`${path}/photos`);
      if (path === this.#path) {
        this.#isChanged ||= photos.length !== this.#person?.photos;
        this.#faces.replaceChildren(...photos.map(({ id }) => this.#face(`${path}/photos/${id}`, photos.length > 1)));
      }
    } catch (error) {
      this.#sheet.sayError(error);
    }
  }

  /**
   * @param {string} path of the photo
   * @param {boolean} isRemovable
   */
  #face(path, isRemovable) {
    const picture = element("img", { src: path, alt: "", width: 96, height: 96 });
    const remove = element("button", { type: "button", textContent: "×", ariaLabel: strings.removeStored, hidden: !isRemovable });
    remove.title = strings.removeStored;
    remove.addEventListener("click", () => this.#removePhoto(path, remove));
    return element("li", {}, [picture, remove]);
  }

  /**
   * @param {string} path
   * @param {HTMLButtonElement} button
   */
  async #removePhoto(path, button) {
    button.disabled = true;
    try {
      await request(path, { method: "DELETE" });
      this.#isChanged = true;
    } catch (error) {
      this.#sheet.sayError(error);
    }
    await this.#loadPhotos();
  }

  #tell() {
    if (this.#isChanged) {
      this.dispatchEvent(new CustomEvent("changed", { detail: strings.saved(this.#person?.name ?? "") }));
    }
  }
}

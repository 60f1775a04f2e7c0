// @ts-check
/** Sends photos of one person, one by one: the first that can serve makes the person, each further one is added. */

import { request } from "./api.js";

/** A photo from a phone over a slow line, and a look at it. */
const PHOTO_WITHIN_MS = 60_000;

/** @typedef {"person added" | "photo added" | "already there"} Outcome */

export class Enrolment {
  /** @type {number | null} */
  personId;
  #about;

  /**
   * @param {Partial<import("./person-fields.js").About>} about who it is, where nobody is enrolled yet
   * @param {number | null} [personId] someone enrolled
   */
  constructor(about, personId = null) {
    this.#about = about;
    this.personId = personId;
  }

  /**
   * @param {File} file
   * @param {{ confirm?: boolean, signal?: AbortSignal }} [options] `confirm`: whoever sends it was asked
   * @returns {Promise<Outcome>}
   * @throws {import("./api.js").ApiError} it was refused, and nothing stored
   */
  async send(file, { confirm = false, signal } = {}) {
    const form = new FormData();
    form.set("photo", file, "photo");
    form.set("confirm", confirm ? "1" : "0");
    const options = { method: "POST", form, signal, timeoutMs: PHOTO_WITHIN_MS };
    if (this.personId !== null) {
      const { added } = await request(`/api/people/${this.personId}/photos`, options);
      return added ? "photo added" : "already there";
    }
    for (const [field, value] of Object.entries(this.#about)) {
      form.set(field, typeof value === "boolean" ? (value ? "yes" : "no") : (value ?? ""));
    }
    const person = await request("/api/people", options);
    this.personId = person.id;
    return "person added";
  }
}

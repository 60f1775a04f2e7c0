// @ts-check
/** The People page: who is enrolled, adding someone with photos, deleting someone. */

import { ApiError, request } from "./api.js";
import { element, find } from "./dom.js";
import { strings } from "./strings.js";

/** Ten photos from a phone over a slow line, and a look at each. */
const ADD_WITHIN_MS = 120_000;

const list = find("#people", HTMLUListElement);
const empty = find("#nobody", HTMLElement);
const form = find("#add", HTMLFormElement);
const fields = find("#add fieldset", HTMLFieldSetElement);
const status = find("#status", HTMLElement);

/**
 * @param {string} text
 * @param {"busy" | "done" | "error"} kind
 */
function say(text, kind) {
  status.textContent = text;
  status.dataset.kind = kind;
}

/** @param {unknown} error */
function sayError(error) {
  say(error instanceof ApiError ? error.message : String(error), "error");
}

async function load() {
  /** @type {import("./api.js").Person[]} */
  const people = await request("/api/people");
  list.replaceChildren(...people.map(card));
  empty.hidden = people.length > 0;
}

/** @param {import("./api.js").Person} person */
function card(person) {
  const photo = element("img", { src: `/api/people/${person.id}/photo`, alt: "", loading: "lazy", width: 64, height: 64 });
  const about = [person.roll_no ? strings.rollNo(person.roll_no) : "", strings.photos(person.photos)];
  const words = element("div", { className: "who" }, [
    element("strong", { textContent: person.name, dir: "auto" }),
    element("span", { className: "quiet", textContent: about.filter(Boolean).join(" · ") }),
  ]);
  const remove = element("button", {
    type: "button",
    className: "danger",
    textContent: strings.delete,
    ariaLabel: strings.deletePerson(person.name),
  });
  remove.addEventListener("click", () => deletePerson(person, remove));
  return element("li", { className: "person" }, [photo, words, remove]);
}

/**
 * @param {import("./api.js").Person} person
 * @param {HTMLButtonElement} button
 */
async function deletePerson(person, button) {
  if (!confirm(strings.confirmDelete(person.name))) {
    return;
  }
  button.disabled = true;
  try {
    await request(`/api/people/${person.id}`, { method: "DELETE" });
    say(strings.deleted(person.name), "done");
    await load();
  } catch (error) {
    button.disabled = false;
    sayError(error);
  }
}

async function addPerson() {
  const data = new FormData(form);
  fields.disabled = true;
  say(strings.adding, "busy");
  try {
    const person = await request("/api/people", { method: "POST", form: data, timeoutMs: ADD_WITHIN_MS });
    say(strings.added(person.name), "done");
    form.reset();
    await load();
  } catch (error) {
    sayError(error);
  } finally {
    fields.disabled = false;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  addPerson();
});
load().catch(sayError);

// @ts-check
/** The People page: who is enrolled, found by search and class; everything else happens in dialogs. */

import { AddPerson } from "./add-person.js";
import { request } from "./api.js";
import { DeletePerson } from "./delete-person.js";
import { element, find } from "./dom.js";
import { EditPerson } from "./edit-person.js";
import { ImportClass } from "./import.js";
import { PickFace } from "./pick.js";
import { strings } from "./strings.js";

const list = find("#people", HTMLUListElement);
const empty = find("#nobody", HTMLElement);
const nothingFound = find("#nothing-found", HTMLElement);
const count = find("#count", HTMLElement);
const filter = find("#filter", HTMLFormElement);
const search = find("#search", HTMLInputElement);
const chosenClass = find("#class", HTMLSelectElement);
const status = find("#status", HTMLElement);
const classes = element("datalist", { id: "classes" });

// From another page, such as "Will it work?".
search.value = new URLSearchParams(location.search).get("search") ?? "";

/** @typedef {{ person: import("./api.js").Person, card: HTMLLIElement, words: string }} Shown */
/** @type {Shown[]} */
let shown = [];
/** Pictures may have changed with the people: another address each time they are loaded. */
let loads = 0;

const adding = new AddPerson();
const editing = new EditPerson();
const deleting = new DeletePerson();
const picking = new PickFace();
const importing = new ImportClass();

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
  say(error instanceof Error ? error.message : String(error), "error");
}

async function load() {
  /** @type {import("./api.js").Person[]} */
  const people = await request("/api/people");
  loads += 1;
  shown = people.map((person) => ({ person, card: card(person), words: searchable(person) }));
  list.replaceChildren(...shown.map((each) => each.card));
  empty.hidden = people.length > 0;
  filter.hidden = people.length === 0;
  offerClasses(people);
  show();
}

/** @param {import("./api.js").Person} person */
function searchable({ name, roll_no, class_name }) {
  return [name, roll_no, class_name].join("\n").toLocaleLowerCase();
}

/** @param {import("./api.js").Person[]} people */
function offerClasses(people) {
  const names = [...new Set(people.map((each) => each.class_name ?? ""))].filter(Boolean);
  names.sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  const before = chosenClass.value;
  chosenClass.replaceChildren(
    element("option", { value: "", textContent: strings.allClasses }),
    ...names.map((name) => element("option", { value: name, textContent: name })),
  );
  chosenClass.value = names.includes(before) ? before : "";
  chosenClass.hidden = names.length === 0;
  classes.replaceChildren(...names.map((value) => element("option", { value })));
}

function show() {
  const wanted = search.value.trim().toLocaleLowerCase();
  let found = 0;
  for (const { person, card: item, words } of shown) {
    const matches = words.includes(wanted) && (chosenClass.value === "" || person.class_name === chosenClass.value);
    item.hidden = !matches;
    found += Number(matches);
  }
  count.textContent = shown.length ? strings.people(found, shown.length) : "";
  nothingFound.hidden = found > 0 || shown.length === 0;
}

/** @param {import("./api.js").Person} person */
function card(person) {
  const photo = element("img", { loading: "lazy", decoding: "async", alt: "", width: 64, height: 64 });
  photo.src = `/api/people/${person.id}/photo?${loads}`;
  const about = [
    person.roll_no ? strings.rollNo(person.roll_no) : "",
    person.class_name ? strings.inClass(person.class_name) : "",
    strings.photos(person.photos),
  ];
  const facts = about.filter(Boolean).join(" · ");
  const words = element("span", { className: "who" });
  words.append(element("strong", { textContent: person.name, dir: "auto" }), " ", element("span", { className: "quiet", textContent: facts }));
  if (!person.consent) {
    words.append(" ", element("span", { className: "tag", textContent: strings.noConsent }));
  }
  // What is read aloud holds all that is seen, so that voice control finds the button by it.
  const label = [strings.edit(person.name), facts, ...(person.consent ? [] : [strings.noConsent])].join(" ");
  const open = element("button", { type: "button", className: "person", ariaLabel: label }, [photo, words]);
  open.addEventListener("click", () => editing.open(person));
  return element("li", { className: person.consent ? "" : "hidden-face" }, [open]);
}

/** @param {EventTarget} dialog */
function follow(dialog) {
  dialog.addEventListener("changed", (event) => {
    say(/** @type {CustomEvent} */ (event).detail, "done");
    load().catch(sayError);
  });
}

/** From a face in the live picture: whose it is. */
async function openAsked() {
  await load();
  const asked = new URLSearchParams(location.search).get("person");
  const found = shown.find(({ person }) => String(person.id) === asked);
  if (found) {
    editing.open(found.person);
  } else if (asked !== null) {
    say(strings.personGone, "error");
  }
}

document.body.append(classes);
[adding, editing, deleting, picking, importing].forEach(follow);
editing.addEventListener("remove", (event) => deleting.open(/** @type {CustomEvent} */ (event).detail));
find("#open-add", HTMLButtonElement).addEventListener("click", () => adding.open());
find("#open-pick", HTMLButtonElement).addEventListener("click", () => picking.open(shown.map(({ person }) => person)));
find("#open-import", HTMLButtonElement).addEventListener("click", () => importing.open());
filter.addEventListener("input", show);
filter.addEventListener("submit", (event) => event.preventDefault());
openAsked().catch(sayError);

// @ts-check
/** The Visitors page: unknown faces to enrol, ignore or delete. Asks again by itself; a card in use is left alone. */

import { ApiError, request } from "./api.js";
import { element, find } from "./dom.js";
import { strings } from "./strings.js";
import { VisitorCard } from "./visitor_card.js";

const REFRESH_MS = 10_000;

const list = find("#visitors", HTMLUListElement);
const ignored = find("#ignored", HTMLInputElement);
const summary = find("#summary", HTMLElement);
const status = find("#status", HTMLElement);
const empty = find("#nobody", HTMLElement);

/** @type {Map<number, VisitorCard>} */
const cards = new Map();
let turn = 0;
let isCutOff = false;

/**
 * @param {string} text
 * @param {"busy" | "done" | "error"} kind
 */
function say(text, kind) {
  status.textContent = text;
  status.dataset.kind = kind;
}

async function load() {
  const mine = ++turn;
  try {
    /** @type {import("./api.js").Visitor[]} */
    const visitors = await request(`/api/visitors${ignored.checked ? "?ignored=1" : ""}`);
    if (mine === turn) {
      show(visitors);
      if (isCutOff) {
        isCutOff = false;
        say("", "done");
      }
    }
  } catch (error) {
    if (mine === turn) {
      isCutOff = true;
      say(error instanceof ApiError ? error.message : String(error), "error");
    }
  }
}

/** @param {import("./api.js").Visitor[]} visitors */
function show(visitors) {
  const there = new Set(visitors.map((visitor) => visitor.id));
  for (const [id, card] of cards) {
    if (!there.has(id) && !card.isBusy) {
      forget(id);
    }
  }
  visitors.forEach((visitor, place) => {
    const card = cards.get(visitor.id) ?? added(visitor);
    card.update(visitor);
    // Moving a card would take the focus from what is typed into it.
    if (list.children[place] !== card.element && !card.isBusy) {
      list.insertBefore(card.element, list.children[place] ?? null);
    }
  });
  sayCount(visitors.length);
}

/** @param {import("./api.js").Visitor} visitor */
function added(visitor) {
  const card = new VisitorCard(visitor, { isIgnored: ignored.checked });
  card.addEventListener("done", () => {
    say(card.words, "done");
    leave(visitor.id);
  });
  card.addEventListener("gone", () => {
    say(card.words, "error");
    leave(visitor.id);
  });
  cards.set(visitor.id, card);
  return card;
}

/** Remove a card that was dealt with; the focus goes to the next one. @param {number} id */
function leave(id) {
  const next = cards.get(id)?.element.nextElementSibling ?? cards.get(id)?.element.previousElementSibling;
  forget(id);
  (next?.querySelector("button") ?? ignored).focus();
  load();
}

/** @param {number} id */
function forget(id) {
  cards.get(id)?.element.remove();
  cards.delete(id);
}

/** @param {number} count */
function sayCount(count) {
  summary.textContent = count ? strings.visitors(count) : "";
  empty.hidden = count > 0;
  if (count === 0) {
    const [title, words] = ignored.checked ? strings.noneIgnored : strings.noVisitors;
    const explanation = element("p", { className: "quiet", textContent: words, hidden: !("on" in list.dataset) });
    empty.replaceChildren(element("p", {}, [element("strong", { textContent: title })]), explanation);
  }
}

ignored.addEventListener("change", () => {
  [...cards.keys()].forEach(forget);
  say("", "done");
  load();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    load();
  }
});
setInterval(() => {
  if (!document.hidden) {
    load();
  }
}, REFRESH_MS);
load();

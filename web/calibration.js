// @ts-check
/** "Will it work?": the report on the enrolled photos, and what another threshold or risk would mean. */

import { ApiError, request } from "./api.js";
import { element, find } from "./dom.js";
import { strings } from "./strings.js";

/** With 500 people the first comparison takes seconds. */
const WITHIN_MS = 60_000;
const PAUSE_MS = 250;
/** False marks a day; the slider's steps. */
const RISKS = [1, 0.1, 0.01, 0.005, 0.002, 0.001];

const status = find("#status", HTMLElement);
const risk = find("#risk", HTMLInputElement);
const strangers = find("#strangers", HTMLInputElement);
const threshold = find("#threshold", HTMLInputElement);
const suggest = find("#suggest", HTMLButtonElement);

/** @type {import("./api.js").Calibration | null} */
let report = null;
let turn = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let pause;

function query() {
  const asked = { risk: String(RISKS[Number(risk.value)]), strangers: String(strangers.valueAsNumber) };
  return new URLSearchParams(asked).toString();
}

async function load() {
  const mine = ++turn;
  const asked = query();
  try {
    /** @type {import("./api.js").Calibration} */
    const found = await request(`/api/calibration?${asked}`, { timeoutMs: WITHIN_MS });
    if (mine === turn) {
      const isFirst = report === null;
      report = found;
      status.textContent = "";
      show(found, asked, isFirst);
    }
  } catch (error) {
    if (mine === turn) {
      status.textContent = error instanceof ApiError ? error.message : String(error);
      status.dataset.kind = "error";
    }
  }
}

/**
 * @param {import("./api.js").Calibration} found
 * @param {string} asked
 * @param {boolean} isFirst
 */
function show(found, asked, isFirst) {
  find("#report", HTMLElement).hidden = false;
  find("#figures", HTMLElement).hidden = found.people.length === 0;
  const [verdict, ...words] = found.words;
  find("#verdict", HTMLElement).textContent = verdict;
  find("#words", HTMLElement).replaceChildren(...words.map((each) => element("li", { textContent: each })));
  const plot = find("#plot", HTMLImageElement);
  plot.src = `/api/calibration.svg?${asked}`;
  plot.alt = found.words.join(" ");
  if (isFirst) {
    threshold.value = String(found.now.threshold);
  }
  showSuggestion(found);
  showConsequence(found);
  fill("#risks", "#at-risk", found.people.filter((person) => person.reasons.length).map(personRow));
  fill("#pairs", "#alike", found.alike.map(pairRow));
}

/** @param {import("./api.js").Calibration} found */
function showSuggestion({ suggested }) {
  suggest.disabled = suggested === null;
  suggest.textContent = suggested ? strings.useSuggested(suggested.threshold) : strings.noThreshold;
}

/** What the threshold of the slider would mean. @param {import("./api.js").Calibration} found */
function showConsequence({ curve, now }) {
  const chosen = threshold.valueAsNumber;
  const rates = [now, ...curve].find((each) => Math.abs(each.threshold - chosen) < 0.004) ?? now;
  find("#threshold-words", HTMLOutputElement).textContent = chosen.toFixed(2);
  find("#setting", HTMLElement).textContent = strings.setting(chosen);
  find("#consequence", HTMLElement).textContent = strings.consequence(rates.often, rates.at_risk - now.at_risk);
}

function showRisk() {
  find("#risk-words", HTMLOutputElement).textContent = strings.risk(RISKS[Number(risk.value)]);
}

/**
 * @param {string} section
 * @param {string} list
 * @param {HTMLElement[]} rows
 */
function fill(section, list, rows) {
  find(section, HTMLElement).hidden = rows.length === 0;
  find(list, HTMLElement).replaceChildren(...rows);
}

/** @param {import("./api.js").Calibration["people"][0]} person */
function personRow(person) {
  const about = element("div", { className: "about" }, [
    element("a", { href: `/people?search=${encodeURIComponent(person.name)}`, textContent: person.name, dir: "auto" }),
    ...person.reasons.map((reason) => element("p", { className: "quiet", textContent: reason, dir: "auto" })),
  ]);
  return element("li", {}, [face(person.id), about]);
}

/** @param {import("./api.js").Calibration["alike"][0]} pair */
function pairRow(pair) {
  const names = element("p", {}, [
    element("bdi", { textContent: pair.first_name }),
    document.createTextNode(` ${strings.and} `),
    element("bdi", { textContent: pair.second_name }),
  ]);
  const words = element("p", { className: "quiet", textContent: strings.alike(pair.distance, pair.often) });
  return element("li", {}, [face(pair.first_id), face(pair.second_id), element("div", { className: "about" }, [names, words])]);
}

/** @param {number} personId */
function face(personId) {
  return element("img", { src: `/api/people/${personId}/photo`, alt: "", loading: "lazy", width: 56, height: 56 });
}

function loadSoon() {
  clearTimeout(pause);
  pause = setTimeout(() => strangers.reportValidity() && load(), PAUSE_MS);
}

risk.addEventListener("input", () => {
  showRisk();
  loadSoon();
});
strangers.addEventListener("input", loadSoon);
threshold.addEventListener("input", () => report && showConsequence(report));
suggest.addEventListener("click", () => {
  if (report?.suggested) {
    threshold.value = String(report.suggested.threshold);
    showConsequence(report);
  }
});
find("#choose", HTMLFormElement).addEventListener("submit", (event) => event.preventDefault());
showRisk();
load();

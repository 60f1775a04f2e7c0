// @ts-check
/**
 * Importing a class: a folder, or photos with a CSV. The server says which photo is whose (`roster.py`); then the photos
 * are sent person by person, with a line for each in the report.
 */

import { request } from "./api.js";
import { element } from "./dom.js";
import { Enrolment } from "./enrol.js";
import { Sheet } from "./sheet.js";
import { strings } from "./strings.js";

const PLAN_WITHIN_MS = 30_000;
const TABLE = /^[^/]+\.(csv|tsv)$/i;

/**
 * @typedef {{ name: string, roll_no: string | null, class_name: string | null, person_id: number | null,
 *   files: string[] }} Planned
 * @typedef {{ file: string, name: string, outcome: import("./enrol.js").Outcome | "refused", detail: string }} Line
 */

/** Dispatches "changed" with a sentence as `detail`. */
export class ImportClass extends EventTarget {
  #sheet = new Sheet("#import");
  #progress = this.#sheet.part("progress", HTMLProgressElement);
  #report = this.#sheet.part(".report", HTMLUListElement);
  #download = this.#sheet.part(".download", HTMLAnchorElement);
  /** @type {Map<string, File>} */
  #files = new Map();
  /** @type {Planned[]} */
  #people = [];
  /** @type {Line[]} */
  #lines = [];
  /** @type {AbortController | null} */
  #running = null;

  constructor() {
    super();
    for (const selector of [".folder", ".files"]) {
      const input = this.#sheet.part(selector, HTMLInputElement);
      input.addEventListener("change", () => {
        this.#plan([...(input.files ?? [])]);
        input.value = "";
      });
    }
    this.#sheet.addEventListener("submit", () => this.#import());
    this.#sheet.addEventListener("closed", () => this.#stop());
  }

  open() {
    this.#clear();
    this.#sheet.open();
  }

  #clear() {
    this.#people = [];
    this.#lines = [];
    this.#report.replaceChildren();
    this.#progress.hidden = this.#download.hidden = true;
    URL.revokeObjectURL(this.#download.href);
    this.#sheet.submit.disabled = true;
  }

  /** @param {File[]} files */
  async #plan(files) {
    this.#clear();
    this.#files = new Map(files.map((file) => [relativePath(file), file]));
    const tables = [...this.#files].filter(([path]) => TABLE.test(path));
    this.#sheet.say(strings.reading);
    try {
      const csv = tables.length === 1 ? await textOf(tables[0][1]) : undefined;
      const json = { files: [...this.#files.keys()], csv };
      const { people, faults } = await request("/api/people/import/plan", { method: "POST", json, timeoutMs: PLAN_WITHIN_MS });
      this.#people = people;
      for (const { file, detail } of faults) {
        this.#tell({ file, name: "", outcome: "refused", detail });
      }
      const photos = people.reduce((/** @type {number} */ sum, /** @type {Planned} */ each) => sum + each.files.length, 0);
      this.#sheet.say(strings.planned(people.length, photos, faults.length), people.length ? "done" : "error");
      this.#sheet.submit.disabled = people.length === 0;
    } catch (error) {
      this.#sheet.sayError(error);
    }
  }

  async #import() {
    const running = (this.#running = new AbortController());
    const total = this.#people.reduce((sum, each) => sum + each.files.length, 0);
    Object.assign(this.#progress, { hidden: false, max: total, value: 0 });
    this.#sheet.submit.disabled = true;
    for (const person of this.#people) {
      await this.#importPerson(person, running.signal);
    }
    if (this.#running === running) {
      this.#running = null;
      this.#finish();
    }
  }

  /**
   * @param {Planned} person
   * @param {AbortSignal} signal
   */
  async #importPerson({ name, roll_no, class_name, person_id, files }, signal) {
    const about = { name, roll_no: roll_no ?? "", class_name: class_name ?? "" };
    const enrolment = new Enrolment(about, person_id);
    for (const path of files) {
      const file = this.#files.get(path);
      if (signal.aborted || file === undefined) {
        return;
      }
      this.#sheet.say(strings.importing(name));
      /** @type {Line} */
      const line = { file: path, name, outcome: "refused", detail: "" };
      try {
        line.outcome = await enrolment.send(file, { signal });
      } catch (error) {
        line.detail = error instanceof Error ? error.message : String(error);
      }
      this.#progress.value += 1;
      this.#tell(line);
    }
  }

  /** @param {Line} line */
  #tell(line) {
    this.#lines.push(line);
    const who = line.name ? [element("strong", { textContent: line.name, dir: "auto" }), " "] : [];
    const words = element("span", { textContent: line.detail || strings.outcome[line.outcome] });
    const item = element("li", {}, [...who.map(asNode), element("code", { textContent: line.file }), words]);
    item.dataset.outcome = line.outcome;
    this.#report.append(item);
    item.scrollIntoView({ block: "nearest" });
  }

  #finish() {
    const words = this.#summary();
    this.#sheet.say(words, this.#lines.some(({ outcome }) => outcome === "refused") ? "error" : "done");
    this.#download.href = URL.createObjectURL(new Blob([asCsv(this.#lines)], { type: "text/csv" }));
    this.#download.hidden = false;
    this.dispatchEvent(new CustomEvent("changed", { detail: words }));
  }

  /** Closing in the middle stops after what was sent. */
  #stop() {
    if (this.#running !== null) {
      this.#running.abort();
      this.#running = null;
      this.dispatchEvent(new CustomEvent("changed", { detail: strings.stopped(this.#summary()) }));
    }
  }

  #summary() {
    const count = (/** @type {string} */ wanted) => this.#lines.filter(({ outcome }) => outcome === wanted).length;
    return strings.imported(count("person added"), count("photo added"), count("already there"), count("refused"));
  }
}

/** The path inside the chosen folder, or the name of a single file. @param {File} file */
function relativePath(file) {
  return file.webkitRelativePath.split("/").slice(1).join("/") || file.name;
}

/** UTF-8, UTF-16 as Excel's "Unicode text", or what Windows calls ANSI. @param {File} file */
async function textOf(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    return new TextDecoder(bytes[0] === 0xff ? "utf-16le" : "utf-16be").decode(bytes);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

/** For a spreadsheet: no cell may be taken for a formula. @param {Line[]} lines */
function asCsv(lines) {
  const cell = (/** @type {string} */ text) => `"${text.replace(/^(?=[=+\-@\t\r])/, "'").replaceAll('"', '""')}"`;
  const rows = lines.map(({ file, name, outcome, detail }) => [file, name, outcome, detail].map(cell).join(","));
  return `\ufeff${["file,name,outcome,detail", ...rows].join("\r\n")}\r\n`;
}

/** @param {Node | string} part */
function asNode(part) {
  return typeof part === "string" ? document.createTextNode(part) : part;
}

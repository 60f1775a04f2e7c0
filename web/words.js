// @ts-check
/**
 * The words people read, from one file for each language (`locales/en.json`), loaded once before any page script runs.
 * The file comes from where this module came from, so that a player on another origin has its words too.
 *
 * @typedef {string | Record<string, string>} Entry a sentence with `{placeholders}`, or one for each plural category
 */

const DEFAULT = "en";

/** @param {string} code @returns {Promise<Record<string, Entry> | null>} null where there is no such language */
async function load(code) {
  const answer = await fetch(new URL(`./locales/${code}.json`, import.meta.url));
  return answer.ok ? answer.json() : null;
}

/** The document's language without its region: `de` of `de-AT`. */
const wanted = /^[a-z]{2,3}\b/.exec(document.documentElement.lang.toLowerCase())?.[0] ?? DEFAULT;
// Together, not one after the other; a translation may lack what is new, which then is English.
const [english, own] = await Promise.all([load(DEFAULT), wanted === DEFAULT ? null : load(wanted)]);
/** @type {Record<string, Entry>} */
const entries = { ...english, ...own };
const language = own ? wanted : DEFAULT;

/** How dates and numbers are written: as the reader's browser does, where it speaks the page's language. */
export const locale = navigator.languages.find((each) => each.split("-")[0] === language) ?? language;

const plurals = new Intl.PluralRules(language);

/**
 * The sentence for `key`; `count` among the values chooses between its plural forms.
 *
 * @param {string} key
 * @param {Record<string, string | number>} [values] what stands in for `{name}`
 */
export function text(key, values = {}) {
  const entry = entries[key] ?? key;
  const sentence = typeof entry === "string" ? entry : (entry[plurals.select(Number(values.count))] ?? entry.other);
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

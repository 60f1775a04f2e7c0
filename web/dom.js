// @ts-check
/** The two things every page script does with the document. Text goes in as properties, never as markup. */

/**
 * The one element that matches, which the page's template promises.
 *
 * @template {Element} T
 * @param {string} selector
 * @param {new () => T} kind
 * @param {ParentNode} [within]
 * @returns {T}
 */
export function find(selector, kind, within = document) {
  const found = within.querySelector(selector);
  if (!(found instanceof kind)) {
    throw new Error(`The page has no ${kind.name} at ${selector}`);
  }
  return found;
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Partial<HTMLElementTagNameMap[Tag]>} properties
 * @param {Node[]} [children]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties, children = []) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

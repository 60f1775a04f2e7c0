// @ts-check
/** What this browser keeps from one visit to the next; where it keeps nothing, the page works all the same. */

/**
 * @param {string} key
 * @returns {unknown} what was kept, or null
 */
export function recall(key) {
  try {
    return JSON.parse(localStorage.getItem(`surveillx.${key}`) ?? "null");
  } catch {
    return null; // storage is forbidden here, or somebody else has written there
  }
}

/**
 * @param {string} key
 * @param {unknown} value anything JSON can hold
 */
export function remember(key, value) {
  try {
    localStorage.setItem(`surveillx.${key}`, JSON.stringify(value));
  } catch {
    // Forbidden or full: it holds for this visit.
  }
}

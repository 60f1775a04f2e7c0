// @ts-check
/** Short news in a live region: they go by themselves, or when dismissed, and wait while they are looked at. */

import { element } from "./dom.js";
import { strings } from "./strings.js";

const SHOWN_MS = 6_000;
const MOST = 3;

export class Toasts {
  #region;

  /** @param {HTMLElement} region with role "status"; it must be there from the start, or nobody reads out the first */
  constructor(region) {
    this.#region = region;
  }

  /** @param {string} words */
  show(words) {
    const dismiss = element("button", { type: "button", className: "dismiss", ariaLabel: strings.dismiss, textContent: "×" });
    const toast = element("div", { className: "toast" }, [element("span", { textContent: words }), dismiss]);
    dismiss.addEventListener("click", () => toast.remove());
    goLater(toast);
    this.#region.append(toast);
    while (this.#region.childElementCount > MOST) {
      this.#region.firstElementChild?.remove();
    }
  }
}

/** @param {HTMLElement} toast */
function goLater(toast) {
  const go = () => {
    if (toast.matches(":hover, :focus-within")) {
      setTimeout(go, SHOWN_MS);
    } else {
      toast.remove();
    }
  };
  setTimeout(go, SHOWN_MS);
}

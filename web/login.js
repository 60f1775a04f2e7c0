// @ts-check
/** Signing in: name and password, or a token, are exchanged for a cookie; then on to the page that was asked for. */

import { ApiError, request } from "./api.js";
import { find } from "./dom.js";
import { tellSignedIn } from "./sign_in.js";

/** @param {HTMLFormElement} form */
async function signIn(form) {
  const status = find(".status", HTMLElement, form);
  const secret = find("input[type=password]", HTMLInputElement, form);
  try {
    await request("/login", { method: "POST", json: Object.fromEntries(new FormData(form)) });
    tellSignedIn();
    location.assign(form.dataset.next ?? "/");
  } catch (error) {
    status.textContent = error instanceof ApiError ? error.message : String(error);
    status.dataset.kind = "error";
    secret.select();
  }
}

for (const form of document.querySelectorAll("form.sign-in")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    signIn(/** @type {HTMLFormElement} */ (form));
  });
}

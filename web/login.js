// @ts-check
/** Signing in: the token is exchanged for a cookie once; then on to the page that was asked for. */

import { ApiError, request } from "./api.js";
import { find } from "./dom.js";
import { tellSignedIn } from "./sign_in.js";

const form = find("#login", HTMLFormElement);
const token = find("#token", HTMLInputElement);
const status = find("#status", HTMLElement);

async function signIn() {
  try {
    await request("/login", { method: "POST", json: { token: token.value } });
    tellSignedIn();
    location.assign(form.dataset.next ?? "/");
  } catch (error) {
    status.textContent = error instanceof ApiError ? error.message : String(error);
    status.dataset.kind = "error";
    token.select();
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  signIn();
});

// @ts-check
/** Renaming a camera in place: Enter or Save stores the name, Esc or Cancel leaves it. */

import { request } from "./api.js";
import { element } from "./dom.js";
import { strings } from "./strings.js";

const LONGEST_NAME = 80;

/**
 * A form that renames the camera and then calls `done` with the stored name, or with null when it was left.
 *
 * @param {string} id
 * @param {string} name as it is now
 * @param {(name: string | null) => void} done
 */
export function renameForm(id, name, done) {
  const field = element("input", { type: "text", value: name, maxLength: LONGEST_NAME, required: true, ariaLabel: strings.cameraName });
  const cancel = element("button", { type: "button", textContent: strings.cancel });
  const save = element("button", { type: "submit", textContent: strings.save });
  const fault = element("p", { className: "fault", role: "alert" });
  const form = element("form", { className: "rename" }, [field, save, cancel, fault]);
  field.dir = "auto";
  cancel.addEventListener("click", () => done(null));
  form.addEventListener("keydown", (event) => {
    event.stopPropagation(); // letters typed here are no shortcuts
    if (event.key === "Escape") {
      done(null);
    }
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    save.disabled = true;
    try {
      done((await request(`/api/cameras/${encodeURIComponent(id)}`, { method: "PUT", json: { name: field.value } })).name);
    } catch (error) {
      fault.textContent = error instanceof Error ? error.message : String(error);
      save.disabled = false;
    }
  });
  return form;
}

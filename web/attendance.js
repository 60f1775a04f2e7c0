// @ts-check
/** The Attendance page: one day's rows, another day by the picker, and the same as CSV. */

import { ApiError } from "./api.js";
import { find } from "./dom.js";
import { AttendanceRoll } from "./roll.js";

const picker = find("#day", HTMLInputElement);
const csv = find("#csv", HTMLAnchorElement);
const status = find("#status", HTMLElement);
const roll = new AttendanceRoll(
  find("#attendance tbody", HTMLTableSectionElement),
  find("#summary", HTMLElement),
  find("#nobody", HTMLElement),
);

async function show() {
  const day = picker.value;
  csv.href = `/api/attendance.csv?date=${encodeURIComponent(day)}`;
  history.replaceState(null, "", `?date=${encodeURIComponent(day)}`);
  status.textContent = "";
  try {
    await roll.load(day);
  } catch (error) {
    roll.clear();
    status.textContent = error instanceof ApiError ? error.message : String(error);
    status.dataset.kind = "error";
  }
}

picker.addEventListener("change", () => {
  if (picker.value) {
    show();
  }
});
show();

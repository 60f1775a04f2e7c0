// @ts-check
/** Moments as the school's clock shows them, wherever the browser is: their text carries the school's offset. */

import { strings } from "./strings.js";
import { locale } from "./words.js";

const DAY_MS = 86_400_000;
const weekday = new Intl.DateTimeFormat(locale, { weekday: "short", timeZone: "UTC" });
const date = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", timeZone: "UTC" });

/**
 * "today 14:20", "Mon 08:03" within a week, else "2 Mar 08:03".
 *
 * @param {string} iso ISO 8601 with an offset
 * @param {number} [now] in milliseconds since 1970
 */
export function shortMoment(iso, now = Date.now()) {
  const clock = iso.slice(11, 16);
  const midnight = Date.parse(`${iso.slice(0, 10)}T00:00:00Z`);
  const days = Math.floor((now + offsetMs(iso)) / DAY_MS) - midnight / DAY_MS;
  if (days === 0) {
    return strings.today(clock);
  }
  return strings.past(days > 0 && days < 7 ? weekday.format(midnight) : date.format(midnight), clock);
}

/** @param {string} iso */
function offsetMs(iso) {
  const found = /([+-])(\d\d):(\d\d)$/.exec(iso);
  if (!found) {
    return 0;
  }
  const minutes = Number(found[2]) * 60 + Number(found[3]);
  return (found[1] === "-" ? -1 : 1) * minutes * 60_000;
}

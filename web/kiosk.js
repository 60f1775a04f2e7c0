// @ts-check
/** `?kiosk=1`: a wall screen. The screen stays awake, and `&cycle=10` shows one camera after the other, so many seconds each. */

const SHORTEST_CYCLE_S = 3;
const LONGEST_CYCLE_S = 3_600;
/** The next picture begins so long before it is shown. */
const AHEAD_MS = 2_500;

/** What the address asks for: whether this is a kiosk, which cameras (empty: all), and seconds for each (0: all at once). */
export function readAddress(search = location.search) {
  const query = new URLSearchParams(search);
  const isKiosk = query.get("kiosk") === "1";
  const seconds = Number(query.get("cycle"));
  return {
    isKiosk,
    cameras: isKiosk ? (query.get("camera") ?? "").split(",").filter(Boolean) : [],
    cycleS: isKiosk && seconds > 0 ? Math.min(LONGEST_CYCLE_S, Math.max(SHORTEST_CYCLE_S, seconds)) : 0,
  };
}

/** Keep the screen on. The browser lets go of the lock whenever the page is hidden. */
export function stayAwake() {
  const lock = () => {
    if (document.visibilityState === "visible") {
      // Without HTTPS there is none, and a low battery refuses it: then the computer's own settings decide.
      navigator.wakeLock?.request("screen").catch(() => {});
    }
  };
  document.addEventListener("visibilitychange", lock);
  lock();
}

/**
 * Show one camera after the other, for ever. Those that send nothing are passed over while another one sends.
 *
 * @param {import("./wall.js").Wall} wall
 * @param {import("./cameras.js").Cameras} cameras
 * @param {number} everyS
 */
export function cycle(wall, cameras, everyS) {
  const following = () => {
    const ids = wall.shown;
    const sending = ids.filter((id) => cameras.isOnline(id));
    const candidates = sending.length ? sending : ids;
    const after = ids.indexOf(wall.enlarged ?? "") + 1;
    return [...ids.slice(after), ...ids.slice(0, after)].find((id) => candidates.includes(id));
  };
  const next = () => {
    const id = following();
    if (id !== undefined) {
      wall.enlarge(id);
    }
    setTimeout(() => wall.prepare(following()), 1000 * everyS - AHEAD_MS);
  };
  next();
  setInterval(next, 1000 * everyS);
}

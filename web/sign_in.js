// @ts-check
/** Tells this browser's other tabs and windows that somebody has signed in: players that were refused go on by themselves. */

const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("surveillx-sign-in");

export function tellSignedIn() {
  channel?.postMessage("signed in");
}

/**
 * @param {() => void} act
 * @param {AbortSignal} signal ends it
 */
export function onSignedIn(act, signal) {
  channel?.addEventListener("message", act, { signal });
}

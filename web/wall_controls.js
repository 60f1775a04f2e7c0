// @ts-check
/** What stands above the wall: which cameras it shows and the sound; and the keys. */

import { element } from "./dom.js";
import { icon } from "./icons.js";
import { strings } from "./strings.js";

/**
 * @typedef {import("./wall.js").Wall} Wall
 */

/**
 * A list of all cameras with a box each to tick.
 *
 * @param {HTMLDetailsElement} menu
 * @param {Wall} wall
 * @param {import("./cameras.js").Cameras} cameras
 */
export function chooseCameras(menu, wall, cameras) {
  const summary = element("summary", {});
  const list = element("ul", {});
  menu.replaceChildren(summary, list);
  const draw = () => {
    menu.hidden = wall.ids.length < 2;
    summary.textContent = strings.camerasShown(wall.shown.length, wall.ids.length);
    const focused = list.contains(document.activeElement) ? /** @type {HTMLInputElement} */ (document.activeElement).value : null;
    list.replaceChildren(...wall.ids.map((id) => choice(id, wall, cameras.name(id))));
    list.querySelectorAll("input").forEach((box) => box.value === focused && box.focus());
  };
  wall.addEventListener("change", draw);
  addEventListener("pointerdown", ({ target }) => {
    if (!menu.contains(/** @type {Node} */ (target))) {
      menu.open = false;
    }
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) {
      event.stopPropagation();
      menu.open = false;
      summary.focus();
    }
  });
  draw();
}

/**
 * @param {string} id
 * @param {Wall} wall
 * @param {string} name
 */
function choice(id, wall, name) {
  const box = element("input", { type: "checkbox", value: id, checked: wall.isChosen(id) });
  box.addEventListener("change", () => wall.choose(id, box.checked));
  return element("li", {}, [element("label", {}, [box, element("bdi", { textContent: name })])]);
}

/**
 * @param {HTMLButtonElement} button
 * @param {import("./chime.js").Chime} chime
 */
export function soundButton(button, chime) {
  const draw = () => {
    button.replaceChildren(icon(chime.isOn ? "soundOn" : "soundOff"), element("span", { textContent: strings.sound }));
    button.setAttribute("aria-pressed", String(chime.isOn));
  };
  button.addEventListener("click", () => {
    chime.isOn = !chime.isOn;
    draw();
    chime.play();
  });
  draw();
}

/** `s` for figures, Esc back from an enlarged camera. @param {Wall} wall */
export function useKeys(wall) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) {
      return;
    }
    if (event.key === "s") {
      wall.tileAt(document.activeElement)?.toggleStats();
    } else if (event.key === "Escape" && wall.enlarged !== null && document.fullscreenElement === null) {
      wall.enlarge(null);
    }
  });
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof Element && target.matches("input:not([type=checkbox]), select, textarea, [contenteditable]");
}

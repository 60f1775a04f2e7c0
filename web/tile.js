// @ts-check
/** One camera on the wall: its player and, unless it is a kiosk's, the tools above the picture. */

import { element } from "./dom.js";
import { icon } from "./icons.js";
import { renameForm } from "./rename.js";
import { StatsPanel } from "./stats.js";
import { strings } from "./strings.js";

/**
 * Dispatches "enlarge"; "move" with -1 or 1 as `detail`, "rename" with the new name, "fault" with words for a person.
 *
 * @typedef {import("./icons.js").IconName} IconName
 */
export class Tile extends EventTarget {
  id;
  element;
  player;
  #tools = element("div", { className: "tools", role: "group" });
  /** @type {Map<string, HTMLButtonElement>} */
  #buttons = new Map();
  /** @type {StatsPanel | null} */
  #stats = null;
  #name = "";

  /**
   * @param {string} id
   * @param {boolean} hasTools
   * @param {HTMLElement | null} made the list's item with its player, where the page came with it
   */
  constructor(id, hasTools, made = null) {
    super();
    this.id = id;
    this.element = made ?? element("li", { className: "tile" });
    this.player = /** @type {import("./viewer.js").SurveillxViewer} */ (
      made?.querySelector("surveillx-viewer") ?? document.createElement("surveillx-viewer")
    );
    if (made === null) {
      this.element.append(this.player);
      this.player.setAttribute("camera", id);
    }
    if (hasTools) {
      this.#build();
    } else {
      this.player.setAttribute("controls", "none");
    }
  }

  get name() {
    return this.#name;
  }

  set name(name) {
    this.#name = name;
    this.player.setAttribute("name", name);
    this.#tools.ariaLabel = name;
    this.#buttons.forEach((button, tool) => {
      button.ariaLabel = button.title = strings.tools[/** @type {keyof typeof strings.tools} */ (tool)](name);
    });
  }

  /** @param {boolean} isLarge */
  set enlarged(isLarge) {
    const button = this.#buttons.get("enlarge");
    button?.replaceChildren(icon(isLarge ? "reduce" : "enlarge"));
    button?.setAttribute("aria-pressed", String(isLarge));
  }

  /** Whether there are others to be larger than, or to change places with. @param {boolean} isAlone */
  set alone(isAlone) {
    for (const tool of ["enlarge", "earlier", "later"]) {
      /** @type {HTMLButtonElement} */ (this.#buttons.get(tool) ?? {}).hidden = isAlone;
    }
    this.element.draggable = !isAlone && this.#buttons.size > 0;
  }

  /** @param {"enlarge" | "earlier" | "later"} tool */
  focus(tool) {
    this.#buttons.get(tool)?.focus();
  }

  toggleStats() {
    if (this.#stats === null) {
      this.#stats = new StatsPanel(this.player, this.id, strings.stats.label(this.#name));
      this.element.append(this.#stats.element);
    } else {
      this.#stats.close();
      this.#stats = null;
    }
    this.#buttons.get("stats")?.setAttribute("aria-pressed", String(this.#stats !== null));
  }

  /** It leaves the wall. */
  close() {
    this.#stats?.close();
    this.element.remove();
  }

  #build() {
    this.#add("enlarge", () => this.dispatchEvent(new Event("enlarge")));
    this.#add("stats", () => this.toggleStats());
    this.#add("snapshot", () => this.#save());
    if (document.pictureInPictureEnabled) {
      this.#add("pictureInPicture", () => this.player.requestPictureInPicture());
    }
    this.#add("rename", () => this.#rename());
    this.#add("earlier", () => this.dispatchEvent(new CustomEvent("move", { detail: -1 })));
    this.#add("later", () => this.dispatchEvent(new CustomEvent("move", { detail: 1 })));
    this.element.append(this.#tools);
    this.player.addEventListener("click", (event) => {
      if (!event.composedPath().some(isControl)) {
        this.dispatchEvent(new Event("enlarge"));
      }
    });
  }

  /**
   * @param {IconName} tool
   * @param {() => unknown} use fails while there is no picture
   */
  #add(tool, use) {
    const button = element("button", { type: "button", className: "tool" }, [icon(tool)]);
    button.dataset.tool = tool;
    button.addEventListener("click", async () => {
      try {
        await use();
      } catch {
        this.dispatchEvent(new CustomEvent("fault", { detail: strings.noPictureYet(this.#name) }));
      }
    });
    this.#buttons.set(tool, button);
    this.#tools.append(button);
  }

  async #save() {
    const url = URL.createObjectURL(await this.player.snapshot());
    element("a", { href: url, download: strings.snapshotFile(this.#name, new Date()) }).click();
    // The download has begun with the click, but reads the picture a little later.
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }

  #rename() {
    const isDraggable = this.element.draggable;
    this.element.draggable = false; // in Firefox nothing inside could be marked with the mouse
    const form = renameForm(this.id, this.#name, (name) => {
      form.remove();
      this.element.draggable = isDraggable;
      this.#tools.hidden = false;
      this.#buttons.get("rename")?.focus();
      if (name !== null) {
        this.dispatchEvent(new CustomEvent("rename", { detail: name }));
      }
    });
    this.#tools.hidden = true;
    this.element.append(form);
    const field = form.querySelector("input");
    field?.focus();
    field?.select();
  }
}

/** @param {EventTarget} target */
function isControl(target) {
  return target instanceof Element && target.matches("button, a, input, [part~=box]");
}

// @ts-check
/**
 * Players that nobody looks at cost nothing, and small ones little: sets their attributes `paused` and `rendition`.
 *
 * Off the screen, or hidden behind an enlarged one: paused. Fewer pixels wide than the small rendition has: 360p.
 */

/** Device pixels. */
const SMALL_BELOW = 640;
/** A tile at the limit must not go to and fro while the window is being resized. */
const LARGE_FROM = 680;
/** Scrolled past is not yet left. */
const LEFT_AFTER_MS = 1_000;

export class Attention {
  #seen = new IntersectionObserver((entries) => entries.forEach((each) => this.#looked(each)));
  #sized = new ResizeObserver((entries) => entries.forEach(({ target }) => weigh(target)));
  /** @type {Map<Element, ReturnType<typeof setTimeout>>} */
  #leaving = new Map();

  /** @param {Element} player */
  watch(player) {
    this.#seen.observe(player);
    this.#sized.observe(player);
  }

  /** @param {Element} player */
  forget(player) {
    this.#seen.unobserve(player);
    this.#sized.unobserve(player);
    this.#stay(player);
  }

  /** @param {IntersectionObserverEntry} entry */
  #looked({ target, isIntersecting }) {
    this.#stay(target);
    if (isIntersecting) {
      target.removeAttribute("paused");
    } else {
      this.#leaving.set(target, setTimeout(() => target.setAttribute("paused", ""), LEFT_AFTER_MS));
    }
  }

  /** @param {Element} player */
  #stay(player) {
    clearTimeout(this.#leaving.get(player));
    this.#leaving.delete(player);
  }
}

/** @param {Element} player */
function weigh(player) {
  const width = player.clientWidth * devicePixelRatio;
  if (width === 0) {
    return; // not laid out
  }
  const isSmall = player.getAttribute("rendition") === "360p" ? width < LARGE_FROM : width < SMALL_BELOW;
  player.setAttribute("rendition", isSmall ? "360p" : "auto");
}

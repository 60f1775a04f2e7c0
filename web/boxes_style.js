// @ts-check
/** How boxes over faces look; a constructed stylesheet, which needs no inline style. */

export const boxesStyle = new CSSStyleSheet();

boxesStyle.replaceSync(`
.boxes {
  position: absolute;
  inset: 0;
  display: grid;
  place-content: center;
  overflow: hidden;
  container-type: size;
  pointer-events: none;
}

.boxes[hidden] {
  display: none;
}

/* The picture as object-fit: contain fits it, whatever the player's shape. */
.faces {
  --wide: var(--ratio, 16 / 9);
  position: relative;
  width: min(100cqw, 100cqh * (var(--wide)));
  aspect-ratio: var(--wide);
  overflow: clip;
}

.boxes:focus-visible {
  outline: 3px solid #fff;
  outline-offset: -3px;
}

/* The colours of the annotated picture, on any picture and in either theme. */
.box {
  --colour: var(--surveillx-unknown, #f9b508);
  position: absolute;
  box-sizing: border-box;
  min-height: 0;
  margin: 0;
  padding: 0;
  border: max(2px, 0.42cqh) solid transparent;
  border-radius: 0;
  background: none;
  color: #10140f;
  font: 600 clamp(11px, 3cqh, 26px) / 1.35 system-ui, sans-serif;
  cursor: pointer;
  pointer-events: auto;
}

.box.known {
  --colour: var(--surveillx-known, #00ff01);
}

/* A small face is still large enough for a finger. */
.box::before {
  content: "";
  position: absolute;
  inset: min(0px, 50% - 12px);
}

.boxes[data-mode="drawn"] .box {
  border-color: var(--colour);
}

.box:hover {
  background: rgb(255 255 255 / 14%);
}

.box:focus-visible {
  outline: 3px solid #fff;
  outline-offset: 1px;
  box-shadow: 0 0 0 5px #10140f;
}

.box span {
  position: absolute;
  bottom: 100%;
  left: calc(-1 * max(2px, 0.42cqh));
  display: none;
  max-width: 40cqw;
  padding: 0 0.4em;
  overflow: hidden;
  background: var(--colour);
  text-overflow: ellipsis;
  white-space: nowrap;
}

.boxes[data-mode="drawn"] .box span {
  display: block;
}

.box[data-plate="below"] span {
  top: 100%;
  bottom: auto;
}

.box[data-plate="inside"] span {
  top: 0;
  bottom: auto;
}

/* A face in its box, struck out while there are none. */
.names {
  background-image: url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%23fff' stroke-width='2' stroke-linecap='round' stroke-linejoin='round'%3E%3Crect x='4' y='4' width='16' height='16' rx='1'/%3E%3Ccircle cx='12' cy='10' r='2.5'/%3E%3Cpath d='M7.5 17c1-3 8-3 9 0'/%3E%3C/svg%3E");
}

.names[aria-pressed="false"] {
  background-image: url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%23fff' stroke-width='2' stroke-linecap='round' stroke-linejoin='round'%3E%3Cpath d='M8 4h11a1 1 0 0 1 1 1v11M16 20H5a1 1 0 0 1-1-1V8M3 3l18 18'/%3E%3C/svg%3E");
}

.box.at-end span {
  right: calc(-1 * max(2px, 0.42cqh));
  left: auto;
}
`);

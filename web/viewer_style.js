// @ts-check
/**
 * The player's style, inside its shadow root. Other pages set the custom properties or style the parts:
 * `surveillx-viewer { --surveillx-radius: 0 }`, `surveillx-viewer::part(badge) { display: none }`.
 */

export const style = new CSSStyleSheet();

style.replaceSync(`
:host {
  position: relative;
  display: grid;
  overflow: hidden;
  border-radius: var(--surveillx-radius, 12px);
  background: var(--surveillx-ground, #0a0f0f);
  color: #f2f6f6;
  font: 16px/1.5 var(--surveillx-font, system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, sans-serif);
  aspect-ratio: 16 / 9;
}

:host([hidden]) {
  display: none;
}

:host(:fullscreen) {
  border-radius: 0;
}

* {
  box-sizing: border-box;
}

.stage {
  display: grid;
  grid-area: 1 / 1;
  min-width: 0;
  min-height: 0;
}

slot[name="poster"] {
  display: grid;
  grid-area: 1 / 1;
  min-width: 0;
  min-height: 0;
}

::slotted([slot="poster"]) {
  width: 100%;
  height: 100%;
  object-fit: contain;
}

/* Every picture always has its place: a browser decodes nothing for a video that is not laid out. */
.stage > * {
  grid-area: 1 / 1;
  width: 100%;
  height: 100%;
  min-height: 0;
  object-fit: contain;
  opacity: 0;
}

:host([data-transport="webrtc"]) .stage > video.shown,
:host([data-transport="jpeg"]) .stage > canvas {
  opacity: 1;
}

:host([data-state="stalled"]) .stage > * {
  filter: grayscale(0.7) brightness(0.7);
}

.notice {
  position: absolute;
  inset: 0;
  display: flex;
  flex-direction: column;
  align-items: center;
  justify-content: center;
  gap: 12px;
  margin: 0;
  padding: 16px 16px 3.5rem;
  text-align: center;
  text-wrap: balance;
}

.notice:empty {
  display: none;
}

.notice a {
  padding: 8px 20px;
  border-radius: 8px;
  background: #4db6b2;
  color: #06201f;
  font-weight: 600;
  text-decoration: none;
}

.caption {
  position: absolute;
  inset: auto 0 0;
  display: flex;
  align-items: center;
  gap: 6px 12px;
  padding: 28px 12px 10px;
  background: linear-gradient(transparent, rgb(0 0 0 / 72%));
  font-size: 0.9rem;
}

.title {
  flex: none;
  max-width: 50%;
  overflow: hidden;
  font-weight: 600;
  text-overflow: ellipsis;
  white-space: nowrap;
}

.badge {
  display: flex;
  align-items: center;
  gap: 8px;
  min-width: 0;
  margin-right: auto;
  color: #d5dfde;
  line-height: 1.3;
}

.badge::before {
  flex: none;
  width: 9px;
  height: 9px;
  border-radius: 50%;
  background: #e2a93b;
  content: "";
}

:host([data-state="live"][data-transport="webrtc"]) .badge::before {
  background: #2fbf71;
}

:host(:is([data-state="offline"], [data-state="stalled"], [data-state="denied"])) .badge::before {
  background: #e5604d;
}

:host([data-state="connecting"]) .badge::before {
  animation: pulse 1.2s ease-in-out infinite;
}

@keyframes pulse {
  50% {
    opacity: 0.3;
  }
}

@media (prefers-reduced-motion: reduce) {
  .badge::before {
    animation: none !important;
  }
}

.controls {
  display: flex;
  flex: none;
  gap: 4px;
}

:host([controls="none"]) .controls {
  display: none;
}

button {
  flex: none;
  width: 34px;
  height: 34px;
  padding: 0;
  border: 0;
  border-radius: 8px;
  background: transparent center / 20px no-repeat;
  color: inherit;
  cursor: pointer;
}

button:hover {
  background-color: rgb(255 255 255 / 18%);
}

:is(button, a):focus-visible {
  outline: 3px solid #4db6b2;
  outline-offset: 2px;
}

.full-screen {
  background-image: url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='%23fff' stroke-width='2' stroke-linecap='round' stroke-linejoin='round'%3E%3Cpath d='M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5'/%3E%3C/svg%3E");
}

.words {
  position: absolute;
  width: 1px;
  height: 1px;
  margin: -1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}
`);

// @ts-check
/** A soft sound for a new mark: two notes, made here. Silent until somebody switches it on, which is remembered. */

import { recall, remember } from "./remembered.js";

const NOTES_HZ = [659, 880];
const NOTE_S = 0.14;
const FADE_S = 0.5;
const VOLUME = 0.06;

export class Chime {
  /** @type {AudioContext | null} */
  #audio = null;
  #isOn = recall("sound") === true;

  constructor() {
    // Browsers let a page be heard only after somebody has used it.
    addEventListener("pointerdown", () => this.#wake(), { once: true });
    addEventListener("keydown", () => this.#wake(), { once: true });
  }

  get isOn() {
    return this.#isOn;
  }

  set isOn(isOn) {
    this.#isOn = isOn;
    remember("sound", isOn);
    this.#wake();
  }

  play() {
    const audio = this.#audio;
    if (this.#isOn && audio?.state === "running") {
      NOTES_HZ.forEach((hertz, place) => note(audio, hertz, audio.currentTime + place * NOTE_S));
    }
  }

  #wake() {
    if (this.#isOn) {
      this.#audio ??= new AudioContext();
      this.#audio.resume().catch(() => {});
    }
  }
}

/**
 * @param {AudioContext} audio
 * @param {number} hertz
 * @param {number} at seconds of the context's clock
 */
function note(audio, hertz, at) {
  const tone = new OscillatorNode(audio, { frequency: hertz });
  const volume = new GainNode(audio, { gain: 0 });
  volume.gain.setValueAtTime(0, at);
  volume.gain.linearRampToValueAtTime(VOLUME, at + 0.02);
  volume.gain.exponentialRampToValueAtTime(0.0001, at + FADE_S);
  tone.connect(volume).connect(audio.destination);
  tone.start(at);
  tone.stop(at + FADE_S);
}

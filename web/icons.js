// @ts-check
/** The pictures on the buttons: strokes in a square of 24. */

const SVG = "http://www.w3.org/2000/svg";

const STROKES = {
  enlarge: "M15 4h5v5M20 4l-6 6M9 20H4v-5M4 20l6-6",
  reduce: "M20 10h-6V4M14 10l6-6M4 14h6v6M10 14l-6 6",
  stats: "M5 20v-7M12 20V4M19 20v-10",
  snapshot: "M4 8h3l2-3h6l2 3h3v11H4zM12 16.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z",
  pictureInPicture: "M3 5h18v14H3zM12 12h7v5h-7z",
  rename: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  earlier: "M14 6l-6 6 6 6",
  later: "M10 6l6 6-6 6",
  soundOn: "M4 9v6h4l5 4V5L8 9zM16.5 8.5a5 5 0 0 1 0 7M19 6a9 9 0 0 1 0 12",
  soundOff: "M4 9v6h4l5 4V5L8 9zM17 9.5l5 5M22 9.5l-5 5",
};

/** @typedef {keyof typeof STROKES} IconName */

/** @param {IconName} name */
export function icon(name) {
  const picture = document.createElementNS(SVG, "svg");
  const stroke = document.createElementNS(SVG, "path");
  stroke.setAttribute("d", STROKES[name]);
  picture.setAttribute("viewBox", "0 0 24 24");
  picture.setAttribute("class", "icon");
  picture.setAttribute("aria-hidden", "true");
  picture.append(stroke);
  return picture;
}

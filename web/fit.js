// @ts-check
/** How tiles fill a wall: as large as they can be with all of them in sight. Pure. */

const ASPECT = 16 / 9;

/**
 * Columns and the width of a tile in CSS pixels.
 *
 * @param {number} count of tiles
 * @param {{ width: number, height: number, gap: number }} room in CSS pixels
 * @param {number} least below this width nobody sees anything: then the wall scrolls
 * @returns {{ columns: number, width: number }}
 */
export function fit(count, { width, height, gap }, least) {
  let best = { columns: 1, width: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const widest = (width - gap * (columns - 1)) / columns;
    const tile = Math.floor(Math.min(widest, (ASPECT * (height - gap * (rows - 1))) / rows));
    if (tile > best.width) {
      best = { columns, width: tile };
    }
  }
  return best.width >= Math.min(least, width) ? best : scrolling(width, gap, least);
}

/**
 * @param {number} width
 * @param {number} gap
 * @param {number} least
 */
function scrolling(width, gap, least) {
  const columns = Math.max(1, Math.floor((width + gap) / (least + gap)));
  return { columns, width: Math.floor((width - gap * (columns - 1)) / columns) };
}

// @ts-check
import { mend } from "./edits.js";
import { label, workspace } from "./engine.js";
import { footprints, match } from "./scores.js";

// A tally: how many buildings several tiles have at the thresholds, and how these compare with the footprints. Pure of DOM:
// it runs in the pool's worker, and where there is none on the page.

/** @typedef {import("./engine.js").Thresholds} Thresholds @typedef {import("./edits.js").Edit} Edit */
/** @typedef {{ width: number, height: number, building: Uint8Array, border: Uint8Array | null, truth: Int32Array | null }} Plan of a tile */
/** What is wanted: `version` grows with every request, `edits` are of each tile.
 * @typedef {{ version: number, thresholds: Thresholds, edits: Edit[][] }} Wanted */
/** What tile `at` has at the thresholds of a version; `known` where it has footprints, the other three are 0 where not.
 * @typedef {{ at: number, version: number, count: number, known: boolean, tp: number, fp: number, fn: number }} Found */

/** Returns what takes the tiles, once, and then what is wanted. It goes round the tiles and counts each that is behind the
 * latest request: a newer request drops an older one between two tiles, and goes on with the next tile, not the first. So no
 * figure is older than one round, however fast requests come.
 * @param {(found: Found) => void} tell @param {(go: () => void) => void} pause calls `go` once messages have been taken */
export function createTally(tell, pause) {
  let /** @type {(Plan & { known: ReturnType<typeof footprints> | null, version: number })[]} */ tiles = [];
  let /** @type {Wanted | null} */ wanted = null;
  let next = 0, busy = false;
  const /** @type {Map<string, ReturnType<typeof workspace>>} */ spaces = new Map(); // one for all tiles of a size: it is large
  const /** @type {(at: number, wanted: Wanted) => Found} */ count = (at, { version, thresholds, edits }) => {
    const { width, height, building, border, known } = tiles[at], size = `${width} ${height}`;
    const space = spaces.get(size) ?? workspace(width, height);
    spaces.set(size, space);
    Object.assign(space, { seeded: "", flooded: "", deep: NaN }); // what it knows is of another tile
    label(space, building, border, thresholds);
    if (edits[at].length) mend(space, edits[at]);
    const { tp, fp, fn } = known ? match(space, known) : { tp: 0, fp: 0, fn: 0 };
    return { at, version, count: space.count, known: Boolean(known), tp, fp, fn };
  };
  const go = () => {
    const behind = tiles.map((_, n) => (next + n) % tiles.length).find((at) => wanted && tiles[at].version < wanted.version);
    busy = behind !== undefined;
    if (behind === undefined || !wanted) return;
    next = behind + 1;
    tiles[behind].version = wanted.version;
    tell(count(behind, wanted));
    pause(go);
  };
  return /** @param {Plan[] | Wanted} message */ (message) => {
    if (Array.isArray(message)) tiles = message.map((tile) => ({ ...tile, known: tile.truth && footprints(tile.truth, tile.width), version: 0 }));
    else wanted = message;
    if (!busy) go();
  };
}

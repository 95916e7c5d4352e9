// @ts-check
import { root } from "./engine.js";

// Edits by hand on labels, by the rules of tnv2/instances/edits.py, pixel for pixel. Pure functions, no DOM.

/** @typedef {import("./engine.js").Workspace} Workspace @typedef {[row: number, column: number]} Position */
/** @typedef {{ kind: "delete" | "merge" | "split" | "add", at: Position[] }} Edit */
/** Of each edit why it waits, "" where it acted; and whether an edit made the instance of that number.
 * @typedef {{ waiting: string[], byHand: Uint8Array }} Mended */

const GROWS = { body: 1, open: 2, larger: 3, smaller: 4 }; // what split knows of a pixel

/** Apply edits to the labels, in their order; the result is space.labels, space.count and space.areas again, and space.inks:
 * a building that no edit touches keeps its colour.
 * Buildings are deleted and merged in a table, and the pixels are numbered once, at the end: a thousand edits cost little.
 * @param {Workspace} space @param {Edit[]} edits @returns {Mended} */
export function mend(space, edits) {
  const { stride, labels, count } = space;
  const parents = Int32Array.from({ length: count + edits.length + 1 }, (_, id) => id);
  const gone = new Uint8Array(parents.length), byHand = new Uint8Array(parents.length);
  let next = count + 1;
  const /** @type {(i: number) => number} */ owner = (i) => {
    const id = labels[i] && root(parents, labels[i]);
    return gone[id] ? 0 : id;
  };
  const /** @type {(place: Position) => number} */ at = ([row, column]) => (row + 1) * stride + 1 + column;
  let /** @type {Uint8Array | null} */ marks = null;

  const /** @type {Record<Edit["kind"], (places: Position[]) => string>} */ actions = {
    delete: ([place]) => {
      const id = owner(at(place));
      gone[id] = id ? 1 : 0;
      return id ? "" : "no building there";
    },
    merge: (places) => {
      const [first, second] = places.map((place) => owner(at(place)));
      if (!first || !second) return first || second ? "no building at one end" : "no building there";
      if (first === second) return "both ends are in one building";
      parents[second] = first;
      byHand[first] = 1;
      return "";
    },
    split: (places) => {
      marks ??= new Uint8Array(labels.length);
      const pixels = [...new Set(pixelLine(places).map(at))];
      const body = bodyUnder(pixels, labels, owner, stride, marks);
      const smaller = body && half(body, pixels, stride, marks);
      if (!body) return "no building under the line";
      if (!smaller) return "the line does not cut a building in two";
      byHand[owner(body[0])] = byHand[next] = 1;
      for (const i of smaller) labels[i] = next;
      next++;
      return "";
    },
    add: (places) => {
      let free = false;
      visitPolygon(places, (row, column) => {
        const i = (row + 1) * stride + 1 + column;
        if (!owner(i)) { labels[i] = next; free = true; }
      });
      byHand[next] = free ? 1 : 0;
      next += free ? 1 : 0;
      return free ? "" : "buildings stand on all of it";
    },
  };
  const waiting = edits.map(({ kind, at: places }) => actions[kind](places));
  return { waiting, byHand: renumberOwners(space, owner, byHand, next) };
}

/** Number the owners 1..count in raster order of first pixels; return which of these are by hand.
 * @param {Workspace} space @param {(i: number) => number} owner @param {Uint8Array} byHand of each owner
 * @param {number} end of the owners */
function renumberOwners(space, owner, byHand, end) {
  const { width, height, stride, labels } = space;
  const owners = Int32Array.from({ length: end }, (_, id) => -1 - id); // -1 - id until it is asked for
  const numbers = new Int32Array(end), hand = new Uint8Array(end), inks = new Int32Array(end);
  if (space.areas.length < end) space.areas = new Int32Array(end);
  const { areas } = space;
  let count = 0;
  for (let row = 0; row < height; row++) {
    for (let i = (row + 1) * stride + 1, last = i + width; i < last; i++) {
      const id = labels[i];
      if (!id) continue;
      if (owners[id] < 0) owners[id] = owner(i);
      const own = owners[id];
      if (own && !numbers[own]) { numbers[own] = ++count; areas[count] = 0; hand[count] = byHand[own]; inks[count] = own; }
      labels[i] = numbers[own];
      if (own) areas[numbers[own]]++;
    }
  }
  space.count = count;
  space.inks = inks;
  space.blocks.fill(1); // added buildings may be anywhere
  return hand.slice(0, count + 1);
}

/** The pixels of the line through positions, in its order, each beside the one before. @param {Position[]} at */
export function pixelLine(at) {
  let [row, column] = at[0];
  const /** @type {Position[]} */ pixels = [[row, column]];
  for (const [endRow, endColumn] of at.slice(1)) {
    const down = Math.abs(endRow - row), over = Math.abs(endColumn - column);
    const south = Math.sign(endRow - row), east = Math.sign(endColumn - column);
    for (let i = 0, j = 0; i < down || j < over;) {
      if ((2 * i + 1) * over < (2 * j + 1) * down) { i++; row += south; } else { j++; column += east; }
      pixels.push([row, column]);
    }
  }
  return pixels;
}

/** Visit the pixels of the polygon of positions, some twice: inside by the even-odd rule of their centres, or on its line.
 * @param {Position[]} at @param {(row: number, column: number) => void} visit */
export function visitPolygon(at, visit) {
  const /** @type {number[][]} */ crossings = []; // the columns of each row
  at.forEach(([top, left], n) => {
    let [bottom, right] = at[(n + 1) % at.length];
    if (top > bottom) [top, left, bottom, right] = [bottom, right, top, left];
    for (let row = top; row < bottom; row++) {
      (crossings[row] ??= []).push(left + Math.ceil((row - top) * (right - left) / (bottom - top)));
    }
  });
  crossings.forEach((columns, row) => {
    columns.sort((a, b) => a - b);
    for (let n = 0; n < columns.length; n += 2) for (let column = columns[n]; column < columns[n + 1]; column++) visit(row, column);
  });
  for (const [row, column] of pixelLine([...at, at[0]])) visit(row, column);
}

/** The steps to the eight pixels round one. @param {number} stride */
function around(stride) {
  return [-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1];
}

/** The body, a building's pixels connected 8 ways, that a line covers most of; null over background alone. marks stay as they were.
 * @param {number[]} pixels of the line @param {Int32Array} labels @param {(i: number) => number} owner @param {number} stride
 * @param {Uint8Array} marks */
function bodyUnder(pixels, labels, owner, stride, marks) {
  const /** @type {Map<number, number>} */ bodyOf = new Map(); // of the line's pixels
  const bodies = [];
  for (const start of pixels) {
    const id = owner(start), label = labels[start];
    if (!id || marks[start]) continue;
    bodies.push(spreadOver(start, stride, (i) => !marks[i] && (labels[i] === label || (labels[i] > 0 && owner(i) === id)), marks, GROWS.body));
    for (const i of pixels) if (marks[i] && !bodyOf.has(i)) bodyOf.set(i, bodies.length - 1);
  }
  for (const body of bodies) for (const i of body) marks[i] = 0;
  const covered = bodies.map(() => 0);
  for (const n of bodyOf.values()) covered[n]++;
  return bodies.length ? bodies[covered.indexOf(Math.max(...covered))] : null;
}

/** The pixels connected 8 ways with one of them, all marked. @param {number} start @param {number} stride
 * @param {(i: number) => boolean} takes @param {Uint8Array} marks @param {number} mark */
function spreadOver(start, stride, takes, marks, mark) {
  const steps = around(stride), group = [start];
  marks[start] = mark;
  for (let n = 0; n < group.length; n++) {
    for (let k = 0; k < 8; k++) {
      const i = group[n] + steps[k];
      if (takes(i)) { marks[i] = mark; group.push(i); }
    }
  }
  return group;
}

/** The smaller of the two halves that a line leaves of a body, both grown over what is left; null where it does not cut it.
 * @param {number[]} body @param {number[]} line @param {number} stride @param {Uint8Array} marks */
function half(body, line, stride, marks) {
  const steps = around(stride), parts = [];
  for (const i of body) marks[i] = GROWS.body;
  for (const i of line) if (marks[i]) marks[i] = GROWS.open;
  for (const start of body) {
    if (marks[start] !== GROWS.body) continue;
    const part = spreadOver(start, stride, (i) => marks[i] === GROWS.body, marks, GROWS.open);
    parts.push({ part, size: part.length, first: part.reduce((a, b) => Math.min(a, b)) });
  }
  const [larger, smaller] = parts.sort((a, b) => b.size - a.size || a.first - b.first);
  if (smaller) {
    for (const i of larger.part) marks[i] = GROWS.larger;
    for (const i of smaller.part) marks[i] = GROWS.smaller;
    for (let open = body.filter((i) => marks[i] === GROWS.open); open.length;) {
      const turns = open.map((i) => {
        const beside = steps.map((step) => marks[i + step]);
        return [GROWS.larger, GROWS.smaller].find((mark) => beside.includes(mark)) ?? GROWS.open;
      });
      open.forEach((i, n) => { marks[i] = turns[n]; });
      open = open.filter((i) => marks[i] === GROWS.open);
    }
  }
  const grown = smaller ? body.filter((i) => marks[i] === GROWS.smaller) : null;
  for (const i of body) marks[i] = 0;
  return grown;
}

// @ts-check
import { pixelArea, toDegrees } from "./places.js";

// Vectors: labels as GeoJSON along the pixels' edges, and as a 16-bit PNG with its world file. No DOM.

/** @typedef {import("./places.js").Place} Place @typedef {[column: number, row: number][]} Ring closed, no corner on a straight line */
/** Of a tile: its labels 1..count in rows, and which of them a hand made.
 * @typedef {{ name: string, height: number, width: number, place: Place | null, labels: Int32Array, count: number, byHand: Uint8Array }} Labelled */

const DECIMALS = 1e7; // of a degree, about 1 cm
const SIDES = [[0, 1], [1, 0], [0, -1], [-1, 0]]; // the way along a pixel's upper, right, lower and left edge, in rows and columns

/** The parts of each label 1..count, pixels of one side that share an edge being one part, each as its outer ring and its holes,
 * in pixels; outer rings run clockwise on the screen. @param {Int32Array} labels @param {number} height @param {number} width
 * @param {number} count @param {Uint8Array} sides @returns {Ring[][][]} */
export function outlinesOf(labels, height, width, count, sides) {
  const parts = partsOf(labels, height, width, sides), seen = new Uint8Array(labels.length);
  const /** @type {Ring[][][]} */ found = Array.from({ length: count }, () => []);
  const /** @type {Map<number, Ring[]>} */ ofPart = new Map();
  const /** @type {(row: number, column: number, part: number) => boolean} */ is = (row, column, part) =>
    row >= 0 && row < height && column >= 0 && column < width && parts[row * width + column] === part;
  for (let i = 0; i < labels.length; i++) {
    const row = Math.floor(i / width), column = i % width;
    for (let side = 0; parts[i] && side < 4; side += 2) { // a ring has an upper or a lower edge
      if (seen[i] & (1 << side) || is(row + (side ? 1 : -1), column, parts[i])) continue;
      const ring = walk(row, column, side, parts[i], is, seen, width), known = ofPart.get(parts[i]);
      if (known) known.push(ring); // the first edge of a part in reading order is its outer ring's
      else { ofPart.set(parts[i], [ring]); found[labels[i] - 1].push(/** @type {Ring[]} */ (ofPart.get(parts[i]))); }
    }
  }
  return found;
}

/** Walk round with a part on the right, from an edge back to it. Where two of its pixels share a corner alone, the way goes from
 * one to the other: what lies on its two sides there is apart, and no ring meets itself.
 * @param {number} row @param {number} column @param {number} side @param {number} part
 * @param {(row: number, column: number, part: number) => boolean} is @param {Uint8Array} seen @param {number} width @returns {Ring} */
function walk(row, column, side, part, is, seen, width) {
  const /** @type {Ring} */ ring = [], start = (row * width + column) * 4 + side;
  do {
    seen[row * width + column] |= 1 << side;
    const before = side, [down, across] = SIDES[side], [out, beside] = SIDES[(side + 3) % 4]; // ahead, and to the left of it
    if (is(row + down + out, column + across + beside, part)) {
      row += down + out;
      column += across + beside;
      side = (side + 3) % 4;
    } else if (is(row + down, column + across, part)) {
      row += down;
      column += across;
    } else side = (side + 1) % 4;
    if (side !== before) ring.push(cornerOf(row, column, side));
  } while ((row * width + column) * 4 + side !== start);
  ring.push(ring[0]);
  return ring;
}

/** Where a pixel's edge begins, the pixel on its right. @param {number} row @param {number} column @param {number} side @returns {[number, number]} */
function cornerOf(row, column, side) {
  return [column + (side === 1 || side === 2 ? 1 : 0), row + (side === 2 || side === 3 ? 1 : 0)];
}

/** Of each pixel which part of its label it is in. @param {Int32Array} labels @param {number} height @param {number} width
 * @param {Uint8Array} sides */
function partsOf(labels, height, width, sides) {
  const parts = new Int32Array(labels.length), stack = [];
  for (let i = 0, next = 0; i < labels.length; i++) {
    if (!labels[i] || parts[i]) continue;
    parts[i] = ++next;
    stack.push(i);
    while (stack.length) {
      const at = /** @type {number} */ (stack.pop()), column = at % width;
      const near = [at - width, at + width, column ? at - 1 : -1, column < width - 1 ? at + 1 : -1];
      for (const other of near) {
        if (!(other >= 0 && other < height * width) || parts[other] || labels[other] !== labels[i] || sides[other] !== sides[i]) continue;
        parts[other] = next;
        stack.push(other);
      }
    }
  }
  return parts;
}

/** Which labelled pixels lie east of 180 degrees, as 1, and how near a corner of them may lie to it, in degrees; 0 for a tile that is not across.
 * @param {import("./places.js").Move | null} degrees @param {Int32Array} labels @param {number} height @param {number} width */
function sidesOf(degrees, labels, height, width) {
  const sides = new Uint8Array(labels.length), corners = [[0, 0], [width, 0], [0, height], [width, height]];
  const longitudes = corners.map(([column, row]) => degrees?.(column, row)[0] ?? 0), span = Math.max(...longitudes) - Math.min(...longitudes);
  if (!degrees || span <= 180) return { sides, near: 0 };
  for (let i = 0; i < sides.length; i++) if (labels[i] && degrees(i % width + 0.5, Math.floor(i / width) + 0.5)[0] < 0) sides[i] = 1;
  return { sides, near: 0.6 * (360 - span) / Math.max(height, width) }; // half a pixel, and a little, as pixels lie askew
}

/** A ring on one side of 180 degrees: a corner over it, or near it, is moved there.
 * @param {number[][]} ring @param {number} near degrees */
function onOneSide(ring, near) {
  const [farthest] = ring.reduce((far, corner) => (Math.abs(corner[0]) < Math.abs(far[0]) ? corner : far));
  return ring.map(([x, y]) => [x * farthest < 0 || 180 - Math.abs(x) < near ? 180 * Math.sign(farthest) : x, y]);
}

/** A GeoJSON FeatureCollection (RFC 7946) of tiles' instances: in degrees, cut at 180 of these, or in pixels where the place is
 * unknown. @param {Labelled[]} tiles */
export function geojsonOf(tiles) {
  const features = tiles.flatMap(({ name, height, width, place, labels, count, byHand }) => {
    const degrees = toDegrees(place), area = pixelArea(place, height, width), pixels = new Int32Array(count + 1);
    const { sides, near } = sidesOf(degrees, labels, height, width);
    for (const label of labels) pixels[label]++;
    const /** @type {(ring: Ring) => number[][]} */ moved = (ring) => ring.map(([column, row]) =>
      (degrees ? degrees(column, row).map((value) => Math.round(value * DECIMALS) / DECIMALS) : [column, row]));
    return outlinesOf(labels, height, width, count, sides).map((parts, n) => {
      const polygons = parts.map((rings) => rings.map((ring, k) => wound(near ? onOneSide(moved(ring), near) : moved(ring), k === 0)));
      const geometry = polygons.length === 1 ? { type: "Polygon", coordinates: polygons[0] } : { type: "MultiPolygon", coordinates: polygons };
      const properties = { tile: name, label: n + 1, pixels: pixels[n + 1], area_m2: area && Math.round(pixels[n + 1] * area * 100) / 100, by_hand: byHand[n + 1] > 0 };
      return { type: "Feature", properties, geometry };
    });
  });
  return `${JSON.stringify({ type: "FeatureCollection", features })}\n`;
}

/** A ring that runs counterclockwise, or clockwise for a hole, in its own coordinates. @param {number[][]} ring @param {boolean} outer */
function wound(ring, outer) {
  let twice = 0;
  for (let n = 0; n + 1 < ring.length; n++) twice += ring[n][0] * ring[n + 1][1] - ring[n + 1][0] * ring[n][1];
  return twice > 0 === outer ? ring : ring.slice().reverse();
}

/** The six lines of a PNG's world file (.pgw), which counts from the middle of the first pixel. @param {Place} place */
export function worldFile({ transform: [a, b, c, d, e, f] }) {
  return [a, d, b, e, c + (a + b) / 2, f + (d + e) / 2].map((value) => `${value}\n`).join("");
}

/** Labels as a grey PNG of 16 bits. @param {Int32Array} labels @param {number} height @param {number} width @returns {Promise<Blob>} */
export async function labelPng(labels, height, width) {
  const lines = new DataView(new ArrayBuffer(height * (1 + 2 * width))); // each after a 0: no filter
  for (let row = 0, to = 0, from = 0; row < height; row++) {
    to++;
    for (let column = 0; column < width; column++, to += 2) lines.setUint16(to, labels[from++]);
  }
  const packed = new Response(new Blob([lines]).stream().pipeThrough(new CompressionStream("deflate")));
  const head = new DataView(new ArrayBuffer(13));
  head.setUint32(0, width);
  head.setUint32(4, height);
  head.setUint8(8, 16);
  const chunks = [chunk("IHDR", new Uint8Array(head.buffer)), chunk("IDAT", new Uint8Array(await packed.arrayBuffer())), chunk("IEND", new Uint8Array())];
  return new Blob([new Uint8Array([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]), ...chunks], { type: "image/png" });
}

/** A chunk of a PNG: its length, kind, data and CRC-32. @param {string} kind @param {Uint8Array} data */
function chunk(kind, data) {
  const bytes = new Uint8Array(12 + data.length), view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = kind.charCodeAt(i);
  bytes.set(data, 8);
  let crc = -1;
  for (let i = 4; i < 8 + data.length; i++) {
    crc ^= bytes[i];
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  view.setUint32(8 + data.length, ~crc);
  return bytes;
}

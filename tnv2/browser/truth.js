// @ts-check
import { between, systemOf, toPixels } from "./places.js";

// Truth: the buildings of a GeoJSON file as labels, as tnv2.read_footprints and tnv2.rasterise make them. No DOM.

/** @typedef {import("./places.js").Place} Place @typedef {[column: number, row: number][]} Ring */
/** @typedef {Ring[][]} Building polygons, each of rings */

const FAR = 1e9; // pixels, degrees or metres: nothing is further
const NUDGE = [1e-6, 1e-9]; // pixels right and down of a centre, so that one on a wall is on one side of it
const EDGE = 0.01; // pixels that an outline must reach into a tile
const FLAT = ["Point", "MultiPoint", "LineString", "MultiLineString"];

/** The polygons of a GeoJSON text, and the number of its coordinate system; throws an Error whose message goes on after the
 * file's name. @param {string} text */
export function readGeojson(text) {
  let collection;
  try {
    collection = JSON.parse(text.replace(/^\ufeff/, ""));
  } catch (error) {
    throw new Error(`is no whole GeoJSON (${/** @type {Error} */ (error).message.slice(0, 120)})`);
  }
  if (!Array.isArray(collection?.features)) throw new Error("is no GeoJSON FeatureCollection; export the footprints as one");
  const named = String(collection.crs?.properties?.name ?? "CRS84"), epsg = /CRS84$/.test(named) ? 4326 : Number(/^(?:urn:ogc:def:crs:)?EPSG:[\d.]*:?(\d+)$/.exec(named)?.[1]);
  if (!epsg || !systemOf(epsg)) throw new Error(`is in ${named.slice(0, 60)}, which this page does not know; save it in degrees (EPSG:4326)`);
  const /** @type {Building[]} */ buildings = [];
  let flat = 0;
  for (const feature of collection.features) {
    const polygons = polygonsOf(feature?.geometry);
    if (polygons.length) buildings.push(polygons); else flat++;
  }
  if (!buildings.length && flat) throw new Error(`has no polygon, only ${flat} features without area; footprints are polygons`);
  return { epsg, buildings, flat };
}

/** @param {*} geometry @returns {Ring[][]} */
function polygonsOf(geometry) {
  const kind = geometry?.type ?? "null", parts = geometry?.coordinates;
  if (kind === "GeometryCollection") return geometry.geometries.flatMap(polygonsOf);
  if (kind === "null" || FLAT.includes(kind)) return [];
  if (!["Polygon", "MultiPolygon"].includes(kind) || !Array.isArray(parts)) throw new Error(`has a feature that is a ${String(kind).slice(0, 30)}; footprints are polygons`);
  const /** @type {*[][]} */ polygons = kind === "Polygon" ? [parts] : parts;
  return polygons.map((rings) => rings.filter((ring) => ring.length > 2).map((ring) => ring.map((/** @type {number[]} */ [x, y]) => {
    if (!(Math.abs(x) <= FAR && Math.abs(y) <= FAR)) throw new Error("has positions that are not pairs of finite numbers");
    return /** @type {[number, number]} */ ([x, y]);
  }))).filter((rings) => rings.length);
}

/** Labels 1..N of buildings on a tile, 0 elsewhere, or null where none lies on it. A pixel is a building's if its centre is;
 * smaller buildings are on top. Without a place positions are pixels.
 * @param {{ epsg: number, buildings: Building[] }} drawn @param {Place | null} place @param {number} height @param {number} width */
export function labelsOf({ epsg, buildings }, place, height, width) {
  const pixels = place && toPixels(place), system = place && between(epsg, place.epsg);
  const /** @type {(position: [number, number]) => [number, number]} */ move = ([x, y]) => (pixels && system ? pixels(...system(x, y)) : [x, y]);
  const here = buildings.map((polygons) => polygons.map((rings) => rings.map((ring) => ring.map(move)))).filter((polygons) => meets(polygons, height, width));
  if (!here.length) return buildings.length ? null : new Int32Array(height * width);
  const runs = here.map((polygons) => covered(polygons, height, width));
  const areas = runs.map((each) => each.reduce((sum, [, first, end]) => sum + end - first, 0));
  const order = areas.map((_, n) => n).sort((a, b) => areas[b] - areas[a] || a - b);
  const labels = new Int32Array(height * width), numbers = new Int32Array(here.length + 1);
  for (const n of order) for (const [row, first, end] of runs[n]) labels.fill(n + 1, row * width + first, row * width + end);
  for (const label of labels) numbers[label] = 1;
  for (let n = 1, next = 0; n < numbers.length; n++) numbers[n] = numbers[n] ? ++next : 0;
  numbers[0] = 0;
  for (let i = 0; i < labels.length; i++) labels[i] = numbers[labels[i]];
  return labels;
}

/** Whether a building's box reaches into a tile. @param {Building} polygons @param {number} height @param {number} width */
function meets(polygons, height, width) {
  let left = Infinity, right = -Infinity, top = Infinity, bottom = -Infinity;
  for (const [column, row] of polygons.flat(2)) {
    left = Math.min(left, column);
    right = Math.max(right, column);
    top = Math.min(top, row);
    bottom = Math.max(bottom, row);
  }
  return right > EDGE && bottom > EDGE && left < width - EDGE && top < height - EDGE;
}

/** The pixels whose centres are inside any of the polygons, as runs that do not overlap: inside one is what an odd number of its
 * rings is around. @param {Building} polygons @param {number} height @param {number} width
 * @returns {[row: number, first: number, end: number][]} */
function covered(polygons, height, width) {
  const /** @type {[first: number, end: number][][]} */ rows = [];
  for (const rings of polygons) {
    const /** @type {number[][]} */ crossings = [];
    for (const ring of rings) {
      ring.forEach(([x0, y0], n) => {
        const [x1, y1] = ring[(n + 1) % ring.length], low = Math.min(y0, y1), high = Math.max(y0, y1);
        const first = Math.max(0, Math.ceil(low - 0.5 - NUDGE[1])), last = Math.min(height - 1, Math.ceil(high - 0.5 - NUDGE[1]) - 1);
        for (let row = first; row <= last; row++) (crossings[row] ??= []).push(x0 + (row + 0.5 + NUDGE[1] - y0) / (y1 - y0) * (x1 - x0));
      });
    }
    crossings.forEach((xs, row) => {
      xs.sort((a, b) => a - b);
      for (let k = 0; k + 1 < xs.length; k += 2) {
        const first = Math.max(0, Math.ceil(xs[k] - 0.5 - NUDGE[0])), end = Math.min(width, Math.ceil(xs[k + 1] - 0.5 - NUDGE[0]));
        if (first < end) (rows[row] ??= []).push([first, end]);
      }
    });
  }
  return rows.flatMap((spans, row) => {
    const /** @type {[number, number, number][]} */ merged = [];
    for (const [first, end] of spans.sort((a, b) => a[0] - b[0])) {
      const last = merged[merged.length - 1];
      if (last && first <= last[2]) last[2] = Math.max(last[2], end);
      else merged.push([row, first, end]);
    }
    return merged;
  });
}

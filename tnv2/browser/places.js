// @ts-check
// Places: where pixels are on the ground, as tnv2.Georeference has it; proj4 knows the coordinate systems. No DOM.

/** Where (column, row) is: x = a column + b row + c and y = d column + e row + f, both counted from the upper left corner;
 * `epsg` is the coordinate system's number, 0 where it is unknown. @typedef {{ transform: number[], epsg: number }} Place */
/** @typedef {(x: number, y: number) => [x: number, y: number]} Move */

const RADIUS = 6378137, FLATTENING = 1 / 298.257223563; // the WGS 84 ellipsoid, in metres
const ECCENTRICITY = FLATTENING * (2 - FLATTENING); // squared

/** What proj4 calls a coordinate system that this page knows, null for any other: degrees on WGS 84, its UTM zones, and
 * what web maps are drawn in. @param {number} epsg */
export function systemOf(epsg) {
  const zone = epsg % 100, south = epsg > 32700;
  if (epsg === 4326) return "+proj=longlat +datum=WGS84 +no_defs";
  if (epsg === 3857) return "+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +lon_0=0 +x_0=0 +y_0=0 +k=1 +units=m +nadgrids=@null +no_defs";
  if ((epsg > 32600 && epsg <= 32660) || (epsg > 32700 && epsg <= 32760)) return `+proj=utm +zone=${zone}${south ? " +south" : ""} +datum=WGS84 +units=m +no_defs`;
  return null;
}

/** The way from one known coordinate system to another. @param {number} from @param {number} to @returns {Move} */
export function between(from, to) {
  if (from === to) return (x, y) => [x, y];
  const { proj4 } = /** @type {*} */ (globalThis), way = proj4(systemOf(from), systemOf(to));
  return (x, y) => way.forward([x, y]);
}

/** @param {Place} place @returns {Move} */
export function toWorld({ transform: [a, b, c, d, e, f] }) {
  return (column, row) => [a * column + b * row + c, d * column + e * row + f];
}

/** @param {Place} place @returns {Move} */
export function toPixels({ transform: [a, b, c, d, e, f] }) {
  const whole = a * e - b * d;
  return (x, y) => [(e * (x - c) - b * (y - f)) / whole, (a * (y - f) - d * (x - c)) / whole];
}

/** The way from pixels to longitude and latitude, or null. @param {Place | null} place @returns {Move | null} */
export function toDegrees(place) {
  if (!place || !systemOf(place.epsg)) return null;
  const world = toWorld(place), degrees = between(place.epsg, 4326);
  return (column, row) => {
    const [x, y] = degrees(...world(column, row));
    return [wrapped(x), y];
  };
}

/** Degrees between -180 and 180. @param {number} degrees */
function wrapped(degrees) {
  return degrees > 180 ? degrees - 360 : degrees < -180 ? degrees + 360 : degrees;
}

/** The metres east and north of a step to the next column and to the next row, at the middle of a tile on the WGS 84
 * ellipsoid, whose radii of curvature there are those of the meridian and of the vertical across it; null where unknown.
 * @param {Place | null} place @param {number} height @param {number} width */
export function ground(place, height, width) {
  const degrees = toDegrees(place), middle = /** @type {const} */ ([width / 2, height / 2]);
  if (!degrees) return null;
  const [x, y] = degrees(...middle), radians = Math.PI / 180;
  const share = 1 - ECCENTRICITY * Math.sin(y * radians) ** 2;
  const north = RADIUS * (1 - ECCENTRICITY) / share ** 1.5 * radians, east = RADIUS / Math.sqrt(share) * Math.cos(y * radians) * radians;
  const /** @type {(column: number, row: number) => [number, number]} */ step = (column, row) => {
    const [right, up] = degrees(middle[0] + column, middle[1] + row);
    return [wrapped(right - x) * east, (up - y) * north];
  };
  return { column: step(1, 0), row: step(0, 1) };
}

/** The metres from row to row and from column to column. @param {Place | null} place @param {number} height @param {number} width
 * @returns {[down: number, across: number] | null} */
export function pixelSize(place, height, width) {
  const steps = ground(place, height, width);
  return steps && [Math.hypot(...steps.row), Math.hypot(...steps.column)];
}

/** A pixel's square metres. @param {Place | null} place @param {number} height @param {number} width */
export function pixelArea(place, height, width) {
  const steps = ground(place, height, width);
  return steps && Math.abs(steps.column[0] * steps.row[1] - steps.column[1] * steps.row[0]);
}

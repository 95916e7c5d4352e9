// @ts-check
// The network's side of a prediction, as tnv2/network/ has it: scaling, padding, windows, and the two maps blended of what
// was seen. Pure functions, no DOM; the network itself is a function that is passed in.

/** Numbers of an image, pixel by pixel with `bands` each. @typedef {Uint8Array | Uint16Array | Float32Array} Numbers */
/** @typedef {{ height: number, width: number, rgb: Numbers, mul: Numbers | null, valid: Uint8Array }} Bands */
/** @typedef {{ value: number, share: number, first: number, final: number }} Shared a value of many pixels, far from the others' */
/** @typedef {{ low: number[], high: number[], alone: boolean, shared: Shared | null }} Limits */
/** Takes (channels, height, width) numbers to (2, height, width) probabilities.
 * @typedef {(bands: Float32Array, height: number, width: number) => Promise<Float32Array>} Look */

const MEAN = [0.485, 0.456, 0.406], DEVIATION = [0.229, 0.224, 0.225]; // ImageNet's
const MUL_SCALE = 2047; // 11-bit counts
const METRES = 0.3, NEAR = 0.2; // a pixel that the network knows, and the share of it that may differ
const HALVINGS = 32, SIZE = 1280, OVERLAP = 448, RAMP = 64; // tnv2/network/windows.py says why
const FEW = 10000, LONE = 2, BLACK = 0.05; // tnv2/tiles/limits.py says why

/** @param {number[]} values */
const last = (values) => values[values.length - 1];

/** A limit of a channel as Shared, null where it is not far. @param {Uint32Array} counts @param {number} total @param {number} value */
function sharedLimit(counts, total, value) {
  let first = Infinity, final = -Infinity; // of the others
  for (let i = 0; i < counts.length; i++) if (counts[i] && i !== value) { first = Math.min(first, i); final = i; }
  const width = final - first, far = Math.max(Math.abs(value - first), Math.abs(value - final)) > (1 + LONE) * width;
  return width > 0 && far ? { value, share: counts[value] / total, first, final } : null;
}

/** What of each of three channels becomes 0 and 1, whether a few pixels far from all others were left out, and what is not.
 * @param {Bands} bands @returns {Limits} */
export function limitsOf({ rgb, valid }) {
  const few = Math.max(1, Math.floor(valid.length / FEW));
  let total = 0, blacks = 0;
  const counted = [0, 1, 2].map(() => new Uint32Array(rgb instanceof Uint8Array ? 256 : 65536));
  for (let i = 0; i < valid.length; i++) if (valid[i]) {
    for (let channel = 0; channel < 3; channel++) counted[channel][rgb[3 * i + channel]]++;
    total++;
    if (!(rgb[3 * i] | rgb[3 * i + 1] | rgb[3 * i + 2])) blacks++;
  }
  if (!total) return { low: [0, 0, 0], high: [0, 0, 0], alone: false, shared: null };
  /** The values of a channel's few least pixels, or greatest, and of one more, leaving out so many that are 0.
   * @param {Uint32Array} counts @param {boolean} least @param {number} without */
  const ends = (counts, least, without = 0) => {
    const values = [];
    for (let i = 0, seen = 0; seen <= few && i < counts.length; i++) {
      const value = least ? i : counts.length - 1 - i, count = counts[value] - (value ? 0 : without);
      if (count) { values.push(value); seen += count; }
    }
    return values;
  };
  const extremes = counted.map((counts) => ({ lowest: ends(counts, true), highest: ends(counts, false) }));
  const lit = counted.map((counts) => ends(counts, true, blacks));
  const unseen = blacks > 0 && blacks <= few && lit.some((lowest, i) => {
    const end = last(extremes[i].highest);
    return lowest[0] > BLACK * end && end > last(lowest);
  });
  const found = extremes.map(({ lowest, highest }, i) => {
    const dark = unseen ? lit[i] : lowest, first = last(dark), end = last(highest); // of the rest
    const reach = LONE * (end > first ? end - first : Infinity);
    const low = dark.find((value) => value >= end - reach) ?? first, high = highest.find((value) => value <= first + reach) ?? end;
    return { low, high, alone: low !== lowest[0] || high !== highest[0] };
  });
  const low = found.map((each) => each.low), high = found.map((each) => each.high);
  const shared = [low, high].flatMap((limits) => limits.map((limit, i) => sharedLimit(counted[i], total, limit)));
  return { low, high, alone: found.some(({ alone }) => alone), shared: shared.find((each) => each) ?? null };
}

/** The size of a scene in the pixels that the network knows: its own where these are about as wide, or nobody knows.
 * @param {number} height @param {number} width @param {[down: number, across: number] | null} metres of a pixel
 * @returns {[height: number, width: number]} */
export function knownShape(height, width, metres) {
  if (!metres || Math.abs(Math.sqrt(metres[0] * metres[1]) / METRES - 1) <= NEAR) return [height, width];
  return [Math.max(1, Math.round(height * metres[0] / METRES)), Math.max(1, Math.round(width * metres[1] / METRES))];
}

/** Which pixels of a line stand where on one of another length, and with what weight: as OpenCV's INTER_AREA where that is
 * shorter, INTER_CUBIC where it is longer. @param {number} from @param {number} to @param {boolean} smaller */
function lineWeights(from, to, smaller) {
  const scale = from / to, lines = [];
  for (let i = 0; i < to; i++) {
    const /** @type {[place: number, weight: number][]} */ line = [];
    if (smaller) {
      const begin = i * scale, end = Math.min(begin + scale, from);
      for (let place = Math.floor(begin); place < end; place++) {
        const share = Math.min(place + 1, end) - Math.max(place, begin);
        if (share > 1e-3) line.push([place, share / (end - begin)]);
      }
    } else {
      const at = (i + 0.5) * scale - 0.5, whole = Math.floor(at), part = at - whole;
      for (let tap = -1; tap < 3; tap++) {
        const x = Math.abs(tap - part), a = -0.75;
        const weight = x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
        line.push([Math.min(from - 1, Math.max(0, whole + tap)), weight]);
      }
    }
    lines.push(line);
  }
  return lines;
}

/** An image of `bands` numbers a pixel in another size: averaged where that is smaller, else cubic; whole numbers stay whole.
 * @template {Numbers} Kind @param {Kind} image @param {number} bands @param {[number, number]} from @param {[number, number]} to @returns {Kind} */
export function resized(image, bands, [height, width], [tall, wide]) {
  if (height === tall && width === wide) return image;
  const smaller = tall * wide < height * width;
  const across = lineWeights(width, wide, smaller), down = lineWeights(height, tall, smaller);
  const kind = /** @type {new (length: number) => Kind} */ (image.constructor);
  const most = image instanceof Uint8Array ? 255 : image instanceof Uint16Array ? 65535 : Infinity;
  const result = new kind(tall * wide * bands), row = new Float32Array(wide * bands);
  const /** @type {Map<number, Float32Array>} */ made = new Map(); // rows of the image, in the new width
  const /** @type {(place: number) => Float32Array} */ rowAt = (place) => {
    const known = made.get(place);
    if (known) return known;
    const line = new Float32Array(wide * bands), start = place * width * bands;
    for (let i = 0; i < wide; i++) {
      for (const [column, weight] of across[i]) for (let b = 0; b < bands; b++) line[i * bands + b] += weight * image[start + column * bands + b];
    }
    made.set(place, line);
    return line;
  };
  for (let i = 0; i < tall; i++) {
    row.fill(0);
    for (const [place, weight] of down[i]) {
      const line = rowAt(place);
      for (let k = 0; k < row.length; k++) row[k] += weight * line[k];
    }
    for (const place of made.keys()) if (place < down[i][0][0]) made.delete(place);
    for (let k = 0; k < row.length; k++) result[i * row.length + k] = most < Infinity ? Math.min(most, Math.max(0, Math.round(row[k]))) : row[k];
  }
  return result;
}

/** One number a pixel in another size, each the nearest. @param {Uint8Array} image @param {[number, number]} from @param {[number, number]} to */
export function nearest(image, [height, width], [tall, wide]) {
  if (height === tall && width === wide) return image;
  const result = new Uint8Array(tall * wide);
  for (let row = 0, i = 0; row < tall; row++) {
    const start = Math.min(height - 1, Math.floor(row * height / tall)) * width;
    for (let column = 0; column < wide; column++) result[i++] = image[start + Math.min(width - 1, Math.floor(column * width / wide))];
  }
  return result;
}

/** How much padding goes before so many pixels, and which of them stands where once they are padded by reflection to a
 * multiple of 32. @param {number} length */
export function mirrored(length) {
  const missing = (HALVINGS - length % HALVINGS) % HALVINGS, before = missing >> 1;
  const places = Int32Array.from({ length: length + missing }, (_, i) => {
    const place = Math.abs(i - before);
    return place < length ? place : 2 * (length - 1) - place;
  });
  return { before, places };
}

/** The windows along so many pixels, a multiple of 32: where each begins, and how much each of its pixels counts.
 * @param {number} length @returns {{ start: number, weights: Float32Array }[]} */
export function spans(length) {
  const size = Math.min(SIZE, length), steps = Math.ceil((length - size) / (SIZE - OVERLAP));
  const starts = Array.from({ length: steps + 1 }, (_, i) => HALVINGS * even(steps && i * (length - size) / HALVINGS / steps));
  const /** @type {(middle: number, i: number) => number} */ rise = (middle, i) =>
    (1 - Math.cos(Math.PI * Math.min(1, Math.max(0, (i + 0.5 - middle) / RAMP + 0.5)))) / 2;
  const middles = starts.slice(1).map((start, k) => (start + starts[k] + size) / 2);
  return starts.map((start, k) => ({
    start,
    weights: Float32Array.from({ length: size }, (_, i) =>
      (k ? rise(middles[k - 1], start + i) : 1) - (k < steps ? rise(middles[k], start + i) : 0)),
  }));
}

/** The nearest whole number, of two equally near the even one. @param {number} value */
function even(value) {
  const low = Math.floor(value), part = value - low;
  return part === 0.5 ? low + low % 2 : Math.round(value);
}

/** The maps of a tile, as tnv2.predict makes them: two of height * width probabilities, 0 where it is not valid.
 * @param {Bands} tile @param {Limits} limits @param {[number, number] | null} metres of a pixel; null takes pixels as they are
 * @param {number} channels of the network, 3 or 11 @param {Look} look
 * @param {(done: number, total: number) => Promise<void>} step awaited after each window; what it throws ends it all
 * @returns {Promise<{ building: Float32Array, border: Float32Array }>} */
export async function predictMaps(tile, limits, metres, channels, look, step) {
  const /** @type {[number, number]} */ own = [tile.height, tile.width], shape = knownShape(...own, metres);
  if (Math.min(...shape) < HALVINGS) throw new Error(`it is ${own.join(" x ")} px; the network needs ${HALVINGS} px a side of ${METRES} m`);
  const seen = {
    rgb: resized(tile.rgb, 3, own, shape), mul: tile.mul && channels > 3 ? resized(tile.mul, 8, own, shape) : null,
    valid: nearest(tile.valid, own, shape),
  };
  const rows = mirrored(shape[0]), columns = mirrored(shape[1]), wide = shape[1];
  const downs = spans(rows.places.length), acrosses = spans(columns.places.length);
  const maps = [new Float32Array(shape[0] * wide), new Float32Array(shape[0] * wide)];
  const input = new Float32Array(channels * downs[0].weights.length * acrosses[0].weights.length); // all windows are of one size
  let done = 0;
  for (const down of downs) {
    for (const across of acrosses) {
      const height = down.weights.length, width = across.weights.length;
      const ys = rows.places.subarray(down.start, down.start + height), xs = columns.places.subarray(across.start, across.start + width);
      fill(input, seen, wide, ys, xs, limits, channels);
      const looked = await look(input, height, width);
      for (let i = 0, k = 0; i < height; i++) {
        const row = down.start + i - rows.before;
        if (row < 0 || row >= shape[0]) { k += width; continue; }
        for (let j = 0; j < width; j++, k++) {
          const column = across.start + j - columns.before;
          if (column < 0 || column >= wide) continue;
          const place = row * wide + column, weight = seen.valid[place] ? down.weights[i] * across.weights[j] : 0;
          maps[0][place] += weight * looked[k];
          maps[1][place] += weight * looked[height * width + k];
        }
      }
      await step(++done, downs.length * acrosses.length);
    }
  }
  release(input);
  const [building, border] = maps.map((map) => {
    const back = resized(map, 1, shape, own);
    for (let i = 0; i < back.length; i++) back[i] = tile.valid[i] ? Math.min(1, Math.max(0, back[i])) : 0;
    return back;
  });
  return { building, border };
}

/** Fill in what the network is given of a window: (channels, rows, columns), RGB between its limits and by ImageNet's mean and
 * deviation, MUL over 2047, or 0 without. @param {Float32Array} input @param {Omit<Bands, "height" | "width">} seen
 * @param {number} wide @param {Int32Array} ys @param {Int32Array} xs which rows and columns @param {Limits} limits @param {number} channels */
function fill(input, { rgb, mul }, wide, ys, xs, { low, high }, channels) {
  const area = ys.length * xs.length;
  for (let c = 0; c < 3; c++) {
    const span = high[c] > low[c] ? high[c] - low[c] : 1;
    for (let i = 0, to = c * area; i < ys.length; i++) {
      for (let j = 0; j < xs.length; j++) {
        const share = Math.min(1, Math.max(0, (rgb[3 * (ys[i] * wide + xs[j]) + c] - low[c]) / span));
        input[to++] = (share - MEAN[c]) / DEVIATION[c];
      }
    }
  }
  for (let c = 0; mul && c < channels - 3; c++) {
    for (let i = 0, to = (3 + c) * area; i < ys.length; i++) {
      for (let j = 0; j < xs.length; j++) input[to++] = mul[8 * (ys[i] * wide + xs[j]) + c] / MUL_SCALE;
    }
  }
}

/** Probabilities in 8 bits, round(255 p), as tnv2.Probabilities.quantised has them. @param {Float32Array} map */
export function eightBit(map) {
  const values = new Uint8Array(map.length); // Uint8Array.from would make a list first, ten times as large
  for (let i = 0; i < map.length; i++) values[i] = Math.floor(Math.fround(Math.fround(map[i] * 255) + 0.5));
  return values;
}

/** Give an array's memory back now: a worker that waits collects nothing. @param {Numbers} array that nobody needs any more */
export function release({ buffer }) {
  /** @type {*} */ (buffer).transfer?.(0); // known to browsers since 2024
}

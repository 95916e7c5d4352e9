// @ts-check
// The tuner's engine: 8-bit probability maps and thresholds to labels and pixels. Pure functions, no DOM.
// It follows the rule of tnv2/instances/labels.py pixel for pixel; that file says why the heap is there.
//
// All working arrays have a border of one pixel, so that no neighbour needs a bounds check, and are allocated once.

/** @typedef {ReturnType<typeof workspace>} Workspace */
/** @typedef {{ mask: number, seed: number, border: number, min_area: number }} Thresholds */
/** @typedef {[red: number, green: number, blue: number]} Colour */
/** @typedef {Uint32Array} Pixels one RGBA pixel an element, as ImageData has them */

/** @param {number} width @param {number} height */
export function workspace(width, height) {
  const stride = width + 2;
  const size = stride * (height + 2);
  const area = width * height;
  const groups = (area >> 1) + 2; // 4-connected groups cannot be more
  return {
    width, height, stride,
    open: new Uint8Array(size), // 1 where the region may still be flooded
    grown: new Int32Array(size), // the flood's groups, before small ones are dropped
    labels: new Int32Array(size), // 1..count in raster order, 0 for background
    count: 0,
    areas: new Int32Array(groups), // areas[label] in pixels, once labelled
    markers: new Int32Array(area), groupOf: new Int32Array(area), // where the seeds' pixels are, and in which group
    rim: new Uint8Array(area), // 1 where a seed's pixel has a neighbour that is none: only from there a flood can start
    seeds: 0, groups: 0, // how many pixels and groups these are
    ahead: new Int32Array(area), held: new Uint8Array(area), path: new Int32Array(64), // of the heap that is played
    queue: new Int32Array(area), taken: 0, // where the flood went, in its order
    parents: new Int32Array(groups), numbers: new Int32Array(groups),
    sizes: new Int32Array(groups), firsts: new Int32Array(groups), // of each group: its pixels, and the first of them
    seeded: "", flooded: "", // what the seeds and the flood were last made from
    dimmed: /** @type {Int32Array | null} */ (null), // a background without the share that a tint takes
    under: /** @type {Pixels | null} */ (null), opacity: 0, // what that was last made from
  };
}

/** Label the buildings of two (height * width) maps; the result is space.labels, space.count and space.areas.
 * What the changed threshold cannot change is kept: a mask under the seed threshold keeps the seeds, a new minimum area
 * renumbers alone.
 * @param {Workspace} space @param {Uint8Array} building @param {Uint8Array} border @param {Thresholds} thresholds */
export function label(space, building, border, { mask, seed, border: limit, min_area }) {
  const seeded = `${Math.max(mask, seed)} ${limit}`, flooded = `${seeded} ${mask}`;
  if (space.seeded !== seeded) connectSeeds(space, building, border, Math.max(mask, seed), limit);
  if (space.flooded !== flooded) flood(space, building, mask);
  space.seeded = seeded;
  space.flooded = flooded;
  renumber(space, min_area);
  return space;
}

/** A table of the 256 probabilities p for which test(p, threshold) holds, in 32-bit floats as in Python.
 * @param {(p: number, limit: number) => boolean} test @param {number} threshold */
function table(test, threshold) {
  const limit = Math.fround(threshold);
  return Uint8Array.from({ length: 256 }, (_, value) => (test(Math.fround(value / 255), limit) ? 1 : 0));
}

/** @type {(p: number, limit: number) => boolean} */
const above = (p, limit) => p > limit, below = (p, limit) => p < limit;

/** List the seeds' pixels in raster order, the 4-connected group of each, and whether it lies at the rim.
 * @param {Workspace} space @param {Uint8Array} building @param {Uint8Array} border @param {number} seed @param {number} limit */
function connectSeeds(space, building, border, seed, limit) {
  const { width, height, stride, grown: labels, parents, markers, groupOf, rim } = space;
  const confident = table(above, seed), clear = table(below, limit);
  let groups = 0, count = 0;
  for (let row = 0, from = 0; row < height; row++) {
    for (let i = (row + 1) * stride + 1, end = i + width; i < end; i++, from++) {
      if (!(confident[building[from]] & clear[border[from]])) { labels[i] = 0; continue; }
      markers[count++] = i;
      const up = labels[i - stride], left = labels[i - 1];
      if (up && left && up !== left) labels[i] = join(parents, up, left);
      else if (up || left) labels[i] = up || left;
      else { parents[++groups] = groups; labels[i] = groups; }
    }
  }
  for (let n = 0; n < count; n++) {
    const i = markers[n], up = i - stride, down = i + stride;
    groupOf[n] = root(parents, labels[i]);
    const inside = labels[up - 1] && labels[up] && labels[up + 1] && labels[i - 1] && labels[i + 1]
      && labels[down - 1] && labels[down] && labels[down + 1];
    rim[n] = inside ? 0 : 1;
  }
  space.seeds = count;
  space.groups = groups;
}

/** @param {Int32Array} parents @param {number} group */
function root(parents, group) {
  while (parents[group] !== group) group = parents[group] = parents[parents[group]];
  return group;
}

/** @param {Int32Array} parents @param {number} a @param {number} b */
function join(parents, a, b) {
  a = root(parents, a);
  b = root(parents, b);
  if (a < b) parents[b] = a; else parents[a] = b;
  return Math.min(a, b);
}

/** Grow the seeds over the region above mask: markers in the order in which scikit-image's heap hands out equals, which
 * labels.py explains, then first in, first out.
 * @param {Workspace} space @param {Uint8Array} building @param {number} mask */
function flood(space, building, mask) {
  const { stride, open, grown: labels, groupOf, markers, rim, held, ahead, queue, path, sizes, firsts, seeds: count } = space;
  const up = -stride, upLeft = -stride - 1, upRight = -stride + 1, down = stride, downLeft = stride - 1, downRight = stride + 1;
  openRegion(space, building, mask);
  labels.fill(0);
  sizes.fill(0, 0, space.groups + 1);
  for (let n = 0; n < count; n++) {
    const pixel = markers[n], id = groupOf[n];
    labels[pixel] = id;
    open[pixel] = 0;
    if (!sizes[id]++) firsts[id] = pixel;
  }
  held.fill(1, 0, count);
  let depth = 0, first = 0, end = 0, head = 0, tail = 0, last = count;
  for (let place = 0; place < count; place = 2 * place + 1) { path[depth++] = place; ahead[end++] = place; }
  const /** @type {(next: number, id: number) => void} */ take = (next, id) => {
    open[next] = 0;
    labels[next] = id;
    queue[tail++] = next;
    sizes[id]++;
    if (next < firsts[id]) firsts[id] = next;
  };
  const /** @type {(pixel: number) => void} */ spread = (pixel) => {
    const id = labels[pixel];
    if (open[pixel + up]) take(pixel + up, id);
    if (open[pixel - 1]) take(pixel - 1, id);
    if (open[pixel + 1]) take(pixel + 1, id);
    if (open[pixel + down]) take(pixel + down, id);
    if (open[pixel + upLeft]) take(pixel + upLeft, id);
    if (open[pixel + upRight]) take(pixel + upRight, id);
    if (open[pixel + downLeft]) take(pixel + downLeft, id);
    if (open[pixel + downRight]) take(pixel + downRight, id);
  };
  for (let n = 0; n < count; n++) {
    const marker = ahead[first];
    last--;
    if (last < count && held[last]) {
      held[last] = 0;
      if (path[depth - 1] === last) { ahead[first] = ahead[--end]; depth--; } else ahead[first] = last;
    } else {
      first++;
      const gone = path[--depth];
      held[gone] = 0;
      let place = gone % 2 ? gone + 1 : count;
      while (place < count && held[place]) {
        path[depth++] = place;
        ahead[end++] = place;
        place = 2 * place + 1;
        if (place < count && !held[place]) place++;
      }
    }
    if (!rim[marker]) continue;
    const before = tail;
    spread(markers[marker]);
    last += tail - before;
  }
  while (head < tail) spread(queue[head++]);
  space.taken = tail;
}

/** Mark the region above mask in space.open. @param {Workspace} space @param {Uint8Array} building @param {number} mask */
function openRegion({ width, height, stride, open }, building, mask) {
  const inRegion = table(above, mask);
  for (let row = 0, from = 0; row < height; row++) {
    for (let i = (row + 1) * stride + 1, end = i + width; i < end; i++, from++) open[i] = inRegion[building[from]];
  }
}

/** Drop instances under minArea pixels and number the others 1..count in raster order of their first pixels.
 * @param {Workspace} space @param {number} minArea */
function renumber(space, minArea) {
  const { grown, labels, areas, sizes, firsts, numbers, groups, markers, seeds, queue, taken } = space;
  const kept = []; // sorted as numbers: by the first pixel, which no two groups share
  numbers.fill(0, 0, groups + 1);
  for (let id = 1; id <= groups; id++) if (sizes[id] && sizes[id] >= minArea) kept.push(firsts[id] * (groups + 1) + id);
  Float64Array.from(kept).sort().forEach((key, n) => {
    const id = key % (groups + 1);
    numbers[id] = n + 1;
    areas[n + 1] = sizes[id];
  });
  space.count = kept.length;
  labels.fill(0);
  for (let n = 0; n < seeds; n++) labels[markers[n]] = numbers[grown[markers[n]]];
  for (let n = 0; n < taken; n++) labels[queue[n]] = numbers[grown[queue[n]]];
}

/** @typedef {"found" | "missed" | "spurious" | "merged" | "split"} Fate */
/** What happened to a building: its colour (Okabe and Ito's) and its outline, on for `on` of every `on + off` pixels.
 * @type {Record<Fate, { code: number, colour: Colour, on: number, off: number, meaning: string }>} */
export const STATUS = {
  found: { code: 1, colour: [0, 158, 115], on: 1, off: 0, meaning: "an instance and a footprint agree (IoU at least 0.5)" },
  missed: { code: 2, colour: [240, 228, 66], on: 4, off: 4, meaning: "a footprint that no instance found" },
  spurious: { code: 3, colour: [213, 94, 0], on: 1, off: 2, meaning: "an instance where no footprint is" },
  merged: { code: 4, colour: [204, 121, 167], on: 8, off: 2, meaning: "an instance over half or more of several footprints" },
  split: { code: 5, colour: [86, 180, 233], on: 2, off: 2, meaning: "a footprint with several instances inside it" },
};

/** @typedef {ReturnType<typeof footprints>} Footprints */
/** @typedef {{ truth: number, label: number, shared: number, iou: number }} Pair of a footprint and an instance */
/** @typedef {ReturnType<typeof match>} Score @typedef {ReturnType<typeof statuses>} Codes */

/** Prepare height * width footprint labels 1..N for match: their areas and centres.
 * @param {Int32Array} truth @param {number} width */
export function footprints(truth, width) {
  let count = 0;
  for (const id of truth) if (id > count) count = id;
  const areas = new Int32Array(count + 1), rows = new Float64Array(count + 1), columns = new Float64Array(count + 1);
  for (let i = 0; i < truth.length; i++) {
    const id = truth[i];
    if (id) { areas[id]++; rows[id] += Math.floor(i / width); columns[id] += i % width; }
  }
  return { truth, count, areas, rows: rows.map((sum, id) => sum / areas[id]), columns: columns.map((sum, id) => sum / areas[id]) };
}

/** Score the labels against footprints as tnv2.match does: pairs by falling IoU of 0.5 or more, one footprint an instance.
 * @param {Workspace} space @param {Footprints} known */
export function match(space, known, iou = 0.5) {
  const overlaps = overlapping(space, known);
  const /** @type {Map<number, Pair>[]} */ [ofLabel, ofTruth] = [new Map(), new Map()];
  const /** @type {Map<number, number[]>[]} */ [within, holds] = [new Map(), new Map()];
  const pairs = [];
  for (const pair of overlaps) {
    if (2 * pair.shared >= known.areas[pair.truth]) within.set(pair.label, [...(within.get(pair.label) ?? []), pair.truth]);
    if (2 * pair.shared >= space.areas[pair.label]) holds.set(pair.truth, [...(holds.get(pair.truth) ?? []), pair.label]);
  }
  const likely = overlaps.filter((pair) => pair.iou >= iou);
  likely.sort((a, b) => b.iou - a.iou || a.truth - b.truth || a.label - b.label);
  for (const pair of likely) {
    if (ofTruth.has(pair.truth) || ofLabel.has(pair.label)) continue;
    ofTruth.set(pair.truth, pair);
    ofLabel.set(pair.label, pair);
    pairs.push(pair);
  }
  const best = new Float64Array(space.count + 1); // of each instance, its IoU with the footprint that fits it best
  for (const pair of overlaps) best[pair.label] = Math.max(best[pair.label], pair.iou);
  /** @type {(lists: Map<number, number[]>) => [number, number[]][]} */
  const several = (lists) => [...lists].filter(([, ids]) => ids.length > 1).sort(([a], [b]) => a - b);
  const tp = pairs.length, fp = space.count - tp, fn = known.areas.reduce((n, area, id) => n + (id && area ? 1 : 0), 0) - tp;
  return {
    tp, fp, fn, pairs, best, merged: several(within), split: several(holds), ofTruth, ofLabel,
    precision: tp + fp ? tp / (tp + fp) : 1,
    recall: tp + fn ? tp / (tp + fn) : 1,
    f1: tp + fp + fn ? 2 * tp / (2 * tp + fp + fn) : 1,
  };
}

/** Return every pair of a footprint and an instance that share pixels, in order of their numbers.
 * @param {Workspace} space @param {Footprints} known @returns {Pair[]} */
function overlapping({ width, height, stride, labels, areas }, { truth, areas: sizes }) {
  const /** @type {Map<number, number>} */ counts = new Map();
  const base = 2 ** 26;
  for (let row = 0, from = 0; row < height; row++) {
    let run = 0, key = 0; // neighbours mostly belong to the same pair: count runs, not pixels
    for (let i = (row + 1) * stride + 1, end = i + width; i < end; i++, from++) {
      const pair = truth[from] && labels[i] ? truth[from] * base + labels[i] : 0;
      if (pair !== key) {
        if (key) counts.set(key, (counts.get(key) ?? 0) + run);
        key = pair;
        run = 0;
      }
      run++;
    }
    if (key) counts.set(key, (counts.get(key) ?? 0) + run);
  }
  return [...counts].sort(([a], [b]) => a - b).map(([key, shared]) => {
    const footprint = Math.floor(key / base), label = key % base;
    return { truth: footprint, label, shared, iou: shared / (sizes[footprint] + areas[label] - shared) };
  });
}

/** Return what happened to every instance and to every footprint, as codes of STATUS by number.
 * @param {Workspace} space @param {Footprints} known @param {Score} score */
export function statuses(space, known, score) {
  const ofLabels = new Uint8Array(space.count + 1).fill(STATUS.spurious.code);
  const ofTruth = new Uint8Array(known.count + 1).fill(STATUS.missed.code);
  ofLabels[0] = ofTruth[0] = 0;
  for (const [id, parts] of score.split) { ofTruth[id] = STATUS.split.code; for (const part of parts) ofLabels[part] = STATUS.split.code; }
  for (const [id, parts] of score.merged) { ofLabels[id] = STATUS.merged.code; for (const part of parts) ofTruth[part] = STATUS.merged.code; }
  for (const { truth, label: id } of score.pairs) {
    if (ofTruth[truth] === STATUS.missed.code) ofTruth[truth] = STATUS.found.code;
    if (ofLabels[id] === STATUS.spurious.code) ofLabels[id] = STATUS.found.code;
  }
  return { ofLabels, ofTruth };
}

/** Write the instances over a background: tinted by opacity, outlined in full colour.
 * @param {Workspace} space @param {Pixels} background @param {Pixels} pixels @param {Colour[]} palette @param {number} opacity */
export function draw(space, background, pixels, palette, opacity, outlines = true) {
  const { width, height, stride, labels, count } = space;
  const dimmed = dim(space, background, opacity);
  const solids = new Int32Array(count + 1), tints = new Int32Array(count + 1); // of each instance
  for (let id = 1; id <= count; id++) {
    const [red, green, blue] = palette[(id - 1) % palette.length];
    solids[id] = pixel(red, green, blue);
    tints[id] = pixel(red * opacity, green * opacity, blue * opacity, 0);
  }
  for (let row = 0, to = 0; row < height; row++) {
    for (let i = (row + 1) * stride + 1, end = i + width; i < end; i++, to++) {
      const id = labels[i];
      if (!id) { pixels[to] = background[to]; continue; }
      const edge = outlines && (labels[i - 1] !== id || labels[i + 1] !== id || labels[i - stride] !== id || labels[i + stride] !== id);
      pixels[to] = edge ? solids[id] : dimmed[to] + tints[id];
    }
  }
}

/** Return a background without the share that a tint takes, so that adding the tint's share gives the mixture; kept until
 * the background or the opacity changes. @param {Workspace} space @param {Pixels} background @param {number} opacity */
function dim(space, background, opacity) {
  if (space.dimmed && space.under === background && space.opacity === opacity) return space.dimmed;
  const share = Uint8Array.from({ length: 256 }, (_, v) => v * (1 - opacity) + 0.5);
  const dimmed = Int32Array.from(background, (p) => pixel(share[p & 255], share[p >> 8 & 255], share[p >> 16 & 255]));
  Object.assign(space, { dimmed, under: background, opacity });
  return dimmed;
}

/** One RGBA pixel as ImageData has it, in 32 bits. @param {number} red @param {number} green @param {number} blue */
export function pixel(red, green, blue, alpha = 255) {
  return alpha << 24 | blue << 16 | green << 8 | red;
}

/** Write the seeds over a background, in the colours of the buildings that grow from them; grey where one was dropped.
 * @param {Workspace} space @param {Pixels} background @param {Pixels} pixels @param {Colour[]} palette @param {number} opacity */
export function drawSeeds(space, background, pixels, palette, opacity) {
  const { width, stride, labels, markers, seeds } = space;
  const inks = palette.map((colour) => ink(colour, Math.max(opacity, 0.4)));
  const grey = ink([128, 128, 128], Math.max(opacity, 0.4));
  pixels.set(background);
  for (let n = 0; n < seeds; n++) {
    const id = labels[markers[n]], row = Math.floor(markers[n] / stride) - 1;
    const to = row * width + markers[n] - (row + 1) * stride - 1;
    pixels[to] = (id ? inks[(id - 1) % inks.length] : grey).tint(background[to]);
  }
}

/** Write what happened to each building over a background, outlines in the patterns of STATUS. Footprints show where no
 * instance covers them, and as white dots under merged and split instances.
 * @param {Workspace} space @param {Footprints} known @param {Codes} codes @param {Pixels} background @param {Pixels} pixels
 * @param {number} opacity */
export function drawErrors(space, known, codes, background, pixels, opacity, outlines = true) {
  const { width, height, stride, labels } = space;
  const { truth } = known;
  const /** @type {({ on: number, period: number } & ReturnType<typeof ink>)[]} */ looks = [];
  for (const { code, colour, on, off } of Object.values(STATUS)) looks[code] = { on, period: on + off, ...ink(colour, opacity) };
  const /** @type {(code: number) => boolean} */ several = (code) => code === STATUS.merged.code || code === STATUS.split.code;
  for (let row = 0, to = 0; row < height; row++) {
    for (let i = (row + 1) * stride + 1, end = i + width; i < end; i++, to++) {
      const id = labels[i], footprint = truth[to], under = background[to];
      if (!id && !footprint) { pixels[to] = under; continue; }
      const code = id ? codes.ofLabels[id] : codes.ofTruth[footprint];
      const { on, period, solid, tint } = looks[code];
      const column = to - row * width;
      const footprintEdge = footprint && (column === 0 || column === width - 1 || row === 0 || row === height - 1
        || truth[to - 1] !== footprint || truth[to + 1] !== footprint || truth[to - width] !== footprint || truth[to + width] !== footprint);
      const edge = id ? labels[i - 1] !== id || labels[i + 1] !== id || labels[i - stride] !== id || labels[i + stride] !== id : footprintEdge;
      if (edge && outlines && (row + column) % period < on) pixels[to] = solid;
      else if (id && footprintEdge && several(code) && (row + column) % 2) pixels[to] = 0xffffffff;
      else if (id || codes.ofTruth[footprint] !== STATUS.found.code) pixels[to] = tint(under);
      else pixels[to] = under;
    }
  }
}

/** A colour as one opaque RGBA pixel, and as a glaze over another pixel. @param {Colour} colour @param {number} opacity */
function ink(colour, opacity) {
  const [red, green, blue] = colour.map((c) => Uint8Array.from({ length: 256 }, (_, v) => v + (c - v) * opacity + 0.5));
  return {
    solid: pixel(...colour),
    tint: /** @param {number} under */ (under) => pixel(red[under & 255], green[under >> 8 & 255], blue[under >> 16 & 255]),
  };
}

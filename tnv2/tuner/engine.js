// The tuner's engine: 8-bit probability maps and thresholds to labels and pixels. Pure functions, no DOM.
// It follows the rule of tnv2/instances.py pixel for pixel; that file says why the heap is there.
//
// All working arrays have a border of one pixel, so that no neighbour needs a bounds check, and are allocated once.

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
    markers: new Int32Array(area), ahead: new Int32Array(area), queue: new Int32Array(area),
    held: new Uint8Array(area), path: new Int32Array(64), // of the heap that is played
    parents: new Int32Array(groups), sizes: new Int32Array(groups), numbers: new Int32Array(groups),
    seeds: 0, // how many markers there are
    flooded: "", groups: 0,
  };
}

// Label the buildings of two (height * width) Uint8Arrays; the result is space.labels, space.count and space.areas.
// What the changed threshold cannot change is kept: a new minimum area only renumbers.
export function label(space, building, border, thresholds) {
  const wanted = `${thresholds.mask} ${thresholds.seed} ${thresholds.border}`;
  if (space.flooded !== wanted) {
    space.groups = connectSeeds(space, building, border, thresholds);
    flood(space);
    space.flooded = wanted;
  }
  renumber(space, thresholds.min_area);
  return space;
}

// A table of the 256 probabilities p for which test(p, threshold) holds, in 32-bit floats as in Python.
function table(test, threshold) {
  const limit = Math.fround(threshold);
  return Uint8Array.from({ length: 256 }, (_, value) => (test(Math.fround(value / 255), limit) ? 1 : 0));
}

const above = (p, limit) => p > limit;
const below = (p, limit) => p < limit;

// Mark the region in space.open, and give every 4-connected group of seed pixels a label; return the number of labels used.
function connectSeeds(space, building, border, { mask, seed, border: limit }) {
  const { width, height, stride, open, grown: labels, parents } = space;
  const inRegion = table(above, mask), confident = table(above, Math.max(mask, seed)), clear = table(below, limit);
  let groups = 0;
  for (let row = 0, from = 0; row < height; row++) {
    for (let i = (row + 1) * stride + 1, end = i + width; i < end; i++, from++) {
      const p = building[from];
      const isSeed = confident[p] & clear[border[from]];
      open[i] = inRegion[p] & ~isSeed;
      if (!isSeed) { labels[i] = 0; continue; }
      const up = labels[i - stride], left = labels[i - 1];
      if (up && left && up !== left) labels[i] = join(parents, up, left);
      else if (up || left) labels[i] = up || left;
      else { parents[++groups] = groups; labels[i] = groups; }
    }
  }
  return groups;
}

function root(parents, group) {
  while (parents[group] !== group) group = parents[group] = parents[parents[group]];
  return group;
}

function join(parents, a, b) {
  a = root(parents, a);
  b = root(parents, b);
  if (a < b) parents[b] = a; else parents[a] = b;
  return Math.min(a, b);
}

// Grow the seeds over space.open: markers in the order in which scikit-image's heap hands out equals, which instances.py
// explains, then first in, first out.
function flood(space) {
  const { width, height, stride, open, grown: labels, parents, markers, held, ahead, queue, path } = space;
  const up = -stride, upLeft = -stride - 1, upRight = -stride + 1, down = stride, downLeft = stride - 1, downRight = stride + 1;
  let count = 0;
  for (let row = 1; row <= height; row++) {
    for (let i = row * stride + 1, end = i + width; i < end; i++) {
      if (labels[i]) { labels[i] = root(parents, labels[i]); markers[count++] = i; }
    }
  }
  space.seeds = count;
  held.fill(1, 0, count);
  let depth = 0, first = 0, end = 0, head = 0, tail = 0, last = count;
  for (let place = 0; place < count; place = 2 * place + 1) { path[depth++] = place; ahead[end++] = place; }
  const take = (next, id) => { open[next] = 0; labels[next] = id; queue[tail++] = next; };
  const spread = (pixel) => {
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
    const pixel = markers[ahead[first]];
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
    const before = tail;
    spread(pixel);
    last += tail - before;
  }
  while (head < tail) spread(queue[head++]);
}

// Drop instances under minArea pixels and number the others 1..count in raster order of their first pixels.
function renumber(space, minArea) {
  const { width, height, stride, grown, labels, areas, sizes, numbers, groups } = space;
  sizes.fill(0, 0, groups + 1);
  numbers.fill(0, 0, groups + 1);
  for (let i = stride, end = grown.length - stride; i < end; i++) sizes[grown[i]]++;
  space.count = 0;
  for (let row = 1; row <= height; row++) {
    for (let i = row * stride + 1, end = i + width; i < end; i++) {
      const group = grown[i];
      if (!group || sizes[group] < minArea) { labels[i] = 0; continue; }
      if (!numbers[group]) { numbers[group] = ++space.count; areas[space.count] = sizes[group]; }
      labels[i] = numbers[group];
    }
  }
}

// What happened to a building: its colour (Okabe and Ito's) and its outline, on for `on` of every `on + off` pixels.
export const STATUS = {
  found: { code: 1, colour: [0, 158, 115], on: 1, off: 0, meaning: "an instance and a footprint agree (IoU at least 0.5)" },
  missed: { code: 2, colour: [240, 228, 66], on: 4, off: 4, meaning: "a footprint that no instance found" },
  spurious: { code: 3, colour: [213, 94, 0], on: 1, off: 2, meaning: "an instance where no footprint is" },
  merged: { code: 4, colour: [204, 121, 167], on: 8, off: 2, meaning: "an instance over half or more of several footprints" },
  split: { code: 5, colour: [86, 180, 233], on: 2, off: 2, meaning: "a footprint with several instances inside it" },
};

// Prepare an Int32Array of height * width footprint labels 1..N for match: their areas and centres.
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

// Score the labels against footprints as tnv2.match does: pairs by falling IoU of 0.5 or more, one footprint an instance.
export function match(space, known, iou = 0.5) {
  const overlaps = overlapping(space, known);
  const ofLabel = new Map(), ofTruth = new Map(), pairs = [], within = new Map(), holds = new Map();
  for (const pair of overlaps) {
    pair.iou = pair.shared / (known.areas[pair.truth] + space.areas[pair.label] - pair.shared);
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
  const several = (lists) => [...lists].filter(([, ids]) => ids.length > 1).sort(([a], [b]) => a - b);
  const tp = pairs.length, fp = space.count - tp, fn = known.areas.reduce((n, area, id) => n + (id && area ? 1 : 0), 0) - tp;
  return {
    tp, fp, fn, pairs, best, merged: several(within), split: several(holds), ofTruth, ofLabel,
    precision: tp + fp ? tp / (tp + fp) : 1,
    recall: tp + fn ? tp / (tp + fn) : 1,
    f1: tp + fp + fn ? 2 * tp / (2 * tp + fp + fn) : 1,
  };
}

// Return every pair of a footprint and an instance that share pixels, and how many, in order of their numbers.
function overlapping({ width, height, stride, labels }, { truth }) {
  const shared = new Map();
  const base = 2 ** 26;
  for (let row = 0, from = 0; row < height; row++) {
    let run = 0, key = 0; // neighbours mostly belong to the same pair: count runs, not pixels
    for (let i = (row + 1) * stride + 1, end = i + width; i < end; i++, from++) {
      const pair = truth[from] && labels[i] ? truth[from] * base + labels[i] : 0;
      if (pair !== key) {
        if (key) shared.set(key, (shared.get(key) ?? 0) + run);
        key = pair;
        run = 0;
      }
      run++;
    }
    if (key) shared.set(key, (shared.get(key) ?? 0) + run);
  }
  return [...shared].sort(([a], [b]) => a - b).map(([key, count]) => ({ truth: Math.floor(key / base), label: key % base, shared: count }));
}

// Return what happened to every instance and to every footprint, as codes of STATUS by number.
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

// Write the instances over a background: tinted by opacity, outlined in full colour. `background` and `pixels` hold one
// RGBA pixel an element, as ImageData does; `palette` is a list of [red, green, blue].
export function draw(space, background, pixels, palette, opacity, outlines = true) {
  const { width, height, stride, labels } = space;
  const inks = palette.map((colour) => ink(colour, opacity));
  for (let row = 0, to = 0; row < height; row++) {
    for (let i = (row + 1) * stride + 1, end = i + width; i < end; i++, to++) {
      const id = labels[i], under = background[to];
      if (!id) { pixels[to] = under; continue; }
      const { solid, tint } = inks[(id - 1) % inks.length];
      const edge = labels[i - 1] !== id || labels[i + 1] !== id || labels[i - stride] !== id || labels[i + stride] !== id;
      pixels[to] = edge && outlines ? solid : tint(under);
    }
  }
}

// Write the seeds over a background, in the colours of the buildings that grow from them; grey where one was dropped.
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

// Write what happened to each building over a background: `codes` from statuses, outlines in the patterns of STATUS.
// Footprints show where no instance covers them, and as white dots under merged and split instances.
export function drawErrors(space, known, codes, background, pixels, opacity, outlines = true) {
  const { width, height, stride, labels } = space;
  const { truth } = known;
  const looks = [];
  for (const { code, colour, on, off } of Object.values(STATUS)) looks[code] = { on, period: on + off, ...ink(colour, opacity) };
  const several = (code) => code === STATUS.merged.code || code === STATUS.split.code;
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

// A colour as one opaque RGBA pixel, and as a glaze over another pixel.
function ink(colour, opacity) {
  const [red, green, blue] = colour.map((c) => Uint8Array.from({ length: 256 }, (_, v) => v + (c - v) * opacity + 0.5));
  return {
    solid: (255 << 24 | colour[2] << 16 | colour[1] << 8 | colour[0]) >>> 0,
    tint: (under) => 255 << 24 | blue[under >> 16 & 255] << 16 | green[under >> 8 & 255] << 8 | red[under & 255],
  };
}

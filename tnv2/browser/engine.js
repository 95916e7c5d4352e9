// @ts-check
// The tuner's engine: 8-bit probability maps and thresholds to labels and pixels. Pure functions, no DOM.
// It follows the rule of tnv2/instances/labels.py pixel for pixel; that file says why the heap is there.
//
// All working arrays have a border of one pixel, so that no neighbour needs a bounds check, and are allocated once.

/** @typedef {ReturnType<typeof workspace>} Workspace */
/** @typedef {Uint32Array} Pixels one RGBA pixel an element, as ImageData has them */
/** @typedef {{ mask: number, seed: number, border: number, min_area: number, distance: number }} Thresholds */

/** Of nine bits, those of a pixel and its neighbours row by row: the neighbours' in the order of workspace's steps. */
const IN_ORDER = Uint8Array.from({ length: 512 }, (_, near) => (
  [1, 3, 5, 7, 0, 2, 6, 8].reduce((bits, from, to) => bits | (near >> from & 1) << to, 0)));

/** @param {number} width @param {number} height */
export function workspace(width, height) {
  const stride = width + 2;
  const size = stride * (height + 2);
  const area = width * height;
  const groups = height * ((width + 1) >> 1) + 2; // no more runs can be in its rows
  return {
    width, height, stride,
    values: /** @type {Uint8Array} */ (new Uint8Array(0)), peaks: /** @type {Uint8Array} */ (new Uint8Array(0)), // as frame has them
    labels: new Int32Array(size), // 1..count in raster order, 0 for background
    blocks: new Uint8Array((size >> 4) + 1), // 1 where one of 16 pixels may have a label
    count: 0,
    areas: new Int32Array(groups), // areas[label] in pixels, once labelled
    inks: /** @type {Int32Array | null} */ (null), // of each label the number that its colour goes by; its own where there are none
    markers: new Int32Array(area), // where the seeds' pixels are
    rim: new Int32Array(area), // their groups where they have a neighbour that is none: only from there a flood can start; else 0
    starts: new Int32Array(groups), ends: new Int32Array(groups), // their runs in rows, from the first pixel to behind the last
    parents: new Int32Array(groups), // of each run its group, which has the number of its first run
    seeds: 0, groups: 0, // how many pixels and runs there are
    ahead: new Int32Array(area), held: new Uint8Array(area), path: new Int32Array(64), // of the heap that is played
    sown: new Uint8Array((size >> 3) + 4), free: new Uint8Array((size >> 3) + 4), // bits: of a seed; in the region, nobody's yet
    steps: Int32Array.of(-stride, -1, 1, stride, -stride - 1, -stride + 1, stride - 1, stride + 1), // in the flood's order
    queue: new Int32Array(area), takers: new Int32Array(area), taken: 0, // where the flood went, in its order, and for which group
    numbers: new Int32Array(groups), // of each group its label, 0 where it is too small
    numbered: new Int32Array(groups), fresh: true, // the numbers that the labels have, and whether the seeds are newer
    sizes: new Int32Array(groups), firsts: new Int32Array(groups), // of each group: its pixels, and the first of them
    seedSizes: new Int32Array(groups), seedFirsts: new Int32Array(groups), // the same of its seed alone
    depths: /** @type {Int32Array | null} */ (null), deep: NaN, // of each pixel, and the mask threshold of their region
    seeded: "", flooded: "", // what the seeds and the flood were last made from
    dimmed: /** @type {Int32Array | null} */ (null), // a background without the share that a tint takes
    under: /** @type {Pixels | null} */ (null), opacity: NaN, // what that was last made from
  };
}

/** Label the buildings of two (height * width) maps, or of one; the result is space.labels, space.count and space.areas.
 * What the changed threshold cannot change is kept: a mask under the seed threshold keeps the seeds unless depths count, a
 * new minimum area renumbers alone.
 * @param {Workspace} space @param {Uint8Array} building @param {Uint8Array | null} border @param {Thresholds} thresholds */
export function label(space, building, border, { mask, seed, border: limit, min_area, distance }) {
  ({ values: space.values, peaks: space.peaks } = frame(space, building));
  const seeded = `${Math.max(mask, seed)} ${limit} ${distance ? `${distance} ${mask}` : ""}`, flooded = `${seeded} ${mask}`;
  if (space.seeded !== seeded) {
    const depths = distance ? squaredDepths(space, building, mask) : null;
    connectSeeds(space, building, border, Math.max(mask, seed), limit, depths, distance * distance);
  }
  if (space.flooded !== flooded) flood(space, leastAbove(mask));
  space.seeded = seeded;
  space.flooded = flooded;
  renumber(space, leastAbove(mask), min_area);
  return space;
}

/** A table of the 256 probabilities p for which test(p, threshold) holds, in 32-bit floats as in Python.
 * @param {(p: number, limit: number) => boolean} test @param {number} threshold */
function table(test, threshold) {
  const limit = Math.fround(threshold);
  return Uint8Array.from({ length: 256 }, (_, value) => (test(Math.fround(value / 255), limit) ? 1 : 0));
}

/** @type {(p: number, limit: number) => boolean} */
const above = (p, limit) => p > limit;
/** @type {(p: number, limit: number) => boolean} */
const below = (p, limit) => p < limit;

/** The least of the 256 values whose probability is above a threshold, 256 where none is. @param {number} threshold */
function leastAbove(threshold) {
  const least = table(above, threshold).indexOf(1);
  return least < 0 ? 256 : least;
}

/** List the seeds' pixels in raster order, whether each lies at the rim, and the 4-connected groups of their runs in rows.
 * @param {Workspace} space @param {Uint8Array} building @param {Uint8Array | null} border @param {number} seed
 * @param {number} limit @param {Int32Array | null} depths @param {number} deepest of depths, squared; the seeds' are greater */
function connectSeeds(space, building, border, seed, limit, depths, deepest) {
  const { width, height, stride, values, peaks, labels, sown, parents, markers, rim, starts, ends, seedSizes, seedFirsts } = space;
  const least = leastAbove(seed), clear = border ? table(below, limit) : new Uint8Array(256).fill(1);
  const borders = border ?? building;
  let groups = 0, count = 0;
  for (let n = 1; n <= space.groups; n++) labels.fill(0, starts[n], ends[n]);
  sown.fill(0);
  for (let row = 0, over = 1; row < height; row++) { // over: the first run that may touch from above
    const first = (row + 1) * stride + 1, last = first + width, away = row * width - first, before = groups; // away: to the maps' pixel
    for (let i = first; i < last;) {
      if (peaks[i >> 4] < least) { i = (i | 15) + 1; continue; }
      if (values[i] < least || !clear[borders[i + away]] || (depths && depths[i + away] <= deepest)) { i++; continue; }
      const start = starts[++groups] = i;
      do { markers[count++] = i; sown[i >> 3] |= 1 << (i & 7); i++; }
      while (values[i] >= least && clear[borders[i + away]] && (!depths || depths[i + away] > deepest)); // the border's values are 0
      ends[groups] = i;
      parents[groups] = groups;
      while (over <= before && ends[over] + stride <= start) over++;
      for (let n = over; n <= before && starts[n] + stride < i; n++) join(parents, n, groups);
    }
    over = before + 1;
  }
  seedSizes.fill(0, 0, groups + 1);
  for (let n = 1, to = 0; n <= groups; n++) {
    const id = parents[n] = root(parents, n), start = starts[n], end = ends[n];
    if (!seedSizes[id]) seedFirsts[id] = start;
    seedSizes[id] += end - start;
    to = findRim(space, start, end, id, to);
  }
  space.seeds = count;
  space.groups = groups;
  space.fresh = true;
}

/** Write a run's part of space.rim, and return where the next one's begins. @param {Workspace} space @param {number} start
 * @param {number} end @param {number} id @param {number} to */
function findRim({ stride, sown, rim }, start, end, id, to) {
  for (let i = start; i < end; i++) {
    const inside = i > start && i < end - 1 && (three(sown, i - stride - 1) & three(sown, i + stride - 1)) === 7;
    rim[to++] = inside ? 0 : id;
  }
  return to;
}

/** How far each pixel of the region above mask is from the nearest outside it, squared, as depths.py has it; kept until the
 * mask changes. @param {Workspace} space @param {Uint8Array} building @param {number} mask */
export function squaredDepths(space, building, mask) {
  const { width, height: rows } = space, far = rows + width;
  const depths = space.depths ??= new Int32Array(width * rows);
  if (space.deep === mask) return depths;
  space.deep = mask;
  const inRegion = table(above, mask), last = (rows - 1) * width; // the last row's first pixel
  let outside = false;
  for (let i = 0; i < depths.length; i++) {
    depths[i] = inRegion[building[i]] && 1 + (i < width ? far : depths[i - width]);
    outside ||= !depths[i];
  }
  if (!outside) return depths.fill(2 ** 31 - 1);
  for (let i = last - 1; i >= 0; i--) depths[i] = Math.min(depths[i], depths[i + width] + 1);
  const heights = new Float64Array(width), site = new Int32Array(width), start = new Int32Array(width);
  for (let row = 0; row <= last; row += width) {
    for (let first = 0, end = 0; first < width; first = end) { // each run of the region, with the pixels at its ends
      end = first + 1;
      if (!depths[row + first]) continue;
      while (end < width && depths[row + end]) end++;
      let count = 0;
      for (let column = Math.max(0, first - 1), stop = Math.min(width - 1, end); column <= stop; column++) {
        const along = depths[row + column], height = heights[column] = along * along;
        let from = 0;
        while (count) {
          const middle = site[count - 1], left = start[count - 1];
          if (heights[middle] + (left - middle) * (left - middle) <= height + (left - column) * (left - column)) {
            from = 1 + Math.floor((column * column - middle * middle + height - heights[middle]) / (2 * (column - middle)));
            break;
          }
          count--;
        }
        if (from < width) { site[count] = column; start[count++] = from; }
      }
      for (let column = end - 1; column >= first; column--) {
        while (start[count - 1] > column) count--;
        const away = column - site[count - 1];
        depths[row + column] = heights[site[count - 1]] + away * away;
      }
    }
  }
  return depths;
}

/** @param {Int32Array} parents @param {number} group */
export function root(parents, group) {
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

/** Grow the seeds, which connectSeeds has listed, over the region from a least value on: markers in the order in which
 * scikit-image's heap hands out equals, which labels.py explains, then first in, first out.
 * Each loop that takes time is a function of its own: one long function would be optimised late, and again for each loop.
 * @param {Workspace} space @param {number} least */
function flood(space, least) {
  const { peaks, labels, free, queue, takers, groups } = space;
  for (let n = 0; n < space.taken; n++) labels[queue[n]] = 0;
  free.fill(0);
  for (let block = 0; block < peaks.length; block++) if (peaks[block] >= least) release(space, block << 1, least);
  space.sizes.set(space.seedSizes.subarray(0, groups + 1));
  space.firsts.set(space.seedFirsts.subarray(0, groups + 1));
  let tail = spreadMarkers(space);
  for (let head = 0; head < tail; head++) tail = spread(space, queue[head], takers[head], tail);
  space.taken = tail;
}

/** Free 16 pixels, those in the region and of no seed. @param {Workspace} space @param {number} byte their first one's
 * @param {number} least */
function release({ values, sown, free }, byte, least) {
  for (let at = byte, i = byte << 3; at < byte + 2; at++) {
    let bits = 0;
    for (let k = 0; k < 8; k++, i++) bits |= (least - 1 - values[i]) >>> 31 << k;
    free[at] = bits & ~sown[at];
  }
}

/** Play the heap of markers and spread from each; return how many pixels these took. @param {Workspace} space */
function spreadMarkers(space) {
  const { markers, rim, held, ahead, path, seeds: count } = space;
  held.fill(1, 0, count);
  let depth = 0, first = 0, end = 0, tail = 0, last = count;
  for (let place = 0; place < count; place = 2 * place + 1) { path[depth++] = place; ahead[end++] = place; }
  for (let n = 0; n < count; n++) {
    const marker = ahead[first], id = rim[marker];
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
    if (!id) continue;
    const before = tail;
    tail = spread(space, markers[marker], id, tail);
    last += tail - before;
  }
  return tail;
}

/** Give a pixel's free neighbours to its group, and put them in the queue behind `tail`; return its new end. It reads bits
 * alone: what lies far apart in memory costs more than all else here.
 * @param {Workspace} space @param {number} pixel @param {number} id @param {number} tail */
function spread({ stride, steps, free, queue, takers, sizes, firsts }, pixel, id, tail) {
  const near = three(free, pixel - stride - 1) | three(free, pixel - 1) << 3 | three(free, pixel + stride - 1) << 6;
  let bits = IN_ORDER[near];
  if (!bits) return tail;
  for (; bits; bits &= bits - 1) {
    const next = pixel + steps[31 - Math.clz32(bits & -bits)];
    free[next >> 3] &= ~(1 << (next & 7));
    takers[tail] = id;
    queue[tail++] = next;
    sizes[id]++;
    if (next < firsts[id]) firsts[id] = next;
  }
  return tail;
}

/** The bits of three pixels from i on. @param {Uint8Array} bits @param {number} i */
function three(bits, i) {
  return (bits[i >> 3] | bits[(i >> 3) + 1] << 8) >> (i & 7) & 7;
}

/** A map with the border round it, and the highest of each 16 of its values: most pixels are nobody's, and are passed by in
 * blocks. It is kept as long as the map is: a worker goes round many. @param {Workspace} space @param {Uint8Array} building */
function frame({ width, height, stride }, building) {
  const known = FRAMES.get(building);
  if (known) return known;
  const values = new Uint8Array(stride * (height + 2) + 16), peaks = new Uint8Array(values.length >> 4);
  for (let row = 0; row < height; row++) values.set(building.subarray(row * width, (row + 1) * width), (row + 1) * stride + 1);
  for (let block = 0; block < peaks.length; block++) peaks[block] = peakOf(values, block << 4);
  FRAMES.set(building, { values, peaks });
  return { values, peaks };
}

/** @type {WeakMap<Uint8Array, { values: Uint8Array, peaks: Uint8Array }>} */
const FRAMES = new WeakMap();

/** The highest of 16 values from the first on. @param {Uint8Array} values @param {number} first */
function peakOf(values, first) {
  let peak = 0;
  for (let i = first; i < first + 16; i++) if (values[i] > peak) peak = values[i];
  return peak;
}

/** Drop instances under minArea pixels and number the others 1..count in raster order of their first pixels.
 * @param {Workspace} space @param {number} least of the region's values @param {number} minArea */
function renumber(space, least, minArea) {
  const { peaks, blocks, labels, areas, sizes, firsts, parents, starts, ends, numbers, numbered, groups, queue, takers, taken } = space;
  const kept = []; // sorted as numbers: by the first pixel, which no two groups share
  numbers.fill(0, 0, groups + 1);
  for (let id = 1; id <= groups; id++) if (sizes[id] && sizes[id] >= minArea) kept.push(firsts[id] * (groups + 1) + id);
  Float64Array.from(kept).sort().forEach((key, n) => {
    const id = key % (groups + 1);
    numbers[id] = n + 1;
    areas[n + 1] = sizes[id];
  });
  space.count = kept.length;
  for (let block = 0; block < peaks.length; block++) blocks[block] = peaks[block] < least ? 0 : 1;
  if (space.inks) labels.fill(0); // edits may have added buildings anywhere
  let changed = space.fresh || space.inks !== null;
  for (let id = 1; id <= groups && !changed; id++) changed = numbers[id] !== numbered[id];
  if (changed) for (let n = 1; n <= groups; n++) labels.fill(numbers[parents[n]], starts[n], ends[n]);
  for (let n = 0; n < taken; n++) labels[queue[n]] = numbers[takers[n]];
  numbered.set(numbers.subarray(0, groups + 1));
  space.inks = null;
  space.fresh = false;
}

// @ts-check
// The tuner's engine: 8-bit probability maps and thresholds to labels and pixels. Pure functions, no DOM.
// It follows the rule of tnv2/instances/labels.py pixel for pixel; that file says why the heap is there.
//
// All working arrays have a border of one pixel, so that no neighbour needs a bounds check, and are allocated once.

/** @typedef {ReturnType<typeof workspace>} Workspace */
/** @typedef {Uint32Array} Pixels one RGBA pixel an element, as ImageData has them */
/** @typedef {{ mask: number, seed: number, border: number, min_area: number, distance: number }} Thresholds */

/** @param {number} width @param {number} height */
export function workspace(width, height) {
  const stride = width + 2;
  const size = stride * (height + 2);
  const area = width * height;
  const groups = (area >> 1) + 2; // 4-connected groups cannot be more
  return {
    width, height, stride,
    values: new Uint8Array(size), valued: /** @type {Uint8Array | null} */ (null), // the building map with the border, and whose it is
    grown: new Int32Array(size), // the flood's groups, before small ones are dropped
    labels: new Int32Array(size), // 1..count in raster order, 0 for background
    count: 0,
    areas: new Int32Array(groups), // areas[label] in pixels, once labelled
    inks: /** @type {Int32Array | null} */ (null), // of each label the number that its colour goes by; its own where there are none
    markers: new Int32Array(area), groupOf: new Int32Array(area), // where the seeds' pixels are, and in which group
    rim: new Uint8Array(area), // 1 where a seed's pixel has a neighbour that is none: only from there a flood can start
    seeds: 0, groups: 0, // how many pixels and groups these are
    ahead: new Int32Array(area), held: new Uint8Array(area), path: new Int32Array(64), // of the heap that is played
    queue: new Int32Array(area), taken: 0, // where the flood went, in its order
    parents: new Int32Array(groups), numbers: new Int32Array(groups),
    sizes: new Int32Array(groups), firsts: new Int32Array(groups), // of each group: its pixels, and the first of them
    seedSizes: new Int32Array(groups), seedFirsts: new Int32Array(groups), // the same of its seed alone
    seedBlocks: new Uint8Array((size >> 4) + 1), blocks: new Uint8Array((size >> 4) + 1), // 1 where one of 16 pixels is grown
    numbered: new Int32Array(groups), fresh: true, // the numbers that the labels have, and whether the seeds are newer
    depths: /** @type {Int32Array | null} */ (null), deep: -1, // of each pixel, and the mask threshold of their region
    seeded: "", flooded: "", // what the seeds and the flood were last made from
    dimmed: /** @type {Int32Array | null} */ (null), // a background without the share that a tint takes
    under: /** @type {Pixels | null} */ (null), opacity: 0, // what that was last made from
  };
}

/** Label the buildings of two (height * width) maps, or of one; the result is space.labels, space.count and space.areas.
 * What the changed threshold cannot change is kept: a mask under the seed threshold keeps the seeds unless depths count, a
 * new minimum area renumbers alone.
 * @param {Workspace} space @param {Uint8Array} building @param {Uint8Array | null} border @param {Thresholds} thresholds */
export function label(space, building, border, { mask, seed, border: limit, min_area, distance }) {
  const seeded = `${Math.max(mask, seed)} ${limit} ${distance ? `${distance} ${mask}` : ""}`, flooded = `${seeded} ${mask}`;
  if (space.seeded !== seeded) {
    const depths = distance ? squaredDepths(space, building, mask) : null;
    connectSeeds(space, building, border, Math.max(mask, seed), limit, depths, distance * distance);
  }
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
 * @param {Workspace} space @param {Uint8Array} building @param {Uint8Array | null} border @param {number} seed
 * @param {number} limit @param {Int32Array | null} depths @param {number} least of depths, squared; the seeds' are greater */
function connectSeeds(space, building, border, seed, limit, depths, least) {
  const { width, height, stride, grown: labels, parents, markers, groupOf, rim, seedSizes, seedFirsts, seedBlocks } = space;
  const confident = table(above, seed), clear = border ? table(below, limit) : new Uint8Array(256).fill(1);
  const borders = border ?? building;
  let groups = 0, count = 0;
  for (let n = 0; n < space.seeds; n++) space.labels[markers[n]] = 0;
  labels.fill(0);
  for (let row = 0, from = 0; row < height; row++) {
    for (let i = (row + 1) * stride + 1, end = i + width; i < end; i++, from++) {
      if (!(confident[building[from]] & clear[borders[from]]) || (depths && depths[from] <= least)) continue;
      markers[count++] = i;
      const up = labels[i - stride], left = labels[i - 1];
      if (up && left && up !== left) labels[i] = join(parents, up, left);
      else if (up || left) labels[i] = up || left;
      else { parents[++groups] = groups; labels[i] = groups; }
    }
  }
  seedSizes.fill(0, 0, groups + 1);
  seedBlocks.fill(0);
  // Neighbours mostly belong to one group, and share two of the three columns that are looked at.
  let last = -1, found = 0, known = 0, left = 0, middle = 0, right = 0;
  for (let n = 0; n < count; n++) {
    const i = markers[n], id = labels[i];
    if (id !== known) found = root(parents, known = id);
    groupOf[n] = labels[i] = found;
    seedBlocks[i >> 4] = 1;
    if (!seedSizes[found]++) seedFirsts[found] = i;
    if (i === last + 1) { left = middle; middle = right; } else {
      left = labels[i - stride - 1] && labels[i - 1] && labels[i + stride - 1];
      middle = labels[i - stride] && labels[i + stride];
    }
    right = labels[i - stride + 1] && labels[i + 1] && labels[i + stride + 1];
    rim[n] = left && middle && right ? 0 : 1;
    last = i;
  }
  space.seeds = count;
  space.groups = groups;
  space.fresh = true;
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

/** Grow the seeds, which connectSeeds has put there, over the region above mask: markers in the order in which scikit-image's
 * heap hands out equals, which labels.py explains, then first in, first out.
 * @param {Workspace} space @param {Uint8Array} building @param {number} mask */
function flood(space, building, mask) {
  const { stride, values, grown: labels, markers, rim, held, ahead, queue, path, sizes, firsts, blocks, groups, seeds: count } = space;
  const up = -stride, upLeft = -stride - 1, upRight = -stride + 1, down = stride, downLeft = stride - 1, downRight = stride + 1;
  const inRegion = table(above, mask); // of 0 no pixel is, so the border is never flooded
  if (space.valued !== building) frame(space, building);
  for (let n = 0; n < space.taken; n++) space.labels[queue[n]] = 0;
  if (!space.fresh) for (let n = 0; n < space.taken; n++) labels[queue[n]] = 0;
  sizes.set(space.seedSizes.subarray(0, groups + 1));
  firsts.set(space.seedFirsts.subarray(0, groups + 1));
  blocks.set(space.seedBlocks);
  held.fill(1, 0, count);
  let depth = 0, first = 0, end = 0, head = 0, tail = 0, last = count;
  for (let place = 0; place < count; place = 2 * place + 1) { path[depth++] = place; ahead[end++] = place; }
  const /** @type {(next: number, id: number) => void} */ take = (next, id) => {
    labels[next] = id;
    blocks[next >> 4] = 1;
    queue[tail++] = next;
    sizes[id]++;
    if (next < firsts[id]) firsts[id] = next;
  };
  const /** @type {(pixel: number) => void} */ spread = (pixel) => {
    const id = labels[pixel];
    if (!labels[pixel + up] && inRegion[values[pixel + up]]) take(pixel + up, id);
    if (!labels[pixel - 1] && inRegion[values[pixel - 1]]) take(pixel - 1, id);
    if (!labels[pixel + 1] && inRegion[values[pixel + 1]]) take(pixel + 1, id);
    if (!labels[pixel + down] && inRegion[values[pixel + down]]) take(pixel + down, id);
    if (!labels[pixel + upLeft] && inRegion[values[pixel + upLeft]]) take(pixel + upLeft, id);
    if (!labels[pixel + upRight] && inRegion[values[pixel + upRight]]) take(pixel + upRight, id);
    if (!labels[pixel + downLeft] && inRegion[values[pixel + downLeft]]) take(pixel + downLeft, id);
    if (!labels[pixel + downRight] && inRegion[values[pixel + downRight]]) take(pixel + downRight, id);
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

/** Copy a map into space.values, inside the border. @param {Workspace} space @param {Uint8Array} building */
function frame(space, building) {
  const { width, height, stride, values } = space;
  for (let row = 0; row < height; row++) values.set(building.subarray(row * width, (row + 1) * width), (row + 1) * stride + 1);
  space.valued = building;
}

/** Drop instances under minArea pixels and number the others 1..count in raster order of their first pixels.
 * @param {Workspace} space @param {number} minArea */
function renumber(space, minArea) {
  if (space.inks) { // edits may have added buildings anywhere
    space.labels.fill(0);
    space.blocks.set(space.seedBlocks);
    for (let n = 0; n < space.taken; n++) space.blocks[space.queue[n] >> 4] = 1;
  }
  const { grown, labels, areas, sizes, firsts, numbers, numbered, groups, markers, groupOf, seeds, queue, taken } = space;
  const kept = []; // sorted as numbers: by the first pixel, which no two groups share
  numbers.fill(0, 0, groups + 1);
  for (let id = 1; id <= groups; id++) if (sizes[id] && sizes[id] >= minArea) kept.push(firsts[id] * (groups + 1) + id);
  Float64Array.from(kept).sort().forEach((key, n) => {
    const id = key % (groups + 1);
    numbers[id] = n + 1;
    areas[n + 1] = sizes[id];
  });
  space.count = kept.length;
  let changed = space.fresh || space.inks !== null;
  for (let id = 1; id <= groups && !changed; id++) changed = numbers[id] !== numbered[id];
  if (changed) for (let n = 0; n < seeds; n++) labels[markers[n]] = numbers[groupOf[n]];
  for (let n = 0; n < taken; n++) labels[queue[n]] = numbers[grown[queue[n]]];
  numbered.set(numbers.subarray(0, groups + 1));
  space.inks = null;
  space.fresh = false;
}

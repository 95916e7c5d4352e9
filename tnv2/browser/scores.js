// @ts-check
// Scores: labels against footprints, counted as tnv2.match counts. Pure functions, no DOM.

/** @typedef {import("./engine.js").Workspace} Workspace */
/** @typedef {[red: number, green: number, blue: number]} Colour */
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

/** Prepare height * width footprint labels 1..N for match: their areas and centres, and their runs in rows as [first pixel,
 * end, number], three numbers each: most pixels are nobody's, and need no look again.
 * @param {Int32Array} truth @param {number} width */
export function footprints(truth, width) {
  let count = 0, ends = 0;
  for (let i = 0; i < truth.length; i++) {
    if (truth[i] > count) count = truth[i];
    if (truth[i] && (truth[i + 1] !== truth[i] || (i + 1) % width === 0)) ends++;
  }
  const areas = new Int32Array(count + 1), rows = new Float64Array(count + 1), columns = new Float64Array(count + 1);
  const runs = new Int32Array(3 * ends);
  for (let row = 0, i = 0, to = 0; i < truth.length; row++) {
    for (let column = 0; column < width; column++, i++) {
      const id = truth[i];
      if (!id) continue;
      areas[id]++;
      rows[id] += row;
      columns[id] += column;
      if (column === 0 || truth[i - 1] !== id) { runs[to++] = i; runs[to + 1] = id; }
      if (column === width - 1 || truth[i + 1] !== id) { runs[to] = i + 1; to += 2; }
    }
  }
  return { truth, count, areas, runs, rows: rows.map((sum, id) => sum / areas[id]), columns: columns.map((sum, id) => sum / areas[id]) };
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
    ...ratesOf(tp, fp, fn), pairs, best, merged: several(within), split: several(holds), ofTruth, ofLabel,
  };
}

/** Counts with their precision, recall and F1, each 1 of nothing, as tnv2.Score has them.
 * @param {number} tp @param {number} fp @param {number} fn */
export function ratesOf(tp, fp, fn) {
  return {
    tp, fp, fn,
    precision: tp + fp ? tp / (tp + fp) : 1,
    recall: tp + fn ? tp / (tp + fn) : 1,
    f1: tp + fp + fn ? 2 * tp / (2 * tp + fp + fn) : 1,
  };
}

/** Return every pair of a footprint and an instance that share pixels, in order of their numbers.
 * @param {Workspace} space @param {Footprints} known @returns {Pair[]} */
function overlapping({ width, stride, labels, areas }, { runs, areas: sizes }) {
  const /** @type {Map<number, number>} */ counts = new Map();
  const base = 2 ** 26;
  for (let n = 0; n < runs.length; n += 3) {
    const row = Math.floor(runs[n] / width), first = (row + 1) * stride + 1 + runs[n] - row * width, end = first + runs[n + 1] - runs[n];
    for (let i = first, start = first, id = labels[first]; i < end;) { // neighbours mostly belong to the same pair: count runs, not pixels
      while (++i < end && labels[i] === id);
      if (id) {
        const key = runs[n + 2] * base + id;
        counts.set(key, (counts.get(key) ?? 0) + i - start);
      }
      start = i;
      id = labels[i];
    }
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

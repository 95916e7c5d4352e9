// @ts-check
import { element } from "./dom.js";
import { STATUS } from "./scores.js";

// Figures: a tuner's score in words, its legend, and the list of its errors.

/** @typedef {import("./stage.js").Place} Place @typedef {import("./controls.js").Commit} Commit */
/** @typedef {import("./scores.js").Fate} Fate @typedef {import("./scores.js").Score} Score */

/** F1, precision and recall, and how many buildings met which fate; the swatches are the error view's legend. */
export function scoreLines() {
  const line = element("div", { className: "tnv2-rates" });
  const fates = /** @type {Fate[]} */ (Object.keys(STATUS));
  const counts = Object.fromEntries(fates.map((kind) => [kind, element("span", {})]));
  const legend = fates.map((kind) => element("span", { title: STATUS[kind].meaning }, swatch(kind), counts[kind]));
  return {
    node: element("div", { className: "tnv2-figures" }, line, element("div", { className: "tnv2-legend" }, ...legend)),
    update: /** @param {Score} score */ (score) => {
      const { tp, fp, fn, merged, split } = score;
      line.textContent = rates(score);
      line.title = "F1, precision and recall at an IoU of 0.5";
      const numbers = { found: tp, missed: fn, spurious: fp, merged: merged.length, split: split.length };
      for (const [kind, number] of Object.entries(numbers)) counts[kind].textContent = `${number} ${kind}`;
    },
  };
}

/** @param {ReturnType<typeof import("./scores.js").ratesOf>} score */
export function rates({ f1, precision, recall, tp, fp, fn }) {
  const /** @type {(rate: number, of: number) => string} */ told = (rate, of) => (of ? rate.toFixed(2) : "\u2013"); // of nothing, none
  return `F1 ${f1.toFixed(2)}   P ${told(precision, tp + fp)}   R ${told(recall, tp + fn)}`;
}

/** @param {Fate} kind */
function swatch(kind) {
  return element("span", { className: `tnv2-swatch tnv2-${kind}` });
}

/** The errors as buttons that bring each into the middle, rewritten a moment after the sliders rest: a drag needs the time.
 * @param {import("./engine.js").Workspace} space @param {import("./scores.js").Footprints} truth
 * @param {(row: number, column: number, closer: number) => void} centre @param {Commit} commit */
export function errorList(space, truth, centre, commit) {
  const list = element("div", { className: "tnv2-errors" });
  let timer = 0;
  const /** @type {(kind: Fate, text: string, ...place: Place) => HTMLElement} */ entry = (kind, text, row, column) => {
    const button = element("button", { type: "button", title: STATUS[kind].meaning }, swatch(kind), `${kind} ${text}`);
    button.addEventListener("click", () => { commit({ show: "errors" }); centre(row, column, 5); });
    return button;
  };
  const /** @type {(score: Score) => void} */ write = (score) => {
    const /** @type {(footprint: number) => Place} */ at = (footprint) => [truth.rows[footprint], truth.columns[footprint]];
    const told = new Set([...score.merged.flatMap(([, ids]) => ids), ...score.split.map(([id]) => id), ...score.ofTruth.keys()]);
    const parts = new Set([...score.merged.map(([id]) => id), ...score.split.flatMap(([, ids]) => ids), ...score.ofLabel.keys()]);
    const missed = [...truth.areas.keys()].filter((id) => id && truth.areas[id] && !told.has(id));
    const spurious = [...Array(space.count).keys()].map((i) => i + 1).filter((id) => !parts.has(id));
    list.replaceChildren(
      ...score.merged.map(([id, ids]) => entry("merged", `#${id}: footprints ${ids.join(" + ")}`, ...at(ids[0]))),
      ...score.split.map(([id, ids]) => entry("split", `footprint ${id}: #${ids.join(" + #")}`, ...at(id))),
      ...missed.map((id) => entry("missed", `footprint ${id}`, ...at(id))),
      ...centres(space, spurious).map(([id, middle]) => entry("spurious", `#${id}`, ...middle)));
  };
  return {
    node: list,
    update: /** @param {Score} score */ (score) => {
      clearTimeout(timer);
      timer = setTimeout(() => write(score), list.childElementCount ? 200 : 0);
    },
  };
}

/** Each of the instances `ids` with its middle.
 * @param {import("./engine.js").Workspace} space @param {number[]} ids @returns {[number, Place][]} */
function centres({ width, height, stride, labels, blocks, count, areas }, ids) {
  const rows = new Float64Array(count + 1), columns = new Float64Array(count + 1), wanted = new Uint8Array(count + 1);
  for (const id of ids) wanted[id] = 1;
  for (let row = 0; row < height; row++) {
    const first = (row + 1) * stride + 1;
    for (let i = first, end = first + width; i < end; i++) {
      if (!blocks[i >> 4]) { i |= 15; continue; }
      const id = labels[i];
      if (wanted[id]) { rows[id] += row; columns[id] += i - first; }
    }
  }
  return ids.map((id) => [id, [rows[id] / areas[id], columns[id] / areas[id]]]);
}

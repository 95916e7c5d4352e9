// @ts-check
import { ARROWS, element, onKeys, svg } from "./dom.js";

// A sweep's scores as a grid of cells over a model with get, set, on, off and save_changes, as anywidget passes it. A click or
// the arrow keys choose a cell; Python says what that means. Axes: border, or distance, to the right, seed upwards.

const CELL = 20, LEFT = 64, TOP = 12, BOTTOM = 46, BAR = 12;
const SHAPES = { published: "M-6-6H6V6H-6Z", best: "M0-9 2.6-2.9 9-2.5 4 1.6 5.6 8 0 4.5-5.6 8-4 1.6-9-2.5-2.6-2.9Z" };

/** @typedef {[seed: number, border: number]} Point by their indices */
/** @typedef {{ seeds: number[], borders: number[], across: string, scores: number[][], colours: string[][], bar: string[], published: Point | [],
 *   best: Point | [], title: string, point: Point }} Traits */

/** @param {{ model: import("./dom.js").Model<Traits>, el: HTMLElement }} view */
function render({ model, el }) {
  const seeds = model.get("seeds"), borders = model.get("borders"), scores = model.get("scores");
  const across = model.get("across"), unit = across === "distance" ? ", pixels" : "";
  const right = LEFT + borders.length * CELL, width = right + 12 + BAR + 44, height = TOP + seeds.length * CELL + BOTTOM;
  /** @type {(index: number) => number} */
  const x = (border) => LEFT + border * CELL;
  /** @type {(index: number) => number} */
  const y = (seed) => TOP + (seeds.length - 1 - seed) * CELL;
  const grid = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, tabindex: 0, role: "application" });
  const told = element("output", { className: "tnv2-heatmap-told" });
  told.setAttribute("aria-live", "polite");
  const /** @type {(...point: Point) => void} */ tell = (seed, border) => {
    told.textContent = `seed ${seeds[seed]}   ${across} ${borders[border]}   F1 ${scores[seed][border].toFixed(3)}`;
  };

  const cells = svg("g", {});
  seeds.forEach((_, seed) => borders.forEach((_, border) => {
    const cell = svg("rect", { x: x(border), y: y(seed), width: CELL, height: CELL, fill: model.get("colours")[seed][border] });
    cell.addEventListener("click", () => choose(seed, border));
    cell.addEventListener("pointerenter", () => tell(seed, border));
    cells.append(cell);
  }));
  cells.addEventListener("pointerleave", () => tell(...model.get("point")));
  grid.append(cells);
  borders.forEach((value, i) => { if (labelled(i, borders)) grid.append(text(x(i + 0.5), TOP + seeds.length * CELL + 15, String(value), "middle")); });
  seeds.forEach((value, i) => { if (labelled(i, seeds)) grid.append(text(LEFT - 6, y(i) + CELL / 2 + 4, String(value), "end")); });
  grid.append(text(LEFT + borders.length * CELL / 2, height - 10, `${across} threshold${unit}`, "middle"));
  const side = text(0, 0, "seed threshold", "middle");
  side.setAttribute("transform", `translate(16 ${TOP + seeds.length * CELL / 2}) rotate(-90)`);
  grid.append(side);
  for (const name of /** @type {const} */ (["published", "best"])) {
    const point = model.get(name);
    if (point.length) grid.append(mark(SHAPES[name], x(point[1] + 0.5), y(point[0]) + CELL / 2, `tnv2-heatmap-${name}`));
  }
  grid.append(...colourBar(model.get("bar"), scores.flat(), right + 12, seeds.length * CELL));
  const chosen = mark("M-10-10H10V10H-10Z", 0, 0, "tnv2-heatmap-chosen");
  grid.append(chosen);

  const /** @type {(...point: Point) => void} */ choose = (seed, border) => {
    if (model.get("point").join() === `${seed},${border}`) model.send("again"); // the tuner may have moved on since
    model.set("point", [seed, border]);
    model.save_changes();
  };
  const show = () => {
    const [seed, border] = model.get("point");
    chosen.setAttribute("transform", `translate(${x(border + 0.5)} ${y(seed) + CELL / 2})`);
    grid.setAttribute("aria-label", `F1 over seed and ${across} thresholds. Arrow keys choose. Now seed ${seeds[seed]}, ${across} ${borders[border]}.`);
    tell(seed, border);
  };
  /** @type {(value: number, list: number[]) => number} */
  const within = (value, list) => Math.min(list.length - 1, Math.max(0, value));
  onKeys(grid, ({ key }) => {
    const step = ARROWS[key], [seed, border] = model.get("point");
    if (step) choose(within(seed - step[0], seeds), within(border + step[1], borders));
    return Boolean(step);
  });
  model.on("change:point", show);
  show();
  const title = element("div", { className: "tnv2-heatmap-title", textContent: model.get("title") });
  const key = element("div", { className: "tnv2-heatmap-key", textContent: "\u25a1 published   \u2605 best   red frame: chosen" });
  el.classList.add("tnv2-heatmap");
  el.append(title, grid, told, key);
  return () => model.off("change:point", show);
}

/** Whether a value has room for its label: about six of them an axis. @param {number} i @param {number[]} values */
function labelled(i, values) {
  return i % Math.max(1, Math.round((values.length - 1) / 5)) === 0;
}

/** @param {number} x @param {number} y @param {string} content @param {"start" | "middle" | "end"} anchor */
function text(x, y, content, anchor) {
  return svg("text", { x, y, "text-anchor": anchor }, content);
}

/** The colours from the lowest to the highest score, with both numbers and the one between.
 * @param {string[]} colours @param {number[]} scores @param {number} x @param {number} height */
function colourBar(colours, scores, x, height) {
  const low = Math.min(...scores), high = Math.max(...scores), step = height / colours.length;
  const steps = high > low ? colours : [], shares = high > low ? [0, 0.5, 1] : [0.5];
  return [
    ...steps.map((fill, i) => svg("rect", { x, y: TOP + height - (i + 1) * step, width: BAR, height: step + 0.5, fill, class: "tnv2-heatmap-bar" })),
    ...shares.map((share) => text(x + BAR + 4, TOP + 4 + (height - 0.5) * (1 - share), (low + (high - low) * share).toFixed(2), "start")),
    text(x, TOP + height + 15, "F1", "start"),
  ];
}

/** @param {string} d @param {number} x @param {number} y @param {string} name */
function mark(d, x, y, name) {
  return svg("path", { d, class: name, transform: `translate(${x} ${y})` });
}

export default { render };

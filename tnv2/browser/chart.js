// @ts-check
import { svg } from "./dom.js";

// A chart: lines over two labelled axes.

/** @typedef {[from: number, to: number]} Span */
/** @typedef {(value: number) => number} Scale a value's place in the drawing */
/** names: one a point; marks: upright lines at these x
 * @typedef {{ x: number[], y: number[], label: string, colour: string, dashed?: boolean, names?: string[], marks?: number[] }} Line */
/** x, y: what the axes are called; span: of x, or that of the lines; hint: text for no lines;
 * steps: x holds the edges of bins, y their heights; bar: colours under the x axis from its left to its right
 * @typedef {{ title: string, x: string, y: string, lines: Line[], span?: Span, steps?: boolean, bar?: string[], hint?: string }} Drawing */

const WIDTH = 340, HEIGHT = 206;
const LEFT = 48, RIGHT = 322, MIDDLE = 185, TOP = 62, BOTTOM = 158;

/** @param {Drawing} drawing */
export function chart({ title, x: xName, y: yName, span, lines, steps, bar = [], hint = "" }) {
  const values = lines.flatMap((line) => line.x);
  const xs = span ?? [Math.min(...values), Math.max(...values)];
  const top = Math.max(0, ...lines.flatMap((line) => line.y));
  const /** @type {Span} */ ys = [0, top * 1.05 || 1];
  const /** @type {Scale} */ across = (x) => LEFT + ((x - xs[0]) / (xs[1] - xs[0] || 1)) * (RIGHT - LEFT);
  const /** @type {Scale} */ up = (y) => BOTTOM - ((y - ys[0]) / (ys[1] - ys[0])) * (BOTTOM - TOP);
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  picture.setAttribute("aria-label", [title, hint, ...lines.map(({ label }) => label)].filter(Boolean).join("; "));
  picture.append(svg("text", { x: 4, y: 14, class: "tnv2-chart-title" }, title));
  picture.append(...(lines.length ? ticks(ys, 3) : []).flatMap((y) => [
    svg("path", { d: `M${LEFT} ${up(y)}H${RIGHT}`, class: "tnv2-grid" }),
    svg("text", { x: LEFT - 5, y: up(y) + 4, "text-anchor": "end" }, short(y)),
  ]));
  bar.forEach((colour, i) => {
    const step = (RIGHT - LEFT) / bar.length;
    picture.append(svg("rect", { x: LEFT + i * step, y: BOTTOM + 2, width: step + 0.5, height: 11, fill: colour, class: "tnv2-bar" }));
  });
  picture.append(...ticks(xs, 4).map((x) => svg("text", { x: across(x), y: BOTTOM + 26, "text-anchor": "middle" }, short(x))));
  picture.append(svg("text", { x: MIDDLE, y: HEIGHT - 6, "text-anchor": "middle" }, xName));
  picture.append(svg("text", { x: 0, y: 0, "text-anchor": "middle", transform: `translate(11 ${(TOP + BOTTOM) / 2}) rotate(-90)` }, yName));
  picture.append(svg("path", { d: `M${LEFT} ${BOTTOM}H${RIGHT}`, class: "tnv2-axis" }));
  if (hint) picture.append(...wrapped(hint, 36).map((row, i) => svg("text", { x: MIDDLE, y: 106 + 16 * i, "text-anchor": "middle" }, row)));
  lines.forEach((line, i) => picture.append(...drawn(line, steps, across, up), ...legend(line, i)));
  return picture;
}

/** @param {Line} line @param {boolean | undefined} steps @param {Scale} across @param {Scale} up */
function drawn({ x, y, colour, dashed, names = [], marks = [] }, steps, across, up) {
  const path = steps
    ? `M${across(x[0])} ${BOTTOM}` + y.map((value, i) => `V${up(value)}H${across(x[i + 1])}`).join("") + `V${BOTTOM}`
    : "M" + y.map((value, i) => `${across(x[i])} ${up(value)}`).join("L");
  const style = { stroke: colour, "stroke-dasharray": dashed ? "6 4" : "none" };
  const points = names.map((name, i) => {
    const title = svg("title", {}, `${name}, ${x[i]} nm: ${y[i]}`);
    return svg("circle", { cx: across(x[i]), cy: up(y[i]), r: 3.5, fill: colour }, title);
  });
  const limits = marks.map((at) => svg("path", { d: `M${across(at)} ${TOP - 4}V${BOTTOM}`, class: "tnv2-limit", stroke: colour }));
  return [svg("path", { d: path, class: steps ? "tnv2-steps" : "tnv2-line", ...style }), ...points, ...limits];
}

/** @param {Line} line @param {number} i */
function legend({ label, colour, dashed }, i) {
  const y = 14 + 16 * i;
  const style = { stroke: colour, "stroke-dasharray": dashed ? "6 4" : "none" };
  return [svg("path", { d: `M118 ${y - 4}h20`, class: "tnv2-line", ...style }), svg("text", { x: 144, y, class: "tnv2-label" }, label)];
}

/** Round numbers within a span, about `count` of them. @param {Span} span @param {number} count */
function ticks([from, to], count) {
  const rough = (to - from || 1) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough * 0.99) ?? 10);
  const first = Math.ceil(from / step - 1e-9), last = Math.floor(to / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** @param {number} value */
function short(value) {
  return Math.abs(value) >= 10000 ? `${+(value / 1000).toPrecision(3)}k` : `${+value.toPrecision(4)}`;
}

/** @param {string} words @param {number} length */
function wrapped(words, length) {
  return [...words.matchAll(new RegExp(`.{1,${length}}(\\s|$)`, "g"))].map(([row]) => row.trim());
}

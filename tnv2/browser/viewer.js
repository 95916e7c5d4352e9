// @ts-check
import { chart } from "./chart.js";
import { element } from "./dom.js";
import { createPicture } from "./picture.js";

// The band viewer over a model with get, set, on, off, send and save_changes, as anywidget passes it: choices, a stretch, one
// picture or two, a histogram and a spectrum. Python draws, this only renders.

/** @typedef {"composite" | "red" | "green" | "blue" | "index"} Choice */
/** @typedef {{ [Name in Choice as `_${Name}`]: string } & { _stretch: [low: number, high: number], _held: string[],
 *   _choices: Record<Choice, { text: string, help: string, options: [text: string, value: string][] }>, _name: string,
 *   _shape: [height: number, width: number], _titles: string[], _pngs: DataView<ArrayBuffer>[], _shows: string, _note: string,
 *   _marks: import("./picture.js").Pixel[], _histogram: import("./chart.js").Drawing, _spectrum: import("./chart.js").Drawing }} Traits */
/** @typedef {import("./dom.js").Model<Traits>} Model */
/** @typedef {(names: (keyof Traits & string)[], show: () => void) => void} Follow */

const ENDS = [["dark %", "the percentile of the counts that becomes darkest"], ["bright %", "the percentile that becomes brightest"]];

/** @param {{ model: Model, el: HTMLElement }} view */
function render({ model, el }) {
  const /** @type {[`change:${keyof Traits & string}`, () => void][]} */ listening = [];
  const /** @type {Follow} */ follow = (names, show) => {
    for (const name of names) { model.on(`change:${name}`, show); listening.push([`change:${name}`, show]); }
    show();
  };
  const names = /** @type {Choice[]} */ (Object.keys(model.get("_choices")));
  const controls = element("div", { className: "tnv2-viewer-controls" }, ...names.map((name) => choiceRow(model, name, follow)), ...stretchRows(model, follow));
  const pictures = model.get("_titles").map((title) => createPicture(model.get("_shape"), title, model.get("_name"), (wish) => model.send(wish)));
  follow(["_pngs", "_shows"], () => pictures.forEach(({ show }, i) => show(model.get("_pngs")[i], model.get("_shows"))));
  follow(["_marks"], () => pictures.forEach(({ mark }) => mark(model.get("_marks"))));
  const charts = /** @type {const} */ (["_histogram", "_spectrum"]).map((name) => {
    const node = element("div", { className: "tnv2-chart" });
    follow([name], () => node.replaceChildren(chart(model.get(name))));
    return node;
  });
  const note = model.get("_note") ? [element("div", { className: "tnv2-viewer-note", textContent: model.get("_note") })] : [];
  el.append(element("div", { className: `tnv2-viewer tnv2-viewer-${pictures.length > 1 ? "pair" : "single"}` }, ...note,
    element("div", { className: "tnv2-viewer-pictures" }, ...pictures.map(({ node }) => node)),
    element("div", { className: "tnv2-viewer-panel" }, controls, ...charts)));
  return () => { for (const [event, react] of listening) model.off(event, react); };
}

/** @param {Model} model @param {Choice} name @param {Follow} follow */
function choiceRow(model, name, follow) {
  const { text, help, options } = model.get("_choices")[name];
  const select = element("select", {}, ...options.map(([textContent, value]) => element("option", { textContent, value })));
  select.dataset.lmSuppressShortcuts = "true"; // or JupyterLab swallows the arrow keys
  select.dataset.name = name;
  select.addEventListener("change", () => { model.set(`_${name}`, select.value); model.save_changes(); });
  follow([`_${name}`, "_held"], () => { select.value = model.get(`_${name}`); select.disabled = model.get("_held").includes(name); });
  return element("label", { className: "tnv2-viewer-row", title: help }, element("span", { textContent: text }), select);
}

/** Two ranges, of which the one that is moved pushes the other along. @param {Model} model @param {Follow} follow */
function stretchRows(model, follow) {
  return ENDS.map(([text, help], end) => {
    const range = element("input", { type: "range", min: 0, max: 100, step: 0.5 }), told = element("output", {});
    range.dataset.lmSuppressShortcuts = "true";
    range.dataset.name = ["low", "high"][end];
    range.addEventListener("input", () => {
      const value = Number(range.value), [low, high] = model.get("_stretch");
      model.set("_stretch", end ? [Math.min(low, value), value] : [value, Math.max(high, value)]);
      model.save_changes();
    });
    follow(["_stretch", "_held"], () => {
      range.value = String(model.get("_stretch")[end]);
      range.disabled = model.get("_held").includes("stretch");
      told.textContent = model.get("_stretch")[end].toFixed(1);
    });
    return element("label", { className: "tnv2-viewer-row", title: help }, element("span", { textContent: text }), range, told);
  });
}

export default { render };

// @ts-check
import { element } from "./dom.js";

// Controls: the tuner's presets and sliders, choices and boxes, each over one trait of its model.

/** @typedef {import("./engine.js").Thresholds} Thresholds */
/** Of one tile. @typedef {{ _name: string, _shape: [height: number, width: number], _pixel_area: number | null,
 *   _pictures: Record<string, DataView>, _building: DataView, _border: DataView, _truth: DataView }} Content */
/** Several tiles are in _tiles, and the edits of each in _every_edits; both are empty for one.
 * @typedef {Thresholds & Content & { show: string, under: string, opacity: number, outlines: boolean, things: string, at: number,
 *   edits: import("./edits.js").Edit[], _tiles: Content[], _every_edits: import("./edits.js").Edit[][], _worker: string,
 *   _palette: import("./scores.js").Colour[], _presets: Record<string, Thresholds | undefined>, _heat: DataView }} Traits */
/** @typedef {Omit<import("./dom.js").Model<Traits>, "send">} Model */
/** @typedef {(name: keyof Traits, show: () => void) => void} Follow */
/** By traits' names. @typedef {(values: Record<string, number | string | boolean | import("./edits.js").Edit[] | Traits["_presets"]>) => void} Commit */
/** @typedef {{ name: keyof Thresholds | "opacity", text?: string, max?: number, step?: number, help: string }} Control */

/** @type {(Control & { name: keyof Thresholds })[]} */
export const THRESHOLDS = [
  { name: "mask", help: "a pixel is building above this building probability" },
  { name: "seed", help: "a building starts above this building probability ..." },
  { name: "border", help: "... and below this border probability" },
  { name: "distance", max: 50, step: 0.5, help: "... and further from the region's rim than these pixels, which parts what touches" },
  { name: "min_area", text: "min px", max: 500, step: 1, help: "smaller buildings are dropped, in pixels" },
];
const ON_REQUEST = ["precise", "complete"]; // shown once a sweep has set them
/** @type {Record<string, string>} */
const PRESETS = {
  demo: "the published demo's thresholds",
  practice: "thresholds from practice: low mask, sure seeds",
  card: "what the model card recommends",
  best: "the best F1 of the last sweep",
  precise: "the most complete of the last sweep that is as precise as wanted",
  complete: "the most precise of the last sweep that is as complete as wanted",
  reset: "back to the start",
};

/** What the sliders stand at. @param {Model} model @returns {Thresholds} */
export function thresholdsOf(model) {
  return {
    mask: model.get("mask"), seed: model.get("seed"), border: model.get("border"), min_area: model.get("min_area"),
    distance: model.get("distance"),
  };
}

/** Whether a threshold has a say: that of the border where there is such a map, and the distance where not, or above 0.
 * @param {Model} model @param {string} name @param {number} value */
export function hasSay(model, name, value) {
  const bordered = model.get("_border").byteLength > 0;
  return name === "border" ? bordered : name !== "distance" || !bordered || value > 0;
}

/** @param {Model} model @param {Follow} follow @param {Commit} commit */
export function presetRow(model, follow, commit) {
  const buttons = Object.entries(PRESETS).map(([name, help]) => {
    const button = element("button", { type: "button", textContent: name });
    button.addEventListener("click", () => commit(model.get("_presets")[name] ?? {}));
    follow("_presets", () => {
      const preset = model.get("_presets")[name];
      button.disabled = !preset;
      button.hidden = !preset && ON_REQUEST.includes(name);
      const /** @type {[string, number][]} */ values = Object.entries(preset ?? {});
      const told = values.filter(([key, value]) => hasSay(model, key, value)).map(([key, value]) => `${key.replace("_area", " px")} ${value}`);
      button.title = `${help}: ${told.join(", ") || "none yet"}`;
    });
    return button;
  });
  return element("div", { className: "tnv2-presets" }, ...buttons);
}

/** A label, a range and a number field for one number of the model.
 * @param {Model} model @param {Control} control @param {Follow} follow @param {Commit} commit */
export function sliderRow(model, { name, text = name, max = 1, step = 0.01, help }, follow, commit) {
  const range = element("input", { type: "range", min: 0, max, step });
  const field = element("input", { type: "number", min: 0, max, step });
  for (const input of [range, field]) {
    input.setAttribute("aria-label", `${text}: ${help}`);
    input.dataset.lmSuppressShortcuts = "true"; // or JupyterLab swallows the arrow keys
    input.dataset.name = name;
  }
  const show = () => {
    const value = model.get(name);
    range.max = String(Math.max(max, value));
    range.value = String(value);
    if (document.activeElement !== field) field.value = step < 1 ? String(Number(value.toFixed(4))).padEnd(4, value % 1 ? "0" : "") : String(value);
  };
  const /** @type {(input: HTMLInputElement) => void} */ take = (input) => {
    const value = Number(input.value), fits = input.value !== "" && value >= 0 && (max > 1 || value <= max);
    field.classList.toggle("tnv2-wrong", !fits);
    if (fits) commit({ [name]: step < 1 ? value : Math.round(value) });
  };
  range.addEventListener("input", () => take(range));
  field.addEventListener("input", () => take(field));
  field.addEventListener("blur", () => { field.classList.remove("tnv2-wrong"); show(); });
  follow(name, show);
  return element("label", { className: "tnv2-row", title: help }, element("span", { textContent: text }), range, field);
}

/** @param {Model} model @param {"show" | "under"} name @param {string[]} choices @param {string} help
 * @param {Follow} follow @param {Commit} commit */
export function choiceRow(model, name, choices, help, follow, commit) {
  const select = element("select", {}, ...choices.map((choice) => element("option", { value: choice, textContent: choice })));
  select.dataset.lmSuppressShortcuts = "true";
  select.dataset.name = name;
  select.addEventListener("change", () => commit({ [name]: select.value }));
  follow(name, () => { select.value = model.get(name); });
  return element("label", { className: "tnv2-row", title: help }, element("span", { textContent: name }), select);
}

/** @param {Model} model @param {"outlines"} name @param {string} help @param {Follow} follow @param {Commit} commit */
export function checkRow(model, name, help, follow, commit) {
  const box = element("input", { type: "checkbox" });
  box.dataset.name = name;
  box.addEventListener("change", () => commit({ [name]: box.checked }));
  follow(name, () => { box.checked = model.get(name); });
  return element("label", { className: "tnv2-row", title: help }, element("span", { textContent: name }), box);
}

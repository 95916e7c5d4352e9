// @ts-check
import { element } from "./dom.js";
import { label, squaredDepths, workspace } from "./engine.js";
import { draw, drawErrors, drawSeeds, pixel } from "./paint.js";
import { STATUS, footprints, match, statuses } from "./scores.js";
import { createStage } from "./stage.js";

// The tuner's view over a model with get, set, on, off and save_changes: anywidget's, or the handout's.

/** @typedef {import("./engine.js").Thresholds} Thresholds @typedef {import("./stage.js").Place} Place */
/** @typedef {import("./scores.js").Fate} Fate @typedef {import("./scores.js").Score} Score */
/** @typedef {Thresholds & { show: string, under: string, opacity: number, outlines: boolean, things: string, _name: string,
 *   _shape: [height: number, width: number], _pixel_area: number | null, _palette: import("./scores.js").Colour[],
 *   _presets: Record<string, Thresholds | undefined>, _pictures: Record<string, DataView>,
 *   _building: DataView, _border: DataView, _truth: DataView, _heat: DataView }} Traits */
/** @typedef {Omit<import("./dom.js").Model<Traits>, "send">} Model */
/** @typedef {(name: keyof Traits, show: () => void) => void} Follow */
/** @typedef {(values: Record<string, number | string | boolean>) => void} Commit by traits' names */
/** @typedef {{ name: keyof Thresholds | "opacity", text?: string, max?: number, step?: number, help: string }} Control */

/** @type {Control[]} */
const THRESHOLDS = [
  { name: "mask", help: "a pixel is building above this building probability" },
  { name: "seed", help: "a building starts above this building probability ..." },
  { name: "border", help: "... and below this border probability" },
  { name: "distance", max: 50, step: 0.5, help: "... and further from the region's rim than these pixels, which parts what touches" },
  { name: "min_area", text: "min px", max: 500, step: 1, help: "smaller buildings are dropped, in pixels" },
];
/** @type {Record<string, string>} */
const PRESETS = {
  demo: "the published demo's thresholds",
  practice: "thresholds from practice: low mask, sure seeds",
  card: "what the model card recommends",
  best: "the best of the last sweep",
  reset: "back to the start",
};

/** Whether a threshold has a say: that of the border where there is such a map, and the distance where not, or above 0.
 * @param {Model} model @param {string} name @param {number} value */
function hasSay(model, name, value) {
  const bordered = model.get("_border").byteLength > 0;
  return name === "border" ? bordered : name !== "distance" || !bordered || value > 0;
}

/** @param {{ model: Model, el: HTMLElement }} view */
function render({ model, el }) {
  const [height, width] = model.get("_shape");
  const space = workspace(width, height);
  const building = bytes(model.get("_building")), border = model.get("_border").byteLength ? bytes(model.get("_border")) : null;
  const truth = model.get("_truth").byteLength ? footprints(new Int32Array(bytes(model.get("_truth")).slice().buffer), width) : null;
  const backgrounds = pictures(model, building, border);
  const pixelArea = model.get("_pixel_area");
  let /** @type {Score | null} */ score = null;
  let /** @type {import("./scores.js").Codes | null} */ codes = null;
  let /** @type {Place | null} */ pointed = null;

  const /** @type {[keyof Traits, () => void][]} */ listening = [];
  const /** @type {Follow} */ listen = (name, react) => { model.on(`change:${name}`, react); listening.push([name, react]); };
  const /** @type {Follow} */ follow = (name, show) => { listen(name, show); show(); };
  // Python hears of a drag ten times a second, and of its end at once: each message costs the page about as much as a frame.
  let telling = 0;
  const tell = () => { clearTimeout(telling); telling = 0; model.save_changes(); };
  const /** @type {Commit} */ commit = (values) => {
    for (const [name, value] of Object.entries(values)) model.set(/** @type {keyof Traits} */ (name), value);
    telling ||= setTimeout(tell, 100);
  };

  const { frame, canvas, fit, centre } = createStage(width, height, (pixel) => { pointed = pixel; read(); });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const readout = element("output", { className: "tnv2-readout" });
  const count = element("output", { className: "tnv2-count" });
  count.setAttribute("aria-live", "polite");
  const known = truth && { figures: scoreLines(), errors: errorList(space, truth, centre, commit) };
  const problem = element("div", { className: "tnv2-problem", role: "alert", hidden: true });

  const compute = () => {
    label(space, building, border, {
      mask: model.get("mask"), seed: model.get("seed"), border: model.get("border"), min_area: model.get("min_area"),
      distance: model.get("distance"),
    });
    score = truth && match(space, truth);
    codes = truth && score && statuses(space, truth, score);
  };
  const paint = () => {
    const opacity = model.get("opacity"), outlines = model.get("outlines"), palette = model.get("_palette");
    const background = backgrounds[model.get("under")] ?? backgrounds.tile;
    const show = model.get("show");
    if (show === "instances") draw(space, background, pixels, palette, opacity, outlines);
    else if (show === "seeds") drawSeeds(space, background, pixels, palette, opacity);
    else if (show === "errors" && truth && codes) drawErrors(space, truth, codes, background, pixels, opacity, outlines);
    else pixels.set(background);
    context.putImageData(image, 0, 0);
    canvas.setAttribute("aria-label", `${model.get("_name")}: ${show} on ${model.get("under")}`);
  };
  const write = () => {
    const things = model.get("things");
    count.textContent = `${space.count} ${space.count === 1 ? things.replace(/s$/, "") : things}`;
    if (score) known?.figures.update(score);
    if (score) known?.errors.update(score);
    read();
  };
  const read = () => {
    readout.textContent = pointed ? describe(...pointed) : "Point at the picture to read it.";
  };
  const /** @type {(...pixel: Place) => string} */ describe = (row, column) => {
    const at = row * width + column, id = space.labels[(row + 1) * space.stride + 1 + column];
    const value = border ? `border ${(border[at] / 255).toFixed(2)}` : `distance ${depth(at)}`;
    const parts = [`row ${row} col ${column}`, `building ${(building[at] / 255).toFixed(2)} ${value}`];
    if (id) parts.push(`#${id}`, `${space.areas[id]} px`);
    if (id && pixelArea) parts.push(`${(space.areas[id] * pixelArea).toFixed(0)} m\u00b2`);
    const footprint = truth && truth.truth[at];
    if (footprint) parts.push(`footprint ${footprint}`);
    if (id && score) parts.push(`IoU ${score.best[id].toFixed(2)}`);
    return parts.join("   ");
  };

  const /** @type {(at: number) => string} */ depth = (at) => {
    const squared = squaredDepths(space, building, model.get("mask"))[at];
    return squared < 2 ** 31 - 1 ? Math.sqrt(squared).toFixed(1) : "endless";
  };

  let stale = true; // labels are behind the thresholds
  let pending = 0;
  const refresh = () => {
    pending = 0;
    try {
      if (stale) { compute(); write(); }
      stale = false;
      paint();
      problem.hidden = true;
    } catch (error) {
      problem.textContent = `The picture could not be drawn: ${/** @type {Error} */ (error).message}`;
      problem.hidden = false;
    }
  };
  const schedule = () => { pending ||= requestAnimationFrame(refresh); };
  for (const { name } of THRESHOLDS) listen(name, () => { stale = true; schedule(); });
  listen("things", () => write());
  for (const name of /** @type {const} */ (["show", "under", "opacity", "outlines"])) listen(name, schedule);

  const overlays = truth ? ["instances", "errors", "seeds", "nothing"] : ["instances", "seeds", "nothing"];
  const panel = element("div", { className: "tnv2-panel" },
    presetRow(model, follow, commit),
    ...THRESHOLDS.map((control) => {
      const row = sliderRow(model, control, follow, commit);
      follow(control.name, () => { row.style.display = hasSay(model, control.name, model.get(control.name)) ? "" : "none"; });
      return row;
    }),
    choiceRow(model, "show", overlays, "what is drawn on the picture", follow, commit),
    choiceRow(model, "under", Object.keys(backgrounds), "the picture itself", follow, commit),
    sliderRow(model, { name: "opacity", step: 0.05, help: "how strongly buildings are tinted" }, follow, commit),
    checkRow(model, "outlines", "draw the buildings' outlines", follow, commit),
    element("div", { className: "tnv2-result" }, count, ...(known ? [known.figures.node, known.errors.node] : []), problem));
  const whole = element("button", { type: "button", className: "tnv2-fit", textContent: "fit", title: "show the whole picture (0)" });
  whole.addEventListener("click", fit);
  const title = element("div", { className: "tnv2-title" }, element("span", { textContent: model.get("_name") }), whole);
  panel.addEventListener("change", tell);
  panel.addEventListener("focusout", tell);
  el.append(element("div", { className: "tnv2-tuner" }, element("div", { className: "tnv2-stage" }, title, frame, readout), panel));
  refresh();
  return () => {
    tell();
    cancelAnimationFrame(pending);
    for (const [name, react] of listening) model.off(`change:${name}`, react);
  };
}

/** F1, precision and recall, and how many buildings met which fate; the swatches are the error view's legend. */
function scoreLines() {
  const rates = element("div", { className: "tnv2-rates" });
  const fates = /** @type {Fate[]} */ (Object.keys(STATUS));
  const counts = Object.fromEntries(fates.map((kind) => [kind, element("span", {})]));
  const legend = fates.map((kind) => element("span", { title: STATUS[kind].meaning }, swatch(kind), counts[kind]));
  return {
    node: element("div", { className: "tnv2-figures" }, rates, element("div", { className: "tnv2-legend" }, ...legend)),
    update: /** @param {Score} score */ ({ f1, precision, recall, tp, fp, fn, merged, split }) => {
      rates.textContent = `F1 ${f1.toFixed(2)}   P ${precision.toFixed(2)}   R ${recall.toFixed(2)}`;
      rates.title = "F1, precision and recall at an IoU of 0.5";
      const numbers = { found: tp, missed: fn, spurious: fp, merged: merged.length, split: split.length };
      for (const [kind, number] of Object.entries(numbers)) counts[kind].textContent = `${number} ${kind}`;
    },
  };
}

/** @param {Fate} kind */
function swatch(kind) {
  return element("span", { className: `tnv2-swatch tnv2-${kind}` });
}

/** The errors as buttons that bring each into the middle, rewritten a moment after the sliders rest: a drag needs the time.
 * @param {import("./engine.js").Workspace} space @param {import("./scores.js").Footprints} truth
 * @param {(row: number, column: number, closer: number) => void} centre @param {Commit} commit */
function errorList(space, truth, centre, commit) {
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
function centres({ width, height, stride, labels, areas }, ids) {
  const sums = new Map(ids.map((id) => [id, [0, 0]]));
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const sum = sums.get(labels[(row + 1) * stride + 1 + column]);
      if (sum) { sum[0] += row; sum[1] += column; }
    }
  }
  return [...sums].map(([id, [rows, columns]]) => [id, [rows / areas[id], columns / areas[id]]]);
}

/** @param {Model} model @param {Follow} follow @param {Commit} commit */
function presetRow(model, follow, commit) {
  const buttons = Object.entries(PRESETS).map(([name, help]) => {
    const button = element("button", { type: "button", textContent: name });
    button.addEventListener("click", () => commit(model.get("_presets")[name] ?? {}));
    follow("_presets", () => {
      const preset = model.get("_presets")[name];
      button.disabled = !preset;
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
function sliderRow(model, { name, text = name, max = 1, step = 0.01, help }, follow, commit) {
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
function choiceRow(model, name, choices, help, follow, commit) {
  const select = element("select", {}, ...choices.map((choice) => element("option", { value: choice, textContent: choice })));
  select.dataset.lmSuppressShortcuts = "true";
  select.dataset.name = name;
  select.addEventListener("change", () => commit({ [name]: select.value }));
  follow(name, () => { select.value = model.get(name); });
  return element("label", { className: "tnv2-row", title: help }, element("span", { textContent: name }), select);
}

/** @param {Model} model @param {"outlines"} name @param {string} help @param {Follow} follow @param {Commit} commit */
function checkRow(model, name, help, follow, commit) {
  const box = element("input", { type: "checkbox" });
  box.dataset.name = name;
  box.addEventListener("change", () => commit({ [name]: box.checked }));
  follow(name, () => { box.checked = model.get(name); });
  return element("label", { className: "tnv2-row", title: help }, element("span", { textContent: name }), box);
}

/** The pictures to look at, one RGBA pixel an element: the tile's, and the maps in the colours of a 256-entry table.
 * @param {Model} model @param {Uint8Array} building @param {Uint8Array | null} border @returns {Record<string, Uint32Array>} */
function pictures(model, building, border) {
  const heat = rgba(bytes(model.get("_heat")));
  const coloured = /** @param {Uint8Array} map */ (map) => Uint32Array.from(map, (value) => heat[value]);
  const given = Object.entries(model.get("_pictures")).map(([name, rgb]) => [name, rgba(bytes(rgb))]);
  return { ...Object.fromEntries(given), "building map": coloured(building), ...(border && { "border map": coloured(border) }) };
}

/** @param {Uint8Array} rgb */
function rgba(rgb) {
  const pixels = new Uint32Array(rgb.length / 3);
  for (let i = 0, from = 0; i < pixels.length; i++, from += 3) pixels[i] = pixel(rgb[from], rgb[from + 1], rgb[from + 2]);
  return pixels;
}

/** @param {DataView} view */
function bytes(view) {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

export default { render };

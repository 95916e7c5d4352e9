import { element } from "./dom.js";
import { STATUS, draw, drawErrors, drawSeeds, footprints, label, match, statuses, workspace } from "./engine.js";
import { createStage } from "./stage.js";

// The tuner's view over a model with get, set, on, off and save_changes: anywidget's, or the handout's.

const THRESHOLDS = [
  { name: "mask", help: "a pixel is building above this building probability" },
  { name: "seed", help: "a building starts above this building probability ..." },
  { name: "border", help: "... and below this border probability" },
  { name: "min_area", text: "min px", max: 500, step: 1, help: "smaller buildings are dropped, in pixels" },
];
const PRESETS = {
  demo: "the published demo's thresholds",
  practice: "thresholds from practice: low mask, sure seeds",
  card: "what the model card recommends",
  best: "the best of the last sweep",
  reset: "back to the start",
};

function render({ model, el }) {
  const [height, width] = model.get("_shape");
  const space = workspace(width, height);
  const building = bytes(model.get("_building")), border = bytes(model.get("_border"));
  const truth = model.get("_truth").byteLength ? footprints(new Int32Array(bytes(model.get("_truth")).slice().buffer), width) : null;
  const backgrounds = pictures(model, building, border);
  const pixelArea = model.get("_pixel_area");
  let score = null, codes = null, pointed = [null];

  const listening = [];
  const listen = (names, react) => {
    for (const name of names) { model.on(`change:${name}`, react); listening.push([name, react]); }
  };
  // Python hears of a drag ten times a second, and of its end at once: each message costs the page about as much as a frame.
  let telling = 0;
  const tell = () => { clearTimeout(telling); telling = 0; model.save_changes(); };
  const commit = (values) => {
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    telling ||= setTimeout(tell, 100);
  };

  const { frame, canvas, fit, centre } = createStage(width, height, (...pixel) => { pointed = pixel; read(); });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const readout = element("output", { className: "tnv2-readout" });
  const count = element("output", { className: "tnv2-count" });
  count.setAttribute("aria-live", "polite");
  const figures = scoreLines();
  const errors = errorList(space, truth, centre, commit);
  const problem = element("div", { className: "tnv2-problem", role: "alert", hidden: true });

  const compute = () => {
    label(space, building, border, Object.fromEntries(THRESHOLDS.map(({ name }) => [name, model.get(name)])));
    score = truth && match(space, truth);
    codes = truth && statuses(space, truth, score);
  };
  const paint = () => {
    const opacity = model.get("opacity"), outlines = model.get("outlines"), palette = model.get("_palette");
    const background = backgrounds[model.get("under")] ?? backgrounds.tile;
    const show = model.get("show");
    if (show === "instances") draw(space, background, pixels, palette, opacity, outlines);
    else if (show === "seeds") drawSeeds(space, background, pixels, palette, opacity);
    else if (show === "errors" && truth) drawErrors(space, truth, codes, background, pixels, opacity, outlines);
    else pixels.set(background);
    context.putImageData(image, 0, 0);
    canvas.setAttribute("aria-label", `${model.get("_name")}: ${show} on ${model.get("under")}`);
  };
  const write = () => {
    count.textContent = `${space.count} building${space.count === 1 ? "" : "s"}`;
    if (truth) figures.update(score);
    if (truth) errors.update(score);
    read();
  };
  const read = () => {
    readout.textContent = pointed[0] === null ? "Point at the picture to read it." : describe(...pointed);
  };
  const describe = (row, column) => {
    const at = row * width + column, id = space.labels[(row + 1) * space.stride + 1 + column];
    const parts = [`row ${row} col ${column}`, `building ${(building[at] / 255).toFixed(2)} border ${(border[at] / 255).toFixed(2)}`];
    if (id) parts.push(`#${id}`, `${space.areas[id]} px`);
    if (id && pixelArea) parts.push(`${(space.areas[id] * pixelArea).toFixed(0)} m\u00b2`);
    const footprint = truth && truth.truth[at];
    if (footprint) parts.push(`footprint ${footprint}`);
    if (id && truth) parts.push(`IoU ${score.best[id].toFixed(2)}`);
    return parts.join("   ");
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
      problem.textContent = `The picture could not be drawn: ${error.message}`;
      problem.hidden = false;
    }
  };
  const schedule = () => { pending ||= requestAnimationFrame(refresh); };
  listen(THRESHOLDS.map(({ name }) => name), () => { stale = true; schedule(); });
  listen(["show", "under", "opacity", "outlines"], schedule);

  const overlays = truth ? ["instances", "errors", "seeds", "nothing"] : ["instances", "seeds", "nothing"];
  const panel = element("div", { className: "tnv2-panel" },
    presetRow(model, listen, commit),
    ...THRESHOLDS.map((control) => sliderRow(model, control, listen, commit)),
    choiceRow(model, "show", overlays, "what is drawn on the picture", listen, commit),
    choiceRow(model, "under", Object.keys(backgrounds), "the picture itself", listen, commit),
    sliderRow(model, { name: "opacity", step: 0.05, help: "how strongly buildings are tinted" }, listen, commit),
    checkRow(model, "outlines", "draw the buildings' outlines", listen, commit),
    element("div", { className: "tnv2-result" }, count, ...(truth ? [figures.node, errors.node] : []), problem));
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

// F1, precision and recall, and how many buildings met which fate; the swatches are the error view's legend.
function scoreLines() {
  const rates = element("div", { className: "tnv2-rates" });
  const counts = Object.fromEntries(Object.keys(STATUS).map((kind) => [kind, element("span")]));
  const legend = Object.entries(counts).map(([kind, text]) => element("span", { title: STATUS[kind].meaning }, swatch(kind), text));
  return {
    node: element("div", { className: "tnv2-figures" }, rates, element("div", { className: "tnv2-legend" }, ...legend)),
    update: ({ f1, precision, recall, tp, fp, fn, merged, split }) => {
      rates.textContent = `F1 ${f1.toFixed(2)}   P ${precision.toFixed(2)}   R ${recall.toFixed(2)}`;
      rates.title = "F1, precision and recall at an IoU of 0.5";
      const numbers = { found: tp, missed: fn, spurious: fp, merged: merged.length, split: split.length };
      for (const [kind, number] of Object.entries(numbers)) counts[kind].textContent = `${number} ${kind}`;
    },
  };
}

function swatch(kind) {
  return element("span", { className: `tnv2-swatch tnv2-${kind}` });
}

// The errors as buttons that bring each into the middle, rewritten a moment after the sliders rest: a drag needs the time.
function errorList(space, truth, centre, commit) {
  const list = element("div", { className: "tnv2-errors" });
  let timer = 0;
  const entry = (kind, text, row, column) => {
    const button = element("button", { type: "button", title: STATUS[kind].meaning }, swatch(kind), `${kind} ${text}`);
    button.addEventListener("click", () => { commit({ show: "errors" }); centre(row, column, 5); });
    return button;
  };
  const write = (score) => {
    const at = (footprint) => [truth.rows[footprint], truth.columns[footprint]];
    const told = new Set([...score.merged.flatMap(([, ids]) => ids), ...score.split.map(([id]) => id), ...score.ofTruth.keys()]);
    const parts = new Set([...score.merged.map(([id]) => id), ...score.split.flatMap(([, ids]) => ids), ...score.ofLabel.keys()]);
    const missed = [...truth.areas.keys()].filter((id) => id && truth.areas[id] && !told.has(id));
    const spurious = [...Array(space.count).keys()].map((i) => i + 1).filter((id) => !parts.has(id));
    const middles = centres(space, spurious);
    list.replaceChildren(
      ...score.merged.map(([id, ids]) => entry("merged", `#${id}: footprints ${ids.join(" + ")}`, ...at(ids[0]))),
      ...score.split.map(([id, ids]) => entry("split", `footprint ${id}: #${ids.join(" + #")}`, ...at(id))),
      ...missed.map((id) => entry("missed", `footprint ${id}`, ...at(id))),
      ...spurious.map((id) => entry("spurious", `#${id}`, ...middles.get(id))));
  };
  return {
    node: list,
    update: (score) => {
      clearTimeout(timer);
      timer = setTimeout(() => write(score), list.childElementCount ? 200 : 0);
    },
  };
}

// The middle row and column of each of the instances `ids`.
function centres({ width, height, stride, labels, areas }, ids) {
  const sums = new Map(ids.map((id) => [id, [0, 0]]));
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const sum = sums.get(labels[(row + 1) * stride + 1 + column]);
      if (sum) { sum[0] += row; sum[1] += column; }
    }
  }
  return new Map([...sums].map(([id, [rows, columns]]) => [id, [rows / areas[id], columns / areas[id]]]));
}

function presetRow(model, listen, commit) {
  const buttons = Object.entries(PRESETS).map(([name, help]) => {
    const button = element("button", { type: "button", textContent: name });
    button.addEventListener("click", () => commit(model.get("_presets")[name]));
    const show = () => {
      const preset = model.get("_presets")[name];
      button.disabled = !preset;
      const values = preset && `mask ${preset.mask}, seed ${preset.seed}, border ${preset.border}, min px ${preset.min_area}`;
      button.title = preset ? `${help}: ${values}` : `${help}: none yet`;
    };
    listen(["_presets"], show);
    show();
    return button;
  });
  return element("div", { className: "tnv2-presets" }, ...buttons);
}

// A label, a range and a number field for one number of the model.
function sliderRow(model, { name, text = name, max = 1, step = 0.01, help }, listen, commit) {
  const range = element("input", { type: "range", min: 0, max, step });
  const field = element("input", { type: "number", min: 0, max, step });
  for (const input of [range, field]) {
    input.setAttribute("aria-label", `${text}: ${help}`);
    input.dataset.lmSuppressShortcuts = "true"; // or JupyterLab swallows the arrow keys
    input.dataset.name = name;
  }
  const show = () => {
    const value = model.get(name);
    range.max = Math.max(max, value);
    range.value = value;
    if (document.activeElement !== field) field.value = step < 1 ? String(Number(value.toFixed(4))).padEnd(4, value % 1 ? "0" : "") : value;
  };
  const take = (input) => {
    const value = Number(input.value), fits = input.value !== "" && value >= 0 && (step >= 1 || value <= max);
    field.classList.toggle("tnv2-wrong", !fits);
    if (fits) commit({ [name]: step < 1 ? value : Math.round(value) });
  };
  range.addEventListener("input", () => take(range));
  field.addEventListener("input", () => take(field));
  field.addEventListener("blur", () => { field.classList.remove("tnv2-wrong"); show(); });
  listen([name], show);
  show();
  return element("label", { className: "tnv2-row", title: help }, element("span", { textContent: text }), range, field);
}

function choiceRow(model, name, choices, help, listen, commit) {
  const select = element("select", {}, ...choices.map((choice) => element("option", { value: choice, textContent: choice })));
  select.dataset.lmSuppressShortcuts = "true";
  select.dataset.name = name;
  select.addEventListener("change", () => commit({ [name]: select.value }));
  const show = () => { select.value = model.get(name); };
  listen([name], show);
  show();
  return element("label", { className: "tnv2-row", title: help }, element("span", { textContent: name }), select);
}

function checkRow(model, name, help, listen, commit) {
  const box = element("input", { type: "checkbox" });
  box.dataset.name = name;
  box.addEventListener("change", () => commit({ [name]: box.checked }));
  const show = () => { box.checked = model.get(name); };
  listen([name], show);
  show();
  return element("label", { className: "tnv2-row", title: help }, element("span", { textContent: name }), box);
}

// The pictures to look at, one RGBA pixel an element: the tile's, and the maps in the colours of a 256-entry table.
function pictures(model, building, border) {
  const heat = rgba(bytes(model.get("_heat")));
  const coloured = (map) => Uint32Array.from(map, (value) => heat[value]);
  const given = Object.entries(model.get("_pictures")).map(([name, rgb]) => [name, rgba(bytes(rgb))]);
  return { ...Object.fromEntries(given), "building map": coloured(building), "border map": coloured(border) };
}

function rgba(rgb) {
  const pixels = new Uint32Array(rgb.length / 3);
  for (let i = 0, from = 0; i < pixels.length; i++, from += 3) {
    pixels[i] = 255 << 24 | rgb[from + 2] << 16 | rgb[from + 1] << 8 | rgb[from];
  }
  return pixels;
}

function bytes(view) {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

export default { render };

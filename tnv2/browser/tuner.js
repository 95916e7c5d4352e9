// @ts-check
import { THRESHOLDS, checkRow, choiceRow, hasSay, presetRow, sliderRow, thresholdsOf } from "./controls.js";
import { createCurtain } from "./curtain.js";
import { element, onGone } from "./dom.js";
import { mend } from "./edits.js";
import { label, squaredDepths, workspace } from "./engine.js";
import { errorList, rates, scoreLines } from "./figures.js";
import { createMending } from "./mending.js";
import { draw, drawErrors, drawSeeds, pixel } from "./paint.js";
import { footprints, match, statuses } from "./scores.js";
import { createStage } from "./stage.js";
import { renderStrip } from "./strip.js";

// The tuner's view over a model with get, set, on, off and save_changes: anywidget's, or the handout's.

/** @typedef {import("./stage.js").Place} Place @typedef {import("./scores.js").Score} Score */
/** @typedef {import("./controls.js").Traits} Traits @typedef {import("./controls.js").Model} Model */
/** @typedef {import("./controls.js").Follow} Follow @typedef {import("./controls.js").Commit} Commit */

const IDLE = matchMedia("(pointer: coarse)").matches
  ? "Tap the picture to read it; two fingers zoom, and one moves it then."
  : "Point at the picture to read it. Ctrl + wheel zooms, as the wheel does after a click.";
const GONE = "Python no longer listens: its kernel was restarted or ended. This still tunes; run the cell again to go on in Python.";

/** One tile, or a strip of several over the one that is visible. @param {{ model: Model, el: HTMLElement }} view */
export function render(view) {
  return view.model.get("_tiles").length ? renderStrip(view, renderTile) : renderTile({ ...view, kept: {} });
}

/** @type {import("./strip.js").RenderTile} */
function renderTile({ model, el, kept }) {
  const [height, width] = model.get("_shape");
  const space = workspace(width, height);
  const building = bytes(model.get("_building")), border = model.get("_border").byteLength ? bytes(model.get("_border")) : null;
  const truth = model.get("_truth").byteLength ? footprints(new Int32Array(bytes(model.get("_truth")).slice().buffer), width) : null;
  const backgrounds = pictures(model, building, border);
  const pixelArea = model.get("_pixel_area");
  let /** @type {Score | null} */ score = null;
  let /** @type {import("./scores.js").Codes | null} */ codes = null;
  let /** @type {import("./edits.js").Mended | null} */ mended = null;
  let /** @type {Score | null} */ bare = null; // without edits
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

  const /** @type {(pixel: Place | null) => void} */ point = (pixel) => { pointed = pixel; read(); };
  const stage = createStage(width, height, point), { frame, canvas, fit, zoomBy, centre } = stage;
  const /** @type {typeof centre} */ visit = (...place) => { centre(...place); frame.scrollIntoView({ block: "nearest" }); };
  // Of pixels that are written whole: WebKit would keep them on the graphics card otherwise, and wait for it with each picture.
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const readout = element("output", { className: "tnv2-readout" });
  const count = element("output", { className: "tnv2-count" });
  count.setAttribute("aria-live", "polite");
  const known = truth && { figures: scoreLines(), errors: errorList(space, truth, visit, commit) };
  const problem = element("div", { className: "tnv2-problem", role: "alert", hidden: true });

  const mending = createMending(stage, width, height, kept, {
    edits: () => model.get("edits"), commit: (edits) => commit({ edits }), point,
    tries: (edit) => {
      if (stale) refresh();
      return mend({ ...space, labels: space.labels.slice(), areas: space.areas.slice() }, [edit]).waiting[0];
    },
    name: (row, column) => { const id = idAt(row, column); return id ? `building #${id}, ${space.areas[id]} px` : "no building"; },
  });
  const /** @type {(...pixel: Place) => number} */ idAt = (row, column) => space.labels[(row + 1) * space.stride + 1 + column];

  /** @param {typeof space} on @param {ReturnType<typeof thresholdsOf>} limits */
  const make = (on, limits) => {
    label(on, building, border, limits);
    const edits = model.get("edits");
    const bare = truth && edits.length ? match(on, truth) : null;
    const mended = edits.length ? mend(on, edits) : null;
    const score = truth && match(on, truth);
    return { bare, mended, score, codes: truth && score && statuses(on, truth, score) };
  };
  const compute = () => { ({ bare, mended, score, codes } = make(space, thresholdsOf(model))); };
  const /** @type {(from: typeof space, fates: typeof codes, pixels: Uint32Array, show: string) => void} */ drawOn = (from, fates, pixels, show) => {
    const opacity = model.get("opacity"), outlines = model.get("outlines"), palette = model.get("_palette");
    const background = backgrounds.of(model.get("under"));
    if (show === "instances") draw(from, background, pixels, palette, opacity, outlines);
    else if (show === "seeds") drawSeeds(from, background, pixels, palette, opacity);
    else if (show === "errors" && truth && fates) drawErrors(from, truth, fates, background, pixels, opacity, outlines);
    else pixels.set(background);
  };
  const paint = () => {
    const show = model.get("show");
    drawOn(space, codes, pixels, show);
    context.putImageData(image, 0, 0);
    curtain.refresh();
    canvas.setAttribute("aria-label", `${model.get("_name")}: ${show} on ${model.get("under")}`);
  };
  const curtain = createCurtain(stage, width, height, kept, model, {
    at: (other, limits, pixels) => {
      const made = limits && make(other, limits);
      drawOn(other, made && made.codes, pixels, made ? model.get("show") : "nothing");
      return made?.score ? rates(made.score) : "";
    },
    now: () => (score ? rates(score) : ""),
  }, commit);
  const write = () => {
    const things = model.get("things");
    count.textContent = `${space.count} ${space.count === 1 ? things.replace(/s$/, "") : things}`;
    if (score) known?.figures.update(score);
    if (score) known?.errors.update(score);
    mending.update(mended?.waiting ?? [], score && bare ? `${rates(score)}   with edits\n${rates(bare)}   without` : "");
    read();
  };
  const read = () => {
    readout.textContent = pointed ? describe(...pointed) : IDLE;
  };
  const /** @type {(...pixel: Place) => string} */ describe = (row, column) => {
    const at = row * width + column, id = idAt(row, column);
    const value = border ? `border ${(border[at] / 255).toFixed(2)}` : `distance ${depth(at)}`;
    const parts = [`row ${row} col ${column}`, `building ${(building[at] / 255).toFixed(2)} ${value}`];
    if (id) parts.push(`#${id}`, `${space.areas[id]} px`);
    if (mended?.byHand[id]) parts.push("by hand");
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
  listen("edits", () => { mending.changed(); stale = true; schedule(); });
  listen("things", () => write());
  for (const name of /** @type {const} */ (["show", "under", "opacity", "outlines", "_presets"])) listen(name, schedule);

  const overlays = truth ? ["instances", "errors", "seeds", "nothing"] : ["instances", "seeds", "nothing"];
  const panel = element("div", { className: "tnv2-panel" },
    presetRow(model, follow, commit),
    ...THRESHOLDS.map((control) => {
      const row = sliderRow(model, control, follow, commit);
      follow(control.name, () => { row.style.display = hasSay(model, control.name, model.get(control.name)) ? "" : "none"; });
      return row;
    }),
    choiceRow(model, "show", overlays, "what is drawn on the picture", follow, commit),
    choiceRow(model, "under", backgrounds.names, "the picture itself", follow, commit),
    sliderRow(model, { name: "opacity", step: 0.05, help: "how strongly buildings are tinted" }, follow, commit),
    checkRow(model, "outlines", "draw the buildings' outlines", follow, commit),
    curtain.row,
    mending.node,
    element("div", { className: "tnv2-result" }, count, ...(known ? [known.figures.node, known.errors.node] : []), problem));
  const /** @type {(text: string, title: string, act: () => void) => HTMLElement} */ button = (textContent, title, act) => {
    const node = element("button", { type: "button", textContent, title });
    node.addEventListener("click", act);
    return node;
  };
  const zooms = element("div", { className: "tnv2-zooms" },
    button("\u2212", "zoom out (-)", () => zoomBy(0.8)), button("+", "zoom in (+)", () => zoomBy(1.25)),
    button("fit", "show the whole picture (0)", fit));
  const title = element("div", { className: "tnv2-title" }, element("span", { textContent: model.get("_name") }), zooms);
  const gone = element("div", { className: "tnv2-gone", role: "status" });
  const ended = onGone(model, () => { gone.textContent = GONE; });
  panel.addEventListener("change", tell);
  panel.addEventListener("focusout", tell);
  el.append(element("div", { className: "tnv2-tuner" }, element("div", { className: "tnv2-stage" }, title, curtain.box, readout, gone), panel));
  refresh();
  return () => {
    tell();
    ended();
    cancelAnimationFrame(pending);
    for (const [name, react] of listening) model.off(`change:${name}`, react);
  };
}

/** The pictures to look at, one RGBA pixel an element, each made when it is first asked for: the tile's, and the maps in the
 * colours of a 256-entry table. @param {Model} model @param {Uint8Array} building @param {Uint8Array | null} border */
function pictures(model, building, border) {
  const heat = rgba(bytes(model.get("_heat"))), given = model.get("_pictures");
  const /** @type {Record<string, Uint32Array>} */ made = {};
  const /** @type {(map: Uint8Array) => Uint32Array} */ coloured = (map) => {
    const pixels = new Uint32Array(map.length);
    for (let i = 0; i < pixels.length; i++) pixels[i] = heat[map[i]];
    return pixels;
  };
  return {
    names: [...Object.keys(given), "building map", ...(border ? ["border map"] : [])],
    of: /** @param {string} name */ (name) => {
      if (name === "building map") return made[name] ??= coloured(building);
      if (name === "border map" && border) return made[name] ??= coloured(border);
      const known = name in given ? name : "tile";
      return made[known] ??= rgba(bytes(given[known]));
    },
  };
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

// @ts-check
import { THRESHOLDS, thresholdsOf } from "./controls.js";
import { element, onKeys } from "./dom.js";
import { rates } from "./figures.js";
import { createPool } from "./pool.js";
import { ratesOf } from "./scores.js";

// The strip: several tiles as thumbnails with their F1, of which one is visible, and the figures of all together.

/** @typedef {import("./controls.js").Model} Model @typedef {import("./controls.js").Content} Content */
/** @typedef {import("./controls.js").Traits} Traits @typedef {import("./tally.js").Found} Found */
/** What a tile's view leaves for when it comes back. @typedef {{ history?: import("./mending.js").History, curtain?: import("./curtain.js").Drawn }} Kept */
/** @typedef {(view: { model: Model, el: HTMLElement, kept: Kept }) => () => void} RenderTile */

const SIDE = 64; // px of a thumbnail
const REST = 600; // ms without new figures until the worst are brought to the front again: nothing moves under the hand
/** From F1 0 to 1, dark to bright and legible without colour vision (cividis). @type {import("./scores.js").Colour[]} */
const RAMP = [[0, 32, 77], [65, 77, 107], [124, 123, 120], [188, 175, 111], [255, 234, 70]];
const STEPS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -Infinity, End: Infinity };

/** @param {{ model: Model, el: HTMLElement }} view @param {RenderTile} renderTile */
export function renderStrip({ model, el }, renderTile) {
  const tiles = model.get("_tiles");
  const curtain = { compare: "off", place: 50 }; // as it was left on the tile before
  const /** @type {Kept[]} */ kept = tiles.map(() => ({ curtain }));
  const /** @type {(Found | null)[]} */ found = tiles.map(() => null);
  let order = tiles.map((_, at) => at), version = 0, resting = 0, asking = false, ended = false;
  let /** @type {(() => void) | null} */ leave = null;

  const titles = tiles.map((tile, at) => tile._name || `tile ${at + 1}`);
  const badges = tiles.map(() => element("span", { className: "tnv2-badge", textContent: "\u2026" }));
  const options = tiles.map((tile, at) => {
    const name = element("span", { className: "tnv2-thumb-name" }, element("bdi", { textContent: titles[at] }));
    const option = element("div", { className: "tnv2-thumb", title: titles[at] }, thumbnail(tile), name, badges[at]);
    option.setAttribute("role", "option");
    option.addEventListener("click", () => choose(at));
    return option;
  });
  const list = element("div", { className: "tnv2-thumbs" }, ...options);
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-orientation", "horizontal");
  list.setAttribute("aria-label", "tiles: arrow keys change the visible one");
  const pooled = element("output", { className: "tnv2-pooled", title: "all tiles together; F1, precision and recall at an IoU of 0.5" });
  const worst = element("button", { type: "button", textContent: "worst first", title: "the tiles by their F1, the lowest first" });
  const said = element("span", { className: "tnv2-gone", role: "status" });
  const host = element("div", {});
  const node = element("div", { className: "tnv2-strip" }, element("div", { className: "tnv2-strip-head" }, pooled, said, worst), list);
  el.append(node, host);

  const sort = () => {
    const byF1 = worst.getAttribute("aria-pressed") === "true";
    const f1 = (/** @type {number} */ at) => (found[at]?.known ? f1Of(found[at]) : 2); // without footprints: last
    order = tiles.map((_, at) => at);
    if (byF1) order.sort((a, b) => f1(a) - f1(b) || a - b);
    const focused = options.find((option) => option === document.activeElement);
    if (order.some((at, n) => list.children[n] !== options[at])) list.append(...order.map((at) => options[at]));
    focused?.focus({ preventScroll: true });
  };
  worst.setAttribute("aria-pressed", "false");
  worst.addEventListener("click", () => {
    worst.setAttribute("aria-pressed", String(worst.getAttribute("aria-pressed") !== "true"));
    sort();
    options[model.get("at")].scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  onKeys(list, ({ key }) => {
    const step = STEPS[/** @type {keyof typeof STEPS} */ (key)];
    if (step === undefined) return false;
    const place = Math.min(tiles.length - 1, Math.max(0, order.indexOf(model.get("at")) + step));
    choose(order[place]);
    options[order[place]].focus();
    return true;
  });

  const /** @type {(answer: Found) => void} */ take = (answer) => {
    const { at, known, count } = found[answer.at] = answer;
    const f1 = f1Of(answer);
    badges[at].textContent = known ? f1.toFixed(2) : String(count);
    badges[at].title = known ? "F1 at an IoU of 0.5" : `${model.get("things")}; there are no footprints`;
    const [paper, pen] = known ? inks(f1) : ["", ""];
    Object.assign(badges[at].style, { background: paper, color: pen });
    options[at].style.borderColor = paper;
    write();
    clearTimeout(resting);
    resting = setTimeout(sort, REST);
  };
  const write = () => {
    const behind = found.some((each) => each?.version !== version), all = found.flatMap((each) => each ?? []);
    const sum = (/** @type {"count" | "tp" | "fp" | "fn"} */ name) => all.reduce((total, each) => total + each[name], 0);
    const told = all.some(({ known }) => known) ? `   ${rates(ratesOf(sum("tp"), sum("fp"), sum("fn")))}` : "";
    pooled.textContent = `${tiles.length} tiles   ${sum("count")} ${model.get("things")}${told}${behind ? " \u2026" : ""}`; // of mixed thresholds until then
    node.setAttribute("aria-busy", String(behind));
  };
  const pool = createPool(model.get("_worker"), () => tiles.map(plan), take,
    () => { said.textContent = "No worker can run here: the figures of all tiles come when the page is idle."; });
  const ask = () => {
    asking = false;
    if (ended) return;
    const at = model.get("at"), edits = model.get("_every_edits").map((each, n) => (n === at ? model.get("edits") : each));
    version = pool.ask({ thresholds: thresholdsOf(model), edits });
    write();
  };
  const later = () => { // once for a preset, which moves several
    if (!asking) queueMicrotask(ask);
    asking = true;
  };

  const open = () => {
    leave?.();
    const at = model.get("at"), edits = model.get("_every_edits")[at];
    if (JSON.stringify(model.get("edits")) !== JSON.stringify(edits)) model.set("edits", edits);
    host.replaceChildren();
    leave = renderTile({ model: tileModel(model, at), el: host, kept: kept[at] });
    options.forEach((option, n) => {
      option.setAttribute("aria-selected", String(n === at));
      option.tabIndex = n === at ? 0 : -1;
    });
    const { left, right } = list.getBoundingClientRect(), box = options[at].getBoundingClientRect();
    if (box.left < left || box.right > right) list.scrollLeft += (box.left + box.right - left - right) / 2;
  };
  const /** @type {(at: number) => void} */ choose = (at) => {
    if (at === model.get("at")) return;
    leave?.(); // tells Python first what is on its way
    leave = null;
    model.set("edits", model.get("_every_edits")[at]);
    model.set("at", at);
    model.save_changes();
  };
  const /** @type {(keyof Traits)[]} */ heard = [...THRESHOLDS.map(({ name }) => name), "edits", "_every_edits"];
  model.on("change:at", open);
  model.on("change:things", write);
  for (const name of heard) model.on(`change:${name}`, later);
  open();
  ask();
  return () => {
    ended = true;
    pool.end();
    clearTimeout(resting);
    leave?.();
    model.off("change:at", open);
    model.off("change:things", write);
    for (const name of heard) model.off(`change:${name}`, later);
  };
}

/** The model as the view of one tile sees it: the tile's content as its own, and the edits of no other.
 * @param {Model} model @param {number} at @returns {Model} */
function tileModel(model, at) {
  const content = model.get("_tiles")[at];
  return {
    widget_manager: model.widget_manager,
    get: (name) => {
      if (name === "edits" && model.get("at") !== at) return /** @type {any} */ (model.get("_every_edits")[at]);
      return name in content ? /** @type {any} */ (content)[name] : model.get(name);
    },
    set: (name, value) => {
      if (name === "edits") model.set("_every_edits", model.get("_every_edits").map((each, n) => (n === at ? /** @type {any} */ (value) : each)));
      model.set(name, value);
    },
    on: (event, react) => model.on(event, react),
    off: (event, react) => model.off(event, react),
    save_changes: () => model.save_changes(),
  };
}

/** Copies of what the pool needs of a tile. @param {Content} tile @returns {import("./tally.js").Plan} */
function plan({ _shape: [height, width], _building, _border, _truth }) {
  const /** @type {(view: DataView) => Uint8Array} */ copy = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
  return {
    width, height, building: copy(_building), border: _border.byteLength ? copy(_border) : null,
    truth: _truth.byteLength ? new Int32Array(copy(_truth).buffer) : null,
  };
}

/** @param {Found} found */
function f1Of({ tp, fp, fn }) {
  return ratesOf(tp, fp, fn).f1;
}

/** The colour of an F1, and black or white, whichever is easier to read on it. @param {number} f1 @returns {[paper: string, pen: string]} */
function inks(f1) {
  const place = f1 * (RAMP.length - 1), low = Math.min(RAMP.length - 2, Math.floor(place));
  const paper = RAMP[low].map((value, channel) => Math.round(value + (RAMP[low + 1][channel] - value) * (place - low)));
  const [red, green, blue] = paper.map((value) => (value / 255) ** 2.2);
  return [`rgb(${paper.join(" ")})`, 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#000" : "#fff"];
}

/** The tile's picture, averaged to at most SIDE px. @param {Content} tile */
function thumbnail({ _shape: [height, width], _pictures }) {
  const { buffer, byteOffset, byteLength } = /** @type {DataView<ArrayBuffer>} */ (_pictures.tile);
  const rgb = new Uint8Array(buffer, byteOffset, byteLength), step = Math.max(1, Math.max(height, width) / SIDE);
  const across = Math.max(1, Math.floor(width / step)), down = Math.max(1, Math.floor(height / step));
  const canvas = element("canvas", { width: across, height: down });
  canvas.setAttribute("aria-hidden", "true");
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")), image = context.createImageData(across, down);
  const /** @type {(from: number) => [number, number]} */ span = (from) => [Math.floor(from * step), Math.max(Math.floor(from * step) + 1, Math.floor((from + 1) * step))];
  for (let y = 0, to = 0; y < down; y++) {
    for (let x = 0; x < across; x++, to += 4) {
      const [top, bottom] = span(y), [left, right] = span(x), sums = [0, 0, 0];
      for (let row = top; row < bottom; row++) {
        for (let i = 3 * (row * width + left), end = 3 * (row * width + right); i < end; i += 3) {
          sums[0] += rgb[i]; sums[1] += rgb[i + 1]; sums[2] += rgb[i + 2];
        }
      }
      sums.forEach((sum, channel) => { image.data[to + channel] = sum / ((bottom - top) * (right - left)); });
      image.data[to + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

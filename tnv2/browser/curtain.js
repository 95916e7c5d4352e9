// @ts-check
import { THRESHOLDS, hasSay, thresholdsOf } from "./controls.js";
import { element, onKeys } from "./dom.js";
import { workspace } from "./engine.js";

// The curtain: two pictures in one frame, with a handle between them that the mouse, a finger or the arrow keys move.
// A side is the picture alone, the present, or thresholds that were kept as A or B. One that is not the present has a canvas
// of its own over the stage's, drawn when what it shows changes. While the curtain is off there is none of all that.

/** @typedef {import("./engine.js").Workspace} Workspace @typedef {import("./engine.js").Thresholds} Thresholds */
/** @typedef {import("./engine.js").Pixels} Pixels @typedef {import("./controls.js").Model} Model */
/** What is compared, and where the handle is, in per cent of the width. @typedef {{ compare: string, place: number }} Drawn */
/** `at` draws the picture with what thresholds make, or alone for null, and returns the score in words; `now` the present's.
 * @typedef {{ at: (space: Workspace, limits: Thresholds | null, pixels: Pixels) => string, now: () => string }} Pictures */

/** @type {Record<string, string[]>} */
const SIDES = { off: [], "picture | instances": ["picture", "now"], "A | now": ["A", "now"], "A | B": ["A", "B"] };
/** @type {Record<string, number | undefined>} */
const MOVES = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10, Home: -100, End: 100 };
const LOOKS = /** @type {const} */ (["show", "under", "opacity", "outlines", "edits", "_palette"]);

/** @param {ReturnType<typeof import("./stage.js").createStage>} stage @param {number} width @param {number} height
 * @param {{ curtain?: Drawn }} kept for the view of another tile @param {Model} model @param {Pictures} pictures
 * @param {import("./controls.js").Commit} commit */
export function createCurtain({ frame, canvas, layers, place }, width, height, kept, model, pictures, commit) {
  const state = kept.curtain ??= { compare: "off", place: 50 };
  let /** @type {Workspace | null} */ space = null; // of its own: the stage's is the present's
  let /** @type {ReturnType<typeof createSide>[]} */ sides = [];
  const captions = ["left", "right"].map((side) => element("div", { className: `tnv2-caption tnv2-caption-${side}` }));
  const handle = element("div", { className: "tnv2-handle", tabIndex: 0 });
  handle.setAttribute("role", "slider");
  handle.setAttribute("aria-label", "curtain between two pictures");
  const box = element("div", { className: "tnv2-box" }, frame, ...captions, handle);

  const /** @type {(to: number) => void} */ move = (to) => {
    state.place = Math.min(100, Math.max(0, to));
    handle.style.left = `${state.place}%`;
    handle.setAttribute("aria-valuenow", state.place.toFixed(0));
    handle.setAttribute("aria-valuetext", `${state.place.toFixed(0)} %. Left: ${captions[0].textContent}. Right: ${captions[1].textContent}`);
    sides.forEach(({ node }, n) => { node.style.clipPath = n ? `inset(0 0 0 ${state.place}%)` : `inset(0 ${100 - state.place}% 0 0)`; });
  };
  handle.addEventListener("pointerdown", (event) => { if (event.button === 0) handle.setPointerCapture(event.pointerId); });
  handle.addEventListener("pointermove", ({ pointerId, clientX }) => {
    const { left, width: across } = frame.getBoundingClientRect();
    if (handle.hasPointerCapture(pointerId)) move(100 * (clientX - left) / across);
  });
  onKeys(handle, ({ key, shiftKey }) => {
    const step = MOVES[key];
    if (step) move(state.place + step * (shiftKey ? 5 : 1));
    return Boolean(step);
  });

  const refresh = () => {
    const names = SIDES[state.compare], presets = model.get("_presets"), now = thresholdsOf(model);
    if (!names.length) return;
    const limits = names.map((name) => presets[name] ?? now);
    const differing = THRESHOLDS.filter(({ name }) => limits[0][name] !== limits[1][name] && limits.some((each) => hasSay(model, name, each[name])));
    sides.forEach((side, n) => {
      const name = names[n], alone = name === "picture", live = !alone && !presets[name];
      const looks = JSON.stringify([alone || limits[n], ...LOOKS.map((trait) => model.get(trait))]);
      side.node.hidden = live;
      if (!live && side.looks !== looks) {
        side.told = pictures.at(space ??= workspace(width, height), alone ? null : limits[n], side.pixels);
        side.context.putImageData(side.image, 0, 0);
        side.looks = looks;
      }
      const title = live && name !== "now" ? `now, until you press ${name}` : name;
      const told = names[0] === "picture" ? [] : differing.map(({ name: each, text = each }) => `${text} ${limits[n][each]}`);
      captions[n].textContent = [title, live ? pictures.now() : side.told, ...told].filter(Boolean).join("   ");
    });
    move(state.place);
  };
  const select = element("select", {}, ...Object.keys(SIDES).map((value) => element("option", { value, textContent: value })));
  select.dataset.lmSuppressShortcuts = "true";
  select.dataset.name = "compare";
  const /** @type {(compare: string) => void} */ choose = (compare) => {
    const on = compare !== "off";
    state.compare = select.value = compare;
    for (const part of [handle, ...captions]) part.hidden = !on;
    if (on && !sides.length) {
      sides = captions.map(() => createSide(width, height));
      canvas.after(...sides.map(({ node }) => node));
      layers.push(...sides.map(({ layer }) => layer));
      place();
    } else if (!on) {
      for (const { node } of sides) node.remove();
      layers.length = 1;
      sides = [];
      space = null;
    }
    refresh();
  };
  select.addEventListener("change", () => choose(select.value));
  const keepers = ["A", "B"].map((name) => {
    const button = element("button", { type: "button", textContent: name, title: `keep the present thresholds as ${name}` });
    button.addEventListener("click", () => {
      commit({ _presets: { ...model.get("_presets"), [name]: thresholdsOf(model) } });
      choose(name === "B" || state.compare === "A | B" ? "A | B" : "A | now");
    });
    return button;
  });
  const row = element("div", { className: "tnv2-row tnv2-compare", title: "two pictures side by side, and a curtain between them" },
    element("label", {}, element("span", { textContent: "compare" }), select), ...keepers);
  choose(state.compare);
  return { box, row, refresh };
}

/** A canvas over the stage's, what it shows, and its score in words. @param {number} width @param {number} height */
function createSide(width, height) {
  const layer = element("canvas", { width, height }), node = element("div", { className: "tnv2-side" }, layer);
  layer.setAttribute("aria-hidden", "true");
  const context = /** @type {CanvasRenderingContext2D} */ (layer.getContext("2d", { willReadFrequently: true })); // as the stage's
  const image = context.createImageData(width, height);
  return { node, layer, context, image, pixels: new Uint32Array(image.data.buffer), looks: "", told: "" };
}

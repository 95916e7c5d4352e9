// @ts-check
import { thresholdsOf } from "./controls.js";
import { element } from "./dom.js";
import { mend } from "./edits.js";
import { label, workspace } from "./engine.js";
import { closed, inflated, opened, pageModel } from "./opening.js";
import { fromText } from "./texts.js";
import { render } from "./tuner.js";

// The page: files that are dropped go to a worker, reader.js, and the tuner shows what comes back.

/** @typedef {import("./controls.js").Content} Content @typedef {import("./edits.js").Edit} Edit */
/** What a tile's files are called. @typedef {{ rgb: string, mul: string | null, footprints?: string }} Files */
/** @typedef {{ content: Content, edits: Edit[], files: Files | null, placed: boolean }} Shown */
/** What Python says of the page. @typedef {{ channels: number, weights: string, sha256: string, worker: string,
 *   versions: Record<string, string> }} Facts */

const KEPT = /** @type {const} */ (["mask", "seed", "border", "distance", "min_area", "show", "under", "opacity", "outlines", "things"]);
const EMPTY = { _name: "", _shape: [], _pictures: {}, _building: nothing(), _border: nothing(), _truth: nothing(), _pixel_area: null };

const READY = "Ready for your tiles. What you see is a sample.";

function nothing() {
  return new DataView(new ArrayBuffer(0));
}

/** @param {string} id @returns {string} */
function textOf(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id)).textContent ?? "";
}

/** @param {string} id */
async function scriptOf(id) {
  return new TextDecoder().decode(await inflated(/** @type {Uint8Array<ArrayBuffer>} */ (fromText(textOf(id)))));
}

/** Open the page. `keepMaps` is for who compares its maps with those of Python. @param {boolean} keepMaps */
export async function openPage(keepMaps) {
  const at = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
  const /** @type {Facts} */ facts = JSON.parse(textOf("facts"));
  const traits = await opened(JSON.parse(textOf("state")));
  const host = at("tuner"), said = at("said"), notes = at("notes"), bar = /** @type {HTMLProgressElement} */ (at("bar"));
  const stop = /** @type {HTMLButtonElement} */ (at("stop")), input = /** @type {HTMLInputElement} */ (at("files"));
  const start = Object.fromEntries(Object.keys(EMPTY).map((name) => [name, traits[name]]));
  let /** @type {Shown[]} */ tiles = [{ content: /** @type {Content} */ (start), edits: [], files: null, placed: false }];
  let sample = true, model = pageModel({}), leave = () => {}, busy = false, where = "";
  const /** @type {Record<string, any>} */ came = { maps: {}, done: 0 }; // what tests and benchmarks ask for
  Object.assign(globalThis, { came });

  const remember = () => { tiles.forEach((tile, n) => { tile.edits = tiles.length > 1 ? model.get("_every_edits")[n] : model.get("edits"); }); };
  const show = (/** @type {number} */ visible) => {
    const values = Object.fromEntries(KEPT.map((name) => [name, model.get(name) ?? traits[name]]));
    const several = tiles.length > 1, contents = tiles.map(({ content }) => content), edits = tiles.map((tile) => tile.edits);
    if (values.show === "errors" && !contents[visible]._truth.byteLength) values.show = "instances";
    leave();
    host.replaceChildren();
    model = pageModel({
      ...traits, ...values, ...several ? EMPTY : contents[0], at: several ? visible : 0, edits: edits[visible],
      _tiles: several ? contents : [], _every_edits: several ? edits : [], _worker: several ? facts.worker : "",
    });
    leave = render({ model, el: host });
    came.model = model;
    const single = tiles[visible];
    for (const button of document.querySelectorAll("#save button")) {
      if (button instanceof HTMLButtonElement) button.disabled = busy || (sample && button.id !== "handout") || (button.id === "world" && !single.placed);
    }
  };

  // The worker, from a Blob: a page from disk may start no other.
  const address = URL.createObjectURL(new Blob([await scriptOf("reader")], { type: "text/javascript" }));
  const worker = new Worker(address);
  const note = (/** @type {string} */ text) => notes.append(element("li", { textContent: text }));
  const work = (/** @type {boolean} */ on) => {
    busy = on;
    stop.hidden = bar.hidden = !on;
    input.disabled = on;
    at("drop").classList.toggle("busy", on);
    for (const button of document.querySelectorAll("#save button")) if (button instanceof HTMLButtonElement && on) button.disabled = true;
  };
  const failed = (/** @type {string} */ text) => {
    work(false);
    said.textContent = "";
    note(`This did not work here: ${text}.`);
  };
  const /** @type {Record<string, (message: any) => void>} */ answers = {
    ready: ({ where: place, why, seconds }) => {
      where = place;
      came.ready = { where, why, seconds };
      at("engine").textContent = `${where} (${why}); it was ready after ${seconds.toFixed(1)} s.`;
      if (!busy && sample) said.textContent = READY;
    },
    note: ({ text }) => note(text),
    progress: ({ name, done, total, seconds }) => {
      bar.removeAttribute("value");
      if (total > 1) bar.value = done / total;
      const left = done ? Math.ceil(seconds / done * (total - done)) : 0;
      said.textContent = `${name}: ${total > 1 ? `window ${done} of ${total}${done ? `, ${left} s left` : ""}` : "looking \u2026"}`;
    },
    tile: ({ content, record, place, seconds, maps }) => {
      if (sample) tiles = []; else remember();
      sample = false;
      tiles.push({ content, edits: [], files: record, placed: place });
      came.maps[content._name] = maps;
      came.seconds = seconds;
      said.textContent = `${content._name}: ${seconds.toFixed(1)} s by ${where}.`;
      show(tiles.length - 1);
      requestAnimationFrame(() => { came.painted = performance.now(); });
    },
    truth: ({ at: n, truth, file }) => {
      remember();
      const tile = tiles[n];
      tile.content = { ...tile.content, _truth: truth };
      if (tile.files) tile.files.footprints = file;
      show(tiles.length > 1 ? model.get("at") : 0);
    },
    done: ({ stopped }) => {
      work(false);
      if (stopped) said.textContent = "Stopped.";
      else if (/\u2026$/.test(said.textContent ?? "")) said.textContent = "";
      show(tiles.length > 1 ? model.get("at") : 0);
      came.done++;
    },
    saved: ({ name, suffix, blob }) => keep(blob, `${name}.${suffix}`),
    failed: ({ text }) => failed(text),
  };
  worker.onmessage = ({ data }) => { URL.revokeObjectURL(address); answers[data.kind](data); };
  worker.onerror = ({ message }) => failed(message || "the page could not start its worker");

  const take = (/** @type {FileList | File[] | null | undefined} */ files) => {
    if (!files?.length || busy) return;
    notes.replaceChildren();
    work(true);
    bar.removeAttribute("value");
    said.textContent = "Reading \u2026";
    worker.postMessage({ kind: "read", files: [...files] });
  };
  input.addEventListener("change", () => { take(input.files); input.value = ""; });
  stop.addEventListener("click", () => { worker.postMessage({ kind: "stop" }); said.textContent = "Stopping after this window \u2026"; });
  document.addEventListener("paste", ({ clipboardData }) => take(clipboardData?.files));
  let over = 0;
  document.addEventListener("dragenter", () => { over++; at("drop").classList.add("over"); });
  document.addEventListener("dragleave", () => { if (!--over) at("drop").classList.remove("over"); });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    over = 0;
    at("drop").classList.remove("over");
    take(event.dataTransfer?.files);
  });

  const /** @type {(n: number) => { at: number, labels: Int32Array, count: number, byHand: Uint8Array }} */ found = (n) => {
    const { content: { _shape: [height, width], _building, _border }, edits } = tiles[n], space = workspace(width, height);
    const bytes = (/** @type {DataView} */ view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    label(space, bytes(_building), bytes(_border), thresholdsOf(model));
    const { byHand } = mend(space, edits), labels = new Int32Array(width * height);
    for (let row = 0; row < height; row++) {
      const from = (row + 1) * space.stride + 1;
      labels.set(space.labels.subarray(from, from + width), row * width);
    }
    return { at: n, labels, count: space.count, byHand };
  };
  const save = (/** @type {"geojson" | "png" | "world"} */ what, /** @type {number[]} */ which) => worker.postMessage({ kind: "save", what, found: which.map(found) });
  const visible = () => (tiles.length > 1 ? model.get("at") : 0);
  const acts = {
    geojson: () => save("geojson", tiles.map((_, n) => n)),
    png: () => save("png", [visible()]),
    world: () => save("world", [visible()]),
    recipe: () => {
      const records = tiles.map((tile) => recipeOf(tile, thresholdsOf(model), facts));
      const record = records.length === 1 ? records[0] : { format: "tnv2 recipes 1", recipes: records };
      keep(new Blob([`${JSON.stringify(record, null, 2)}\n`], { type: "application/json" }), `${tiles.length > 1 ? "tiles" : tiles[0].content._name}.recipe.json`);
    },
    handout: async () => {
      const names = [...Object.keys(traits)], state = await closed(Object.fromEntries(names.map((name) => [name, model.get(name)])));
      const name = model.get("_name") || `${tiles.length} tiles`;
      const escaped = element("i", { textContent: name }).innerHTML, text = await scriptOf("handout-page");
      const parts = { title: escaped, state: JSON.stringify(state).replaceAll("<", "\\u003c") };
      const page = text.replace(/<!-- (title|state) -->/g, (_, part) => parts[/** @type {"title" | "state"} */ (part)]);
      keep(new Blob([page], { type: "text/html" }), `${name}.tuner.html`);
    },
    again: () => {
      worker.postMessage({ kind: "clear" });
      tiles = [{ content: /** @type {Content} */ (start), edits: [], files: null, placed: false }];
      sample = true;
      model = pageModel({});
      notes.replaceChildren();
      said.textContent = READY;
      show(0);
    },
  };
  for (const [id, act] of Object.entries(acts)) at(id).addEventListener("click", () => { remember(); act(); });

  show(0);
  came.first = performance.now();
  said.textContent = "The network is starting \u2026";
  const parts = { runtime: textOf("runtime"), wasm: textOf("wasm"), model: textOf("network"), channels: facts.channels, gpu: true };
  worker.postMessage({ kind: "start", parts, keepMaps });
}

/** A Recipe's record, as tnv2/instances/recipes.py keeps it; paths are the files' names. @param {Shown} tile
 * @param {import("./engine.js").Thresholds} thresholds @param {Facts} facts */
function recipeOf({ content, edits, files }, thresholds, { weights, sha256, versions }) {
  return {
    format: "tnv2 recipe 1", thresholds, tile: content._name,
    files: files ? { rgb: files.rgb, mul: files.mul, footprints: files.footprints ?? null } : {},
    weights, sha256, precision: "float32", versions, bands: null, window: null, limits: null, metres: "auto", scene: "",
    maps: null, edits,
  };
}

/** Give a file to the person. @param {Blob} blob @param {string} name */
function keep(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name.replace(/[^\w.() -]/g, "_") });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

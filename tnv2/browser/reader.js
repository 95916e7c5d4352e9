// @ts-check
import { eightBit, limitsOf, predictMaps, release } from "./network.js";
import { pixelArea, pixelSize } from "./places.js";
import { imageId, onGrid, openRaster, stretched } from "./rasters.js";
import { fromText } from "./texts.js";
import { labelsOf, readGeojson } from "./truth.js";
import { geojsonOf, labelPng, worldFile } from "./vectors.js";

// The reader: what the page gives to its worker, files and all, so that the page itself never waits. It reads tiles, runs the
// network on them, lays footprints on them and writes what is saved.

/** @typedef {import("./rasters.js").Raster} Raster @typedef {import("./rasters.js").Opened} Opened */
/** A tile as the reader keeps it. @typedef {{ name: string, height: number, width: number, place: import("./places.js").Place | null }} Kept */
/** @typedef {{ runtime: string, wasm: string, model: string, channels: number, gpu: boolean }} Parts packed as text */
/** @typedef {{ at: number, labels: Int32Array, count: number, byHand: Uint8Array }} Found of the tile of that number */
/** What the page asks for. @typedef {{ kind: "start", parts: Parts, keepMaps?: boolean } | { kind: "read", files: File[] } | { kind: "stop" } | { kind: "clear" }
 *   | { kind: "save", what: "geojson" | "png" | "world", found: Found[] }} Asked */

const CLOSE = 0.01; // how far a GPU's maps may be from the processor's
const SMALL = 64, LARGE = 448; // pixels a side of what they are compared on, first for their maps and then for their time
const PROCESSOR = "WebAssembly, one thread";
const STOPPED = "stopped";

const /** @type {Kept[]} */ tiles = [];
let /** @type {import("./network.js").Look | null} */ look = null;
let channels = 11, stopped = false, keepMaps = false; // the maps as they are, for who compares them with predict's

const /** @type {(message: object, moved?: Transferable[]) => void} */ tell = (message, moved = []) => /** @type {*} */ (globalThis).postMessage(message, moved);
const note = (/** @type {string} */ text) => tell({ kind: "note", text });

/** Start the runtime and the network in it, on a GPU where that gives the same maps and is quicker. @param {Parts} parts */
async function start({ runtime, wasm, model, channels: wanted, gpu }) {
  const began = performance.now(), { fzstd } = /** @type {*} */ (globalThis);
  const unpacked = (/** @type {string} */ text) => fzstd.decompress(fromText(text));
  const script = new TextDecoder().decode(unpacked(runtime));
  const ort = await import(`data:text/javascript;charset=utf-8,${encodeURIComponent(script)}`);
  ort.env.wasm.wasmBinary = unpacked(wasm);
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  channels = wanted;
  const bytes = unpacked(model);
  const /** @type {(provider: string) => Promise<import("./network.js").Look>} */ made = async (provider) => {
    const session = await ort.InferenceSession.create(bytes, { executionProviders: [provider] });
    return async (bands, height, width) => (await session.run({ bands: new ort.Tensor("float32", bands, [1, channels, height, width]) })).maps.data;
  };
  const onProcessor = look = await made("wasm");
  const /** @type {(look: import("./network.js").Look, side: number) => Promise<[Float32Array, number]>} */ tried = async (look, side) => {
    const pattern = Float32Array.from({ length: channels * side * side }, (_, i) => Math.sin(i * 0.37) + Math.cos(i * i * 0.011));
    await look(pattern, side, side); // the first time compiles
    const before = performance.now(), maps = await look(pattern, side, side);
    return [maps, performance.now() - before];
  };
  const [maps, short] = await tried(onProcessor, SMALL);
  const /** @type {(where: string, why: string) => void} */ ready = (where, why) => tell({ kind: "ready", where, why, seconds: (performance.now() - began) / 1000 });
  const adapter = gpu ? await /** @type {*} */ (navigator).gpu?.requestAdapter().catch(() => null) : null;
  ready(PROCESSOR, adapter ? "WebGPU is being tried" : "there is no WebGPU here");
  if (!adapter) return;
  try {
    const onGpu = await made("webgpu"), [theirs, long] = await tried(onGpu, SMALL);
    const apart = maps.reduce((most, value, i) => Math.max(most, Math.abs(value - theirs[i])), 0);
    const told = `WebGPU's maps are within ${apart.toExponential(0)} of WebAssembly's`;
    if (!(apart <= CLOSE)) return ready(PROCESSOR, `${told}, which is too far`);
    if (long > 1000 + short) return ready(PROCESSOR, `${told}, and it is slower here`); // drawn by software
    const [[, slow], [, quick]] = [await tried(onProcessor, LARGE), await tried(onGpu, LARGE)];
    if (quick < slow) look = onGpu;
    ready(quick < slow ? "WebGPU" : PROCESSOR, `${told}, in ${(quick / slow).toFixed(2)} times its time`);
  } catch (error) {
    ready(PROCESSOR, `WebGPU failed here: ${/** @type {Error} */ (error).message.slice(0, 120)}`);
  }
}

/** Let messages in that wait, a stop among them. */
function turn() {
  return new Promise((/** @type {(value?: undefined) => void} */ go) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => { port1.close(); go(); };
    port2.postMessage(0);
  });
}

/** Read files: tiles first, then footprints, which are laid on those of their name or on all. @param {File[]} files */
async function read(files) {
  stopped = false;
  const /** @type {Opened[]} */ rasters = [], /** @type {File[]} */ drawn = [];
  const /** @type {(name: string, act: () => unknown) => Promise<void>} */ attempt = async (name, act) => {
    try {
      await act();
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      if (message !== STOPPED) note(`${name} ${message}.`);
    }
  };
  for (const file of files) {
    if (/\.(geo)?json$/i.test(file.name)) drawn.push(file);
    else await attempt(file.name, async () => { rasters.push(await openRaster(file)); });
  }
  const coloured = rasters.filter(({ bands }) => bands === 3), deep = rasters.filter(({ bands }) => bands === 8);
  const lone = coloured.length === 1 && deep.length === 1;
  const /** @type {(rgb: Opened) => Opened | undefined} */ mulOf = ({ name }) => deep.find((mul) => lone || mul.name === name);
  const used = coloured.map(mulOf);
  for (const mul of deep) if (!used.includes(mul)) note(`${mul.file} has 8 bands and no RGB tile of its name came with it; drop both together.`);
  for (const rgb of coloured) if (!stopped) await attempt(rgb.file, () => readTile(rgb, mulOf(rgb)));
  for (const file of drawn) await attempt(file.name, () => lay(file));
  tell({ kind: "done", stopped });
}

/** @param {Opened} opened @param {Opened | undefined} openedMul */
async function readTile(opened, openedMul) {
  if (!look) throw new Error("cannot be looked at: the network did not start");
  const before = performance.now();
  tell({ kind: "progress", name: opened.name, done: 0, total: 0, seconds: 0 });
  const rgb = await opened.read(), { name, file, height, width, place, valid } = rgb;
  for (const text of rgb.notes) note(`${file} ${text}.`);
  let mul = null;
  if (openedMul && channels > 3) {
    const other = await openedMul.read();
    try {
      mul = onGrid(other, rgb);
    } catch (error) {
      note(`${other.file} ${/** @type {Error} */ (error).message}; ${file} goes without its MUL bands.`);
    }
    if (mul instanceof Uint8Array) note(`${other.file} has 8-bit numbers, and the network knows 11-bit counts: expect poorer maps than without it.`);
  }
  const bands = { height, width, rgb: rgb.pixels, mul, valid }, limits = limitsOf(bands);
  if (limits.alone) note(`${file} has a few pixels far from all others; they are left out where its colours are scaled.`);
  if (limits.shared) {
    const { value, share, first, final } = limits.shared;
    note(`${file}: ${(100 * share).toFixed(1)}% of the pixels are ${value} in a channel, all others ${first} to ${final}, which leaves ` +
      `these little of the scale. If ${value} is no-data, say so in the file.`);
  }
  const began = performance.now();
  const { building, border } = await predictMaps(bands, limits, pixelSize(place, height, width), channels, look, async (done, total) => {
    tell({ kind: "progress", name, done, total, seconds: (performance.now() - began) / 1000 });
    await turn();
    if (stopped) throw new Error(STOPPED);
  });
  const pictures = { tile: view(stretched(rgb.pixels, 3, [0, 1, 2], valid)) };
  if (mul) Object.assign(pictures, { "false colour": view(stretched(mul, 8, [6, 4, 2], valid)) });
  const content = {
    _name: name, _shape: [height, width], _pixel_area: pixelArea(place, height, width), _pictures: pictures,
    _building: view(eightBit(building)), _border: view(eightBit(border)), _truth: view(new Uint8Array()),
  };
  tiles.push({ name, height, width, place });
  const record = { rgb: file, mul: mul && openedMul ? openedMul.file : null };
  const maps = keepMaps ? { building, border } : null, moved = [...Object.values(pictures), content._building, content._border];
  const seconds = (performance.now() - before) / 1000;
  tell({ kind: "tile", content, record, place: place !== null, seconds, maps }, moved.map(({ buffer }) => buffer)); // not copied
  for (const array of [rgb.pixels, building, border, ...mul ? [mul] : []]) release(array);
}

/** Lay footprints on the tiles that they lie on: those of the file's name, or all. @param {File} file */
async function lay(file) {
  if (!tiles.length) throw new Error("are footprints, and there is no tile yet; drop the tile with them");
  const drawn = readGeojson(await file.text());
  if (drawn.flat) note(`${file.name} has ${drawn.flat} features without area, which are left out.`);
  const named = tiles.filter(({ name }) => name === imageId(file.name));
  let laid = 0;
  for (const tile of named.length ? named : tiles) {
    const truth = labelsOf(drawn, tile.place, tile.height, tile.width);
    if (!truth) continue;
    tell({ kind: "truth", at: tiles.indexOf(tile), truth: view(new Uint8Array(truth.buffer)), file: file.name });
    laid++;
  }
  if (!laid) throw new Error(`has ${drawn.buildings.length} footprints, and none lies on ${named.length ? named[0].name : "a tile here"}`);
}

/** @param {Uint8Array} bytes */
function view(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** @param {"geojson" | "png" | "world"} what @param {Found[]} found */
async function save(what, found) {
  const labelled = found.map(({ at, ...labels }) => ({ ...tiles[at], ...labels }));
  const [{ name, labels, height, width, place, count }] = labelled;
  for (const tile of labelled) if (what === "geojson" && !tile.place) note(`${tile.name} has no known place: its polygons are in pixels, and maps misplace them.`);
  if (what === "geojson") return { name: labelled.length > 1 ? "buildings" : name, suffix: "geojson", blob: new Blob([geojsonOf(labelled)], { type: "application/geo+json" }) };
  if (what === "world") return { name, suffix: "pgw", blob: new Blob([worldFile(/** @type {import("./places.js").Place} */ (place))], { type: "text/plain" }) };
  if (count > 65535) throw new Error("there are more buildings than a 16-bit picture has numbers; raise min px");
  return { name, suffix: "png", blob: await labelPng(labels, height, width) };
}

let /** @type {Promise<void>} */ queue = Promise.resolve(); // one thing after the other; a stop alone does not wait
globalThis.addEventListener?.("message", ({ data }) => {
  const asked = /** @type {Asked} */ (data);
  if (asked.kind === "stop") { stopped = true; return; }
  queue = queue.then(async () => {
    if (asked.kind === "start") {
      keepMaps = asked.keepMaps === true;
      await start(asked.parts);
    }
    if (asked.kind === "read") await read(asked.files);
    if (asked.kind === "clear") tiles.length = 0;
    if (asked.kind === "save") tell({ kind: "saved", ...await save(asked.what, asked.found) });
  }).catch((error) => tell({ kind: "failed", text: error.message }));
});

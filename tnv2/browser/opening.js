// @ts-check
// Opening: the state of a page without Python, out of the text that holds it and back, and the model that a view reads it from.

/** Traits by name, arrays deflated and pictures as JPEG, both in base64.
 * @typedef {{ traits: Record<string, unknown>, arrays: Record<string, string>, pictures: Record<string, string> }} Closed */

const ARRAYS = ["_building", "_border", "_truth", "_heat"];

/** A model for a view, as anywidget's, but of this page alone. @param {Record<string, unknown>} traits @returns {*} */
export function pageModel(traits) {
  const /** @type {Map<string, (() => void)[]>} */ reactions = new Map();
  return {
    get: (/** @type {string} */ name) => traits[name],
    set: (/** @type {string} */ name, /** @type {unknown} */ value) => {
      if (traits[name] === value) return;
      traits[name] = value;
      for (const react of reactions.get(`change:${name}`) ?? []) react();
    },
    on: (/** @type {string} */ event, /** @type {() => void} */ react) => { reactions.set(event, [...(reactions.get(event) ?? []), react]); },
    off: (/** @type {string} */ event, /** @type {() => void} */ react) => { reactions.set(event, (reactions.get(event) ?? []).filter((other) => other !== react)); },
    save_changes: () => {},
  };
}

/** @param {string} text base64 */
function unpacked(text) {
  const letters = atob(text), bytes = new Uint8Array(letters.length); // Uint8Array.from would take fifty times as long
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

/** @param {BlobPart} bytes deflated */
export async function inflated(bytes) {
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
}

/** @param {string} text a JPEG in base64 */
async function decoded(text) {
  const bitmap = await createImageBitmap(new Blob([unpacked(text)], { type: "image/jpeg" }));
  const canvas = Object.assign(document.createElement("canvas"), { width: bitmap.width, height: bitmap.height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const rgb = new Uint8Array(data.length / 4 * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) { rgb[to++] = data[from]; rgb[to++] = data[from + 1]; rgb[to++] = data[from + 2]; }
  return new DataView(rgb.buffer);
}

/** @template From, To @param {Record<string, From>} values @param {(value: From) => Promise<To>} act @returns {Promise<Record<string, To>>} */
async function mapped(values, act) {
  return Object.fromEntries(await Promise.all(Object.entries(values).map(async ([name, value]) => [name, await act(value)])));
}

/** The traits of a state as tnv2/widgets/handouts.py writes it. @param {Closed & { tiles: Closed[] }} state
 * @returns {Promise<Record<string, any>>} */
export async function opened({ tiles, ...page }) {
  const /** @type {(closed: Closed) => Promise<Record<string, unknown>>} */ one = async ({ traits, arrays, pictures }) => ({
    ...traits, ...await mapped(arrays, async (text) => new DataView(await inflated(unpacked(text)))), _pictures: await mapped(pictures, decoded),
  });
  return { ...await one(page), _tiles: await Promise.all(tiles.map(one)) };
}

/** @param {Blob} blob */
async function base64(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return btoa(text);
}

/** The state that `opened` gives these traits of. @param {Record<string, any>} traits @returns {Promise<Closed & { tiles: Closed[] }>} */
export async function closed(traits) {
  const /** @type {(traits: Record<string, any>) => Promise<Closed>} */ one = async (traits) => {
    const arrays = Object.fromEntries(ARRAYS.filter((name) => name in traits).map((name) => [name, traits[name]]));
    const plain = Object.entries(traits).filter(([name]) => !ARRAYS.includes(name) && name !== "_pictures" && name !== "_tiles");
    const [height, width] = traits._shape;
    return {
      traits: Object.fromEntries(plain),
      arrays: await mapped(arrays, (view) => deflated(view).then(base64)),
      pictures: await mapped(traits._pictures, (/** @type {DataView} */ view) => jpeg(view, height, width).then(base64)),
    };
  };
  return { ...await one(traits), tiles: await Promise.all(traits._tiles.map(one)) };
}

/** @param {DataView} view */
function deflated(view) {
  return new Response(new Blob([/** @type {DataView<ArrayBuffer>} */ (view)]).stream().pipeThrough(new CompressionStream("deflate"))).blob();
}

/** @param {DataView} view RGB bytes @param {number} height @param {number} width @returns {Promise<Blob>} */
function jpeg(view, height, width) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const image = new ImageData(width, height), rgb = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  for (let from = 0, to = 0; from < rgb.length; to += 4) { image.data[to] = rgb[from++]; image.data[to + 1] = rgb[from++]; image.data[to + 2] = rgb[from++]; image.data[to + 3] = 255; }
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(image, 0, 0);
  return new Promise((done, failed) => canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error("the picture could not be packed"))), "image/jpeg", 0.92));
}

// @ts-check
import { systemOf, toPixels, toWorld } from "./places.js";

// Rasters: GeoTIFF by geotiff.js, PNG and JPEG by the browser, as tnv2/tiles/ reads them. For a worker: no document.

/** @typedef {import("./places.js").Place} Place @typedef {import("./network.js").Numbers} Numbers */
/** An image of 3 or 8 bands a pixel; `notes` are sentences on what a person should know of it.
 * @typedef {{ name: string, file: string, bands: 3 | 8, height: number, width: number, pixels: Numbers, valid: Uint8Array,
 *   place: Place | null, notes: string[] }} Raster */
/** @typedef {{ name: string, file: string, bands: 3 | 8, read: () => Promise<Raster> }} Opened */

const LARGEST = 4096; // pixels a side
const IMAGE_ID = /(AOI_\d+_[A-Za-z]+)_(?:.*_)?(img\d+)$/; // SpaceNet's
const ZSTANDARD = 50000, COMPRESSIONS = [1, 5, 7, 8, 32946, 32773, ZSTANDARD]; // none, LZW, JPEG, deflate twice, PackBits
const ALPHA = [1, 2], MASK = 4; // extra samples and new subfile types that say where an image is
const PLACELESS = "names no place: pixels are taken as 0.3 m wide, and areas are in pixels";
const MINISBLACK = 1, RGB = 2, PALETTE = 3; // photometric interpretations

/** SpaceNet's name of an image, or its file's without the ending. @param {string} file */
export function imageId(file) {
  const stem = file.replace(/\.[^.]*$/, ""), found = IMAGE_ID.exec(stem);
  return found ? `${found[1]}_${found[2]}` : stem;
}

/** Open a file, of which the head alone is read; throws an Error whose message goes on after the file's name.
 * @param {File} file @returns {Promise<Opened>} */
export async function openRaster(file) {
  const head = new Uint8Array(await file.slice(0, 8).arrayBuffer()), text = String.fromCharCode(...head);
  if (/^(II[*+]\0|MM\0[*+])/.test(text)) return openTiff(file);
  const png = text.startsWith("\x89PNG");
  if (png || text.startsWith("\xff\xd8\xff")) return { name: imageId(file.name), file: file.name, bands: 3, read: () => readBitmap(file, png) };
  throw new Error("is no GeoTIFF, PNG, JPEG or GeoJSON, whatever its name says; export it as one of these");
}

/** @param {File} file @param {boolean} png @returns {Promise<Raster>} */
async function readBitmap(file, png) {
  if (png && new Uint8Array(await file.slice(24, 25).arrayBuffer())[0] === 16) {
    throw new Error("is a PNG of 16 bits, of which browsers keep 8; export it as a GeoTIFF");
  }
  const options = /** @type {const} */ ({ premultiplyAlpha: "none", colorSpaceConversion: "none", imageOrientation: "none" });
  const bitmap = await createImageBitmap(file, options).catch(() => { throw new Error("is damaged or cut short; fetch it again"); });
  const { width, height } = bitmap;
  checkSize(height, width);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true }));
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const pixels = new Uint8Array(3 * width * height), valid = new Uint8Array(width * height);
  for (let i = 0; i < valid.length; i++) {
    if (!(valid[i] = data[4 * i + 3] ? 1 : 0)) continue;
    for (let c = 0; c < 3; c++) pixels[3 * i + c] = data[4 * i + c];
  }
  return { name: imageId(file.name), file: file.name, bands: 3, height, width, pixels, valid, place: null, notes: [PLACELESS] };
}

/** @param {File} file @returns {Promise<Opened>} */
async function openTiff(file) {
  const { GeoTIFF, fzstd } = /** @type {*} */ (globalThis);
  GeoTIFF.addDecoder(ZSTANDARD, async () => class extends GeoTIFF.BaseDecoder { // its own would fetch, which the page may not
    decodeBlock(/** @type {ArrayBuffer} */ block) { return fzstd.decompress(new Uint8Array(block)).slice().buffer; }
  });
  let tiff, image;
  try {
    tiff = await GeoTIFF.fromBlob(file);
    image = await tiff.getImage();
  } catch (error) {
    throw new Error(`is damaged or cut short (${/** @type {Error} */ (error).message}); fetch it again`);
  }
  const tag = (/** @type {string} */ name) => image.fileDirectory.loadValue(name);
  const width = image.getWidth(), height = image.getHeight(), samples = image.getSamplesPerPixel();
  checkSize(height, width);
  const bits = Array.from({ length: samples }, (_, i) => image.getBitsPerSample(i));
  const whole = Array.from({ length: samples }, (_, i) => image.getSampleFormat(i)).every((format) => format === 1);
  if (!whole || new Set(bits).size > 1 || ![8, 16].includes(bits[0])) {
    throw new Error(`has ${bits[0]}-bit ${whole ? "" : "signed or real "}numbers; this page takes whole numbers of 8 or 16 bits: gdal_translate -ot UInt16`);
  }
  const compression = await tag("Compression") ?? 1;
  if (!COMPRESSIONS.includes(compression)) throw new Error(`is compressed in a way that this page does not know (TIFF's number ${compression}): gdal_translate -co COMPRESS=DEFLATE`);
  const colours = await tag("PhotometricInterpretation"), extra = Array.from(await tag("ExtraSamples") ?? []);
  const alpha = extra.findIndex((kind) => ALPHA.includes(kind)), last = alpha < 0 ? -1 : samples - extra.length + alpha;
  const plain = Array.from({ length: samples }, (_, i) => i).filter((i) => i !== last);
  if (colours === PALETTE) throw new Error("has a palette; make it RGB first: gdal_translate -expand rgb");
  if (![MINISBLACK, RGB].includes(colours)) throw new Error(`has colours of a kind that this page does not know (TIFF's number ${colours}): gdal_translate -co PHOTOMETRIC=RGB`);
  const bands = plain.length === 8 ? 8 : plain.length === 3 || (plain.length === 4 && colours === RGB) ? 3 : 0;
  if (!bands) throw new Error(`has ${plain.length} band${plain.length === 1 ? "" : "s"}; this page takes 3 (red, green, blue) or the 8 of WorldView-3: gdal_translate -b 1 -b 2 -b 3`);
  const name = imageId(file.name);
  return { name, file: file.name, bands, read: () => readTiff(file, name, bands, tiff, image, plain.slice(0, bands), last) };
}

/** @param {File} file @param {string} name @param {3 | 8} bands @param {*} tiff @param {*} image @param {number[]} samples
 * @param {number} alpha the number of that sample, -1 without @returns {Promise<Raster>} */
async function readTiff(file, name, bands, tiff, image, samples, alpha) {
  const width = image.getWidth(), height = image.getHeight();
  let pixels;
  try {
    pixels = await image.readRasters({ interleave: true, samples });
  } catch (error) {
    throw new Error(`is damaged or cut short (${/** @type {Error} */ (error).message}); fetch it again`);
  }
  const valid = new Uint8Array(width * height).fill(1), nodata = image.getGDALNoData();
  if (nodata !== null && nodata !== undefined) {
    for (let i = 0; i < valid.length; i++) valid[i] = hasOther(pixels, i * bands, bands, nodata) ? 1 : 0;
  }
  const masks = alpha >= 0 ? (await image.readRasters({ samples: [alpha] }))[0] : await maskOf(tiff, width, height);
  for (let i = 0; masks && i < valid.length; i++) if (!masks[i]) valid[i] = 0;
  for (let i = 0; i < valid.length; i++) if (!valid[i]) pixels.fill(0, i * bands, (i + 1) * bands);
  const place = await placeOf(image), notes = [];
  if (!place) notes.push(PLACELESS);
  else if (!systemOf(place.epsg)) {
    notes.push(`is in a coordinate system that this page does not know${place.epsg ? ` (EPSG:${place.epsg})` : ""}: pixels are taken as 0.3 m wide, and nothing is in degrees`);
  }
  return { name, file: file.name, bands, height, width, pixels, valid, place: place && systemOf(place.epsg) ? place : null, notes };
}

/** @param {Numbers} pixels @param {number} start @param {number} bands @param {number} value */
function hasOther(pixels, start, bands, value) {
  for (let i = start; i < start + bands; i++) if (pixels[i] !== value) return true;
  return false;
}

/** The mask that a TIFF keeps on a page of its own, 0 where nothing was seen; null without one.
 * @param {*} tiff @param {number} width @param {number} height */
async function maskOf(tiff, width, height) {
  for (let page = 1, pages = await tiff.getImageCount(); page < pages; page++) {
    const image = await tiff.getImage(page), kind = await image.fileDirectory.loadValue("NewSubfileType") ?? 0;
    if (kind & MASK && image.getWidth() === width && image.getHeight() === height) return (await image.readRasters())[0];
  }
  return null;
}

/** @param {number} height @param {number} width */
function checkSize(height, width) {
  if (Math.max(height, width) > LARGEST) throw new Error(`is ${height} x ${width} px; this page takes ${LARGEST} px a side: cut it with gdal_translate -srcwin`);
}

/** @param {*} image @returns {Promise<Place | null>} */
async function placeOf(image) {
  const keys = image.getGeoKeys() ?? {}, tag = (/** @type {string} */ name) => image.fileDirectory.loadValue(name);
  const [matrix, scale, tie] = await Promise.all(["ModelTransformation", "ModelPixelScale", "ModelTiepoint"].map(tag));
  let transform;
  if (matrix) transform = [matrix[0], matrix[1], matrix[3], matrix[4], matrix[5], matrix[7]];
  else if (scale && tie?.length === 6) transform = [scale[0], 0, tie[3] - tie[0] * scale[0], 0, -scale[1], tie[4] + tie[1] * scale[1]];
  else return null;
  transform = Array.from(transform, Number);
  if (keys.GTRasterTypeGeoKey === 2) { // it counts from the middle of the first pixel
    const [x, y] = toWorld({ transform, epsg: 0 })(-0.5, -0.5);
    transform[2] = x;
    transform[5] = y;
  }
  const epsg = keys.GTModelTypeGeoKey === 2 ? keys.GeographicTypeGeoKey : keys.ProjectedCSTypeGeoKey;
  return { transform, epsg: epsg ?? 0 };
}

/** The MUL bands on the pixels of an RGB raster, bilinear where they are not its own; throws where they are not of one place.
 * @param {Raster} mul @param {Raster} rgb @returns {Numbers} */
export function onGrid(mul, rgb) {
  const down = mul.height / rgb.height, across = mul.width / rgb.width;
  let to = /** @type {(column: number, row: number) => [number, number]} */ ((column, row) => [column * across, row * down]);
  if (rgb.place && mul.place) {
    if (rgb.place.epsg !== mul.place.epsg) throw new Error(`is in EPSG:${mul.place.epsg} and its RGB in EPSG:${rgb.place.epsg}; reproject one`);
    const world = toWorld(rgb.place), pixels = toPixels(mul.place);
    to = (column, row) => pixels(...world(column, row));
    const ends = [to(0, 0), to(rgb.width, rgb.height)];
    const beyond = Math.max(Math.abs(ends[0][0]), Math.abs(ends[0][1]), Math.abs(ends[1][0] - mul.width), Math.abs(ends[1][1] - mul.height));
    if (!(beyond <= 2)) throw new Error(`shows another place than ${rgb.file}, ${Math.round(beyond)} pixels away`);
  } else if (Math.abs(across / down - 1) > 0.05) {
    throw new Error(`is ${mul.height} x ${mul.width} px and ${rgb.file} ${rgb.height} x ${rgb.width}; neither names its place, and their proportions differ`);
  }
  const [start, end] = [to(0, 0), to(rgb.width, rgb.height)];
  const same = mul.width === rgb.width && mul.height === rgb.height && Math.max(Math.abs(start[0]), Math.abs(start[1]), Math.abs(end[0] - rgb.width), Math.abs(end[1] - rgb.height)) < 0.05;
  if (same) return mul.pixels;
  const kind = /** @type {new (length: number) => Numbers} */ (mul.pixels.constructor), result = new kind(8 * rgb.width * rgb.height);
  for (let row = 0, k = 0; row < rgb.height; row++) {
    for (let column = 0; column < rgb.width; column++) {
      const [x, y] = to(column + 0.5, row + 0.5), left = Math.floor(x - 0.5), top = Math.floor(y - 0.5);
      const right = x - 0.5 - left, below = y - 0.5 - top;
      const columns = [left, left + 1].map((place) => Math.min(mul.width - 1, Math.max(0, place)));
      const rows = [top, top + 1].map((place) => Math.min(mul.height - 1, Math.max(0, place)) * mul.width);
      for (let b = 0; b < 8; b++) {
        const at = (/** @type {number} */ i, /** @type {number} */ j) => mul.pixels[8 * (rows[i] + columns[j]) + b];
        result[k++] = Math.round((1 - below) * ((1 - right) * at(0, 0) + right * at(0, 1)) + below * ((1 - right) * at(1, 0) + right * at(1, 1)));
      }
    }
  }
  return result;
}

/** An image of three of so many bands as 8-bit RGB: each channel from its 2nd to its 98th percentile, white where not valid.
 * @param {Numbers} pixels @param {number} bands @param {number[]} chosen @param {Uint8Array} valid */
export function stretched(pixels, bands, chosen, valid) {
  const picture = new Uint8Array(3 * valid.length).fill(255);
  chosen.forEach((band, channel) => {
    const counts = new Uint32Array(65536);
    let total = 0;
    for (let i = 0; i < valid.length; i++) if (valid[i]) { counts[pixels[bands * i + band]]++; total++; }
    if (!total) return;
    const /** @type {(place: number) => number} */ nth = (place) => {
      let value = 0, seen = counts[0];
      while (seen <= place) seen += counts[++value];
      return value;
    };
    const [dark, bright] = [0.02, 0.98].map((share) => {
      const at = share * (total - 1), low = Math.floor(at), value = nth(low);
      return at > low ? value + (at - low) * (nth(Math.min(low + 1, total - 1)) - value) : value;
    });
    const span = Math.max(bright - dark, 1e-9);
    for (let i = 0; i < valid.length; i++) {
      if (valid[i]) picture[3 * i + channel] = Math.floor(Math.min(1, Math.max(0, (pixels[bands * i + band] - dark) / span)) * 255 + 0.5);
    }
  });
  return picture;
}

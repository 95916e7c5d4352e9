// @ts-check
import { STATUS } from "./scores.js";

// Paint: labels, seeds and fates as pixels over a picture. Pure functions, no DOM.

/** @typedef {import("./engine.js").Workspace} Workspace @typedef {import("./engine.js").Pixels} Pixels */
/** @typedef {import("./scores.js").Colour} Colour @typedef {import("./scores.js").Footprints} Footprints */
/** @typedef {import("./scores.js").Codes} Codes */

/** Write the instances over a background: tinted by opacity, outlined in full colour.
 * @param {Workspace} space @param {Pixels} background @param {Pixels} pixels @param {Colour[]} palette @param {number} opacity */
export function draw(space, background, pixels, palette, opacity, outlines = true) {
  const { stride, labels, count } = space;
  const dimmed = dim(space, background, opacity);
  const solids = new Int32Array(count + 1), tints = new Int32Array(count + 1); // of each instance
  for (let id = 1; id <= count; id++) {
    const [red, green, blue] = palette[hue(space, id) % palette.length];
    solids[id] = pixel(red, green, blue);
    tints[id] = pixel(red * opacity, green * opacity, blue * opacity, 0);
  }
  pixels.set(background); // at once: most pixels are nobody's
  eachRun(space, (start, end, to) => {
    const id = labels[start];
    drawRun(labels, stride, start, end, dimmed, pixels, to, outlines ? solids[id] : 0, tints[id]);
  });
}

/** Visit the runs of the instances in rows, from the first pixel to behind the last; `to` is the first one's in the picture.
 * @param {Workspace} space @param {(start: number, end: number, to: number) => void} visit */
function eachRun({ width, height, stride, labels, blocks }, visit) {
  for (let row = 0; row < height; row++) {
    const first = (row + 1) * stride + 1, away = row * width - first;
    for (let i = first, end = first + width; i < end;) {
      const id = labels[i];
      if (!id) { i = blocks[i >> 4] ? i + 1 : (i | 15) + 1; continue; }
      const start = i;
      while (labels[i] === id) i++; // the border has no label, so a run ends there
      visit(start, i, start + away);
    }
  }
}

/** Write a run of an instance: dimmed and tinted, and solid, unless that is 0, at its ends and where other labels are above
 * or below.
 * @param {Int32Array} labels @param {number} stride @param {number} start @param {number} end @param {Int32Array} dimmed
 * @param {Pixels} pixels @param {number} to the run's first in the picture @param {number} solid @param {number} tint */
function drawRun(labels, stride, start, end, dimmed, pixels, to, solid, tint) {
  const id = labels[start], last = to + end - start - 1;
  for (let above = start - stride, below = start + stride, at = to; at <= last; above++, below++, at++) {
    pixels[at] = solid && (labels[above] !== id || labels[below] !== id) ? solid : dimmed[at] + tint;
  }
  if (solid) pixels[to] = pixels[last] = solid;
}

/** The place of an instance's colour in the palette, taken round and round. @param {Workspace} space @param {number} id */
function hue({ inks }, id) {
  return (inks ? inks[id] : id) - 1;
}

/** Return a background without the share that a tint takes, so that adding the tint's share gives the mixture; kept until
 * the background or the opacity changes. @param {Workspace} space @param {Pixels} background @param {number} opacity */
function dim(space, background, opacity) {
  if (space.dimmed && space.under === background && space.opacity === opacity) return space.dimmed;
  const share = Uint8Array.from({ length: 256 }, (_, v) => v * (1 - opacity) + 0.5);
  const dimmed = space.dimmed ?? new Int32Array(background.length);
  for (let i = 0; i < dimmed.length; i++) {
    const under = background[i];
    dimmed[i] = pixel(share[under & 255], share[under >> 8 & 255], share[under >> 16 & 255]);
  }
  Object.assign(space, { dimmed, under: background, opacity });
  return dimmed;
}

/** One RGBA pixel as ImageData has it, in 32 bits. @param {number} red @param {number} green @param {number} blue */
export function pixel(red, green, blue, alpha = 255) {
  return alpha << 24 | blue << 16 | green << 8 | red;
}

/** Write the seeds over a background, in the colours of the buildings that grow from them; grey where one was dropped.
 * @param {Workspace} space @param {Pixels} background @param {Pixels} pixels @param {Colour[]} palette @param {number} opacity */
export function drawSeeds(space, background, pixels, palette, opacity) {
  const { width, stride, labels, markers, seeds } = space;
  const inks = palette.map((colour) => ink(colour, Math.max(opacity, 0.4)));
  const grey = ink([128, 128, 128], Math.max(opacity, 0.4));
  pixels.set(background);
  for (let n = 0; n < seeds; n++) {
    const id = labels[markers[n]], row = Math.floor(markers[n] / stride) - 1;
    const to = row * width + markers[n] - (row + 1) * stride - 1;
    pixels[to] = (id ? inks[hue(space, id) % inks.length] : grey).tint(background[to]);
  }
}

/** @typedef {{ code: number, on: number, period: number, solid: number, tint: number }} Look of a fate */

/** Write what happened to each building over a background, outlines in the patterns of STATUS. Footprints show where no
 * instance covers them, and as white dots under merged and split instances.
 * @param {Workspace} space @param {Footprints} known @param {Codes} codes @param {Pixels} background @param {Pixels} pixels
 * @param {number} opacity */
export function drawErrors(space, known, codes, background, pixels, opacity, outlines = true) {
  const { labels } = space, { runs } = known, dimmed = dim(space, background, opacity);
  const /** @type {Look[]} */ looks = [];
  for (const { code, colour: [red, green, blue], on, off } of Object.values(STATUS)) {
    const solid = pixel(red, green, blue), tint = pixel(red * opacity, green * opacity, blue * opacity, 0);
    looks[code] = { code, on: outlines ? on : 0, period: on + off, solid, tint };
  }
  pixels.set(background);
  for (let n = 0; n < runs.length; n += 3) drawMissed(space, known, n, looks[codes.ofTruth[runs[n + 2]]], dimmed, pixels);
  eachRun(space, (start, end, to) => drawFate(space, known, start, end, to, looks[codes.ofLabels[labels[start]]], dimmed, pixels));
}

/** Write what instances leave of a footprint's run. @param {Workspace} space @param {Footprints} known @param {number} run
 * @param {Look} look @param {Int32Array} dimmed @param {Pixels} pixels */
function drawMissed({ width, stride, labels }, known, run, { code, on, period, solid, tint }, dimmed, pixels) {
  const first = known.runs[run], end = known.runs[run + 1], row = Math.floor(first / width);
  for (let to = first, i = (row + 1) * stride + 1 + first - row * width; to < end; to++, i++) {
    if (labels[i]) continue;
    if ((row + to - row * width) % period < on && atRim(known, width, to)) pixels[to] = solid;
    else if (code !== STATUS.found.code) pixels[to] = dimmed[to] + tint;
  }
}

/** Write an instance's run. @param {Workspace} space @param {Footprints} known @param {number} start @param {number} end
 * @param {number} to the first one's pixel in the picture @param {Look} look @param {Int32Array} dimmed @param {Pixels} pixels */
function drawFate({ width, stride, labels }, known, start, end, to, { code, on, period, solid, tint }, dimmed, pixels) {
  const id = labels[start], several = code === STATUS.merged.code || code === STATUS.split.code, row = Math.floor(to / width);
  for (let i = start, across = row + to - row * width; i < end; i++, to++, across++) {
    const edge = i === start || i === end - 1 || labels[i - stride] !== id || labels[i + stride] !== id;
    if (edge && across % period < on) pixels[to] = solid;
    else pixels[to] = several && across % 2 && atRim(known, width, to) ? 0xffffffff : dimmed[to] + tint;
  }
}

/** Whether a footprint has its rim at a pixel. @param {Footprints} known @param {number} width @param {number} to */
function atRim({ truth }, width, to) {
  const id = truth[to], column = to % width;
  return id > 0 && (column === 0 || column === width - 1 || to < width || to >= truth.length - width
    || truth[to - 1] !== id || truth[to + 1] !== id || truth[to - width] !== id || truth[to + width] !== id);
}

/** A colour as one opaque RGBA pixel, and as a glaze over another pixel. @param {Colour} colour @param {number} opacity */
function ink(colour, opacity) {
  const [red, green, blue] = colour.map((c) => Uint8Array.from({ length: 256 }, (_, v) => v + (c - v) * opacity + 0.5));
  return {
    solid: pixel(...colour),
    tint: /** @param {number} under */ (under) => pixel(red[under & 255], green[under >> 8 & 255], blue[under >> 16 & 255]),
  };
}

// @ts-check
import { STATUS } from "./scores.js";

// Paint: labels, seeds and fates as pixels over a picture. Pure functions, no DOM.

/** @typedef {import("./engine.js").Workspace} Workspace @typedef {import("./engine.js").Pixels} Pixels */
/** @typedef {import("./scores.js").Colour} Colour @typedef {import("./scores.js").Footprints} Footprints */
/** @typedef {import("./scores.js").Codes} Codes */

/** Write the instances over a background: tinted by opacity, outlined in full colour.
 * @param {Workspace} space @param {Pixels} background @param {Pixels} pixels @param {Colour[]} palette @param {number} opacity */
export function draw(space, background, pixels, palette, opacity, outlines = true) {
  const { width, height, stride, labels, blocks, count } = space;
  const dimmed = dim(space, background, opacity);
  const solids = new Int32Array(count + 1), tints = new Int32Array(count + 1); // of each instance
  for (let id = 1; id <= count; id++) {
    const [red, green, blue] = palette[hue(space, id) % palette.length];
    solids[id] = pixel(red, green, blue);
    tints[id] = pixel(red * opacity, green * opacity, blue * opacity, 0);
  }
  pixels.set(background); // at once: most pixels are nobody's
  for (let row = 0; row < height; row++) {
    const first = (row + 1) * stride + 1, away = row * width - first; // to the pixel in the picture
    for (let i = first, end = first + width; i < end;) {
      const id = labels[i];
      if (!id) { i = blocks[i >> 4] ? i + 1 : (i | 15) + 1; continue; }
      const solid = solids[id], tint = tints[id], start = i;
      while (labels[i] === id) i++; // the border has no label, so a run ends there
      for (let at = start, above = start - stride, below = start + stride, to = start + away; at < i; at++, above++, below++, to++) {
        pixels[to] = outlines && (labels[above] !== id || labels[below] !== id) ? solid : dimmed[to] + tint;
      }
      if (outlines) pixels[start + away] = pixels[i - 1 + away] = solid;
    }
  }
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

/** Write what happened to each building over a background, outlines in the patterns of STATUS. Footprints show where no
 * instance covers them, and as white dots under merged and split instances.
 * @param {Workspace} space @param {Footprints} known @param {Codes} codes @param {Pixels} background @param {Pixels} pixels
 * @param {number} opacity */
export function drawErrors(space, known, codes, background, pixels, opacity, outlines = true) {
  const { width, height, stride, labels } = space;
  const { truth } = known;
  const /** @type {({ on: number, period: number } & ReturnType<typeof ink>)[]} */ looks = [];
  for (const { code, colour, on, off } of Object.values(STATUS)) looks[code] = { on, period: on + off, ...ink(colour, opacity) };
  const /** @type {(code: number) => boolean} */ several = (code) => code === STATUS.merged.code || code === STATUS.split.code;
  for (let row = 0, to = 0; row < height; row++) {
    for (let i = (row + 1) * stride + 1, end = i + width; i < end; i++, to++) {
      const id = labels[i], footprint = truth[to], under = background[to];
      if (!id && !footprint) { pixels[to] = under; continue; }
      const code = id ? codes.ofLabels[id] : codes.ofTruth[footprint];
      const { on, period, solid, tint } = looks[code];
      const column = to - row * width;
      const footprintEdge = footprint && (column === 0 || column === width - 1 || row === 0 || row === height - 1
        || truth[to - 1] !== footprint || truth[to + 1] !== footprint || truth[to - width] !== footprint || truth[to + width] !== footprint);
      const edge = id ? labels[i - 1] !== id || labels[i + 1] !== id || labels[i - stride] !== id || labels[i + stride] !== id : footprintEdge;
      if (edge && outlines && (row + column) % period < on) pixels[to] = solid;
      else if (id && footprintEdge && several(code) && (row + column) % 2) pixels[to] = 0xffffffff;
      else if (id || codes.ofTruth[footprint] !== STATUS.found.code) pixels[to] = tint(under);
      else pixels[to] = under;
    }
  }
}

/** A colour as one opaque RGBA pixel, and as a glaze over another pixel. @param {Colour} colour @param {number} opacity */
function ink(colour, opacity) {
  const [red, green, blue] = colour.map((c) => Uint8Array.from({ length: 256 }, (_, v) => v + (c - v) * opacity + 0.5));
  return {
    solid: pixel(...colour),
    tint: /** @param {number} under */ (under) => pixel(red[under & 255], green[under >> 8 & 255], blue[under >> 16 & 255]),
  };
}

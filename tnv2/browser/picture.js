// @ts-check
import { ARROWS, element, onKeys } from "./dom.js";

// A picture: shows a PNG, marks the chosen pixels with their numbers, and tells which pixel was clicked or where a key wants
// to go. Python decides, this only renders.

/** @typedef {[row: number, column: number]} Pixel */
/** @typedef {{ pixel: Pixel } | { step: number[], fresh: boolean }} Wish a click; or an arrow key, or Enter for a fresh pixel */

/** `shape` is what clicks and marks count in, whatever the PNG has.
 * @param {Pixel} shape @param {string} titled @param {string} named @param {(wish: Wish) => void} ask */
export function createPicture([height, width], titled, named, ask) {
  const title = element("span", { className: "tnv2-picture-title", textContent: titled });
  const name = element("span", { className: "tnv2-picture-name", textContent: named, title: named });
  const image = element("img", { draggable: false });
  const stage = element("div", { className: "tnv2-picture-stage", tabIndex: 0, title: "click a pixel to see its spectrum" }, image);
  stage.style.aspectRatio = `${width} / ${height}`; // so that nothing jumps while the picture loads
  stage.setAttribute("role", "application");
  const /** @type {HTMLElement[]} */ marks = [];

  const /** @type {(png: DataView<ArrayBuffer>, shows: string) => void} */ show = (png, shows) => {
    const url = URL.createObjectURL(new Blob([png], { type: "image/png" }));
    image.onload = () => {
      URL.revokeObjectURL(url);
      // Pixels enlarged stay square; shrunk, they are averaged, or lines would break.
      image.style.imageRendering = image.naturalWidth <= image.clientWidth * devicePixelRatio ? "pixelated" : "auto";
    };
    image.src = url;
    image.alt = `${titled} ${named}: ${shows}`.trim();
    stage.setAttribute("aria-label", `${image.alt}. Arrow keys move the newest pixel, with Shift by ten; Enter starts another.`);
  };
  const /** @type {(pixels: Pixel[]) => void} */ mark = (pixels) => {
    for (const old of marks.splice(0)) old.remove();
    for (const [row, column] of pixels) {
      const spot = element("span", { className: "tnv2-mark" }, element("b", { textContent: marks.length + 1 }));
      spot.style.left = `${(100 * (column + 0.5)) / width}%`;
      spot.style.top = `${(100 * (row + 0.5)) / height}%`;
      spot.classList.toggle("tnv2-mark-top", row < height * 0.06); // its number stays inside the picture
      spot.classList.toggle("tnv2-mark-right", column > width * 0.94);
      marks.push(spot);
    }
    stage.append(...marks);
  };
  stage.addEventListener("click", ({ clientX, clientY }) => {
    const box = image.getBoundingClientRect();
    /** @type {(share: number, count: number) => number} */
    const at = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
    ask({ pixel: [at((clientY - box.top) / box.height, height), at((clientX - box.left) / box.width, width)] });
  });
  onKeys(stage, ({ key, shiftKey }) => {
    const fresh = key === "Enter", step = fresh ? [0, 0] : ARROWS[key];
    if (step) ask({ step: step.map((value) => value * (shiftKey ? 10 : 1)), fresh });
    return Boolean(step);
  });
  return { node: element("div", { className: "tnv2-picture" }, element("div", { className: "tnv2-picture-head" }, title, name), stage), show, mark };
}

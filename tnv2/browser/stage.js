// @ts-check
import { ARROWS, element, onKeys, svg } from "./dom.js";

// The stage: a canvas that the wheel or + and - zoom, that dragging or the arrow keys pan, and that 0 or a double click fits.

const CLOSEST = 32;
/** @type {Record<string, number | undefined>} */
const ZOOMS = { "+": 1.25, "=": 1.25, "-": 0.8 };

/** @typedef {[row: number, column: number]} Place */
/** `report` gets the pixel under the pointer as that moves, or the middle as the keyboard moves it; null outside the picture.
 * @param {number} width @param {number} height @param {(pixel: Place | null) => void} report */
export function createStage(width, height, report) {
  const canvas = element("canvas", { width, height });
  canvas.setAttribute("role", "img");
  const over = svg("svg", { class: "tnv2-over", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const frame = element("div", { className: "tnv2-frame", tabIndex: 0 }, canvas, over);
  frame.style.aspectRatio = `${width} / ${height}`;
  frame.setAttribute("role", "group");
  frame.setAttribute("aria-label", "picture: plus and minus zoom, arrow keys pan, 0 shows all");
  let zoom = 1, left = 0, top = 0; // of the canvas in the frame, in CSS pixels

  const place = () => {
    left = Math.min(0, Math.max(frame.clientWidth * (1 - zoom), left));
    top = Math.min(0, Math.max(frame.clientHeight * (1 - zoom), top));
    canvas.style.transform = `translate(${left}px, ${top}px) scale(${zoom})`;
    const pixels = width / (frame.clientWidth * zoom || 1); // of the picture, in a CSS pixel
    over.setAttribute("viewBox", `${-left * pixels} ${-top * pixels} ${width / zoom} ${height / zoom}`);
    frame.dataset.zoom = zoom.toFixed(2);
  };
  const /** @type {(x: number, y: number, factor: number) => void} */ zoomAt = (x, y, factor) => {
    const next = Math.min(CLOSEST, Math.max(1, zoom * factor));
    left = x - (x - left) * next / zoom;
    top = y - (y - top) * next / zoom;
    zoom = next;
    place();
  };
  const /** @type {(x: number, y: number) => void} */ pan = (x, y) => { left += x; top += y; place(); };
  const fit = () => { zoom = 1; place(); };
  const /** @type {(row: number, column: number, closer?: number) => void} */ centre = (row, column, closer = zoom) => {
    zoom = Math.min(CLOSEST, Math.max(1, closer));
    left = frame.clientWidth * (0.5 - (column + 0.5) / width * zoom);
    top = frame.clientHeight * (0.5 - (row + 0.5) / height * zoom);
    place();
  };
  const /** @type {(x: number, y: number) => Place | null} */ pixelAt = (x, y) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor((x - box.left) / box.width * width), row = Math.floor((y - box.top) / box.height * height);
    return row >= 0 && row < height && column >= 0 && column < width ? [row, column] : null;
  };
  const reportMiddle = () => {
    const box = frame.getBoundingClientRect();
    report(pixelAt(box.left + box.width / 2, box.top + box.height / 2));
  };

  frame.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = frame.getBoundingClientRect();
    zoomAt(event.clientX - box.left, event.clientY - box.top, Math.exp(-Math.sign(event.deltaY) * 0.2));
  }, { passive: false });
  frame.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    frame.setPointerCapture(event.pointerId);
    frame.classList.add("tnv2-dragging");
  });
  frame.addEventListener("pointermove", (event) => {
    if (frame.hasPointerCapture(event.pointerId)) pan(event.movementX, event.movementY);
    report(pixelAt(event.clientX, event.clientY));
  });
  frame.addEventListener("pointerup", () => frame.classList.remove("tnv2-dragging"));
  frame.addEventListener("pointerleave", () => report(null));
  frame.addEventListener("dblclick", fit);
  onKeys(frame, ({ key }) => {
    const step = ARROWS[key], factor = ZOOMS[key];
    if (step) pan(-step[1] * frame.clientWidth / 10, -step[0] * frame.clientHeight / 10);
    else if (factor) zoomAt(frame.clientWidth / 2, frame.clientHeight / 2, factor);
    else if (key === "0") fit();
    else return false;
    reportMiddle();
    return true;
  });
  return { frame, canvas, over, fit, centre, pixelAt };
}

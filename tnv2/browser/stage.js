// @ts-check
import { ARROWS, element, onKeys, svg } from "./dom.js";

// The stage: a canvas that Ctrl and the wheel, two fingers or + and - zoom, that dragging or the arrow keys pan, and that 0 or
// a double click fits. The wheel alone zooms after a click into the picture, and one finger pans once it is zoomed: until then
// both are the page's, which could not be scrolled past the picture otherwise.

const CLOSEST = 32, LINE = 33; // the nearest zoom; a line of the wheel, in CSS pixels
const HINT = "Ctrl + wheel zooms; the wheel alone does after a click into the picture.";
/** @type {Record<string, number | undefined>} */
const ZOOMS = { "+": 1.25, "=": 1.25, "-": 0.8 };

/** @typedef {[row: number, column: number]} Place */
/** `report` gets the pixel under the pointer as that moves, or the middle as the keyboard moves it; null outside the picture.
 * @param {number} width @param {number} height @param {(pixel: Place | null) => void} report */
export function createStage(width, height, report) {
  const canvas = element("canvas", { width, height });
  canvas.setAttribute("role", "img");
  const hint = element("div", { className: "tnv2-hint", textContent: HINT });
  const over = svg("svg", { class: "tnv2-over", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const frame = element("div", { className: "tnv2-frame", tabIndex: 0 }, canvas, over, hint);
  frame.style.aspectRatio = `${width} / ${height}`;
  frame.setAttribute("role", "group");
  frame.setAttribute("aria-label", "picture: plus and minus zoom, arrow keys pan, 0 shows all");
  const layers = [canvas]; // what is zoomed and panned
  let zoom = 1, left = 0, top = 0; // of the canvas in the frame, in CSS pixels

  const place = () => {
    left = Math.min(0, Math.max(frame.clientWidth * (1 - zoom), left));
    top = Math.min(0, Math.max(frame.clientHeight * (1 - zoom), top));
    for (const layer of layers) layer.style.transform = `translate(${left}px, ${top}px) scale(${zoom})`;
    const pixels = width / (frame.clientWidth * zoom || 1); // of the picture, in a CSS pixel
    over.setAttribute("viewBox", `${-left * pixels} ${-top * pixels} ${width / zoom} ${height / zoom}`);
    frame.dataset.zoom = zoom.toFixed(2);
    frame.classList.toggle("tnv2-zoomed", zoom > 1);
  };
  const /** @type {(x: number, y: number, factor: number) => void} */ zoomAt = (x, y, factor) => {
    const next = Math.min(CLOSEST, Math.max(1, zoom * factor));
    left = x - (x - left) * next / zoom;
    top = y - (y - top) * next / zoom;
    zoom = next;
    place();
  };
  const /** @type {(factor: number) => void} */ zoomBy = (factor) => zoomAt(frame.clientWidth / 2, frame.clientHeight / 2, factor);
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

  let entered = false, hiding = 0; // clicked into since the pointer came
  frame.addEventListener("wheel", (event) => {
    const delta = event.deltaY * (event.deltaMode ? LINE : 1);
    if (!event.ctrlKey && !event.metaKey && (!entered || (zoom === 1 && delta > 0))) {
      if (entered) return;
      frame.classList.add("tnv2-hinting");
      clearTimeout(hiding);
      hiding = setTimeout(() => frame.classList.remove("tnv2-hinting"), 1500);
      return;
    }
    event.preventDefault();
    const box = frame.getBoundingClientRect();
    zoomAt(event.clientX - box.left, event.clientY - box.top, Math.exp(-Math.max(-20, Math.min(20, delta)) * 0.01));
  }, { passive: false });

  const /** @type {Map<number, { x: number, y: number }>} */ held = new Map(); // where the mouse's button or the fingers are
  const spread = () => {
    const [first, second = first] = held.values();
    return { x: (first.x + second.x) / 2, y: (first.y + second.y) / 2, apart: Math.hypot(first.x - second.x, first.y - second.y) };
  };
  frame.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || held.size > 1) return;
    entered = true;
    frame.classList.remove("tnv2-hinting");
    held.set(event.pointerId, { x: event.clientX, y: event.clientY });
    frame.setPointerCapture(event.pointerId);
    frame.classList.add("tnv2-dragging");
    report(pixelAt(event.clientX, event.clientY));
  });
  frame.addEventListener("pointermove", (event) => {
    if (held.has(event.pointerId)) {
      const before = spread();
      held.set(event.pointerId, { x: event.clientX, y: event.clientY });
      const after = spread(), box = frame.getBoundingClientRect();
      left += after.x - before.x;
      top += after.y - before.y;
      zoomAt(after.x - box.left, after.y - box.top, held.size > 1 ? after.apart / (before.apart || 1) : 1);
    }
    if (held.size < 2) report(pixelAt(event.clientX, event.clientY));
  });
  for (const ending of /** @type {const} */ (["pointerup", "pointercancel"])) {
    frame.addEventListener(ending, (event) => {
      held.delete(event.pointerId);
      if (!held.size) frame.classList.remove("tnv2-dragging");
    });
  }
  frame.addEventListener("pointerleave", ({ pointerType }) => {
    entered = false;
    if (pointerType === "mouse") report(null); // what a finger touched stays told
  });
  // Two fingers are the picture's even where one scrolls the page.
  const /** @type {(event: TouchEvent) => void} */ keep = (event) => { if (event.touches.length > 1 && event.cancelable) event.preventDefault(); };
  frame.addEventListener("touchstart", keep, { passive: false });
  frame.addEventListener("touchmove", keep, { passive: false });
  frame.addEventListener("dblclick", fit);
  onKeys(frame, ({ key }) => {
    const step = ARROWS[key], factor = ZOOMS[key];
    if (step) pan(-step[1] * frame.clientWidth / 10, -step[0] * frame.clientHeight / 10);
    else if (factor) zoomBy(factor);
    else if (key === "0") fit();
    else return false;
    reportMiddle();
    return true;
  });
  return { frame, canvas, layers, place, over, fit, zoomBy, centre, pixelAt };
}

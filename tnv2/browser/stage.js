import { element } from "./dom.js";

// The stage: a canvas that the wheel or + and - zoom, that dragging or the arrow keys pan, and that 0 or a double click fits.

const CLOSEST = 32;

// `report(row, column)` is called as the pointer moves, or the keyboard moves the middle; report(null) as the pointer leaves.
export function createStage(width, height, report) {
  const canvas = element("canvas", { width, height });
  canvas.setAttribute("role", "img");
  const frame = element("div", { className: "tnv2-frame", tabIndex: 0 }, canvas);
  frame.style.aspectRatio = `${width} / ${height}`;
  frame.dataset.lmSuppressShortcuts = "true"; // or JupyterLab takes the keys
  frame.setAttribute("role", "group");
  frame.setAttribute("aria-label", "picture: plus and minus zoom, arrow keys pan, 0 shows all");
  let zoom = 1, left = 0, top = 0; // of the canvas in the frame, in CSS pixels

  const place = () => {
    left = Math.min(0, Math.max(frame.clientWidth * (1 - zoom), left));
    top = Math.min(0, Math.max(frame.clientHeight * (1 - zoom), top));
    canvas.style.transform = `translate(${left}px, ${top}px) scale(${zoom})`;
    frame.dataset.zoom = zoom.toFixed(2);
  };
  const zoomAt = (x, y, factor) => {
    const next = Math.min(CLOSEST, Math.max(1, zoom * factor));
    left = x - (x - left) * next / zoom;
    top = y - (y - top) * next / zoom;
    zoom = next;
    place();
  };
  const fit = () => { zoom = 1; place(); };
  const centre = (row, column, closer = zoom) => {
    zoom = Math.min(CLOSEST, Math.max(1, closer));
    left = frame.clientWidth * (0.5 - (column + 0.5) / width * zoom);
    top = frame.clientHeight * (0.5 - (row + 0.5) / height * zoom);
    place();
  };
  const pixelAt = (x, y) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor((x - box.left) / box.width * width), row = Math.floor((y - box.top) / box.height * height);
    return row >= 0 && row < height && column >= 0 && column < width ? [row, column] : null;
  };
  const reportMiddle = () => {
    const box = frame.getBoundingClientRect();
    report(...pixelAt(box.left + box.width / 2, box.top + box.height / 2) ?? [null]);
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
    if (frame.hasPointerCapture(event.pointerId)) { left += event.movementX; top += event.movementY; place(); }
    report(...pixelAt(event.clientX, event.clientY) ?? [null]);
  });
  frame.addEventListener("pointerup", () => frame.classList.remove("tnv2-dragging"));
  frame.addEventListener("pointerleave", () => report(null));
  frame.addEventListener("dblclick", fit);
  const keys = {
    "+": () => zoomAt(frame.clientWidth / 2, frame.clientHeight / 2, 1.25),
    "-": () => zoomAt(frame.clientWidth / 2, frame.clientHeight / 2, 0.8),
    0: fit,
    ArrowLeft: () => { left += frame.clientWidth / 10; place(); },
    ArrowRight: () => { left -= frame.clientWidth / 10; place(); },
    ArrowUp: () => { top += frame.clientHeight / 10; place(); },
    ArrowDown: () => { top -= frame.clientHeight / 10; place(); },
  };
  keys["="] = keys["+"];
  frame.addEventListener("keydown", (event) => {
    const act = !event.ctrlKey && !event.metaKey && !event.altKey && keys[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
    reportMiddle();
  });
  return { frame, canvas, fit, centre };
}

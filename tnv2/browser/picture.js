// @ts-check
import { ARROWS, element, onKeys } from "./dom.js";

// A picture over a model with get, on, off and send, as anywidget passes it: shows a PNG, marks the chosen pixels with their
// numbers, and tells Python which pixel was clicked or where a key wants to go. Python decides, this only renders.

/** @typedef {[row: number, column: number]} Pixel */
/** @typedef {{ png: DataView<ArrayBuffer>, title: string, name: string, shows: string, shape: Pixel, pixels: Pixel[] }} Traits */

/** @param {{ model: import("./dom.js").Model<Traits>, el: HTMLElement }} view */
function render({ model, el }) {
  const [height, width] = model.get("shape");
  const title = element("span", { className: "tnv2-picture-title", textContent: model.get("title") });
  const name = element("span", { className: "tnv2-picture-name", textContent: model.get("name"), title: model.get("name") });
  const image = element("img", { draggable: false });
  const stage = element("div", { className: "tnv2-picture-stage", tabIndex: 0, title: "click a pixel to see its spectrum" }, image);
  stage.style.aspectRatio = `${width} / ${height}`; // so that nothing jumps while the picture loads
  stage.setAttribute("role", "application");
  const /** @type {HTMLElement[]} */ marks = [];

  const show = () => {
    const url = URL.createObjectURL(new Blob([model.get("png")], { type: "image/png" }));
    image.onload = () => {
      URL.revokeObjectURL(url);
      // Pixels enlarged stay square; shrunk, they are averaged, or lines would break.
      image.style.imageRendering = image.naturalWidth <= image.clientWidth * devicePixelRatio ? "pixelated" : "auto";
    };
    image.src = url;
  };
  const describe = () => {
    image.alt = `${model.get("title")} ${model.get("name")}: ${model.get("shows")}`.trim();
    stage.setAttribute("aria-label", `${image.alt}. Arrow keys move the newest pixel, with Shift by ten; Enter starts another.`);
  };
  const mark = () => {
    for (const old of marks.splice(0)) old.remove();
    for (const [row, column] of model.get("pixels")) {
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
    model.send({ pixel: [at((clientY - box.top) / box.height, height), at((clientX - box.left) / box.width, width)] });
  });
  onKeys(stage, ({ key, shiftKey }) => {
    const fresh = key === "Enter", step = fresh ? [0, 0] : ARROWS[key];
    if (step) model.send({ step: step.map((value) => value * (shiftKey ? 10 : 1)), fresh });
    return Boolean(step);
  });

  // JupyterLab takes up and down from the viewer's dropdowns too, and ipywidgets has no trait to tell it not to.
  const /** @type {(event: FocusEvent) => void} */ keepKeys = ({ target }) => {
    if (target instanceof HTMLElement && target.matches(".tnv2-viewer select")) target.dataset.lmSuppressShortcuts = "true";
  };
  document.addEventListener("focusin", keepKeys);

  const listening = /** @type {const} */ ([["change:png", show], ["change:shows", describe], ["change:pixels", mark]]);
  for (const [event, react] of listening) { model.on(event, react); react(); }
  el.classList.add("tnv2-picture");
  el.append(element("div", { className: "tnv2-picture-head" }, title, name), stage);
  return () => {
    document.removeEventListener("focusin", keepKeys);
    for (const [event, react] of listening) model.off(event, react);
  };
}

export default { render };

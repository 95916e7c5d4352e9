// @ts-check
// Elements of a page, and of a drawing in it; the keys they take; and the model that Python's traits come in.

/** What anywidget passes of a widget, and the handout imitates.
 * @template Traits @typedef {{ get: <Name extends keyof Traits>(name: Name) => Traits[Name],
 *   set: <Name extends keyof Traits>(name: Name, value: Traits[Name]) => void,
 *   on: (event: `change:${keyof Traits & string}` | "comm_live_update", react: () => void) => void, off: Model<Traits>["on"],
 *   save_changes: () => void, send: (content: unknown) => void, widget_manager?: Manager }} Model */
/** What JupyterLab's own has besides, and no other. @typedef {(react: () => void) => void} Connect
 * @typedef {(event: "comm_live_update", react: () => void) => void} Listen
 * @typedef {{ context?: { sessionContext?: { kernelChanged?: { connect: Connect, disconnect: Connect } } } }} Manager */

/** Where an arrow key goes, in rows and columns. @type {Record<string, [rows: number, columns: number] | undefined>} */
export const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** @template {keyof HTMLElementTagNameMap} Tag @param {Tag} tag
 * @param {{ [Name in keyof HTMLElementTagNameMap[Tag]]?: string | number | boolean }} properties
 * @param {...(Node | string)} children @returns {HTMLElementTagNameMap[Tag]} */
export function element(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** @template {keyof SVGElementTagNameMap} Tag @param {Tag} tag @param {Record<string, string | number>} attributes
 * @param {...(Node | string)} children @returns {SVGElementTagNameMap[Tag]} */
export function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** Call `tell` when Python no longer listens to a model: ipywidgets lets go of its models where a kernel restarts or dies, and
 * JupyterLab has no kernel where one was shut down. Returns what ends that.
 * @param {{ on: Listen, off: Listen, widget_manager?: Manager }} model @param {() => void} tell */
export function onGone(model, tell) {
  const changed = model.widget_manager?.context?.sessionContext?.kernelChanged;
  model.on("comm_live_update", tell);
  changed?.connect(tell);
  return () => { model.off("comm_live_update", tell); changed?.disconnect(tell); };
}

/** Give an element the keys that `take` answers true to; the page, and JupyterLab around it, would scroll or leave the cell.
 * @param {HTMLOrSVGElement & GlobalEventHandlers} node @param {(event: KeyboardEvent) => boolean} take */
export function onKeys(node, take) {
  node.dataset.lmSuppressShortcuts = "true"; // or JupyterLab swallows the arrow keys
  node.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !take(event)) return;
    event.preventDefault();
    event.stopPropagation();
  });
}

// @ts-check
import { ARROWS, element, svg } from "./dom.js";

// Mending by hand: a folded section with tools for the picture, undo and redo, and the list of what was done.
// It knows no labels: it makes edits, which the tuner applies, and is told which of them wait.

/** @typedef {import("./edits.js").Edit} Edit @typedef {import("./edits.js").Position} Position */
/** @typedef {ReturnType<typeof import("./stage.js").createStage>} Stage */
/** At a place of the list, what a change took out of it and what it put there. @typedef {{ at: number, out: Edit[], put: Edit[] }} Change */
/** @typedef {{ edits: () => Edit[], commit: (edits: Edit[]) => void, name: (...pixel: Position) => string,
 *   point: (pixel: Position | null) => void, tries: (edit: Edit) => string }} Tuner what is mended: its list, what is at a pixel,
 *   that one is pointed at, and why an edit would wait, "" where it would act */

/** @typedef {"look" | Edit["kind"]} Tool */
/** @type {Record<Tool, { key: string, points: number, title: string, hint: string }>} */
const TOOLS = {
  look: { key: "l", points: 0, title: "move and zoom the picture", hint: "Choose a tool, then work on the picture." },
  delete: { key: "d", points: 1, title: "take a building away", hint: "Click a building to take it away." },
  merge: { key: "m", points: 2, title: "make two buildings one", hint: "Click two parts of one building." },
  split: { key: "s", points: 2, title: "cut a building in two", hint: "Draw a line across a building, or click its points." },
  add: { key: "a", points: 3, title: "draw a building that is missing", hint: "Draw round a building, or click its corners." },
};
const KEYS = " Keys: arrows (Shift: 10 px), Space sets a point, Enter the last one, Escape stops.";
const STEP = 2; // pixels from one point of a drawn line to the next

/** What undo and redo lead to, and the list that they start from. @typedef {{ done: Change[], undone: Change[], known: Edit[] }} History */

/** `kept` holds the history, for a view of the same tile that comes later.
 * @param {Stage} stage @param {number} width @param {number} height @param {{ history?: History }} kept @param {Tuner} tuner */
export function createMending({ frame, over, centre, pixelAt }, width, height, kept, tuner) {
  let /** @type {Tool} */ tool = "look";
  let /** @type {Position[]} */ path = []; // the points of the edit that is being made
  let /** @type {Position | null} */ cross = null; // where the keyboard is
  let /** @type {Position | null} */ hover = null; // where the pointer is
  let drawing = -1, taps = 0; // the pointer that draws, and how many points there were when it went down
  let fingers = false; // several are down: they zoom
  let known = tuner.edits();
  const history = kept.history ??= { done: known.map((edit, at) => ({ at, out: [], put: [edit] })), undone: [], known };
  const { done, undone } = history;
  const missed = difference(history.known, known);
  if (missed.out.length || missed.put.length) { done.push(missed); undone.length = 0; }
  history.known = known;
  let stepping = false; // the list changes by undo or redo

  const buttons = Object.entries(TOOLS).map(([name, { key, title }]) => button(name, `${title} (${key})`, () => choose(/** @type {Tool} */ (name))));
  const undo = button("undo", "take the last change back (Ctrl+Z)", () => step(done, undone));
  const redo = button("redo", "make it again (Ctrl+Shift+Z)", () => step(undone, done));
  const finish = button("finish", "the outline or line is complete (Enter)", () => complete());
  const said = element("div", { className: "tnv2-said" });
  said.setAttribute("role", "status");
  const scores = element("div", { className: "tnv2-with" });
  const list = element("ol", { className: "tnv2-edits" });
  const state = element("span", { className: "tnv2-state" });
  const node = element("details", { className: "tnv2-mending", open: known.length > 0 },
    element("summary", { title: "delete, merge, split and add buildings" }, "by hand", state),
    element("div", { className: "tnv2-tools" }, ...buttons),
    element("div", { className: "tnv2-steps" }, undo, redo, finish), said, scores, list);
  node.dataset.lmSuppressShortcuts = "true"; // or JupyterLab takes the tools' letters
  const lines = ["tnv2-casing", "tnv2-line"].map((name) => svg("path", { class: name }));
  over.append(...lines);

  const draw = () => {
    const points = hover && path.length && drawing < 0 ? [...path, hover] : path;
    const at = points.map(([row, column]) => `${column + 0.5} ${row + 0.5}`);
    const dots = path.map(([row, column]) => `M${column + 0.5} ${row + 0.5}h0`).join("");
    const hairs = cross ? `M0 ${cross[0] + 0.5}H${width}M${cross[1] + 0.5} 0V${height}` : "";
    const outline = at.length > 1 ? `M${at.join("L")}${tool === "add" ? "Z" : ""}` : "";
    for (const line of lines) line.setAttribute("d", outline + (drawing < 0 ? dots : "") + hairs);
    undo.disabled = !done.length && !path.length;
    redo.disabled = !undone.length;
    finish.disabled = !(tool === "split" || tool === "add") || path.length < TOOLS[tool].points;
  };
  const /** @type {(text: string) => void} */ say = (text) => { said.textContent = text; };
  const /** @type {(name: Tool) => void} */ choose = (name) => {
    tool = name;
    path = [];
    cross = null;
    buttons.forEach((each) => each.setAttribute("aria-pressed", String(each.textContent === tool)));
    frame.classList.toggle("tnv2-holds", tool !== "look");
    frame.setAttribute("role", tool === "look" ? "group" : "application"); // so that a screen reader leaves the arrow keys to it
    say(TOOLS[tool].hint + (tool === "look" ? "" : KEYS));
    draw();
    if (tool === "look") return;
    frame.focus({ preventScroll: true });
    frame.scrollIntoView({ block: "nearest" });
  };
  const /** @type {(place: Position) => void} */ set = (place) => {
    const last = path.at(-1);
    if (!last || last[0] !== place[0] || last[1] !== place[1]) path.push(place);
    if ((tool === "delete" || tool === "merge") && path.length === TOOLS[tool].points) complete();
    else say(`Point ${path.length} is on ${tuner.name(...place)}. ${tool === "merge" ? "Now the other part." : "Click the last one twice, or finish."}`);
    draw();
  };
  const complete = () => {
    if (tool === "look" || path.length < TOOLS[tool].points) return;
    const edit = { kind: tool, at: path };
    path = [];
    const why = tuner.tries(edit);
    if (why) say(`Nothing is changed: ${why}.`);
    else tuner.commit([...known, edit]);
    draw();
  };
  const /** @type {(from: Change[], to: Change[]) => void} */ step = (from, to) => {
    if (path.length) { path.pop(); draw(); return; } // the point that was set last, before there is an edit
    const change = from.pop();
    if (!change) return;
    to.push({ at: change.at, out: change.put, put: change.out });
    stepping = true;
    tuner.commit([...known.slice(0, change.at), ...change.out, ...known.slice(change.at + change.put.length)]);
    stepping = false;
  };

  // The frame's events come here before the stage has them. It hears of all that goes down and up, so that two fingers zoom.
  const /** @type {(event: Event) => void} */ keep = (event) => { event.preventDefault(); event.stopImmediatePropagation(); };
  const letGo = () => {
    if (drawing >= 0) path.length = taps;
    drawing = -1;
    draw();
  };
  const /** @type {(event: PointerEvent) => void} */ trace = ({ clientX, clientY, pointerType, pointerId }) => {
    const pixel = pixelAt(clientX, clientY), last = path.at(-1);
    tuner.point(pixel);
    hover = pointerType === "touch" ? null : pixel;
    const draws = pointerId === drawing && pixel && (tool === "split" || tool === "add");
    if (draws && (!last || Math.max(Math.abs(pixel[0] - last[0]), Math.abs(pixel[1] - last[1])) >= STEP)) path.push(pixel);
    draw();
  };
  frame.addEventListener("pointerdown", (event) => {
    fingers = !event.isPrimary;
    if (fingers) letGo();
    if (fingers || tool === "look" || event.button !== 0 || event.target instanceof HTMLButtonElement) return;
    drawing = event.pointerId;
    taps = path.length;
    cross = null;
    trace(event);
  }, true);
  frame.addEventListener("pointermove", (event) => {
    if (tool === "look" || fingers) return;
    event.stopImmediatePropagation();
    trace(event);
  }, true);
  frame.addEventListener("pointerup", (event) => {
    if (event.pointerId !== drawing) return;
    drawing = -1;
    const pixel = pixelAt(event.clientX, event.clientY);
    const drawn = path.length - taps > 2; // less is the trembling of a click
    if (!drawn) path.length = taps;
    if (pixel) set(pixel);
    if (drawn) complete();
  }, true);
  frame.addEventListener("pointercancel", letGo, true);
  frame.addEventListener("pointerleave", () => { hover = null; draw(); }, true);
  frame.addEventListener("dblclick", (event) => { if (tool !== "look") { keep(event); complete(); } }, true);

  const /** @type {(event: KeyboardEvent) => boolean} */ command = ({ key, ctrlKey, metaKey, shiftKey, altKey }) => {
    const letter = key.toLowerCase(), name = Object.entries(TOOLS).find(([, each]) => each.key === letter)?.[0];
    if (altKey) return false;
    if (ctrlKey || metaKey) {
      if (letter === "z" && !shiftKey) step(done, undone);
      else if (letter === "z" || letter === "y") step(undone, done);
      else return false;
    } else if (name) choose(/** @type {Tool} */ (name));
    else if (key === "Escape" && path.length) { path = []; say(TOOLS[tool].hint); draw(); }
    else if (key === "Escape" && tool !== "look") choose("look");
    else return false;
    return true;
  };
  const /** @type {(event: KeyboardEvent) => boolean} */ walk = ({ key, shiftKey, ctrlKey, metaKey, altKey }) => {
    const arrow = ARROWS[key], reach = shiftKey ? 10 : 1;
    if (tool === "look" || ctrlKey || metaKey || altKey || !(arrow || key === " " || key === "Enter")) return false;
    if (arrow || !cross) {
      const box = frame.getBoundingClientRect();
      const from = cross ?? pixelAt(box.left + box.width / 2, box.top + box.height / 2) ?? [height >> 1, width >> 1];
      const [down, right] = cross && arrow ? arrow : [0, 0]; // the first key shows where the cross is
      cross = [Math.min(height - 1, Math.max(0, from[0] + down * reach)), Math.min(width - 1, Math.max(0, from[1] + right * reach))];
      hover = path.length ? cross : null;
      tuner.point(cross);
      say(`row ${cross[0]} col ${cross[1]}, ${tuner.name(...cross)}`);
      if (!visible(cross)) centre(...cross);
      draw();
      return true;
    }
    set(cross);
    if (key === "Enter") complete();
    return true;
  };
  const /** @type {(pixel: Position) => boolean} */ visible = ([row, column]) => {
    const [left, top, across, down] = (over.getAttribute("viewBox") ?? "").split(" ").map(Number);
    return column >= left && column < left + across && row >= top && row < top + down;
  };
  frame.addEventListener("keydown", (event) => {
    if (node.open && event.target === frame && (command(event) || walk(event))) keep(event);
  }, true);
  node.addEventListener("keydown", (event) => { if (node.open && command(event)) keep(event); });
  node.addEventListener("toggle", () => { if (!node.open) choose("look"); });

  let /** @type {string | null} */ written = null;
  let timer = 0;
  let fresh = false; // the list has changed since the labels were made
  const /** @type {(waiting: string[]) => void} */ write = (waiting) => {
    const waits = waiting.filter((why) => why).length;
    state.textContent = known.length ? `${known.length} edit${known.length === 1 ? "" : "s"}${waits ? `, ${waits} wait${waits === 1 ? "s" : ""}` : ""}` : "";
    const text = JSON.stringify(waiting), scroll = fresh;
    if (text === written && !fresh) return;
    written = text;
    clearTimeout(timer); // a drag needs the time
    timer = setTimeout(() => {
      list.replaceChildren(...known.map((edit, n) => entry(edit, n, waiting[n])));
      if (scroll) list.scrollTop = list.scrollHeight;
    }, fresh ? 0 : 200);
  };
  const /** @type {(edit: Edit, n: number, why: string) => HTMLElement} */ entry = ({ kind, at }, n, why) => {
    const [row, column] = [0, 1].map((axis) => Math.round(at.reduce((sum, place) => sum + place[axis], 0) / at.length));
    const go = button(`${n + 1}  ${kind} at row ${row} col ${column}`, why ? `it waits: ${why}` : "show where", () => {
      centre(row, column, 5);
      frame.scrollIntoView({ block: "nearest" });
    });
    if (why) go.append(element("span", { className: "tnv2-waits", textContent: `waits: ${why}` }));
    const away = button("\u00d7", `remove edit ${n + 1} from the list`, () => tuner.commit(known.filter((_, other) => other !== n)));
    away.setAttribute("aria-label", away.title);
    return element("li", {}, go, away);
  };
  choose("look");
  return {
    node,
    /** The list is another one. */
    changed: () => {
      const now = tuner.edits(), change = difference(known, now);
      if (!stepping && (change.out.length || change.put.length)) { done.push(change); undone.length = 0; }
      history.known = known = now;
      fresh = true;
      const [edit] = change.put;
      if (edit) say(`${edit.kind} is done.`);
      else if (change.out.length) say(`${change.out.length === 1 ? change.out[0].kind : `${change.out.length} edits`} taken back.`);
    },
    /** The labels are made: which edits wait, and the scores with and without edits in words. @param {string[]} waiting @param {string} text */
    update: (waiting, text) => {
      draw();
      if (scores.textContent !== text) scores.textContent = text;
      write(waiting);
      fresh = false;
    },
  };
}

/** @param {string} text @param {string} title @param {() => void} act */
function button(text, title, act) {
  const made = element("button", { type: "button", textContent: text, title });
  made.addEventListener("click", act);
  return made;
}

/** What leads from one list to another. @param {Edit[]} before @param {Edit[]} after @returns {Change} */
function difference(before, after) {
  const /** @type {(a: Edit, b: Edit) => boolean} */ same = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);
  const most = Math.min(before.length, after.length);
  let at = 0, end = 0;
  while (at < most && same(before[at], after[at])) at++;
  while (end < most - at && same(before[before.length - 1 - end], after[after.length - 1 - end])) end++;
  return { at, out: before.slice(at, before.length - end), put: after.slice(at, after.length - end) };
}

// @ts-check
import { createTally } from "./tally.js";

// The pool: the figures of all tiles together, counted beside the page, so that dragging stays as smooth as with one tile.
//
// A classic worker from a Blob URL does it, the one kind that a page from disk may start. Python sends its script, made of
// the very files that the page has. It is fed once with a copy of the tiles' 8-bit maps and footprints (pictures stay here)
// and then with the latest thresholds alone; tally.js says how a newer request drops an older one. It ends when the view is
// removed. Where no worker can be made or it fails, the page counts in its idle time, and says so.

/** @typedef {import("./tally.js").Plan} Plan @typedef {import("./tally.js").Wanted} Wanted @typedef {import("./tally.js").Found} Found */

const START = `
const { port1, port2 } = new MessageChannel(); // takes its turn after messages that wait
let go;
port1.onmessage = () => go();
const take = createTally((found) => postMessage(found), (next) => { go = next; port2.postMessage(0); });
onmessage = ({ data }) => take(data);
`;

/** @param {string} script @param {() => Plan[]} plans copies of the tiles @param {(found: Found) => void} tell
 * @param {() => void} slow tells that there is no worker */
export function createPool(script, plans, tell, slow) {
  let ended = false, version = 0;
  let /** @type {Worker | null} */ worker = null;
  let /** @type {((message: Plan[] | Wanted) => void) | null} */ take = null;
  let /** @type {Wanted | null} */ wanted = null;
  const url = URL.createObjectURL(new Blob([script, START], { type: "text/javascript" }));
  const idle = () => {
    worker?.terminate();
    worker = null;
    if (ended || take) return;
    slow();
    take = createTally((found) => { if (!ended) tell(found); }, (go) => {
      const unless = () => { if (!ended) go(); };
      if ("requestIdleCallback" in window) requestIdleCallback(unless, { timeout: 250 }); else setTimeout(unless, 30);
    });
    take(plans());
    if (wanted) take(wanted);
  };
  try {
    worker = new Worker(url);
    worker.onmessage = ({ data }) => { URL.revokeObjectURL(url); tell(data); };
    worker.onerror = idle;
    const tiles = plans();
    worker.postMessage(tiles, tiles.flatMap(({ building, border, truth }) => [building, border, truth].flatMap((each) => each?.buffer ?? [])));
  } catch {
    idle();
  }
  return {
    /** Ask for the figures at other thresholds or edits; returns the version that answers have. @param {Omit<Wanted, "version">} other */
    ask: (other) => {
      wanted = { version: ++version, ...other };
      if (worker) worker.postMessage(wanted); else take?.(wanted);
      return version;
    },
    end: () => {
      ended = true;
      worker?.terminate();
      URL.revokeObjectURL(url);
    },
  };
}

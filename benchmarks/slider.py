"""How long from a slider's change to new pixels? The tuner, the handout, and how a demo notebook would do it.

    python benchmarks/slider.py [--tiles FOLDER] [--seconds 5] [--presses 40]

Measured in one run in headless Chromium. The picture itself says which threshold it shows: its upper edge is black, and the
building map there rises from 0 to 1, so as many of its pixels are tinted as are above the mask threshold. They are read
back from the screen's canvas or image on every animation frame. Latency is from a key press to the first frame that shows
the new threshold; updates are the different pictures seen a second while the slider is dragged by an event a frame, as
Chromium hands over a pointer's moves. With ten tiles there is also the time from a key press to the figures of all tiles
together at the new threshold.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from lab import chromium, jupyterlab, run_notebook, wait_for, write_notebook  # noqa: E402

STRIP = 12  # rows at the upper edge that carry the threshold
SIDE = 2048  # px of the large tile

PREPARE = f"""
import warnings
import numpy as np
import tnv2

def stamped(tile, probabilities):
    rgb, building, border = tile.rgb.copy(), probabilities.building.copy(), probabilities.border.copy()
    rgb[:{STRIP}], building[:{STRIP}], border[:{STRIP + 2}] = 0, np.linspace(0, 1, tile.shape[1], dtype=np.float32), 0
    building[{STRIP}:{STRIP + 2}] = 0
    return tile.replace(rgb=rgb, mul=None), tnv2.Probabilities(building, border)

tiles = [files.read() for files in tnv2.find_tiles(FOLDER)] if FOLDER else tnv2.sample_tiles()
tile = max((tile for tile in tiles if tile.truth is not None), key=lambda tile: tile.truth.max())
tile, probabilities = stamped(tile, tnv2.predict(tnv2.load_model(), tile))
"""
TUNER = "tuner = tnv2.ThresholdTuner(tile, probabilities, tnv2.Thresholds(seed=0.7, border=1))\ntuner"
HANDOUT = "tuner.save_handout('handout.html')"
MANY = "many = tnv2.ThresholdTuner([tile] * 10, [probabilities] * 10, tnv2.Thresholds(seed=0.7, border=1))\nmany"
LARGE = f"""
import warnings

def repeated(array):
    return np.tile(array, (4, 4, 1)[: array.ndim])[:{SIDE}, :{SIDE}]

parts = np.kron(np.arange(16).reshape(4, 4) * (tile.truth.max() + 1), np.ones(tile.shape, np.int32)).astype(np.int32)
truth = np.where(repeated(tile.truth) > 0, repeated(tile.truth) + parts[:{SIDE}, :{SIDE}], 0)
maps = tnv2.Probabilities(repeated(probabilities.building), repeated(probabilities.border))
large, maps = stamped(tnv2.Tile(repeated(tile.rgb), truth=truth), maps)
warnings.simplefilter("ignore")  # of its size
tnv2.ThresholdTuner(large, maps, tnv2.Thresholds(seed=0.7, border=1)).save_handout("large.html")
"""
BASELINE = """
%config InlineBackend.print_figure_kwargs = {"bbox_inches": None}
import matplotlib.pyplot as plt
from ipywidgets import FloatSlider, interact
from scipy import ndimage
from skimage.segmentation import mark_boundaries, watershed

picture = tnv2.true_colour(tile) / 255

@interact(mask=FloatSlider(value=0.5, min=0, max=1, step=0.01))
def show(mask):
    region = probabilities.building > mask
    markers, _ = ndimage.label(region & (probabilities.building > 0.7))
    labels = watershed(np.zeros(region.shape), markers, mask=region, connectivity=2)
    shown = np.where(labels[..., None] > 0, 0.6 * picture + 0.4, picture)
    fig = plt.figure(figsize=(10, 10))  # the published demo draws 15 x 15
    fig.add_axes((0, 0, 1, 1)).imshow(mark_boundaries(shown, labels))
    plt.axis("off")
    plt.show()
"""
ECHO = '''
import anywidget, traitlets

class Echo(anywidget.AnyWidget):
    _esm = """
    export default { render({ model, el }) {
        el.className = el.textContent = "echo";
        window.echo = () => new Promise((resolve) => {
            const done = () => { model.off("change:back", done); resolve(); };
            model.on("change:back", done);
            model.set("there", Math.random());
            model.save_changes();
        });
    } };
    """
    there = traitlets.Float().tag(sync=True)
    back = traitlets.Float().tag(sync=True)

    @traitlets.observe("there")
    def answer(self, change):
        self.back = change.new

Echo()
'''

# In the page: read what the picture shows, on every frame; press keys; drag.
PROBE = f"""(kind) => {{
    const scratch = document.createElement("canvas");
    const context = scratch.getContext("2d", {{ willReadFrequently: true }});
    const source = () => document.querySelector(kind === "baseline" ? ".jupyter-widgets img, .jp-OutputArea-output img"
        : ".tnv2-tuner canvas");
    window.shown = () => {{ // tinted share of the stamped strip; null while there is no picture
        const picture = source(), wide = picture?.naturalWidth ?? picture?.width;
        if (!wide || picture.complete === false) return null;
        if (scratch.width !== wide) {{ scratch.width = wide; scratch.height = 1; }}
        const row = Math.floor({STRIP} / 2 * (kind === "baseline" ? wide / 650 : 1));
        context.drawImage(picture, 0, row, wide, 1, 0, 0, wide, 1);
        const {{ data }} = context.getImageData(0, 0, wide, 1);
        let tinted = 0;
        for (let i = 0; i < data.length; i += 4) tinted += data[i] + data[i + 1] + data[i + 2] > 60;
        return tinted / wide;
    }};
    const input = () => document.querySelector(".tnv2-tuner input[type=range][data-name=mask]");
    const nouislider = () => document.querySelector(".noUi-target").noUiSlider;
    window.slide = (value) => {{
        if (kind === "baseline") {{ nouislider().set(value); return; }}
        input().value = value;
        input().dispatchEvent(new Event("input", {{ bubbles: true }}));
    }};
    window.focusSlider = () => (kind === "baseline" ? document.querySelector(".noUi-handle") : input()).focus();
    window.frames = (seconds) => new Promise((resolve) => {{ // the time and share of each frame
        const seen = [], start = performance.now();
        const look = () => {{
            seen.push([performance.now(), shown()]);
            if (performance.now() - start < seconds * 1000) requestAnimationFrame(look); else resolve(seen);
        }};
        requestAnimationFrame(look);
    }});
    window.nextChange = () => new Promise((resolve) => {{ // ms from the next key press to a frame with another share
        const before = shown();
        addEventListener("keydown", () => {{
            const start = performance.now();
            const look = () => {{
                const now = shown();
                if (now !== null && Math.abs(now - before) > 0.002) resolve(performance.now() - start);
                else if (performance.now() - start > 8000) resolve(null);
                else requestAnimationFrame(look);
            }};
            requestAnimationFrame(look);
        }}, {{ once: true, capture: true }});
    }});
    window.nextPooled = () => new Promise((resolve) => {{ // ms from the next key press to all tiles' figures
        addEventListener("keydown", () => {{
            const start = performance.now(), strip = document.querySelector(".tnv2-strip");
            let asked = false;
            const watch = new MutationObserver(() => {{
                asked ||= strip.getAttribute("aria-busy") === "true";
                if (!asked || strip.getAttribute("aria-busy") === "true") return;
                watch.disconnect();
                resolve(performance.now() - start);
            }});
            watch.observe(strip, {{ attributes: true }});
        }}, {{ once: true, capture: true }});
    }});
    window.drag = async (seconds) => {{
        const start = performance.now(), last = 0.31;
        let n = 0;
        let dragging = true;
        const move = () => {{ // once a frame, as Chromium hands over a pointer's moves
            if (!dragging) return;
            slide(0.2 + 0.01 * (n++ % 40));
            requestAnimationFrame(move);
        }};
        move();
        const during = await frames(seconds);
        dragging = false;
        slide(last);
        const released = performance.now();
        const after = await frames(4);
        const arrived = after.find(([, share]) => share !== null && Math.abs(share - (1 - last)) < 0.004);
        const shares = during.map(([, share]) => share).filter((share) => share !== null);
        const updates = shares.filter((share, i) => i && Math.abs(share - shares[i - 1]) > 0.002).length;
        const final = shown();
        return {{ updates: updates / seconds, lag: arrived ? arrived[0] - released : null, final, wanted: 1 - last }};
    }};
}}"""


def measured(page, kind, seconds, presses):
    """Return p50 and p95 latency in ms, updates a second and lag in ms of the picture on a page."""
    page.evaluate(PROBE, kind)
    page.wait_for_function("() => window.shown() !== null")
    page.evaluate("() => { slide(0.5); focusSlider(); }")
    page.wait_for_timeout(1500)
    latencies = []
    for i in range(presses + 3):
        waiting = page.evaluate_handle("() => { window.pending = nextChange(); return null; }")
        waiting.dispose()
        page.keyboard.press("ArrowRight" if i % 40 < 20 else "ArrowLeft")
        latencies.append(page.evaluate("() => window.pending"))
        page.wait_for_timeout(60)
    drag = page.evaluate("(seconds) => drag(seconds)", seconds)
    assert abs(drag["final"] - drag["wanted"]) < 0.004, f"{kind}: the last frame shows {drag['final']}, not {drag['wanted']}"
    latencies = [latency for latency in latencies[3:] if latency is not None]  # the first ones warm up
    assert len(latencies) > 0.9 * presses, f"{kind}: only {len(latencies)} of {presses} key presses changed the picture"
    p50, p95 = np.percentile(latencies, (50, 95))
    return {"p50_ms": p50, "p95_ms": p95, "updates_per_s": drag["updates"], "lag_ms": drag["lag"]}


def pooled(page, presses):
    """Return p50 and p95 of the time to the figures of all tiles together, in ms."""
    page.evaluate("() => { slide(0.5); focusSlider(); }")
    page.wait_for_timeout(1500)
    times = []
    for i in range(presses + 3):
        page.evaluate_handle("() => { window.pending = nextPooled(); return null; }").dispose()
        page.keyboard.press("ArrowRight" if i % 40 < 20 else "ArrowLeft")
        times.append(page.evaluate("() => window.pending"))
        page.wait_for_timeout(60)
    p50, p95 = np.percentile(times[3:], (50, 95))
    return {"pooled_ms": p50, "pooled_p95_ms": p95}


def round_trips(page, count=100):
    """Return p50 and p95 of a trait's way to the kernel and back, in ms."""
    times = page.evaluate(
        """async (count) => {
            const times = [];
            for (let i = 0; i < count; i++) {
                const start = performance.now();
                await window.echo();
                times.push(performance.now() - start);
            }
            return times;
        }""",
        count,
    )
    return {"p50_ms": np.percentile(times[5:], 50), "p95_ms": np.percentile(times[5:], 95)}


def main():
    """Measure all ways in one run and print a table, then one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=Path, help="folder of labelled SpaceNet tiles; the sample tiles if left out")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--presses", type=int, default=40)
    arguments = parser.parse_args()
    prepare = f"FOLDER = {str(arguments.tiles.resolve()) if arguments.tiles else None!r}\n" + PREPARE
    rows = {}
    with tempfile.TemporaryDirectory() as folder, jupyterlab(Path(folder)) as address, chromium() as browser:
        places = Path(folder) / "notebooks"
        write_notebook(places / "tuner.ipynb", [prepare, TUNER, HANDOUT, LARGE])
        write_notebook(places / "many.ipynb", [prepare, MANY])
        write_notebook(places / "baseline.ipynb", [prepare, BASELINE])
        write_notebook(places / "echo.ipynb", [ECHO])
        ready = {
            "echo": ".echo",
            "tuner": ".tnv2-tuner canvas",
            "many": ".tnv2-strip[aria-busy=false]",
            "baseline": ".noUi-handle",
        }
        for name, finished in ready.items():
            page = browser.new_page(viewport={"width": 1360, "height": 1000})
            run_notebook(page, address, f"{name}.ipynb", finished)
            page.wait_for_timeout(4000)
            rows[name] = round_trips(page) if name == "echo" else measured(page, name, arguments.seconds, arguments.presses)
            if name == "many":
                rows[name] |= pooled(page, arguments.presses)
            if name == "tuner":
                wait_for((places / "large.html").exists, 60)
            page.evaluate("() => window.jupyterapp.commands.execute('notebook:shutdown-kernel')")
            page.close()
        for name in ("handout", "large"):
            page = browser.new_page(viewport={"width": 1100, "height": 900})
            page.goto((places / f"{name}.html").as_uri())
            page.wait_for_selector(".tnv2-tuner canvas")
            rows[name] = measured(page, name, arguments.seconds, arguments.presses)
            page.close()
    report(rows)


def report(rows):
    """Print the table and, last, the JSON object."""
    names = {"echo": "bare kernel round trip", "tuner": "tuner in JupyterLab", "handout": "handout from disk",
             "many": "ten tiles in JupyterLab", "large": "2,048 x 2,048 px from disk",
             "baseline": "interact + matplotlib + skimage"}  # fmt: skip
    print(f"{'':32}{'p50 ms':>8}{'p95 ms':>8}{'updates/s':>11}{'lag ms':>8}")
    for name, title in names.items():
        row = rows[name]
        cells = (row.get(key) for key in ("p50_ms", "p95_ms", "updates_per_s", "lag_ms"))
        texts = ("-" if cell is None else f"{cell:.1f}" for cell in cells)
        print(f"{title:32}" + "".join(f"{text:>{width}}" for text, width in zip(texts, (8, 8, 11, 8), strict=True)))
    print(f"{'all ten tiles together':32}{rows['many']['pooled_ms']:8.1f}{rows['many']['pooled_p95_ms']:8.1f}")
    keys = {"lab": "tuner", "handout": "handout", "many": "many", "large": "large", "baseline": "baseline"}
    result = {f"{key}_{figure}": value for key, row in keys.items() for figure, value in rows[row].items()}
    result["kernel_roundtrip_p50_ms"] = rows["echo"]["p50_ms"]
    print(json.dumps({key: value if value is None else round(value, 2) for key, value in result.items()}))


if __name__ == "__main__":
    main()

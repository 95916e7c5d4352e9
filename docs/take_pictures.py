"""Take the README's pictures from a real run: python docs/take_pictures.py"""

import base64
import io
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "tests"))

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from lab import ROOT, chromium, jupyterlab, run_notebook, write_notebook  # noqa: E402
from PIL import Image  # noqa: E402

import tnv2  # noqa: E402
from tnv2.scenes import STYLES  # noqa: E402

BANDS = f"""
import tifffile
import tnv2

files = tnv2.find_tiles({str(ROOT / "sample_data")!r})[1]
native = tifffile.imread(str(files.mul).replace("MUL-PanSharpen", "MUL"))
viewer = tnv2.BandViewer(files.read(), native)
viewer.composite.value = "false colour"
viewer.pixels = [(120, 220), (500, 300)]
viewer
"""
HELD_OUT = 20_000  # the first of the scenes that benchmarks/quality.py scores
PANEL = 300  # px
FILM = (  # a slider, the values that it goes through, and how long the last one stands, in ms
    ("border", np.linspace(1, 0.3, 15), 800),
    ("seed", np.linspace(0.1, 0.5, 11), 600),
    ("mask", np.linspace(0.1, 0.5, 13), 1800),
)
START, STEP = 700, 100  # ms, of the first frame and of the others
FILM_SIZE = (900, 666)  # px
SLIDE = """([name, value]) => {
    const slider = document.querySelector(`.tnv2-tuner input[type=range][data-name=${name}]`);
    slider.focus();
    slider.value = value;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
}"""


def main():
    """Photograph and film the tuner in JupyterLab, photograph the styles of scenes and what the network gets wrong."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        with jupyterlab(Path(folder) / "lab") as address:
            photograph_tuner(browser, address)
            write_notebook(Path(folder) / "lab" / "notebooks" / "bands.ipynb", [BANDS])
            photograph_bands(browser, address)
        scenes = [tnv2.render_scene(HELD_OUT, style=style).tile for style in STYLES]
        side_by_side([tnv2.true_colour(tile) for tile in scenes], DOCS / "scenes.png")
        model = tnv2.load_model(device="cpu")
        errors = [errors_of(browser, tnv2.ThresholdTuner(tile, tnv2.predict(model, tile)), Path(folder)) for tile in scenes]
        side_by_side(errors, DOCS / "errors.png")


def photograph_tuner(browser, address):
    """Run the first notebook in JupyterLab, photograph its tuner's error view and film its sliders."""
    page = browser.new_page(viewport={"width": 1170, "height": 940})
    run_notebook(page, address, "00_start_here.ipynb", finished=".tnv2-tuner canvas")
    page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    page.wait_for_timeout(1500)
    tuner = page.locator(".tnv2-tuner")
    tuner.scroll_into_view_if_needed()
    page.locator("select[data-name=show]").select_option("errors")
    page.wait_for_timeout(500)
    tuner.screenshot(path=DOCS / "tuner_errors.png")
    page.locator("select[data-name=show]").select_option("instances")
    film(page, tuner, DOCS / "tuner.webp")
    page.close()


def film(page, tuner, path):
    """Move the tuner's sliders one after the other and write what it shows as an animated WebP that loops."""
    page.evaluate(SLIDE, ["mask", 0.1])
    page.evaluate(SLIDE, ["seed", 0.1])
    frames, durations = [], []  # ms
    for name, values, rest in FILM:
        for value in values:
            page.evaluate(SLIDE, [name, float(value)])
            shot = Image.open(io.BytesIO(tuner.screenshot())).convert("RGB")
            frames.append(shot.resize(FILM_SIZE, Image.Resampling.LANCZOS))
        durations += [STEP] * (len(values) - 1) + [rest]
    durations[0] = START
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=60, method=6)


def photograph_bands(browser, address):
    """Run a notebook with a band viewer, native MUL beside pan-sharpened, and photograph it."""
    page = browser.new_page(viewport={"width": 1170, "height": 1100})
    run_notebook(page, address, "bands.ipynb", finished=".tnv2-chart svg")
    page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    page.wait_for_timeout(1500)
    page.locator(".tnv2-viewer").scroll_into_view_if_needed()
    page.locator(".tnv2-viewer").screenshot(path=DOCS / "bands.png")
    page.close()


def errors_of(browser, tuner, folder):
    """Return the tuner's error view as an (H, W, 3) uint8 RGB picture, read off the canvas of its handout."""
    tuner.show, tuner.opacity = "errors", 0.5
    tuner.save_handout(folder / "handout.html")
    page = browser.new_page()
    page.goto((folder / "handout.html").as_uri())
    page.wait_for_selector(".tnv2-tuner canvas")
    page.wait_for_timeout(500)
    encoded = page.evaluate("() => document.querySelector('.tnv2-tuner canvas').toDataURL()").partition(",")[2]
    page.close()
    return cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_COLOR_RGB)


def side_by_side(pictures, path):
    """Write square pictures in a row."""
    panels = [cv2.resize(picture, (PANEL, PANEL), interpolation=cv2.INTER_AREA) for picture in pictures]
    gap = np.full((PANEL, 6, 3), 255, np.uint8)
    row = np.hstack([part for panel in panels for part in (panel, gap)][:-1])
    cv2.imwrite(str(path), cv2.cvtColor(row, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()

"""How long from a dropped tile to its buildings, in a page without Python? And how much memory does a large one take?

    python benchmarks/page.py [--rounds 5] [--large 4096]

A page is written by save_page and opened from disk in headless Chromium. Seconds are from the moment that its files are
given to the page until the animation frame after the buildings are on the screen, the best of the rounds: of a sample of
650 px with its MUL bands, and once of a tile of 2,048 px. Beside it predict looks at the same tiles, in float32, with one
thread as the page has and with all. With --large a tile of that side follows, and the most memory that all of Chromium's
processes had, beyond a browser without a page (PSS, so that shared pages count once).
"""

import argparse
import json
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from arrays import PACKING, came  # noqa: E402
from lab import chromium  # noqa: E402
from lessons import share, watching  # noqa: E402

import tnv2  # noqa: E402
from tnv2.tiles import Georeference, write_geotiff  # noqa: E402

PLACE = Georeference((0.3, 0, 665_000, 0, -0.3, 4_005_000), "EPSG:32611")
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
BUILDING = f"(name) => {{ {PACKING} return packed(came.maps[name].building); }}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", type=int, default=0)
    arguments = parser.parse_args()
    model = tnv2.load_model("mini", "cpu")
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        if browser is None:
            sys.exit("Chromium is not installed; on Debian: apt-get install chromium")
        path = Path(folder, "page.html")
        tnv2.save_page(path, model)
        found: dict[str, float] = {"page_mb": path.stat().st_size / 1e6}
        empty = held()
        page = browser.new_page()
        page.goto(path.as_uri() + "#maps")
        wait(page, "globalThis.came?.ready")
        found |= {"first_paint_ms": page.evaluate(PAINT), "tuner_ms": page.evaluate("came.first")}
        found["ready_seconds"] = page.evaluate("came.ready.seconds")
        tile = tnv2.sample_tiles()[0]
        files = [tile.files.rgb, tile.files.mul]
        times = []
        for n in range(arguments.rounds):
            times.append(dropped(page, files, n + 1))
            page.click("#again")
        found["page_seconds"] = min(times)
        dropped(page, files, arguments.rounds + 1)
        building = came(page.evaluate(BUILDING, tile.name), tile.shape)
        wanted = tnv2.predict(model, tile, precision="float32")
        found["difference"] = float(np.abs(building - wanted.building).max())
        page.close()
        page = browser.new_page()
        page.goto(path.as_uri())  # which keeps no maps
        wait(page, "globalThis.came?.ready")
        for side, name in ((2048, "page_2048_seconds"), (arguments.large, "page_large_seconds")):
            if not side:
                continue
            times_over = -(-side // 650)
            rgb = np.tile(tile.rgb, (times_over, times_over, 1))[:side, :side]
            write_geotiff(large := Path(folder, f"tile{side}.tif"), rgb, PLACE)
            seen: list[float] = []
            with watching(lambda seen=seen: seen.append(held()), 0.2):
                found[name] = dropped(page, [large], page.evaluate("came.done") + 1, 3600)
            if side == arguments.large:
                found["page_large_mb"] = max(seen) - empty
            page.click("#again")
        for threads, name in ((1, "predict_one_thread_seconds"), (torch.get_num_threads(), "predict_seconds")):
            torch.set_num_threads(threads)
            found[name] = min(timed(lambda: tnv2.predict(model, tile, precision="float32")) for _ in range(arguments.rounds))
    for name, value in found.items():
        print(f"{name:28} {value:12.4g}")
    print(json.dumps({name: round(value, 6) for name, value in found.items()}))


def wait(page, what: str, seconds: float = 300) -> None:
    """Wait until JavaScript is true; the page forbids eval, which playwright's own way needs."""
    end = time.monotonic() + seconds
    while not page.evaluate(what):
        if time.monotonic() > end:
            sys.exit(f"{what} did not come: {page.inner_text('main')}")
        time.sleep(0.02)


def dropped(page, files: list, number: int, seconds: float = 300) -> float:
    """Return the seconds from giving files to the page until their buildings are on the screen."""
    note = "() => { came.given = performance.now(); }, {capture: true, once: true}"
    page.evaluate(f"document.getElementById('files').addEventListener('change', {note})")
    page.set_input_files("#files", [str(file) for file in files])
    wait(page, f"came.done === {number}", seconds)
    wait(page, "came.painted > came.given")
    return (page.evaluate("came.painted") - page.evaluate("came.given")) / 1000


def timed(act) -> float:
    """Return how many seconds a call takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def held() -> float:
    """Return how much memory Chromium's processes have now, in MB."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error, OSError):  # it has just ended
            total += share(process) if "chrom" in process.name() else 0
    return total


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()

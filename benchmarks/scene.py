"""How much time and memory does a scene take, from a file to its polygons, step by step?

    python benchmarks/scene.py [--size 6000] [--weights mini] [--folder FOLDER]

The scene is the first sample tile, repeated, as a tiled and deflated BigTIFF with a place. Memory is the most that the
process held in a step, resident (Linux alone counts it anew for each).
"""

import argparse
import contextlib
import json
import tempfile
import time
from pathlib import Path

import rasterio
from windows import peak, write_scene

from tnv2 import load_model, map_scene, sample_tiles
from tnv2.cities import scene

STEPS = {
    "measured": "limits of the whole file", "predict_piece": "maps, piece by piece", "gather_maps": "one file of maps",
    "label_piece": "buildings, piece by piece", "write_buildings": "one table of buildings", "draw_labels": "label image",
}  # fmt: skip


def forget_peak():
    """Have the system count the most memory anew, where it can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def watched(function, record):
    """Return a function that adds its seconds to a record, and keeps the most memory there."""

    def call(*arguments):
        forget_peak()
        start = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            record["seconds"] += time.perf_counter() - start
            record["mb"] = max(record["mb"], peak())

    return call


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=6000, help="pixels a side")
    parser.add_argument("--weights", default="mini", help="a name or file that load_model knows")
    parser.add_argument("--folder", type=Path, help="where the scene is written, and removed again")
    arguments = parser.parse_args()
    records = {name: {"seconds": 0.0, "mb": 0.0} for name in STEPS}
    for name, record in records.items():
        setattr(scene, name, watched(getattr(scene, name), record))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder, "rgb.tif")
        write_scene(path, sample_tiles()[0].rgb, arguments.size)
        with rasterio.open(path, "r+") as file:
            file.crs, file.transform = "EPSG:32611", rasterio.Affine(0.3, 0, 600_000, 0, -0.3, 4_000_000)
        start = time.perf_counter()
        city = map_scene(path, load_model(arguments.weights), out=Path(folder, "out"))
        seconds = time.perf_counter() - start
        buildings = len(city.buildings())
        print(f"{arguments.size} x {arguments.size} px, {city.pieces} pieces, {buildings} buildings\n")
        print(f"{'step':<28}{'seconds':>9}{'MB at most':>12}")
        for name, told in STEPS.items():
            print(f"{told:<28}{records[name]['seconds']:>9.1f}{records[name]['mb']:>12.0f}")
        most = max(record["mb"] for record in records.values())
        print(f"{'all':<28}{seconds:>9.1f}{most:>12.0f}")
    found = {name: {key: round(value, 1) for key, value in record.items()} for name, record in records.items()}
    print(
        json.dumps(
            {"size": arguments.size, "buildings": buildings, "seconds": round(seconds, 1), "scene_mb": round(most), **found}
        )
    )


if __name__ == "__main__":
    main()

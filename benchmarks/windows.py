"""How much time and memory does a scene of any size take, from file to file?

    python benchmarks/windows.py [--size 20000] [--mul] [--weights mini] [--folder FOLDER]

The scene is the first sample tile, repeated, as a tiled and deflated BigTIFF. Memory is the most that the process ever held,
resident.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile

from tnv2 import load_model, sample_tiles
from tnv2.network.maps import predict_file

SIDE = 512


def write_scene(path, image, size):
    """Write an (H, W, C) image, repeated over ``size`` px a side, as a tiled and deflated BigTIFF."""
    repeated = np.tile(image, (-(-(image.shape[0] + SIDE) // image.shape[0]), 1, 1))
    columns = np.arange(-(-size // SIDE) * SIDE) % image.shape[1]

    def tiles():
        for top in range(0, size, SIDE):
            strip = repeated[top % image.shape[0] :][:SIDE][:, columns]
            yield from np.split(strip, len(columns) // SIDE, axis=1)

    tifffile.imwrite(
        path, tiles(), shape=(size, size, image.shape[2]), dtype=image.dtype, tile=(SIDE, SIDE), bigtiff=True,
        compression="deflate", photometric="rgb" if image.shape[2] == 3 else "minisblack", planarconfig="contig",
    )  # fmt: skip


def peak():
    """Return the most memory that this process held, in MB."""
    try:  # what getrusage tells begins with what the process that started this one held
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=20_000, help="pixels a side")
    parser.add_argument("--mul", action="store_true", help="with the eight multispectral bands")
    parser.add_argument("--weights", default="mini", help="a name or file that load_model knows")
    parser.add_argument("--folder", type=Path, help="where the scene is written, and removed again")
    arguments = parser.parse_args()
    tile, size = sample_tiles()[0], arguments.size
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        rgb, mul, out = (Path(folder, name) for name in ("rgb.tif", "mul.tif", "maps.tif"))
        write_scene(rgb, tile.rgb, size)
        if arguments.mul:
            write_scene(mul, tile.mul, size)
        model, before = load_model(arguments.weights), peak()
        start = time.perf_counter()
        predict_file(model, rgb, out, mul if arguments.mul else None)
        seconds = time.perf_counter() - start
        with tifffile.TiffFile(out) as file:
            assert file.pages[0].shape == (size, size, 2), file.pages[0].shape
    print(f"{size} x {size} px: {seconds / 60:.1f} minutes, {peak():.0f} MB at most, {before:.0f} MB of them before")
    record = {"size": size, "minutes": seconds / 60, "peak_mb": peak(), "before_mb": before}
    print(json.dumps({key: round(value, 2) for key, value in record.items()}))


if __name__ == "__main__":
    main()

"""How fast is ``label_instances``, against scipy and scikit-image, which define what it returns?

    python benchmarks/instances.py [--tiles FOLDER] [--rounds 20]

Both label the mini network's maps of every tile at the network's thresholds, in turns. Figures are medians over the rounds.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from tnv2 import find_tiles, label_instances, load_model, predict


def reference(maps, thresholds):
    """Return the labels by scipy and scikit-image, small ones dropped and the rest numbered in raster order."""
    region = maps.building > np.float32(thresholds.mask)
    seed = region & (maps.building > np.float32(thresholds.seed)) & (maps.border < np.float32(thresholds.border))
    markers, _ = ndimage.label(seed)
    labels = watershed(np.zeros(region.shape), markers, mask=region, connectivity=2)
    areas = np.bincount(labels.ravel())
    first = np.zeros(areas.size, int)
    first[labels.ravel()[::-1]] = np.arange(labels.size)[::-1]  # the last to be written is the first pixel
    kept = np.flatnonzero(areas >= thresholds.min_area)
    kept = kept[kept > 0]
    numbers = np.zeros(areas.size, np.int32)
    numbers[kept[np.argsort(first[kept])]] = np.arange(1, kept.size + 1)
    return numbers[labels]


def milliseconds(function, *arguments):
    """Return how long a call took."""
    start = time.perf_counter()
    function(*arguments)
    return 1e3 * (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=Path, help="folder of SpaceNet tiles; the sample tiles if left out")
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    model, speedups = load_model("mini"), []
    print(f"{'':28}{'instances':>10}{'reference ms':>14}{'ours ms':>10}{'times':>8}")
    for files in find_tiles(arguments.tiles):
        tile, thresholds = files.read(), model.thresholds
        maps = predict(model, tile)
        labels = label_instances(maps, thresholds)  # compiles, the first time
        assert (labels == reference(maps, thresholds)).all(), f"{tile.name}: labels differ"
        rounds = [
            (milliseconds(reference, maps, thresholds), milliseconds(label_instances, maps, thresholds))
            for _ in range(arguments.rounds)
        ]
        slow, fast = (statistics.median(times) for times in zip(*rounds, strict=True))
        speedups.append(statistics.median(a / b for a, b in rounds))
        print(f"{tile.name:28}{labels.max():>10}{slow:>14.1f}{fast:>10.1f}{speedups[-1]:>8.1f}")
    print(json.dumps({"speedup": round(statistics.median(speedups), 2)}))


if __name__ == "__main__":
    main()

"""How near are the three outlines to the true footprints, and with how many corners?

    python benchmarks/outlines.py [--tiles FOLDER] [--rounds 3]

The mini network's instances of every labelled tile are drawn as ``to_geodataframe`` draws them. Intersection over union and
corners are means over the instances that ``match`` pairs with a footprint; overlap is ground that belongs to two buildings;
milliseconds are the fastest round's, all tiles together. buildingregulariser, where it is installed, gets the pixels' edges
in metres, with its own settings; what it makes invalid is mended first.
"""

import argparse
import importlib.util
import json
import time
import warnings
from pathlib import Path

import geopandas
import numpy as np
import shapely

from tnv2 import find_tiles, label_instances, load_model, match, predict, to_geodataframe


def regularised(labels, tile):
    """Return the frame of ``labels`` in metres with outlines by buildingregulariser."""
    from buildingregulariser import regularize_geodataframe

    frame = to_geodataframe(labels, tile)
    there = frame.to_crs(frame.estimate_utm_crs())
    drawn = regularize_geodataframe(there[["label", "geometry"]])
    return frame.set_geometry(geopandas.GeoSeries(drawn.geometry.values, crs=there.crs).to_crs(frame.crs).values)


def drawn_as(outline):
    """Return the function that draws labels of a tile."""
    return lambda labels, tile: to_geodataframe(labels, tile, outline=outline)


def seconds(function, *arguments):
    """Return how long a call took, and what it returned."""
    start = time.perf_counter()
    found = function(*arguments)
    return time.perf_counter() - start, found


def compared(frame, truth, pairs):
    """Return (K, 2): IoU with the footprint and number of corners, of each pair of footprint and instance."""
    shapes, footprints = frame.set_index("label").geometry, truth.set_index("label").geometry
    ours, theirs = np.asarray(shapes[pairs[:, 1]].values), np.asarray(footprints[pairs[:, 0]].values)
    both = shapely.area(shapely.intersection(shapely.make_valid(ours), theirs))
    ratio = both / (shapely.area(ours) + shapely.area(theirs) - both)
    rings = shapely.get_rings(ours, return_index=True)[1]
    return np.stack([ratio, shapely.get_num_coordinates(ours) - np.bincount(rings, minlength=len(ours))], axis=1)


def overlap(frame):
    """Return the share of ground that belongs to two buildings."""
    shapes = shapely.make_valid(np.asarray(frame.geometry.values))
    total = shapely.area(shapes).sum()
    return abs(1 - shapely.area(shapely.union_all(shapes)) / total) if total else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=Path, help="folder of labelled SpaceNet tiles; the sample tiles if left out")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    draw = {outline: drawn_as(outline) for outline in ("pixels", "simple", "square")}
    if importlib.util.find_spec("buildingregulariser"):
        draw["buildingregulariser"] = regularised
        warnings.filterwarnings("ignore")  # of its own
    model, rows, spent, kinds, shared = load_model("mini"), {}, dict.fromkeys(draw, 0.0), [], {}
    for files in find_tiles(arguments.tiles):
        tile = files.read()
        if tile.truth is None or not tile.truth.any() or tile.georeference is None:
            continue
        labels = label_instances(predict(model, tile), model.thresholds)
        truth, pairs = to_geodataframe(tile.truth, tile), match(tile.truth, labels).pairs
        for name, function in draw.items():
            rounds = [seconds(function, labels, tile) for _ in range(arguments.rounds)]
            frame = rounds[0][1]
            spent[name] += min(taken for taken, _ in rounds)
            rows.setdefault(name, []).append(compared(frame, truth, pairs))
            shared.setdefault(name, []).append(overlap(frame))
            kinds += list(frame.outline) if name == "square" else []
    means = {name: np.concatenate(found).mean(axis=0) for name, found in rows.items()}
    print(f"{'':22}{'IoU':>8}{'corners':>10}{'overlap %':>11}{'ms':>8}   ({len(np.concatenate(rows['pixels']))} buildings)")
    for name, (ratio, corners) in means.items():
        print(f"{name:22}{ratio:>8.4f}{corners:>10.1f}{100 * np.mean(shared[name]):>11.3f}{1e3 * spent[name]:>8.0f}")
    record = {name: {"iou": round(ratio, 4), "corners": round(corners, 1)} for name, (ratio, corners) in means.items()}
    print(json.dumps(record | {"share_square": round(float(np.mean(np.array(kinds) == "square")), 3)}))


if __name__ == "__main__":
    main()

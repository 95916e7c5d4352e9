"""How good are the weights, on real tiles and on scenes never trained on, and what does each part of the recipe bring?

    python benchmarks/quality.py [--weights NAME_OR_FILE] [--data FOLDER] [--also "without scenes=FILE" ...]

F1 at IoU 0.5, counts pooled over the tiles, every footprint and instance counted, with the weights' recommended thresholds.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np

from tnv2 import Probabilities, find_tiles, label_instances, load_model, match, predict, read_tile, render_scene, score_city
from tnv2.scenes import STYLES

NEAR = Path(os.environ.get("TNV2_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
SEEDS = range(20_000, 20_004)  # of each style; training draws its scenes from seed 10,000 on


def real_sets(data):
    """Return {column: [Tile, ...]} of the real tiles in a folder."""
    vegas, crop, image = data / "AOI_2_Vegas", data / "crop_AOI_2_Vegas_img2144", "AOI_2_Vegas_img2144"
    tiles = [files.read() for files in find_tiles(vegas)]
    footprints = vegas / "geojson" / "buildings" / f"buildings_{image}.geojson"
    whole = read_tile(*(crop / f"{product}_{image}.tif" for product in ("RGB-PanSharpen", "MUL-PanSharpen")), footprints)
    return {
        "vegas_rgb": [tile.replace(mul=None) for tile in tiles],
        "crop_rgb": [whole.replace(mul=None)],
        "crop_mul": [whole],
    }


def matches_of(model, tiles, border):
    """Return a Match a tile; ``border`` False takes the seeds from the building map alone."""
    found = []
    for tile in tiles:
        maps = predict(model, tile)
        if not border:
            maps = Probabilities(maps.building, np.zeros_like(maps.border))
        found.append(match(tile.truth, label_instances(maps, model.thresholds)))
    return found


def figures(model, sets, border=True, mul=True):
    """Return {column: F1} of one variant, and the instances that it finds where no building is."""
    row = {}
    for column, tiles in sets.items():
        if mul or column != "crop_mul":
            matches = matches_of(model, tiles if mul else [tile.replace(mul=None) for tile in tiles], border)
            row[column] = score_city(matches).f1
            if column == "vegas_rgb":
                row["tp / fp / fn"] = " / ".join(str(sum(getattr(m, kind) for m in matches)) for kind in ("tp", "fp", "fn"))
                row["empty_tile"] = sum(m.fp for m, tile in zip(matches, tiles, strict=True) if not tile.truth.any())
            if column in STYLES:
                row.setdefault("all", []).extend(matches)
    return row | {"scenes": score_city(row.pop("all")).f1}


def written(figure):
    """Return a figure as text, "-" where there is none."""
    return "-" if figure is None else f"{figure:.3f}" if isinstance(figure, float) else str(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="mini", help="a name or file that load_model knows")
    parser.add_argument("--data", type=Path, default=NEAR, help="folder with AOI_2_Vegas/ and crop_AOI_2_Vegas_img2144/")
    parser.add_argument("--also", nargs="*", default=[], metavar="TITLE=FILE", help="other weights to put beside them")
    arguments = parser.parse_args()
    sets = {style: [render_scene(seed, style=style).tile for seed in SEEDS] for style in STYLES}
    if (arguments.data / "AOI_2_Vegas").is_dir():
        sets |= real_sets(arguments.data)
    else:
        print(f"No real tiles at {arguments.data}, so scenes only. Pass --data with the folder that holds AOI_2_Vegas.")
    model = load_model(arguments.weights, device="cpu")
    rows = {
        arguments.weights: figures(model, sets),
        "without border": figures(model, sets, border=False),
        "without MUL": figures(model, sets, mul=False),
    }
    for title, path in (pair.split("=", 1) for pair in arguments.also):
        rows[title] = figures(load_model(path, device="cpu"), sets)
    columns = ["vegas_rgb", "tp / fp / fn", "empty_tile", "crop_rgb", "crop_mul", "scenes", *STYLES]
    print(" ".join([f"{'':24}", *(f"{column:>12}" for column in columns)]))
    for title, row in rows.items():
        print(" ".join([f"{title:24}", *(f"{written(row.get(column)):>12}" for column in columns)]))
    own = rows[arguments.weights]
    record = {f"{column}_f1": round(own[column], 4) for column in columns if isinstance(own.get(column), float)}
    print(json.dumps(record | {"empty_tile_instances": own.get("empty_tile")}))


if __name__ == "__main__":
    main()

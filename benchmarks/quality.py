"""How good are the networks in the box, on real tiles and on scenes never trained on, and what does each part bring?

    python benchmarks/quality.py [--weights NAME_OR_FILE ...] [--shared FOLDER] [--also "without scenes=FILE" ...] [--aside]

F1 at IoU 0.5, counts pooled over the pictures, every footprint and instance counted, at each network's own recommended
thresholds; pixel IoU of the building map at the mask threshold, pixels pooled, where touching buildings are merged.

The validation pictures and the tiles of AOI_2_Vegas are for scoring what is done: count how often you look. With --aside the
part of the training split that training sets aside is scored instead, which is what steps and thresholds are chosen by;
the best thresholds there are searched for as well, on real pictures with single buildings and on scenes.
"""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tnv2 import (
    Probabilities,
    find_tiles,
    label_instances,
    load_model,
    match,
    predict,
    read_tile,
    render_scene,
    score_city,
    sweep,
)  # fmt: skip
from tnv2.network import weights_file
from tnv2.scenes import STYLES, render_layout
from tnv2.training import read_manifest, set_aside

NEAR = Path(os.environ.get("TNV2_SHARED", Path(__file__).resolve().parents[2] / "shared"))
SEEDS = range(20_000, 20_004)  # of each style; training draws its scenes from seed 10,000 on
ASIDE_SEEDS = range(30_000, 30_002)
GRID = {
    "mask": (0.4, 0.5, 0.6),
    "seed": (0.5, 0.6, 0.7, 0.8, 0.9),
    "border": (0.3, 0.5, 0.7, 0.9),
    "min_area": (40, 80, 120),
}
CITIES = "Khartoum", "Paris", "Shanghai"
BORDERS = "AOI_2_Vegas", "vegas_300px"  # where it is asked what the border map brings


def scenes(seeds):
    """Return {style: [Tile, ...]}, with MUL, and five scenes of all styles without buildings."""
    empty = [render_layout(seeds[0] + i, np.zeros((650, 650), bool), (*STYLES, None)[i]) for i in range(5)]
    return {style: [render_scene(seed, style=style).tile for seed in seeds] for style in STYLES} | {"empty scenes": empty}


def spacenet_sets(data):
    """Return {set: [Tile, ...]} of the SpaceNet 2 tiles in a folder: four of Las Vegas in RGB, and a crop with MUL."""
    vegas, crop, image = data / "AOI_2_Vegas", data / "crop_AOI_2_Vegas_img2144", "AOI_2_Vegas_img2144"
    footprints = vegas / "geojson" / "buildings" / f"buildings_{image}.geojson"
    whole = read_tile(*(crop / f"{product}_{image}.tif" for product in ("RGB-PanSharpen", "MUL-PanSharpen")), footprints)
    tiles = [files.read().replace(mul=None) for files in find_tiles(vegas)]
    return {"AOI_2_Vegas": tiles, "crop RGB": [whole.replace(mul=None)], "crop RGB + MUL": [whole]}


def listed_sets(pictures):
    """Return {set: [Tile, ...]} and {set: [Tile, ...]}: of pictures with single buildings, and with merged ones."""
    single, merged = {}, {}
    for each in pictures:
        name = each.place if each.place in CITIES else each.dataset
        (merged if each.merged else single).setdefault(name, []).append(each.tile)
    return single, merged


def seen(model, tiles):
    """Return [(truth, Probabilities), ...]."""
    return [(np.asarray(tile.truth), predict(model, tile)) for tile in tiles]


def score(model, maps, border=True):
    """Return the Score of a set; ``border`` False takes the seeds from the building map alone."""
    if not border:
        maps = [(truth, Probabilities(each.building, np.zeros_like(each.border))) for truth, each in maps]
    return score_city([match(truth, label_instances(each, model.thresholds)) for truth, each in maps])


def pixel_iou(model, maps):
    """Return the IoU of buildings and the building map, all pixels of a set together."""
    pairs = [(truth > 0, each.building > model.thresholds.mask) for truth, each in maps]
    return sum((a & b).sum() for a, b in pairs) / max(1, sum((a | b).sum() for a, b in pairs))


def figures(model, single, merged, without=()):
    """Return {measure: figure} of a network; ``without`` may name "border" and "MUL", which are then withheld."""
    row, maps = {}, {}
    border, counted = "border" not in without, {}
    for name, tiles in single.items():
        if "MUL" in without:
            tiles = [tile.replace(mul=None) for tile in tiles]
        maps[name] = seen(model, tiles)
        counted[name] = score(model, maps[name], border)
        if any(truth.any() for truth, _ in maps[name]):
            row[f"{name} F1"] = counted[name].f1
            row[f"{name} found/spurious/missed"] = "/".join(str(getattr(counted[name], kind)) for kind in ("tp", "fp", "fn"))
        if any(not truth.any() for truth, _ in maps[name]):
            most = max(label_instances(each, model.thresholds).max() for truth, each in maps[name] if not truth.any())
            row[f"{name} most instances on a tile without buildings"] = int(most)
    styles = [counted[style] for style in STYLES if style in counted]
    row |= {"scenes F1": score_city(styles).f1} if styles else {}
    for name, tiles in merged.items():
        row[f"{name} pixel IoU"] = float(pixel_iou(model, seen(model, tiles)))
    cities = [row[f"{city} pixel IoU"] for city in CITIES if city in merged]
    row |= {"mean of the cities pixel IoU": float(np.mean(cities))} if cities else {}
    both = [pair for name in BORDERS for pair in maps.get(name, [])]
    if both and border:
        row["border brings F1"] = score(model, both).f1 - score(model, both, border=False).f1
    return row


def best_thresholds(model, single):
    """Return {measure: text}: the best of GRID on real pictures with single buildings, and on scenes."""
    names = {"real": [name for name in single if name not in (*STYLES, "empty scenes")], "scenes": list(STYLES)}
    found = {}
    for kind, chosen in names.items():
        pairs = [pair for name in chosen for pair in seen(model, single.get(name, []))]
        if pairs:
            best = sweep([maps for _, maps in pairs], [truth for truth, _ in pairs], **GRID)
            values = "/".join(f"{value:g}" for value in asdict(best.best).values())
            found[f"best mask/seed/border/area, {kind}"] = f"{values} {best.best_f1:.3f}"
    return found


def written(figure):
    """Return a figure as text, "-" where there is none."""
    return "-" if figure is None else f"{figure:.3f}" if isinstance(figure, float) else str(figure)


def sets_at(shared, aside):
    """Return the sets of single buildings and of merged ones that are at hand, and say which are not."""
    single, merged = {}, {}
    if (shared / "data" / "AOI_2_Vegas").is_dir() and not aside:
        single |= spacenet_sets(shared / "data")
    if (shared / "more").is_dir():
        listed = set_aside(read_manifest(shared / "more"))[1] if aside else read_manifest(shared / "more", "validation")
        more, merged = listed_sets(listed)
        single |= more
    if not (single or merged):
        print(f"No real tiles at {shared}, so scenes only. Pass --shared with the folder that holds data/ and more/.")
    return single | scenes(ASIDE_SEEDS if aside else SEEDS), merged


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="+", default=["mini", "small"], help="names or files that load_model knows")
    parser.add_argument("--shared", type=Path, default=NEAR, help="folder with data/AOI_2_Vegas/ and more/MANIFEST.csv")
    parser.add_argument("--also", nargs="*", default=[], metavar="TITLE=FILE", help="other weights to put beside them")
    parser.add_argument("--aside", action="store_true", help="score what is set aside of the training split, to choose by")
    arguments = parser.parse_args()
    single, merged = sets_at(arguments.shared, arguments.aside)
    rows, files = {}, dict(pair.split("=", 1) for pair in arguments.also)
    for title, path in ({Path(name).stem: name for name in arguments.weights} | files).items():
        model = load_model(path, device="cpu")
        rows[title] = {"MB": weights_file(path).stat().st_size / 1e6} | figures(model, single, merged)
        if arguments.aside:
            rows[title] |= best_thresholds(model, single)
        if title not in files:
            for what in ("border", "MUL"):
                rows[f"{title} without {what}"] = figures(model, single, merged, [what])
    measures = list(dict.fromkeys(measure for row in rows.values() for measure in row))
    print(" ".join([f"{'':52}", *(f"{title:>20}" for title in rows)]))
    for measure in measures:
        print(" ".join([f"{measure:52}", *(f"{written(row.get(measure)):>20}" for row in rows.values())]))
    rounded = {t: {m: round(f, 4) if isinstance(f, float) else f for m, f in row.items()} for t, row in rows.items()}
    print(json.dumps(rounded))


if __name__ == "__main__":
    main()

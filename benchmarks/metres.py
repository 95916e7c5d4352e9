"""What does a tile of other pixels score, taken as it is and brought to the network's 0.3 m?

    python benchmarks/metres.py [--tiles FOLDER] [--weights mini]

Each labelled tile is resampled to other pixels (averaged where these are wider, else interpolated), seen, and its maps are
laid over the footprints at the tile's own pixels again. F1 at IoU 0.5, counts pooled, every footprint and instance counted.
"""

import argparse
import json

from tnv2 import Georeference, Probabilities, Tile, find_tiles, label_instances, load_model, match, predict, score_city
from tnv2.network.inference import METRES, resized

WIDTHS = (0.075, 0.15, 0.3, 0.5, 1.0)


def score(model, tile, width, metres):
    """Return the Match of a tile seen in pixels of ``width`` metres; ``metres`` as ``predict`` takes it."""
    shape = tuple(round(side * METRES / width) for side in tile.shape)
    where = Georeference((width, 0, 600_000, 0, -width, 4_000_000), "EPSG:32611")
    maps = predict(model, Tile(resized(tile.rgb, shape), georeference=where), metres=metres)
    own = (resized(each, tile.shape).clip(0, 1) for each in (maps.building, maps.border))
    return match(tile.truth, label_instances(Probabilities(*own), model.thresholds))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", help="a folder with labelled tiles of 0.3 m; the kit's own if left out")
    parser.add_argument("--weights", default="mini", help="a name or file that load_model knows")
    arguments = parser.parse_args()
    model = load_model(arguments.weights)
    tiles = [files.read() for files in find_tiles(arguments.tiles) if files.footprints]
    print(f"{len(tiles)} tiles\n\n{'metres a pixel':>14}{'as it is':>10}{'at 0.3 m':>10}")
    record = {}
    for width in WIDTHS:
        f1 = [score_city(score(model, tile, width, metres) for tile in tiles).f1 for metres in (None, "auto")]
        record[str(width)] = {"as_it_is": round(f1[0], 3), "brought": round(f1[1], 3)}
        print(f"{width:>14}{f1[0]:>10.3f}{f1[1]:>10.3f}")
    print(json.dumps({"tiles": len(tiles), **record}))


if __name__ == "__main__":
    main()

"""Evaluation: a network's score on every labelled tile in a folder, city by city."""

import argparse
import warnings
from typing import TYPE_CHECKING

import numpy as np

from .files import PathLike
from .instances import Thresholds, city_table, label_instances, match
from .network import TernausNetV2, as_model, predict
from .tiles import find_tiles

if TYPE_CHECKING:
    import pandas


def evaluate(
    folder: PathLike | None,
    model: TernausNetV2 | PathLike,
    thresholds: Thresholds | None = None,
    iou: float = 0.5,
    small: str = "challenge",
) -> "pandas.DataFrame":
    """Return ``city_table`` of every tile with footprints under a folder, with a progress bar.

    folder : as ``find_tiles`` takes it; None for the one that TNV2_TILES names, or else the kit's samples.
    model : what ``load_model`` takes or returns. thresholds : those of the network's model card if left out.
    iou, small : as ``match`` takes them; the default drops small footprints as the challenge's own scorer does.

    A tile that cannot be read is warned about and left out. Raises FileNotFoundError where the folder has no tile, and
    ValueError where none has footprints.
    """
    from .progress import Progress

    found = find_tiles(folder)
    labelled = [files for files in found if files.footprints]
    if not labelled:
        raise ValueError(f"{len(found)} tiles in {folder} and no footprints; only tiles with footprints can be scored.")
    network = as_model(model)
    thresholds = thresholds or network.thresholds
    names, matches = [], []
    for files in Progress(labelled, "evaluate", leave=False):
        try:
            tile = files.read()
        except (OSError, ValueError) as error:
            warnings.warn(f"{files.name} is left out: {error}", stacklevel=2)
            continue
        names.append(files.name)
        matches.append(match(np.asarray(tile.truth), label_instances(predict(network, tile), thresholds), iou, small))
    return city_table(names, matches)


def main() -> None:
    """Print the table of a folder of labelled tiles: python -m tnv2.evaluation FOLDER --weights published"""
    parser = argparse.ArgumentParser(prog="python -m tnv2.evaluation", description=main.__doc__)
    parser.add_argument("folder", help="labelled SpaceNet tiles, in either of their layouts, one city or several")
    parser.add_argument("--weights", default="mini", help='"mini", "small", "published" or a file')
    arguments = parser.parse_args()
    print(evaluate(arguments.folder, arguments.weights).to_string(float_format="{:.3f}".format, na_rep="-"))


if __name__ == "__main__":
    main()

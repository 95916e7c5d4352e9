"""python -m tnv2.training: train a network and write its weights."""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import fields
from importlib import import_module
from pathlib import Path

from ..files import expanded
from ..network import ABN, TernausNetV2, load_model, save_model
from ..progress import Progress
from ..tiles import find_tiles
from .calibration import calibrated
from .choosing import scores
from .examples import Source, example, layout_tiles, picture_tiles
from .journal import plot_log
from .loop import train
from .manifest import Picture, read_manifest, set_aside
from .settings import Settings
from .team import join_team, place_in_team


def main() -> None:
    """Train by Settings and write the weights; score and calibrate them on pictures that are set aside."""
    parser = argparse.ArgumentParser(prog="python -m tnv2.training", description=main.__doc__)
    parser.add_argument("--tiles", type=expanded, help="folder of labelled SpaceNet tiles to train on, beside the scenes")
    parser.add_argument("--pictures", type=expanded, help="folder of NAME.png and NAME_mask.png to train on as well")
    parser.add_argument("--more", type=expanded, help="folder of labelled pictures with a MANIFEST.csv to train on as well")
    parser.add_argument("--layouts-in", type=expanded, help="folder of masks of buildings, NAME.png, to draw scenes over")
    parser.add_argument("--validation", type=expanded, help="folder of labelled tiles to score on, never trained on")
    parser.add_argument(
        "--weigh",
        nargs="*",
        default=[],
        metavar="NAME=NUMBER",
        help="how often crops come from tiles, pictures, layouts and each dataset of the manifest; 1 where not said",
    )
    parser.add_argument("--every", type=int, default=500, help="steps between scores on what is set aside")
    parser.add_argument("--start", help="weights to go on from, whose sizes go into those of the network")
    parser.add_argument("--out", type=expanded, default=Path("mini.safetensors"))
    parser.add_argument("--inplace-abn", action="store_true", help="train with the inplace-abn package, to save memory")
    for field in fields(Settings):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=field.default)
    arguments = parser.parse_args()
    settings = Settings(**{field.name: getattr(arguments, field.name) for field in fields(Settings)})
    join_team()
    rank, size = place_in_team()
    taught, aside = set_aside(read_manifest(arguments.more)) if arguments.more else ([], [])
    taught = [*labelled(arguments.tiles, "tiles"), *labelled(arguments.pictures, "pictures"), *taught]
    drawn = layout_tiles(arguments.layouts_in, settings.layouts, settings.seed) if arguments.layouts_in else []
    taught += [Picture(tile, True, "layouts", "", tile.name) for tile in drawn]
    scored = [*labelled(arguments.validation, "validation"), *aside]
    sources = sources_of(taught, dict(pair.rsplit("=", 1) for pair in arguments.weigh))
    norm_act = import_module("inplace_abn").InPlaceABN if arguments.inplace_abn else ABN
    table = arguments.out.with_suffix(".scores.csv")

    def report(step: int, model: TernausNetV2) -> None:
        save_model(model, arguments.out, model.thresholds, model.copes_without_mul)
        if scored:
            row = {"step": step} | {name: round(score, 4) for name, score in scores(model, scored).items()}
            Progress.write(json.dumps(row))
            new = not table.exists()
            with table.open("a", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([row.keys(), row.values()] if new else [row.values()])

    checkpoint = arguments.out.with_suffix(".checkpoint")
    start = load_model(arguments.start, "cpu") if arguments.start else None
    log = arguments.out.with_suffix(".csv")
    device = "cpu" if size > 1 else "auto"
    model = train(settings, (), (), start, norm_act, device, checkpoint, report, arguments.every, sources, log)
    if rank:
        return
    if aside:  # validation is for scores alone
        model = calibrated(model, aside)
    save_model(model, arguments.out, model.thresholds, model.copes_without_mul)
    plot_log(log, table, arguments.out.with_suffix(".png"))
    checkpoint.unlink()


def labelled(folder: Path | None, dataset: str) -> list[Picture]:
    """Return the Pictures of a folder of labelled SpaceNet tiles, or of "pictures" and masks; none without a folder."""
    if folder is None:
        return []
    merged = dataset == "pictures"
    tiles = picture_tiles(folder) if merged else [files.read() for files in find_tiles(folder)]
    places = [tile.name.rpartition("_")[0] for tile in tiles]
    return [Picture(tile, merged, dataset, place, tile.name) for tile, place in zip(tiles, places, strict=True)]


def sources_of(pictures: Iterable[Picture], weights: dict[str, str]) -> list[Source]:
    """Return a Source a dataset, with the weights that were given by name."""
    groups = defaultdict(list)
    for each in pictures:
        groups[each.dataset].append(example(each.tile, each.merged))
    if strange := weights.keys() - groups.keys():
        raise ValueError(f"--weigh names {', '.join(sorted(strange))}; there are {', '.join(groups) or 'none'}. Name these.")
    return [Source(name, examples, float(weights.get(name, 1))) for name, examples in groups.items()]


if __name__ == "__main__":
    main()

"""python -m tnv2.training: train a network and write its weights."""

import argparse
import json
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from ..files import expanded
from ..instances import label_instances, match, score_city
from ..network import ABN, TernausNetV2, load_model, predict, save_model
from ..tiles import find_tiles
from .examples import picture_tiles
from .loop import train
from .settings import Settings


def main() -> None:
    """Train by Settings and write the weights; report F1 on tiles that are kept out of training."""
    parser = argparse.ArgumentParser(prog="python -m tnv2.training", description=main.__doc__)
    parser.add_argument("--tiles", type=Path, help="folder of labelled SpaceNet tiles to train on, beside the scenes")
    parser.add_argument("--pictures", type=Path, help="folder of NAME.png and NAME_mask.png to train on as well")
    parser.add_argument("--validation", type=Path, help="folder of labelled SpaceNet tiles to score on, never trained on")
    parser.add_argument("--start", help="weights to go on from, of the same sizes")
    parser.add_argument("--out", type=expanded, default=Path("mini.safetensors"))
    parser.add_argument("--inplace-abn", action="store_true", help="train with the inplace-abn package, to save memory")
    for field in fields(Settings):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=field.default)
    arguments = parser.parse_args()
    settings = Settings(**{field.name: getattr(arguments, field.name) for field in fields(Settings)})
    tiles, kept_out = (
        [f.read() for f in find_tiles(folder)] if folder else [] for folder in (arguments.tiles, arguments.validation)
    )
    pictures = picture_tiles(arguments.pictures) if arguments.pictures else []
    norm_act = import_module("inplace_abn").InPlaceABN if arguments.inplace_abn else ABN

    def report(step: int, model: TernausNetV2) -> None:
        matches = [
            match(np.asarray(tile.truth), label_instances(predict(model, tile), model.thresholds)) for tile in kept_out
        ]
        tqdm.write(json.dumps({"step": step, "f1": round(score_city(matches).f1, 3), "tiles": [repr(m) for m in matches]}))

    checkpoint = arguments.out.with_suffix(".checkpoint")
    start = load_model(arguments.start) if arguments.start else None
    model = train(settings, tiles, pictures, start, norm_act, "auto", checkpoint, report if kept_out else None)
    save_model(model, arguments.out, model.thresholds, model.copes_without_mul)
    checkpoint.unlink()


if __name__ == "__main__":
    main()

"""Training: targets, loss and loop that teach a network to see buildings and the borders between them."""

import copy
import json
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional as F
from tqdm.auto import tqdm

from .crops import Crops
from .files import replacing
from .inference import best_precision, predict, scaled
from .instances import Thresholds, label_instances
from .network import ABN, TernausNetV2
from .scenes import render_scene
from .scoring import match, score_city
from .tiles import Tile, find_tiles
from .weights import chosen_device, load_model, save_model

# What goes with the mini network: the best of a sweep over its training pictures of Las Vegas and scenes of other seeds.
THRESHOLDS = Thresholds(min_area=80)

# Rows of a picture above which its mask is complete; below, it misses many buildings.
LABELLED_ROWS = {"AOI_2_Vegas_img4215": 480}


@dataclass(frozen=True)
class Settings:
    """How a network is trained; the defaults are the first go of ``make train``.

    width, num_filters : size of the network. steps : optimiser steps of ``batch`` crops of ``crop`` px.
    rate : AdamW's learning rate at its peak, after the first twentieth of the steps; it falls by a cosine to near 0.
    jaccard : share of the soft Jaccard loss beside BCE.
    average : decay of the exponential moving average of the weights, which is what is kept.
    scenes : how many synthetic scenes to draw. real : share of crops from real tiles, where there are any.
    without_mul : how often a crop's MUL bands are set to 0, so that RGB alone works too.
    variety : how far crops are scaled, turned and recoloured, 1 for strong and 0 for flips and quarter turns alone.
    kept : share of the starting weights in the average of them and the trained ones that is returned: stochastic weight
        averaging (Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018).
    """

    width: int = 8
    num_filters: int = 4
    steps: int = 9000
    batch: int = 8
    crop: int = 256
    rate: float = 2e-3
    jaccard: float = 0.3
    average: float = 0.998
    scenes: int = 240
    real: float = 0.6
    without_mul: float = 0.5
    variety: float = 0.4
    kept: float = 0.0
    seed: int = 0

    def __post_init__(self):
        if min(self.width, self.num_filters, self.steps, self.batch, self.crop) < 1 or self.crop % 32 or self.scenes < 0:
            raise ValueError(f"{self}: sizes and steps are 1 or more, crop is a multiple of 32, scenes 0 or more.")
        shares = "jaccard", "average", "real", "without_mul", "variety", "kept"
        if not all(0 <= getattr(self, share) <= 1 for share in shares):
            raise ValueError(f"{self}: {', '.join(shares)} are shares from 0 to 1.")
        if self.rate <= 0:
            raise ValueError(f"{self}: the rate is above 0.")


def border_target(labels, reach=4):
    """Return (H, W) bool: where two instances touch or are at most about ``2 * reach`` px apart.

    As the network's authors describe it: grow the instances, let their watershed meet, and keep the line where two of
    them meet, made 3 to 4 px wide::

        1 1 1 1 . . 2 2 2      1 1 1 1 1 2 2 2 2      . . . # # # # . .
        1 1 1 1 . . 2 2 2  ->  1 1 1 1 1 2 2 2 2  ->  . . . # # # # . .
        1 1 1 1 . . . . .      1 1 1 1 1 2 2 2 2      . . . # # # # . .
           instances             grown until             the border
                                   they meet

    An instance with nobody near has no border. Side by side with the building map the border says where to cut it.

    >>> border_target(np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]])).astype(int)
    array([[0, 0, 0, 1, 1, 1, 1, 0, 0]])
    """
    from skimage.segmentation import expand_labels

    grown = expand_labels(labels, reach).astype(np.float32)
    nearby = np.ones((3, 3), np.uint8)
    highest = cv2.dilate(grown, nearby)
    lowest = -cv2.dilate(np.where(grown > 0, -grown, -np.inf).astype(np.float32), nearby)  # of the labels, not of 0
    line = (highest > lowest) & (grown > 0)
    return cv2.dilate(line.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))) > 0


def known_border(labels, merged):
    """Return (H, W) bool: where ``border_target`` can be believed.

    ``merged`` labels have touching buildings as one, so the border between them is missing. Inside an instance that is much
    larger than its neighbours, over 1.8 times the median area, it is therefore not taught.
    """
    area = np.bincount(labels.ravel())
    if not merged or area.size == 1:
        return np.ones(labels.shape, bool)
    large = area > 1.8 * np.median(area[1:])
    large[0] = False
    return ~large[labels]


def segmentation_loss(logits, targets, known, jaccard=0.3):
    """Return BCE mixed with the soft Jaccard loss, summed over the two maps: ``(1 - jaccard) * BCE + jaccard * (1 - J)``.

    The loss of TernausNetV2 (Iglovikov et al., CVPR Workshops 2018). logits, targets, known : (N, 2, H, W); pixels count
    where ``known`` is 1. J is sum(p t) / (sum(p) + sum(t) - sum(p t)) over the batch, a map at a time.
    """
    over = (0, 2, 3)
    bce = F.binary_cross_entropy_with_logits(logits, targets, weight=known, reduction="none").sum(over) / known.sum(over)
    p, t = torch.sigmoid(logits) * known, targets * known
    both = (p * t).sum(over)
    either = p.sum(over) + t.sum(over) - both
    return ((1 - jaccard) * bce + jaccard * (1 - (both + 1) / (either + 1))).sum()


def example(tile, merged):
    """Return (H, W, 11) float16 bands in [0, 1] and (H, W, 3) uint8 building, border and known border, 0 or 255."""
    targets = np.stack([tile.truth > 0, border_target(tile.truth), known_border(tile.truth, merged)], axis=2)
    return np.moveaxis(scaled(tile), 0, 2).astype(np.float16), targets.astype(np.uint8) * 255


def guessed_mul(scenes):
    """Return a function that guesses a tile's (H, W, 8) MUL counts from its RGB, fitted by least squares on scenes.

    Real pictures for training have no MUL. Without a guess, MUL bands would tell the network that it sees a scene.
    """

    def features(tile):
        r, g, b = scaled(tile)[:3].reshape(3, -1)
        return np.stack([np.ones_like(r), r, g, b, r * r, g * g, b * b, r * g, r * b, g * b], axis=1)  # (H W, 10)

    known = [(features(tile)[::97], tile.mul.reshape(-1, 8)[::97]) for tile in scenes]
    weights = np.linalg.lstsq(*(np.concatenate(part).astype(np.float32) for part in zip(*known, strict=True)), rcond=None)[0]
    return lambda tile: np.clip(features(tile) @ weights, 0, 2047).astype(np.uint16).reshape(*tile.shape, 8)


def crops_of(settings, tiles, pictures):
    """Return the Crops of a training: scenes drawn now, labelled tiles, and pictures whose touching buildings are merged."""
    if not (settings.scenes or tiles or pictures):
        raise ValueError("there is nothing to train on: no scenes and no real tiles. Raise scenes, or pass tiles.")
    scenes = [render_scene(10_000 + i, 512).tile for i in tqdm(range(settings.scenes), "scenes")]
    guess = guessed_mul(scenes) if scenes else lambda tile: None
    whole = (
        (tile if tile.mul is not None else tile.replace(mul=guess(tile)), merged)
        for group, merged in ((tiles, False), (pictures, True))
        for tile in group
    )
    real = [example(tile, merged) for tile, merged in whole]
    return Crops(real, [example(scene, merged=False) for scene in scenes], settings)


def train(
    settings, tiles=(), pictures=(), start=None, norm_act=ABN, device="auto", checkpoint=None, on_progress=None, every=500
):
    """Return a network trained by Settings on its scenes and on real tiles, in eval mode.

    tiles : Tiles with truth. pictures : the same, their touching buildings as one, as ``picture_tiles`` returns them.
    start : a network of the same sizes to go on from, left as it is; None for random weights.
    norm_act : ABN, or ``inplace_abn.InPlaceABN``, which needs less memory but works in float32 alone.
    checkpoint : file that keeps the state every 250 steps; where it is there, training goes on from it. None for no file.
    on_progress : called with (step, network) every ``every`` steps and at the end.
    """
    if settings.kept and start is None:
        raise ValueError(f"kept is {settings.kept}, a share of the starting weights. Pass start, or kept 0.")
    torch.manual_seed(settings.seed)
    device = chosen_device(device)
    dtype = best_precision(device) if norm_act is ABN else torch.float32  # InPlaceABN wants inputs in its weights' type
    crops = crops_of(settings, tiles, pictures)
    model = TernausNetV2(width=settings.width, num_filters=settings.num_filters, norm_act=norm_act)
    if start is not None:
        model.load_state_dict(start.state_dict())
    model = model.to(device, memory_format=torch.channels_last).train()
    averaged = copy.deepcopy(model)
    averaged.copes_without_mul, averaged.thresholds = settings.without_mul > 0, THRESHOLDS
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.rate, settings.steps, pct_start=0.05, final_div_factor=100
    )
    state = {"model": model, "averaged": averaged, "optimiser": optimiser, "schedule": schedule}
    done = restore(checkpoint, settings, state) if checkpoint and Path(checkpoint).exists() else 0
    bar = tqdm(total=settings.steps, initial=done, desc="training", mininterval=10)
    for step, batch in enumerate(batches(crops, done, settings.steps, 1 if device.type == "cpu" else 8), done + 1):
        x, targets, known = (tensor.to(device, memory_format=torch.channels_last) for tensor in batch)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = model(x)
        loss = segmentation_loss(logits.float(), targets, known, settings.jaccard)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        blend(averaged, model, min(settings.average, step / (step + 10)))
        bar.update()
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
        if checkpoint and (step % 250 == 0 or step == settings.steps):
            keep(checkpoint, settings, step, state)
        if on_progress and (step % every == 0 or step == settings.steps):
            on_progress(step, averaged.eval())
            averaged.train()
    if start is not None:
        blend(averaged, copy.deepcopy(start).to(device), 1 - settings.kept)
    return averaged.eval()


def batches(crops, first, last, ahead):
    """Yield the batches ``first`` to ``last - 1``, ``ahead`` of them in the making while one is used."""
    with ThreadPoolExecutor(ahead) as pool:
        numbers = iter(range(first, last))
        upcoming = deque(pool.submit(crops.batch, number) for number in islice(numbers, ahead))
        while upcoming:
            batch = upcoming.popleft().result()
            upcoming.extend(pool.submit(crops.batch, number) for number in islice(numbers, 1))
            yield batch


@torch.no_grad()
def blend(averaged, model, keep):
    """Move the averaged weights and statistics towards the model's, keeping the share ``keep`` of what they were."""
    for old, new in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        old.copy_(keep * old + (1 - keep) * new if old.is_floating_point() else new)


def keep(checkpoint, settings, step, state):
    """Write a checkpoint, whole or not at all."""
    record = {"settings": asdict(settings), "step": step}
    with replacing(Path(checkpoint)) as part:
        torch.save(record | {name: thing.state_dict() for name, thing in state.items()}, part)


def restore(checkpoint, settings, state):
    """Load a checkpoint into the parts of ``state`` and return the steps that are done."""
    record = torch.load(checkpoint, map_location="cpu", weights_only=True)
    if record["settings"] != asdict(settings):
        raise ValueError(
            f"{checkpoint} was written with other settings: {record['settings']}. Train with those, or remove the file."
        )
    for name, thing in state.items():
        thing.load_state_dict(record[name])
    return record["step"]


def picture_tiles(folder):
    """Return Tiles of 8-bit pictures ``NAME.png`` with ``NAME_mask.png`` beside them, building where green is over 150.

    Instances are the mask's connected parts, so buildings that touch are one.
    """
    tiles = []
    for mask_path in sorted(Path(folder).glob("*_mask.png")):
        name = mask_path.stem.removesuffix("_mask")
        rows = slice(LABELLED_ROWS.get(name))
        picture = read_picture(mask_path.with_name(f"{name}.png"))[rows]
        mask = read_picture(mask_path)[rows, :, 1] > 150
        truth = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[1]
        tiles.append(Tile(np.ascontiguousarray(picture[..., ::-1]), None, name, None, truth))
    if not tiles:
        raise FileNotFoundError(f"{folder} holds no NAME_mask.png with NAME.png beside it. Pass the folder that does.")
    return tiles


def read_picture(path):
    """Return an (H, W, 3) uint8 picture in OpenCV's order: blue, green, red."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(
            f"{path} is missing or no picture; each NAME_mask.png needs its NAME.png. Remove one or add the other."
        )
    return picture


def main():
    """Train by Settings and write the weights; report F1 on tiles that are kept out of training."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m tnv2.training", description=main.__doc__)
    parser.add_argument("--tiles", type=Path, help="folder of labelled SpaceNet tiles to train on, beside the scenes")
    parser.add_argument("--pictures", type=Path, help="folder of NAME.png and NAME_mask.png to train on as well")
    parser.add_argument("--validation", type=Path, help="folder of labelled SpaceNet tiles to score on, never trained on")
    parser.add_argument("--start", help="weights to go on from, of the same sizes")
    parser.add_argument("--out", type=Path, default=Path("mini.safetensors"))
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

    def report(step, model):
        matches = [match(tile.truth, label_instances(predict(model, tile), model.thresholds)) for tile in kept_out]
        tqdm.write(json.dumps({"step": step, "f1": round(score_city(matches).f1, 3), "tiles": [repr(m) for m in matches]}))

    checkpoint = arguments.out.with_suffix(".checkpoint")
    start = load_model(arguments.start) if arguments.start else None
    model = train(settings, tiles, pictures, start, norm_act, "auto", checkpoint, report if kept_out else None)
    save_model(model, arguments.out, model.thresholds, model.copes_without_mul)
    checkpoint.unlink()


if __name__ == "__main__":
    main()

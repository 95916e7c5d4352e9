"""Training: targets, loss and loop that teach a network to see buildings and the borders between them."""

import copy
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional as F
from tqdm.auto import tqdm

from .inference import IMAGENET_MEAN, IMAGENET_STD, best_precision, predict, scaled
from .instances import Thresholds, label_instances
from .network import TernausNetV2
from .scenes import render_scene
from .scoring import match, pooled_f1
from .tiles import Tile, find_tiles
from .weights import chosen_device, load_model, save_model


@dataclass(frozen=True)
class Phase:
    """One phase of how a network is trained; ``PHASES`` made ``weights/mini.safetensors``.

    width, num_filters : size of the network. steps : optimiser steps of ``batch`` crops of ``crop`` px.
    rate : AdamW's learning rate at its peak. jaccard : share of the soft Jaccard loss beside BCE.
    average : decay of the exponential moving average of the weights, which is what is kept.
    scenes : how many synthetic scenes to draw. real : share of crops from real tiles, where there are any.
    without_mul : how often a crop's MUL bands are set to 0, so that RGB alone works too.
    variety : how far crops are scaled, turned and recoloured, 1 for strong and 0 for flips and quarter turns alone.
    """

    width: int = 8
    num_filters: int = 4
    steps: int = 6000
    batch: int = 8
    crop: int = 256
    rate: float = 2e-3
    jaccard: float = 0.3
    average: float = 0.998
    scenes: int = 150
    real: float = 0.6
    without_mul: float = 0.5
    variety: float = 1.0
    seed: int = 0

    def __post_init__(self):
        if min(self.width, self.num_filters, self.steps, self.batch, self.crop) < 1 or self.crop % 32 or self.scenes < 0:
            raise ValueError(f"{self}: sizes and steps are 1 or more, crop is a multiple of 32, scenes 0 or more.")
        if not all(0 <= share <= 1 for share in (self.jaccard, self.average, self.real, self.without_mul, self.variety)):
            raise ValueError(f"{self}: jaccard, average, real, without_mul and variety are shares from 0 to 1.")
        if self.rate <= 0:
            raise ValueError(f"{self}: the rate is above 0.")


# First what buildings are, from everything and in every light; then what real ones look like.
PHASES = (Phase(steps=5000), Phase(steps=4000, rate=1e-3, real=0.8, variety=0.3, seed=1))


def border_target(labels, reach=4):
    """Return (H, W) bool: where two instances touch or are at most about ``2 * reach`` px apart.

    As the network's authors describe it: grow the instances, let their watershed meet, and keep the line where two of
    them meet, made 3 to 4 px wide.

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

    logits, targets, known : (N, 2, H, W); pixels count where ``known`` is 1. J is sum(p t) / (sum(p) + sum(t) - sum(p t))
    over the batch, a map at a time.
    """
    over = (0, 2, 3)
    bce = F.binary_cross_entropy_with_logits(logits, targets, weight=known, reduction="none").sum(over) / known.sum(over)
    p, t = torch.sigmoid(logits) * known, targets * known
    both = (p * t).sum(over)
    either = p.sum(over) + t.sum(over) - both
    return ((1 - jaccard) * bce + jaccard * (1 - (both + 1) / (either + 1))).sum()


class Crops:
    """An endless supply of augmented crops from scenes and from real tiles whose touching buildings are merged."""

    def __init__(self, merged, scenes, phase):
        self.phase, self.rng = phase, np.random.default_rng(phase.seed)
        guess = guessed_mul(scenes) if scenes else None
        self.real = [self.example(tile if guess is None else tile.replace(mul=guess(tile)), merged=True) for tile in merged]
        self.scenes = [self.example(tile, merged=False) for tile in scenes]

    @staticmethod
    def example(tile, merged):
        """Return (H, W, 11) float16 bands in [0, 1] and (H, W, 3) uint8 building, border and known border, 0 or 255."""
        targets = np.stack([tile.truth > 0, border_target(tile.truth), known_border(tile.truth, merged)], axis=2)
        return np.moveaxis(scaled(tile), 0, 2).astype(np.float16), targets.astype(np.uint8) * 255

    def batch(self):
        """Return float32 tensors: (N, 11, crop, crop) inputs, (N, 2, crop, crop) targets and where they are known."""
        pairs = [self.crop() for _ in range(self.phase.batch)]
        return tuple(torch.from_numpy(np.stack(arrays)) for arrays in zip(*pairs, strict=True))

    def crop(self):
        """Return one (11, crop, crop) input, its (2, crop, crop) targets in [0, 1] and where they are known, 0 or 1."""
        rng, size = self.rng, self.phase.crop
        from_real = self.real and (not self.scenes or rng.random() < self.phase.real)
        pool = self.real if from_real else self.scenes
        image, targets = pool[rng.integers(len(pool))]
        image, targets = warped(image, targets, size, rng, self.phase.variety)
        image = recoloured(image, rng, self.phase.variety)
        if rng.random() < self.phase.without_mul:
            image[..., 3:] = 0
        image[..., :3] = (image[..., :3] - IMAGENET_MEAN) / IMAGENET_STD
        building, border, known = np.moveaxis(targets, 2, 0).astype(np.float32) / 255
        known = np.stack([np.ones_like(known), known == 1]).astype(np.float32)
        return np.ascontiguousarray(np.moveaxis(image, 2, 0)), np.stack([building, border]), known


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


def warped(image, targets, size, rng, variety=1.0):
    """Return a random ``size`` x ``size`` crop of both, turned, mirrored and scaled by up to 1.45 ** variety."""
    height, width = targets.shape[:2]
    scale = 1.45 ** (variety * rng.uniform(-1, 1))
    turn = rng.integers(4) * np.pi / 2 + (rng.uniform(-np.pi / 4, np.pi / 4) if rng.random() < 0.5 * variety else 0)
    mirror = rng.choice((-1, 1))
    cos, sin = np.cos(turn) / scale, np.sin(turn) / scale
    to_source = np.array([(cos * mirror, -sin), (sin * mirror, cos)])
    reach = min(size / scale / 2, height / 2, width / 2)
    centre = np.array([rng.uniform(reach, width - reach), rng.uniform(reach, height - reach)])
    matrix = np.column_stack([to_source, centre - to_source @ (size / 2, size / 2)])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    # Read the part that is needed only, and at most four channels at a time, as OpenCV can.
    corners = np.array([(0, 0, 1), (size, 0, 1), (0, size, 1), (size, size, 1)]) @ matrix.T
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 2, 0)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 2
    matrix[:, 2] -= (left, top)
    image, targets = image[top:bottom, left:right].astype(np.float32), targets[top:bottom, left:right]
    parts = [
        cv2.warpAffine(np.ascontiguousarray(part), matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
        for part in (image[..., :3], image[..., 3:7], image[..., 7:], targets)
    ]
    return np.concatenate(parts[:3], axis=2), parts[3]


def recoloured(image, rng, variety=1.0):
    """Return the bands with other contrast, tint, gamma, sharpness and noise, as other days and sensors would give."""
    rgb, mul = image[..., :3], image[..., 3:]
    low, high = variety * rng.uniform(-0.08, 0.08), rng.choice((1, 2 ** (variety * rng.uniform(-1, 1))))
    gain = (rng.normal(1, 0.08 * variety, 3) / (high - low)).astype(np.float32)
    rgb = cv2.pow(np.clip((rgb - np.float32(low)) * gain, 0, 1.2), np.exp(rng.normal(0, 0.25 * variety)))
    if mul.any():
        gain, offset = np.exp(rng.normal(0, 0.15)) * rng.normal(1, 0.05, 8), rng.normal(0, 0.01, 8)
        mul = np.clip(mul * gain.astype(np.float32) + offset.astype(np.float32), 0, 1)
    if rng.random() < 0.1 * variety:
        grey = rgb.mean(axis=2, keepdims=True)
        rgb = grey + np.float32(rng.uniform(0, 1)) * (rgb - grey)
    image = np.concatenate([rgb, mul], axis=2)
    if rng.random() < 0.25 * variety:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.2))
    if rng.random() < 0.3 * variety:
        image[..., :3] += np.float32(rng.uniform(0.005, 0.04)) * rng.standard_normal(rgb.shape, np.float32)
    return image


def train(phase, merged=(), start=None, device="auto", on_progress=None):
    """Return a network trained in a Phase, on its scenes and on real tiles, in eval mode.

    merged : Tiles whose truth has touching buildings as one, as ``picture_tiles`` returns them.
    start : a network of the phase's sizes to go on from, left as it is; None for random weights.

    on_progress : called with (step, network) every 500 steps and at the end.
    """
    if not phase.scenes and not merged:
        raise ValueError("there is nothing to train on: no scenes and no real tiles. Raise scenes, or pass tiles.")
    torch.manual_seed(phase.seed)
    device = chosen_device(device)
    dtype = best_precision(device)
    scenes = [render_scene(10_000 + i, 512).tile for i in tqdm(range(phase.scenes), "scenes")]
    crops = Crops(merged, scenes, phase)
    model = TernausNetV2(width=phase.width, num_filters=phase.num_filters)
    if start is not None:
        model.load_state_dict(start.state_dict())
    model = model.to(device, memory_format=torch.channels_last).train()
    averaged = copy.deepcopy(model)
    averaged.copes_without_mul, averaged.thresholds = phase.without_mul > 0, Thresholds()
    optimiser = torch.optim.AdamW(model.parameters(), lr=phase.rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, phase.rate, phase.steps, pct_start=0.05, final_div_factor=100)
    progress = tqdm(range(1, phase.steps + 1), "training", mininterval=10)
    ahead = ThreadPoolExecutor(1)
    upcoming = ahead.submit(crops.batch)
    for step in progress:
        x, targets, known = (tensor.to(device, memory_format=torch.channels_last) for tensor in upcoming.result())
        upcoming = ahead.submit(crops.batch)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = model(x)
        loss = segmentation_loss(logits.float(), targets, known, phase.jaccard)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        blend(averaged, model, min(phase.average, step / (step + 10)))
        progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
        if on_progress and (step % 500 == 0 or step == phase.steps):
            on_progress(step, averaged.eval())
            averaged.train()
    ahead.shutdown(cancel_futures=True)
    return averaged.eval()


@torch.no_grad()
def blend(averaged, model, keep):
    """Move the averaged weights and statistics towards the model's, keeping the share ``keep`` of what they were."""
    for old, new in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        old.copy_(keep * old + (1 - keep) * new if old.is_floating_point() else new)


def picture_tiles(folder):
    """Return Tiles of 8-bit pictures ``NAME.png`` with ``NAME_mask.png`` beside them, building where green is over 150.

    Instances are the mask's connected parts, so buildings that touch are one.
    """
    tiles = []
    for mask_path in sorted(Path(folder).glob("*_mask.png")):
        picture = read_picture(mask_path.with_name(mask_path.name.replace("_mask", "")))
        mask = read_picture(mask_path)[..., 1] > 150
        truth = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[1]
        tiles.append(Tile(np.ascontiguousarray(picture[..., ::-1]), None, mask_path.stem.removesuffix("_mask"), None, truth))
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
    """Train by PHASES and write the weights; report F1 on tiles that are kept out of training."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m tnv2.training", description=main.__doc__)
    parser.add_argument("--pictures", type=Path, help="folder of NAME.png and NAME_mask.png to train on, beside the scenes")
    parser.add_argument("--validation", type=Path, help="folder of labelled SpaceNet tiles to score on, never trained on")
    parser.add_argument("--start", type=Path, help="weights to go on from, with the last phase alone")
    parser.add_argument("--out", type=Path, default=Path("mini.safetensors"))
    arguments = parser.parse_args()
    kept_out = [files.read() for files in find_tiles(arguments.validation)] if arguments.validation else []

    def report(step, model):
        save_model(
            model, arguments.out.with_name(f"partial_{arguments.out.name}"), model.thresholds, model.copes_without_mul
        )
        matches = [match(tile.truth, label_instances(predict(model, tile))) for tile in kept_out]
        tqdm.write(json.dumps({"step": step, "f1": round(pooled_f1(matches), 3), "tiles": [repr(m) for m in matches]}))

    merged = picture_tiles(arguments.pictures) if arguments.pictures else []
    model = load_model(arguments.start) if arguments.start else None
    for phase in PHASES[-1:] if arguments.start else PHASES:
        model = train(phase, merged, model, on_progress=report)
    save_model(model, arguments.out, model.thresholds, model.copes_without_mul)


if __name__ == "__main__":
    main()

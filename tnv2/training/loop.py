"""Training: targets, loss and loop that teach a network to see buildings and the borders between them."""

import copy
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import torch
from tqdm.auto import tqdm

from ..files import replacing
from ..instances import Thresholds
from ..network import ABN, TernausNetV2, best_precision, chosen_device
from ..scenes import render_scene
from .crops import Crops
from .examples import example, guessed_mul
from .targets import segmentation_loss

# What goes with the mini network: the best of a sweep over its training pictures of Las Vegas and scenes of other seeds.
THRESHOLDS = Thresholds(min_area=80)


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

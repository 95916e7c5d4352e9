"""Training: targets, loss and loop that teach a network to see buildings and the borders between them."""

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch
from torch import nn
from tqdm.auto import tqdm

from ..files import PathLike, expanded, replacing
from ..instances import Thresholds
from ..network import ABN, NormAct, TernausNetV2, best_precision, chosen_device, placed
from ..scenes import render_scene
from ..tiles import Tile
from .crops import Crops
from .examples import example, guessed_mul
from .settings import Settings
from .targets import segmentation_loss

Part = nn.Module | torch.optim.Optimizer | torch.optim.lr_scheduler.LRScheduler

# What goes with the mini network: the best of a sweep over its training pictures of Las Vegas and scenes of other seeds.
THRESHOLDS = Thresholds(min_area=80)


def crops_of(settings: Settings, tiles: Iterable[Tile], pictures: Iterable[Tile]) -> Crops:
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
    settings: Settings,
    tiles: Iterable[Tile] = (),
    pictures: Iterable[Tile] = (),
    start: TernausNetV2 | None = None,
    norm_act: NormAct = ABN,
    device: str = "auto",
    checkpoint: PathLike | None = None,
    on_progress: Callable[[int, TernausNetV2], None] | None = None,
    every: int = 500,
) -> TernausNetV2:
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
    place = chosen_device(device)
    dtype = best_precision(place) if norm_act is ABN else torch.float32  # InPlaceABN wants inputs in its weights' type
    crops = crops_of(settings, tiles, pictures)
    model = TernausNetV2(width=settings.width, num_filters=settings.num_filters, norm_act=norm_act)
    if start is not None:
        model.load_state_dict(start.state_dict())
    model = placed(model, place).train()
    averaged = copy.deepcopy(model)
    averaged.copes_without_mul, averaged.thresholds = settings.without_mul > 0, THRESHOLDS
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.rate, settings.steps, pct_start=0.05, final_div_factor=100
    )
    state: dict[str, Part] = {"model": model, "averaged": averaged, "optimiser": optimiser, "schedule": schedule}
    checkpoint = expanded(checkpoint) if checkpoint else None
    done = restore(checkpoint, settings, state) if checkpoint and checkpoint.exists() else 0
    bar = tqdm(total=settings.steps, initial=done, desc="training", mininterval=10)
    for step, batch in enumerate(batches(crops, done, settings.steps, 1 if place.type == "cpu" else 8), done + 1):
        x, targets, known = (tensor.to(place, memory_format=torch.channels_last) for tensor in batch)
        with torch.autocast(place.type, dtype, enabled=dtype != torch.float32):
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
        blend(averaged, copy.deepcopy(start).to(place), 1 - settings.kept)
    return averaged.eval()


def batches(crops: Crops, first: int, last: int, ahead: int) -> Iterator[tuple[torch.Tensor, ...]]:
    """Yield the batches ``first`` to ``last - 1``, ``ahead`` of them in the making while one is used."""
    with ThreadPoolExecutor(ahead) as pool:
        numbers = iter(range(first, last))
        upcoming = deque(pool.submit(crops.batch, number) for number in islice(numbers, ahead))
        while upcoming:
            batch = upcoming.popleft().result()
            upcoming.extend(pool.submit(crops.batch, number) for number in islice(numbers, 1))
            yield batch


@torch.no_grad()
def blend(averaged: nn.Module, model: nn.Module, keep: float) -> None:
    """Move the averaged weights and statistics towards the model's, keeping the share ``keep`` of what they were."""
    for old, new in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        old.copy_(keep * old + (1 - keep) * new if old.is_floating_point() else new)


def keep(checkpoint: Path, settings: Settings, step: int, state: dict[str, Part]) -> None:
    """Write a checkpoint, whole or not at all."""
    record = {"settings": asdict(settings), "step": step}
    with replacing(checkpoint) as part:
        torch.save(record | {name: thing.state_dict() for name, thing in state.items()}, part)


def restore(checkpoint: Path, settings: Settings, state: dict[str, Part]) -> int:
    """Load a checkpoint into the parts of ``state`` and return the steps that are done."""
    record = torch.load(checkpoint, map_location="cpu", weights_only=True)
    if record["settings"] != asdict(settings):
        raise ValueError(
            f"{checkpoint} was written with other settings: {record['settings']}. Train with those, or remove the file."
        )
    for name, thing in state.items():
        thing.load_state_dict(record[name])
    return record["step"]

"""Training: the loop that teaches a network to see buildings and the borders between them."""

import copy
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import torch
from torch import nn

from ..files import PathLike
from ..instances import Thresholds
from ..network import ABN, NormAct, TernausNetV2, best_precision, chosen_device, placed
from ..progress import Progress
from ..scenes import render_scene
from ..tiles import Tile
from .checkpoints import Part, keep, restore
from .crops import Crops
from .examples import Source, example, mul_guess
from .journal import Journal
from .settings import Settings
from .targets import segmentation_loss
from .team import left_alone, mean_of_team, place_in_team, shared
from .widening import widened

# What goes with the mini network: the best of a sweep over pictures that its training set aside and scenes of other seeds.
THRESHOLDS = Thresholds(mask=0.6, seed=0.6, border=0.5, min_area=160)
KEPT = 100, 180  # steps and seconds between checkpoints, whichever are over first
PAUSE = 60  # seconds, the most that a step counts for by the clock: a computer may sleep, or a training be halted


def crops_of(
    settings: Settings,
    tiles: Iterable[Tile],
    pictures: Iterable[Tile],
    sources: Sequence[Source] = (),
    device: torch.device | str = "cpu",
) -> Crops:
    """Return the Crops of a training: from scenes drawn now, from labelled tiles, from pictures whose touching buildings are
    merged, and from other sources."""
    scenes = [render_scene(10_000 + i, 512).tile for i in Progress(range(settings.scenes), "scenes")]
    groups = {"tiles": [example(tile, False) for tile in tiles], "pictures": [example(tile, True) for tile in pictures]}
    real = [Source(name, examples) for name, examples in groups.items() if examples] + list(sources)
    if not (scenes or real):
        raise ValueError("there is nothing to train on: no scenes and no real tiles. Raise scenes, or pass tiles.")
    shares = {True: settings.real, False: 1 - settings.real} if scenes and real else {True: 1.0, False: 1.0}
    whole = sum(each.weight for each in real)
    chosen = [Source(each.name, each.examples, each.weight / whole * shares[True]) for each in real if shares[True]]
    if scenes and shares[False]:
        chosen.append(Source("scenes", [example(scene, False) for scene in scenes], shares[False]))
    return Crops(chosen, settings, mul_guess(scenes[:40]) if scenes else None, device)


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
    sources: Sequence[Source] = (),
    log: PathLike | None = None,
) -> TernausNetV2:
    """Return a network trained by Settings on its scenes and on real tiles, in eval mode.

    tiles : Tiles with truth. pictures : the same, their touching buildings as one, as ``picture_tiles`` returns them.
    start : a network to go on from, left as it is; its sizes are those of the Settings, or they are multiples of its own.
        None for random weights.
    norm_act : ABN, or ``inplace_abn.InPlaceABN``, which needs less memory but works in float32 alone.
    checkpoint : file that keeps the state every 100 steps or three minutes, and at the end; where it is there, training goes
        on from it, by steps to the same weights as if it had never stopped. None for no file.
    on_progress : called with (step, network) every ``every`` steps and at the end.
    sources : more to train on. log : CSV file of a Journal; None for no file.
    """
    if settings.kept and start is None:
        raise ValueError(f"kept is {settings.kept}, a share of the starting weights. Pass start, or kept 0.")
    torch.manual_seed(settings.seed)
    place = chosen_device(device)
    dtype = best_precision(place) if norm_act is ABN else torch.float32  # InPlaceABN wants inputs in its weights' type
    rank, size = place_in_team()
    if settings.batch % size:
        raise ValueError(f"a batch of {settings.batch} crops cannot be shared out among {size} processes. Pass a multiple.")
    crops = crops_of(replace(settings, batch=settings.batch // size), tiles, pictures, sources, place)
    start = start and widened(start, settings.width, settings.num_filters)
    groups = start.settings["groups"] if start else 1
    model = TernausNetV2(width=settings.width, num_filters=settings.num_filters, norm_act=norm_act, groups=groups)
    if start:
        model.load_state_dict(start.state_dict())
    model = placed(model, place).train()
    averaged = copy.deepcopy(model)
    averaged.copes_without_mul, averaged.thresholds = settings.without_mul > 0, THRESHOLDS
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.rate, weight_decay=1e-2, fused=True)
    state: dict[str, Part] = {"model": model, "averaged": averaged, "optimiser": optimiser}
    step, seconds = restore(checkpoint, settings, state)
    if rank:  # the first of a team keeps the files
        checkpoint = log = on_progress = None
    journal = Journal(log, step) if log else None
    bar = Progress(
        total=None if settings.minutes else settings.steps, initial=step, desc="training", mininterval=10, disable=rank > 0
    )
    learner = shared(model)
    before = kept = time.monotonic()
    while (done := part_done(settings, step, seconds)) < 1:
        if left_alone():
            raise SystemExit("torchrun is gone, so this training stops as well. Start it again: it goes on.")
        rate = settings.rate * warmth(done)
        loss = one_step(learner, optimiser, rate, crops.batch(step * size + rank), settings, dtype)
        now = time.monotonic()
        step, seconds, before = step + 1, seconds + mean_of_team(min(now - before, PAUSE)), now
        last = part_done(settings, step, seconds) >= 1
        blend(averaged, model, min(settings.average, step / (step + 10)))
        bar.update()
        bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        if journal:
            journal.note(step, seconds / 60, rate, loss)
        if checkpoint and (last or step % KEPT[0] == 0 or now - kept > KEPT[1]):
            keep(checkpoint, settings, step, seconds, state)
            kept = now
        if on_progress and (last or step % every == 0):
            on_progress(step, averaged.eval())
            averaged.train()
    if start is not None:
        blend(averaged, placed(start, place), 1 - settings.kept)
    return averaged.eval()


def one_step(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    rate: float,
    batch: tuple[torch.Tensor, ...],
    settings: Settings,
    dtype: torch.dtype,
) -> float:
    """Move the weights once, against the gradient of the loss on a batch, and return that loss."""
    x, targets, known = (tensor.contiguous(memory_format=torch.channels_last) for tensor in batch)
    with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
        logits = model(x)
    loss = segmentation_loss(logits.float(), targets, known, settings.jaccard, settings.smoothing)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.param_groups[0]["lr"] = rate
    optimiser.step()
    return loss.item()


def part_done(settings: Settings, step: int, seconds: float) -> float:
    """Return how much of a training is done, 1 at its end: by the clock where it has minutes, else by steps."""
    return seconds / 60 / settings.minutes if settings.minutes else step / settings.steps


def warmth(done: float) -> float:
    """Return the share of the peak learning rate: up in a line for a twentieth of the training, then down by a cosine."""
    return max(done / 0.05, 0.04) if done < 0.05 else 0.01 + 0.99 * (1 + math.cos(math.pi * (done - 0.05) / 0.95)) / 2


@torch.no_grad()
def blend(averaged: nn.Module, model: nn.Module, keep: float) -> None:
    """Move the averaged weights and statistics towards the model's, keeping the share ``keep`` of what they were."""
    for old, new in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        old.lerp_(new, 1 - keep) if old.is_floating_point() else old.copy_(new)

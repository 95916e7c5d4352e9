"""Checkpoints: the state of a training in a file, from which it goes on as if it had never stopped."""

from dataclasses import asdict

import torch
from torch import nn

from ..files import PathLike, expanded, replacing
from .settings import Settings

Part = nn.Module | torch.optim.Optimizer


def keep(checkpoint: PathLike, settings: Settings, step: int, seconds: float, state: dict[str, Part]) -> None:
    """Write a checkpoint, whole or not at all."""
    record = {"settings": asdict(settings), "step": step, "seconds": seconds}
    with replacing(expanded(checkpoint)) as part:
        torch.save(record | {name: thing.state_dict() for name, thing in state.items()}, part)


def restore(checkpoint: PathLike | None, settings: Settings, state: dict[str, Part]) -> tuple[int, float]:
    """Load a checkpoint, where there is one, into the parts of ``state``; return the steps and seconds that are done."""
    if checkpoint is None or not expanded(checkpoint).exists():
        return 0, 0.0
    record = torch.load(expanded(checkpoint), map_location="cpu", weights_only=True)
    if record["settings"] != asdict(settings):
        raise ValueError(
            f"{checkpoint} was written with other settings: {record['settings']}. Train with those, or remove the file."
        )
    try:
        for name, thing in state.items():
            thing.load_state_dict(record[name])
    except RuntimeError as error:  # one with groups has the same Settings as one without
        raise ValueError(
            f"{checkpoint} is of a network with other weights than this one. Start from the network that it started from, "
            "or remove the file."
        ) from error
    return record["step"], record["seconds"]

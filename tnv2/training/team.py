"""Team: processes that ``torchrun`` starts to train one network together, each on its part of every batch.

On a processor they get more done than as many threads of one process do: each waits for the others once a step, not at
every layer. Their weights stay the same, for each takes the same step along the mean of all gradients.
"""

import os

import torch
from torch import distributed, nn

STARTED_BY = os.getppid()


def join_team() -> None:
    """Meet the other processes, where torchrun started this one."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        distributed.init_process_group("gloo")


def place_in_team() -> tuple[int, int]:
    """Return this process's number in its team, from 0, and the team's size; (0, 1) where it works alone."""
    together = distributed.is_available() and distributed.is_initialized()
    return (distributed.get_rank(), distributed.get_world_size()) if together else (0, 1)


def left_alone() -> bool:
    """Return whether the torchrun that started this process is gone, as after ``kill -9``, so that nobody would end it."""
    return place_in_team()[1] > 1 and os.getppid() != STARTED_BY


def shared(model: nn.Module) -> nn.Module:
    """Return a model whose gradients are the mean over the team; the model itself where this process works alone."""
    return nn.parallel.DistributedDataParallel(model) if place_in_team()[1] > 1 else model


def mean_of_team(number: float) -> float:
    """Return the mean of a number over the team, the same for all of it to the last bit; the number where it is alone."""
    if (size := place_in_team()[1]) == 1:
        return number
    total = torch.tensor(number, dtype=torch.float64)
    distributed.all_reduce(total)
    return total.item() / size

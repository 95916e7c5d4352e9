"""Team: processes that ``torchrun`` starts to train one network together, each on its part of every batch.

On a processor they get more done than as many threads of one process do: each waits for the others once a step, not at
every layer. Their weights stay the same, for each takes the same step along the mean of all gradients.
"""

import os

import torch
from torch import distributed, nn


def join_team() -> None:
    """Meet the other processes, where torchrun started this one."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        distributed.init_process_group("gloo")


def place_in_team() -> tuple[int, int]:
    """Return this process's number in its team, from 0, and the team's size; (0, 1) where it works alone."""
    together = distributed.is_available() and distributed.is_initialized()
    return (distributed.get_rank(), distributed.get_world_size()) if together else (0, 1)


def average_gradients(model: nn.Module) -> None:
    """Replace a model's gradients by their mean over the team."""
    gradients = [each.grad for each in model.parameters() if each.grad is not None]
    flat = torch.cat([each.reshape(-1) for each in gradients])
    distributed.all_reduce(flat)
    means = flat.div_(distributed.get_world_size()).split([each.numel() for each in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view(gradient.shape))


def mean_of_team(number: float) -> float:
    """Return the mean of a number over the team, the same for all of it to the last bit."""
    total = torch.tensor(number, dtype=torch.float64)
    distributed.all_reduce(total)
    return total.item() / distributed.get_world_size()

"""Teams: processes of torchrun that train one network together."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from tnv2.network import TernausNetV2
from tnv2.training import Settings, crops_of, segmentation_loss
from tnv2.training.loop import warmth

pytestmark = pytest.mark.usefixtures("one_thread")

MEMBER = """
import sys
from dataclasses import replace
from pathlib import Path

import torch

from tnv2.training import Settings, train
from tnv2.training.team import join_team, mean_of_team, place_in_team

folder = Path(sys.argv[1])
join_team()
rank, size = place_in_team()
assert mean_of_team(rank) == 0.5
settings = Settings(width=2, num_filters=1, steps=4, batch=4, crop=64, scenes=1)
try:
    train(replace(settings, batch=3))
except ValueError as error:
    (folder / f"{rank}.txt").write_text(str(error), encoding="utf-8")
steps = []
model = train(settings, checkpoint=folder / "checkpoint", on_progress=lambda step, _: steps.append(step), every=2)
torch.save({"steps": steps} | dict(model.named_parameters()), folder / f"{rank}.pt")
"""


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    """The folder where two processes left what they had."""
    folder = tmp_path_factory.mktemp("team")
    member = folder / "member.py"
    member.write_text(MEMBER, encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*torchrun, str(member), str(folder)], check=True, timeout=300)
    return folder


def test_a_team_takes_the_same_steps(team):
    first, second = (torch.load(team / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first.pop("steps") == [2, 4]
    assert second.pop("steps") == []  # one of them reports and keeps the files
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_its_steps_are_along_the_mean_of_all_gradients(team):
    kept = torch.load(team / "checkpoint", weights_only=True)
    settings = Settings(**kept["settings"])
    halves = crops_of(replace(settings, batch=2), (), ())
    torch.manual_seed(settings.seed)
    model = TernausNetV2(width=2, num_filters=1).train().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    for step in range(4):
        optimiser.zero_grad()
        for half in (0, 1):
            x, targets, known = halves.batch(2 * step + half)
            loss = segmentation_loss(model(x), targets, known, settings.jaccard, settings.smoothing)
            (loss / 2).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.param_groups[0]["lr"] = settings.rate * warmth(step / 4)
        optimiser.step()
    for name, value in model.named_parameters():
        torch.testing.assert_close(kept["model"][name], value.detach(), rtol=1e-3, atol=1e-4)


def test_a_batch_that_cannot_be_shared_out_is_refused(team):
    for rank in (0, 1):
        assert "a batch of 3 crops cannot be shared out among 2 processes" in (team / f"{rank}.txt").read_text("utf-8")

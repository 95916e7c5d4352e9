"""Teams: processes of torchrun that train one network together."""

import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from lab import wait_for

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


LEFT = """
import sys
from pathlib import Path

from tnv2.training import Settings, train
from tnv2.training.team import join_team, place_in_team

folder = Path(sys.argv[1])
join_team()
rank = place_in_team()[0]
note = lambda step, _: (folder / "started.txt").write_text(str(step), encoding="utf-8")
try:
    train(Settings(width=2, num_filters=1, steps=1_000_000, batch=2, crop=32, scenes=1), on_progress=note, every=1)
except BaseException as end:  # of two that stop, the second may lose the first in the middle of a step
    (folder / f"{rank}.ending").write_text(f"{type(end).__name__}: {end}", encoding="utf-8")
    (folder / f"{rank}.ending").replace(folder / f"{rank}.txt")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell a process that its parent has ended")
def test_a_team_stops_when_torchrun_is_killed(tmp_path):
    member = tmp_path / "member.py"
    member.write_text(LEFT, encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    with subprocess.Popen([*torchrun, str(member), str(tmp_path)]) as killed:
        wait_for((tmp_path / "started.txt").exists, 120)
        killed.send_signal(signal.SIGKILL)
    ends = [tmp_path / f"{rank}.txt" for rank in (0, 1)]
    wait_for(lambda: all(end.exists() for end in ends), 120)
    assert any("SystemExit: torchrun is gone" in end.read_text("utf-8") for end in ends)

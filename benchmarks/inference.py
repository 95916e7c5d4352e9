"""How fast does the kit predict, against the published way, and does it give the same maps?

    python benchmarks/inference.py [--rounds 3]

The published way: float32, channels first, the network as it is written, one tile at a time. The kit's: ``predict``. Both
scale, pad and cut, and take turns in each round; figures are medians over the rounds. GFLOP/s count the multiplications and
additions of the network as it is written, so that a way that saves some may pass the machine's peak, which is that of a
product of two matrices. The full network's weights are random, from a seed; speed does not depend on them. The tile is the
first sample tile, 650 x 650 px; *batched*, where there is a GPU, is ``predict_many`` of 64 of it, from arrays to maps.

*Alone* and *beside another* are of the mini network in a process of its own that imports tnv2 first, without and with a
process that keeps one core busy; *spinning* is the same with torch's threads as they come without the kit.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from tnv2 import TernausNetV2, load_model, predict, predict_many, sample_tiles
from tnv2.network.inference import as_input

MANY = 64  # tiles that predict_many gets
COMES = "300000"  # GNU's threads as they come: turns that they wait before they sleep
CALLS = """
import statistics, time, tnv2
tile, model, seconds = tnv2.sample_tiles()[0], tnv2.load_model(device="cpu"), []
for _ in range(13):
    start = time.perf_counter()
    tnv2.predict(model, tile)
    seconds.append(time.perf_counter() - start)
print(statistics.median(seconds[1:]))
"""


def published(model, tile):
    """Return (2, H, W) maps of one tile as the published demo computes them."""
    before = [-size % 32 // 2 for size in tile.shape]
    sides = [(first, -size % 32 - first) for first, size in zip(before, tile.shape, strict=True)]
    x = torch.from_numpy(np.pad(as_input(tile), [(0, 0), *sides], mode="reflect"))[None]
    with torch.inference_mode():
        maps = torch.sigmoid(model(x.to(next(model.parameters()).device)))[0].cpu().numpy()
    return maps[:, before[0] : before[0] + tile.shape[0], before[1] : before[1] + tile.shape[1]]


def kit(model, tile, precision="auto"):
    """Return (2, H, W) maps of ``predict``."""
    maps = predict(model, tile, precision)
    return np.stack([maps.building, maps.border])


def batched(model, tiles):
    """Return a list of (2, H, W) maps of ``predict_many``."""
    return [np.stack([maps.building, maps.border]) for maps in predict_many(model, tiles)]


def gflop(model, tile):
    """Return what the network as it is written takes for one tile."""
    sizes = [size + -size % 32 for size in tile.shape]
    channels = model.settings["num_input_channels"]
    with FlopCounterMode(display=False) as counter:
        deepcopy(model).to("meta")(torch.empty(1, channels, *sizes, device="meta"))
    return counter.get_total_flops() / 1e9


def peaks(device):
    """Return the GFLOP/s of a product of two square matrices in float32 and in bfloat16, the best of some."""
    size, found = 8192 if device == "cuda" else 2048, []
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.ones(size, size, dtype=dtype, device=device)
        times = [timed(lambda a=a: (a @ a)[0, 0].item())[0] for _ in range(6)]
        found.append(2e-9 * size**3 / min(times))
    return found


def timed(function):
    """Return how many seconds a call took, and what it returned."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def held(reset=False):
    """Return the most memory in MB that this process held since the last reset; None where the system does not tell."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM"))
    except OSError:
        return None


def raced(ways, rounds, device):
    """Return {name: (seconds of each round, what it returned, MB at most)} of ways that take turns, after one turn each."""
    found = {name: ([], *first_turn(way, device)) for name, way in ways.items()}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name][0].append(timed(way)[0])
    return found


def first_turn(way, device):
    """Return what a way returned, and the most memory in MB that was held meanwhile."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return way(), torch.cuda.max_memory_allocated() / 1e6
    held(reset=True)
    return way(), held()


def speedup(slow, fast):
    """Return the median over the rounds of how many times as fast one way is as another."""
    return statistics.median(s / f for s, f in zip(slow, fast, strict=True))


def report(title, found, work, tiles=1):
    """Print a line for each way."""
    for name, (seconds, _, memory) in found.items():
        each = statistics.median(seconds) / (tiles if name == "batched" else 1)
        told = "-" if memory is None else f"{memory:.0f}"
        print(f"{title:12}{name:24}{each:>10.3f}{1 / each:>10.2f}{work / each:>10.0f}{told:>10}")


def on_cpu(tile, rounds):
    """Measure both networks on the CPU and return the figures."""
    torch.manual_seed(0)
    figures, differences = {}, []
    for title, model in (("full, CPU", TernausNetV2().eval()), ("mini, CPU", load_model("mini", device="cpu"))):
        model = model.to(memory_format=torch.contiguous_format)
        # a copy each: a model is folded for one precision at a time
        auto, single = (deepcopy(model).to(memory_format=torch.channels_last) for _ in range(2))
        ways = {
            "published": lambda model=model: published(model, tile),
            "kit, auto": lambda auto=auto: kit(auto, tile),
            "kit, float32": lambda single=single: kit(single, tile, "float32"),
        }
        found = raced(ways, rounds if title.startswith("full") else 3 * rounds, "cpu")
        report(title, found, gflop(model, tile))
        seconds = {name: taken for name, (taken, *_) in found.items()}
        differences += [abs(found[name][1] - found["published"][1]).max() for name in ways]
        if title.startswith("full"):
            figures["cpu_full_speedup"] = speedup(seconds["published"], seconds["kit, auto"])
            figures["cpu_full_fp32_speedup"] = speedup(seconds["published"], seconds["kit, float32"])
        else:
            figures["cpu_mini_seconds"] = statistics.median(seconds["kit, auto"])
    return figures, differences


def beside(rounds):
    """Measure the mini network alone and beside a process that keeps a core busy, and return the figures."""
    found = {}
    for _ in range(rounds):
        for company in ("quiet", "busy"):
            other = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if company == "busy" else None
            for threads, settings in (("", {}), ("spinning_", {"GOMP_SPINCOUNT": COMES})):
                told = subprocess.check_output([sys.executable, "-c", CALLS], env=os.environ | settings, text=True)
                found.setdefault(f"mini_{threads}{company}_seconds", []).append(float(told))
            if other:
                other.kill()
                other.wait()
    figures = {name: statistics.median(seconds) for name, seconds in found.items()}
    for name, told in (("alone", "quiet"), ("beside another", "busy")):
        for threads in ("", "spinning_"):
            seconds = figures[f"mini_{threads}{told}_seconds"]
            print(f"{'mini, CPU':12}{name + (', spinning' if threads else ''):24}{seconds:>10.3f}{1 / seconds:>10.2f}")
    return figures


def on_gpu(tile, rounds):
    """Measure the full network on a CUDA GPU and return the figures; None where there is no GPU."""
    if not torch.cuda.is_available():
        return {"gpu_full_tiles_per_s": None, "gpu_full_speedup": None}, []
    torch.manual_seed(0)
    model = TernausNetV2().eval().cuda()
    ours = deepcopy(model).to(memory_format=torch.channels_last)
    tiles = [tile] * MANY
    ways = {
        "published": lambda: published(model, tile),
        "kit, one by one": lambda: kit(ours, tile),
        "batched": lambda: batched(ours, tiles),
    }
    for way in ways.values():
        way()  # cuDNN chooses its algorithms
    found = raced(ways, 5 * rounds, "cuda")
    report("full, GPU", found, gflop(model, tile), len(tiles))
    each = [seconds / len(tiles) for seconds in found["batched"][0]]
    figures = {
        "gpu_full_tiles_per_s": 1 / statistics.median(each),
        "gpu_full_speedup": speedup(found["published"][0], each),
    }
    maps, batch = found["published"][1], found["batched"][1][-1]
    return figures, [abs(each - maps).max() for each in (found["kit, one by one"][1], batch)]


def in_place(device, rounds, **settings):
    """Measure training steps with ABN and with the inplace-abn package's norm, where it is, and return the figures.

    A step is forward and backward through the whole network in float32, on two crops of 256 px; the norms' kernels are what
    differs. Differences are relative to the largest value.
    """
    figures = {"inplace_memory_share": None, "inplace_speedup": None, "inplace_difference": None}
    try:
        from inplace_abn import InPlaceABN
    except ImportError:
        print("inplace-abn is not installed: its kernels are not measured")
        return figures
    torch.manual_seed(0)
    ours, x = TernausNetV2(**settings).to(device).train(), torch.randn(2, 11, 256, 256, device=device)
    theirs = TernausNetV2(norm_act=InPlaceABN, **settings).to(device).train()
    theirs.load_state_dict(ours.state_dict())

    def step(model):
        model.zero_grad()
        logits = model(x)
        logits.square().mean().backward()
        return [tensor.detach().cpu() for tensor in (logits, model.conv1.conv1.weight.grad)]  # the last gradient of all

    found = raced({"ABN": lambda: step(ours), "InPlaceABN": lambda: step(theirs)}, rounds, device)
    report(f"train, {device}", found, 0)
    (seconds, values, memory), (their_seconds, their_values, their_memory) = found.values()
    return {
        "inplace_memory_share": memory and their_memory / memory,
        "inplace_speedup": speedup(seconds, their_seconds),
        "inplace_difference": max(
            (abs(a - b).max() / abs(a).max()).item() for a, b in zip(values, their_values, strict=True)
        ),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    tile = sample_tiles()[0]
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        single, half = peaks(device)
        print(f"peak of {device}: {single:.0f} GFLOP/s in float32, {half:.0f} in bfloat16")
    print(f"{'':12}{'':24}{'s a tile':>10}{'tiles/s':>10}{'GFLOP/s':>10}{'MB':>10}")
    cpu, cpu_differences = on_cpu(tile, arguments.rounds)
    neighbours = beside(arguments.rounds)
    gpu, gpu_differences = on_gpu(tile, arguments.rounds)
    kernels = in_place("cuda", 5 * arguments.rounds) if torch.cuda.is_available() else {}
    figures = (
        cpu | neighbours | gpu | kernels | {"max_probability_difference": float(max(cpu_differences + gpu_differences))}
    )
    print(json.dumps({key: value if value is None else round(value, 5) for key, value in figures.items()}))


if __name__ == "__main__":
    main()

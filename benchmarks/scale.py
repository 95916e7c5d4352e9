"""What does map_city cost beside the work itself, does its memory grow with the city, and what would four cities take?

    python benchmarks/scale.py [--tiles 12] [--rounds 5] [--gpu-seconds 0.05] [--dollars 3]

Overhead: the sample tiles over and over, one thread a process, by a plain loop that calls the same functions and writes the
same files, and by a cluster of one worker process *at the same time*, so that both have the same machine; then by two
workers. The share of its time that the one worker idles between tiles is independent of other load.

Memory: the peak of the driver's process, the scheduler and its dashboard in it, over 100 and 2,000 tiles of 64 px, a city of
45 x 45 whose seams are joined, each in a process of its own.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from distributed import Client, LocalCluster, get_task_stream

from tnv2 import Georeference, TernausNetV2, Thresholds, TileFiles, find_tiles, predict, render_scene, sample_tiles
from tnv2.cities.cities import finish, map_city
from tnv2.cities.runs import ordered
from tnv2.cities.sheets import loaded, map_tiles
from tnv2.files import box
from tnv2.tiles.rasters import write_geotiff
from tnv2.tiles.spacenet import AOIS

THRESHOLDS = Thresholds(min_area=80)
SIDE, SMALL = 45, 64  # tiles, px
GPUS = (1, 8, 64)
ASSUMED = 0.05  # seconds of a tile on a GPU
THREADS = 2  # of a GPU's worker: one reads and labels while the other asks the network


def cluster(workers):
    """Return a Client of worker processes with one thread each on this machine."""
    options = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": "ERROR"}
    return Client(LocalCluster(n_workers=workers, threads_per_worker=1, **options))


def copies(count):
    """Return TileFiles of ``count`` tiles, the samples over and over under names of their own."""
    samples = find_tiles(box("sample_data"))
    return [replace(samples[k % len(samples)], name=f"AOI_0_Synthetic_img{k}") for k in range(count)]


def plain_loop(count):
    """Do what map_city does without Dask, the same functions and files, once a line comes in; print the seconds a line."""
    with TemporaryDirectory() as folder:
        for number, _ in enumerate(chain(["warm"], iter(sys.stdin.readline, ""))):
            tiles, order = copies(count), ordered(Path(folder, str(number)), "mini", "auto", THRESHOLDS, "EPSG:4326")
            start = time.perf_counter()
            outcomes = {tile.name: map_tiles([tile], order)[0] for tile in tiles}
            finish(order, outcomes, tiles)
            print(time.perf_counter() - start, flush=True)


def side_by_side(count, rounds):
    """Return (rounds,) seconds of the loop, of one worker at the same time, and of two workers after; and the idle shares.

    The idle share is how much of its time the one worker spent between tiles: what the loop would not have waited for.
    """
    tiles, loop, alone, both, idle = copies(count), [], [], [], []
    command = [sys.executable, __file__, "--loop", str(count)]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # as Dask's own workers have it
    other = subprocess.Popen(command, env=one_thread, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with other, cluster(1) as one, cluster(2) as two, TemporaryDirectory() as folder:
        for client in (one, two):
            map_city(tiles, "mini", THRESHOLDS, client, Path(folder, f"warm {id(client)}"))
        other.stdout.readline()
        for number in range(rounds):
            other.stdin.write("go\n")
            other.stdin.flush()
            with get_task_stream(one) as stream:
                alone.append(timed(tiles, one, Path(folder, f"one {number}")))
            steps = [step for task in stream.data for step in task["startstops"] if step["action"] == "compute"]
            span = max(step["stop"] for step in steps) - min(step["start"] for step in steps)
            idle.append(1 - sum(step["stop"] - step["start"] for step in steps) / span)
            loop.append(float(other.stdout.readline()))
            both.append(timed(tiles, two, Path(folder, f"two {number}")))
        other.stdin.close()
    return loop, alone, both, idle


def timed(tiles, client, out):
    """Return the seconds that map_city takes."""
    start = time.perf_counter()
    map_city(tiles, "mini", THRESHOLDS, client, out)
    return time.perf_counter() - start


def compare(count, loop, alone, both, idle):
    """Print what ``side_by_side`` returned and return the part of the record that follows from it."""
    for way, times in {"loop": loop, "1 worker": alone, "2 workers": both}.items():
        told = ", ".join(f"{count / each:.2f}" for each in times)
        print(f"{way:>10}: {count / statistics.median(times):.2f} tiles/s, median of {told}")
    ratios = [ours / its - 1 for ours, its in zip(alone, loop, strict=True)]
    faster = statistics.median(ours / its for ours, its in zip(alone, both, strict=True))
    told = ", ".join(f"{ratio:+.0%}" for ratio in ratios)
    print(f"one worker beside the loop, at the same time: {statistics.median(ratios):+.1%} time, median of {told}")
    print(f"the worker idles {statistics.median(idle):.1%} of the time; two are {faster:.2f} times as fast")
    return {
        "overhead": round(statistics.median(ratios), 4),
        "idle": round(statistics.median(idle), 4),
        "two_workers_speedup": round(faster, 3),
    }


def beside_the_network(tiles, out):
    """Return the median seconds that a core takes for a tile, but for the network itself."""
    order, times = ordered(out, "mini", "auto", THRESHOLDS, "EPSG:4326"), []
    for tile in tiles:
        start = time.process_time()
        map_tiles([tile], order)
        whole, tile, start = time.process_time() - start, tile.read(), time.process_time()
        predict(loaded(order), tile)
        times.append(whole - (time.process_time() - start))
    return statistics.median(times)


def load():
    """Return the machine's load over the last minute."""
    return round(os.getloadavg()[0], 1)


def write_city(folder, count):
    """Return TileFiles of ``count`` small tiles side by side, cut from one scene again and again."""
    pieces = [piece.tile.rgb for piece in render_scene(7, 8 * SMALL, "suburb").cut(SMALL)]
    tiles = []
    for k in range(count):
        (row, column), path = divmod(k, SIDE), folder / f"RGB-PanSharpen_AOI_0_Synthetic_img{k}.tif"
        where = Georeference((2.7e-6, 0, 2.7e-6 * SMALL * column, 0, -2.7e-6, -2.7e-6 * SMALL * row), "EPSG:4326")
        write_geotiff(path, pieces[row % 8 * 8 + column % 8], where)
        tiles.append(TileFiles(f"AOI_0_Synthetic_img{k}", path))
    return tiles


def driver(count):
    """Map ``count`` small tiles and print, as JSON, what that took of this process."""
    with TemporaryDirectory() as folder, cluster(2) as client:
        tiles = write_city(Path(folder, "tiles"), count)
        map_city(tiles[:8], "mini", THRESHOLDS, client, Path(folder, "warm"))
        cpu, start = time.process_time(), time.perf_counter()
        city = map_city(tiles, "mini", THRESHOLDS, client, Path(folder, "city"))
        cpu, seconds = time.process_time() - cpu, time.perf_counter() - start
        assert len(city.tiles) == count
        peak = peak_mb()
        joined = int(city.buildings()["tiles"].str.contains(" ").sum())
    print(json.dumps({"mb": round(peak, 1), "cpu": cpu / count, "tiles_per_s": count / seconds, "joined": joined}))


def peak_mb():
    """Return this process's largest resident memory so far."""
    status = Path("/proc/self/status")
    if not status.is_file():  # macOS, in bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024  # what getrusage says on Linux may be of the process that started this one


def in_own_process(count):
    """Return what ``driver`` prints in a process of its own."""
    command = [sys.executable, __file__, "--driver", str(count)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def gpu_seconds():
    """Return the median seconds of the full network for a tile on this machine's GPU, None without one."""
    if not torch.cuda.is_available():
        return None
    network, tile, times = TernausNetV2().eval().to("cuda", memory_format=torch.channels_last), sample_tiles()[0], []
    for _ in range(20):
        start = time.perf_counter()
        predict(network, tile)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def on_paper(asked, rest, driving, dollars):
    """Print what all of SpaceNet 2's training tiles take on GPUs, what that rests on, and return {GPUs: hours}.

    asked : a tile's seconds on the GPU, None where not known. rest, driving : of one CPU core for what else a worker does
    with it, and for the driver's part. dollars : an hour of a GPU.
    """
    tiles, hours, told = sum(AOIS.values()), {}, "given, or measured here" if asked else "assumed: 1264 GFLOP at 25 TFLOP/s"
    asked = asked or ASSUMED
    print(f"\nOn paper: the {tiles:,} training tiles of SpaceNet 2 with the full network, if")
    print(f"- a tile takes {asked:.3f} s on a GPU ({told});")
    print(f"- reading, labelling and writing takes {rest:.3f} s of a core (measured here); {THREADS} threads a GPU overlap;")
    print(
        f"- handing out and collecting takes {driving:.3f} s of the driver's core (measured here, seams and scheduler too);"
    )
    print(f"- an hour of a GPU costs {dollars:g} dollars; tiles lie on disks that keep up; nothing starts up or idles.")
    for gpus in GPUS:
        rate = min(gpus / max(asked, rest / THREADS), 1 / driving)
        hours[gpus] = round(tiles / rate / 3600, 3)
        print(f"{gpus:>4} GPUs {rate:8.1f} tiles/s {hours[gpus] * 60:8.1f} min {gpus * hours[gpus] * dollars:8.2f} dollars")
    return hours


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=12, help="sample tiles of a run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gpu-seconds", type=float, help="a tile of the full network on a GPU; measured where there is one")
    parser.add_argument("--dollars", type=float, default=3, help="price of an hour of a GPU")
    for role in ("--driver", "--loop"):  # of the processes that this one starts
        parser.add_argument(role, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for role, count in ((driver, arguments.driver), (plain_loop, arguments.loop)):
        if count:
            role(count)
            return
    torch.set_num_threads(1)
    measured = side_by_side(arguments.tiles, arguments.rounds)
    print(f"{arguments.rounds} rounds of {arguments.tiles} tiles of 650 px; load {load()} on {os.cpu_count()} cores")
    record = compare(arguments.tiles, *measured)
    peaks = {count: in_own_process(count) for count in (100, 2000)}
    for count, peak in peaks.items():
        told = f"{1000 * peak['cpu']:.0f} ms of its core a tile; {peak['tiles_per_s']:.1f} tiles/s, {peak['joined']} joined"
        print(f"{count:>5} small tiles: driver's peak {peak['mb']:.0f} MB, {told}")
    with TemporaryDirectory() as folder:
        rest = beside_the_network(copies(9), Path(folder))
    hours = on_paper(arguments.gpu_seconds or gpu_seconds(), rest, peaks[2000]["cpu"], arguments.dollars)
    memory = {f"driver_mb_{count}": peak["mb"] for count, peak in peaks.items()}
    record |= memory | {"driver_cpu_s_per_tile": round(peaks[2000]["cpu"], 4), "load": load(), "paper_hours": hours}
    print(json.dumps(record))


if __name__ == "__main__":
    main()

"""What does map_city cost beside the work itself, does its memory grow with the city, and what would four cities take?

    python benchmarks/scale.py [--tiles 12] [--rounds 7] [--gpu-seconds 0.05] [--dollars 3]

Overhead: the sample tiles over and over, by a plain loop in this process and by clusters of one and of two worker processes,
one thread each, in turn; the loop calls the same functions and writes the same files. Ratios are of runs of one round, so
that what else the machine does weighs on both.

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
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from distributed import Client, LocalCluster

from tnv2 import Georeference, TernausNetV2, Thresholds, find_tiles, predict, render_scene, sample_tiles
from tnv2.cities import finish, map_city, ordered
from tnv2.exports import write_geotiff
from tnv2.sheets import loaded, map_tile
from tnv2.spacenet import AOIS
from tnv2.tiles import TileFiles, samples_folder

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
    samples = find_tiles(samples_folder())
    return [replace(samples[k % len(samples)], name=f"AOI_0_Synthetic_img{k}") for k in range(count)]


def plain_loop(tiles, out):
    """Do what map_city does without Dask: the same functions, the same files."""
    order = ordered(out, "mini", "auto", THRESHOLDS, "EPSG:4326")
    outcomes = {tile.name: map_tile(tile, order) for tile in tiles}
    finish(order, outcomes, tiles)


def throughput(count, rounds):
    """Return {way: [seconds, ...]} of ``rounds`` runs over ``count`` tiles each way, in turn."""
    tiles, seconds = copies(count), {"loop": [], "1 worker": [], "2 workers": []}
    with cluster(1) as one, cluster(2) as two, TemporaryDirectory() as folder:
        clients = {"1 worker": one, "2 workers": two}
        for number in range(-1, rounds):  # the first loads networks and compiles
            for way in list(seconds)[:: 1 - 2 * (number % 2)]:  # there and back, against drifting load
                out, start = Path(folder, f"{way} {number}"), time.perf_counter()
                if way in clients:
                    map_city(tiles, "mini", THRESHOLDS, clients[way], out)
                else:
                    plain_loop(tiles, out)
                if number >= 0:
                    seconds[way].append(time.perf_counter() - start)
    return seconds


def compare(seconds, count):
    """Print what ``throughput`` returned and return the part of the record that follows from it."""
    for way, times in seconds.items():
        rates = [count / each for each in times]
        told = ", ".join(f"{rate:.2f}" for rate in rates)
        print(f"{way:>10}: {statistics.median(rates):.2f} tiles/s, median of {told}")
    ratios = [one / loop for one, loop in zip(seconds["1 worker"], seconds["loop"], strict=True)]
    faster = [one / two for one, two in zip(seconds["1 worker"], seconds["2 workers"], strict=True)]
    told = ", ".join(f"{ratio - 1:+.0%}" for ratio in ratios)
    print(f"one worker takes {statistics.median(ratios) - 1:+.1%} beside the loop, median of {told}")
    print(f"two workers are {statistics.median(faster):.2f} times as fast as one")
    return {
        "overhead": round(statistics.median(ratios) - 1, 4),
        "two_workers_speedup": round(statistics.median(faster), 3),
    }


def beside_the_network(tiles, out):
    """Return the median seconds that a core takes for a tile, but for the network itself."""
    order, times = ordered(out, "mini", "auto", THRESHOLDS, "EPSG:4326"), []
    for tile in tiles:
        start = time.process_time()
        map_tile(tile, order)
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
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
        joined = int(city.buildings()["tiles"].str.contains(" ").sum())
    print(json.dumps({"mb": round(peak, 1), "cpu": cpu / count, "tiles_per_s": count / seconds, "joined": joined}))


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
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--gpu-seconds", type=float, help="a tile of the full network on a GPU; measured where there is one")
    parser.add_argument("--dollars", type=float, default=3, help="price of an hour of a GPU")
    parser.add_argument("--driver", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.driver:
        driver(arguments.driver)
        return
    torch.set_num_threads(1)
    seconds = throughput(arguments.tiles, arguments.rounds)
    print(f"{arguments.rounds} rounds of {arguments.tiles} tiles of 650 px; load {load()} on {os.cpu_count()} cores")
    record = compare(seconds, arguments.tiles)
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

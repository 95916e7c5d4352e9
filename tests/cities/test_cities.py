"""Cities: a real cluster of processes maps a folder of tiles, and goes on after whatever is killed, full or broken."""

import contextlib
import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from distributed import Client, LocalCluster
from filelock import FileLock, Timeout
from lab import ROOT, wait_for
from test_seams import as_one, assert_same_polygons

from tnv2 import Thresholds, TileFiles, evaluate, find_tiles, label_instances, load_model, predict, render_scene
from tnv2.cities import sheets
from tnv2.cities.cities import map_city
from tnv2.cities.runs import ordered, work
from tnv2.network.inference import BATCH
from tnv2.network.ternausnet import TernausNetV2
from tnv2.network.weights import save_model
from tnv2.polygons.outlines import outlines
from tnv2.polygons.vectors import to_geodataframe
from tnv2.tiles.georeference import Georeference
from tnv2.tiles.rasters import read_image, write_geotiff

SIZE = 96  # px of a tile's side
SIGKILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # which on Windows kills as hard
LOW, HIGH = Thresholds(0.4, 0.5, 0.6, 15), Thresholds(0.5, 0.6, 0.5, 30)


@contextlib.contextmanager
def processes(count):
    """Yield the Client of ``count`` fresh worker processes of one thread each."""
    options = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    with LocalCluster(n_workers=count, threads_per_worker=1, **options) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def client():
    """Two worker processes, which the tests of this file share."""
    with processes(2) as client:
        yield client


@pytest.fixture(scope="module")
def scene():
    return render_scene(3, 2 * SIZE, "suburb")


@pytest.fixture
def folder(scene, tmp_path):
    """A scene as four tiles in SpaceNet's files."""
    for piece in scene.cut(SIZE):
        piece.save(tmp_path / "tiles")
    return tmp_path / "tiles"


def many(folder, count):
    """TileFiles of ``count`` tiles, which are the folder's over and over."""
    tiles = find_tiles(folder)
    return [
        TileFiles(f"t_img{k}", *(getattr(tiles[k % 4], kind) for kind in ("rgb", "mul", "footprints"))) for k in range(count)
    ]


def times(folder):
    """{path: (inode, time of writing)} of the files in a map that belong to one tile."""
    paths = [path for kind in ("maps", "instances", "sheets") for path in (folder / kind).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def hidden(folder):
    """What is left of half-written files."""
    return [path for path in folder.rglob(".*") if path.name != ".lock"]


def assert_right(city, tiles, thresholds):
    """The maps and instances of some tiles are those of the plain way: read, predict, label."""
    model = load_model("mini", device="cpu")
    for files in tiles:
        tile = files.read()
        expected = predict(model, tile).rounded()
        found = city.probabilities(files.name)
        assert np.abs(found.building - expected.building).max() < 0.02  # fewer threads sum in another order
        frame = to_geodataframe(label_instances(found, thresholds), tile, found)
        instances = city.instances(files.name)
        assert shapely.equals(instances.geometry.values, frame.geometry.values).all()
        assert instances["pixels"].tolist() == frame["pixels"].tolist()


def test_a_folder_becomes_maps_polygons_and_scores(client, folder, tmp_path):
    city = map_city(folder, "mini", LOW, client, tmp_path / "city")
    tiles = find_tiles(folder)
    assert city.tiles == tuple(files.name for files in tiles)
    assert (city.predicted, city.relabelled, len(city.failures)) == (4, 0, 0)
    assert_right(city, tiles, LOW)
    for files in tiles:
        maps, _, georeference = read_image(city.folder / "maps" / f"{files.name}.tif", 2, "map")
        assert (maps.dtype, georeference) == (np.uint8, files.read().georeference)
    instances = geopandas.read_parquet(city.folder / "instances")
    assert set(instances["tile"]) == {name for name in city.tiles if len(city.instances(name))}
    assert len(instances) == sum(len(city.instances(name)) for name in city.tiles) > 5
    assert instances.crs == "EPSG:4326"
    row = evaluate(folder, load_model("mini", device="cpu"), LOW).loc["AOI_0_Synthetic"]
    assert city.scores.loc["AOI_0_Synthetic", "tiles"] == row["tiles"] == 4
    assert city.scores.loc["AOI_0_Synthetic", "f1"] == pytest.approx(row["f1"], abs=0.05)
    assert not hidden(city.folder)


def test_buildings_on_a_seam_are_one(client, folder, scene, tmp_path, monkeypatch):
    monkeypatch.setattr("tnv2.cities.buildings.TABLES", 2)  # so that those of four tiles are put together on the way
    city = map_city(folder, "mini", LOW, client, tmp_path / "city")
    labels = np.zeros((2 * SIZE, 2 * SIZE), np.int32)
    for name, (top, left) in zip(city.tiles, [(0, 0), (0, SIZE), (SIZE, 0), (SIZE, SIZE)], strict=True):
        found = label_instances(city.probabilities(name), LOW)
        labels[top : top + SIZE, left : left + SIZE] = np.where(found, found + labels.max(), 0)
    _, index = np.unique(as_one(labels), return_inverse=True)
    buildings = city.buildings()
    pixels = shapely.transform(buildings.geometry.values, scene.tile.georeference.to_pixels)
    assert_same_polygons(pixels, outlines(index.reshape(labels.shape)), 1e-2)
    assert 0 < buildings["tiles"].str.contains(" ").sum() < len(buildings) < labels.max()
    np.testing.assert_allclose(shapely.area(pixels), buildings["pixels"], rtol=1e-3)
    first = buildings[buildings["tiles"].str.contains(" ")].iloc[0]
    parts = [
        city.instances(name).set_index("label").loc[int(label)]
        for name, label in zip(first["tiles"].split(), first["labels"].split(), strict=True)
    ]
    assert first["pixels"] == sum(part["pixels"] for part in parts)
    assert first["area_m2"] == pytest.approx(sum(part["area_m2"] for part in parts), rel=1e-3)


def test_a_second_run_does_nothing_and_other_thresholds_ask_no_network(client, folder, tmp_path):
    map_city(folder, "mini", LOW, client, tmp_path / "city")
    before = times(tmp_path / "city")
    again = map_city(folder, "mini", LOW, client, tmp_path / "city")
    assert (again.predicted, again.relabelled, len(again.tiles)) == (0, 0, 4)
    assert times(again.folder) == before
    client.run(lambda: sheets.NETWORKS.clear())
    other = map_city(folder, "mini", HIGH, client, tmp_path / "city")
    assert (other.predicted, other.relabelled) == (0, 4)
    assert set(client.run(lambda: len(sheets.NETWORKS)).values()) == {0}
    assert_right(other, find_tiles(folder), HIGH)
    after = times(other.folder)
    assert {path for path in before if before[path] == after[path]} == {path for path in before if path.startswith("maps")}
    assert json.loads((other.folder / "recipe.json").read_text())["thresholds"]["mask"] == 0.5


def test_tiles_that_cannot_be_mapped_are_listed_and_tried_again(client, folder, tmp_path):
    other, cut_short, elsewhere, tiny = find_tiles(folder)
    whole = cut_short.rgb.read_bytes()
    cut_short.rgb.write_bytes(whole[:2000])
    piece = render_scene(5, 64).tile
    utm = Georeference((0.3, 0, 665000, 0, -0.3, 4007000), "EPSG:32611")
    write_geotiff(elsewhere.rgb, piece.rgb, utm)
    write_geotiff(tiny.rgb, piece.rgb[:20, :20], tiny.read().georeference)
    tiles = [cut_short, TileFiles(elsewhere.name, elsewhere.rgb), TileFiles(tiny.name, tiny.rgb), other]
    city = map_city(tiles, "mini", LOW, client, tmp_path / "city")
    assert city.tiles == (other.name,)
    errors = dict(zip(city.failures["tile"], city.failures["error"], strict=True))
    assert "damaged or cut short" in errors[cut_short.name]
    assert "in EPSG:32611 and the map in EPSG:4326" in errors[elsewhere.name]
    assert "the network needs 32 px a side" in errors[tiny.name]
    assert_right(city, [other], LOW)
    cut_short.rgb.write_bytes(whole)
    city = map_city(tiles, "mini", LOW, client, tmp_path / "city")
    assert set(city.tiles) == {cut_short.name, other.name}
    assert (city.predicted, len(city.failures)) == (1, 2)
    elsewhere.rgb.unlink()
    cut_short.rgb.write_bytes(whole[:2000])
    city = map_city(tiles, "mini", HIGH, client, tmp_path / "city")
    assert city.tiles == (other.name,)
    assert set(geopandas.read_parquet(city.folder / "instances")["tile"]) == {other.name}, "nothing of other thresholds"


def test_a_killed_worker_costs_nothing(client, folder, tmp_path):
    tiles, city = many(folder, 16), tmp_path / "city"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(map_city, tiles, "mini", LOW, client, city)
        wait_for(lambda: any(city.glob("sheets/*.json")), 60)
        os.kill(next(iter(client.run(os.getpid).values())), SIGKILL)
        assert sum(path.name.endswith(".json") for path in city.glob("sheets/*")) < 16, "killed too late"
        found = running.result(120)
    assert found.tiles == tuple(files.name for files in tiles)
    assert found.failures.empty
    assert_right(found, tiles[::5], LOW)
    assert not hidden(city)


def test_a_tile_that_kills_its_worker_is_listed_and_those_handed_out_with_it_are_mapped(client, tmp_path):
    def deadly(names, kept):
        for name in names:
            (kept / f"{name} of {len(names)}").touch()
            if name == "i":
                os.kill(os.getpid(), SIGKILL)
        return [sheets.Outcome(name, together=3) for name in names]

    scheduler = client.cluster.scheduler
    usual, scheduler.allowed_failures = scheduler.allowed_failures, 0
    found = list(work(client, deadly, "abcdefghijklmnopqrst", tmp_path, 1))
    scheduler.allowed_failures = usual
    assert sorted(outcome.name for outcome in found) == list("abcdefghijklmnopqrst")
    assert "workers died over it" in next(outcome.error for outcome in found if outcome.name == "i")
    assert len([path for path in tmp_path.iterdir() if path.name.endswith("of 3")]) > 10
    assert (tmp_path / "i of 1").exists(), "alone, to know which one it was"


def test_tiles_that_a_network_sees_together_become_what_they_are_alone(client, folder, tmp_path):
    def together(count):
        BATCH["cpu"] = count  # as on a GPU

    client.run(together, 3)
    try:
        tiles = many(folder, 16)
        city = map_city(tiles, "mini", LOW, client, tmp_path / "city")
    finally:
        client.run(together, 1)
    assert (city.predicted, city.relabelled, len(city.failures)) == (16, 0, 0)
    assert city.tiles == tuple(files.name for files in tiles)
    assert_right(city, tiles[::5], LOW)


def test_what_cannot_be_mapped_stops_no_other_tile_of_its_batch(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(BATCH, "cpu", 3)
    calls, usual = [], sheets.predict_many
    monkeypatch.setattr(sheets, "predict_many", lambda *given: calls.append(given) or usual(*given))
    tiny, cut_short, *good = many(folder, 4)
    small, short = (tmp_path / f"{name}.tif" for name in ("small", "short"))
    write_geotiff(small, tiny.read().rgb[:20, :20], tiny.read().georeference)
    short.write_bytes(b"II*\0")
    bad = [TileFiles(tiny.name, small), TileFiles(cut_short.name, short)]
    order = ordered(tmp_path / "city", "mini", "auto", LOW, "EPSG:4326")
    outcomes = {each.name: each for each in sheets.map_tiles([good[0], bad[1], bad[0], good[1]], order)}
    assert {name for name, each in outcomes.items() if each.sheet} == {files.name for files in good}
    assert {each.together for each in outcomes.values() if each.sheet} == {3}
    assert "the network needs 32 px a side" in outcomes[tiny.name].error
    assert "short.tif" in outcomes[cut_short.name].error
    calls.clear()
    again = {each.name: each for each in sheets.map_tiles(good, order)}
    assert {name: each.sheet for name, each in again.items()} == {files.name: outcomes[files.name].sheet for files in good}
    assert not calls
    sheets.NETWORKS.clear()


def test_a_killed_driver_goes_on_where_it_was(client, folder, tmp_path):
    city = tmp_path / "city"
    script = f"""
        from dask.distributed import Client, LocalCluster
        from test_cities import LOW, Path, many, map_city

        if __name__ == "__main__":
            cluster = LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0")
            map_city(many(Path({str(folder)!r}), 40), "mini", LOW, Client(cluster), {str(city)!r})
    """
    path = tmp_path / "driver.py"
    path.write_text(textwrap.dedent(script))
    places = os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent)))
    driver = subprocess.Popen([sys.executable, path], env={**os.environ, "PYTHONPATH": places}, cwd=tmp_path)
    try:
        wait_for(lambda: len(list(city.glob("sheets/*.json"))) > 3, 120)
    finally:
        driver.kill()
        driver.wait()
    wait_for(lambda: unlocked(city), 30)
    done = len(list(city.glob("sheets/*.json")))
    before = times(city)
    assert 3 < done < 40
    found = map_city(many(folder, 40), "mini", LOW, client, city)
    after = times(city)
    assert len(found.tiles) == 40
    assert 40 - done - 3 <= found.predicted <= 40 - done
    kept = {path for path in before if Path(path).stem in {Path(path).stem for path in before if path.endswith(".json")}}
    assert all(before[path] == after[path] for path in kept), "a tile that was done was made again"
    assert not hidden(city)
    assert_right(found, many(folder, 40)[::9], LOW)


def unlocked(city):
    try:
        with FileLock(city / ".lock", timeout=0):
            return True
    except Timeout:
        return False


def test_two_runs_do_not_share_a_folder(client, folder, tmp_path):
    (tmp_path / "city").mkdir()
    with FileLock(tmp_path / "city" / ".lock"), pytest.raises(RuntimeError, match="another run is at work"):
        map_city(folder, "mini", LOW, client, tmp_path / "city")
    assert len(map_city(folder, "mini", LOW, client, tmp_path / "city").tiles) == 4
    assert unlocked(tmp_path / "city")


def test_a_disk_that_takes_no_more_ends_the_run_and_the_next_goes_on(client, folder, tmp_path):
    resource = pytest.importorskip("resource", reason="only POSIX limits how large a process's files may be")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    client.run(resource.setrlimit, resource.RLIMIT_FSIZE, (9_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"cannot be written \(File too large\). Make room"):
            map_city(folder, "mini", LOW, client, tmp_path / "city")
    finally:
        client.run(resource.setrlimit, resource.RLIMIT_FSIZE, limits)
    assert len(map_city(folder, "mini", LOW, client, tmp_path / "city").tiles) == 4
    assert not hidden(tmp_path / "city")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 kB, and a function that makes it 8 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system; the test before this one stands in")
    yield disk, lambda: subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk(client, folder, small_disk):
    disk, enlarge = small_disk
    tiles = many(folder, 16)
    with pytest.raises(OSError, match=r"cannot be written \(No space left on device\). Make room"):
        map_city(tiles, "mini", LOW, client, disk / "city")
    wait_for(lambda: not any(client.processing().values()), 60)
    done = times(disk / "city")
    assert 0 < len(list(disk.glob("city/sheets/*.json"))) < 16
    enlarge()
    city = map_city(tiles, "mini", LOW, client, disk / "city")
    assert len(city.tiles) == 16
    sheets_then = {path for path in done if path.endswith(".json")}
    assert all(times(city.folder)[path] == done[path] for path in sheets_then)


def test_work_under_way_is_bounded(client, folder, tmp_path):
    order = ordered(tmp_path / "city", "mini", "auto", LOW, "EPSG:4326")
    before, most = set(client.futures), 0
    for _ in work(client, sheets.map_tiles, many(folder, 24), order, 2):
        most = max(most, len(set(client.futures) - before))
    assert 2 <= most <= 6, "two tiles a thread, two threads, and what is just done"
    wait_for(lambda: not set(client.futures) - before, 10)


def test_other_weights_and_unknown_maps_are_refused(client, folder, tmp_path):
    city = tmp_path / "city"
    map_city(find_tiles(folder)[:1], "mini", LOW, client, city)
    save_model(TernausNetV2(width=2, num_filters=2), tmp_path / "other.safetensors", copes_without_mul=True)
    before = times(city)
    with pytest.raises(ValueError, match=r"were made with 'mini': sha256 .*Pass another folder as out"):
        map_city(folder, tmp_path / "other.safetensors", LOW, client, city)
    with pytest.raises(ValueError, match="precision auto, not float32"):
        map_city(folder, "mini", LOW, client, city, precision="float32")
    (city / "recipe.json").unlink()
    with pytest.raises(ValueError, match=r"has maps and no recipe\.json"):
        map_city(folder, "mini", LOW, client, city)
    assert times(city) == before


def test_weights_that_differ_on_a_worker_end_the_run(client, folder, tmp_path):
    path = tmp_path / "other.safetensors"
    save_model(TernausNetV2(width=2, num_filters=2), path, copes_without_mul=True)
    order = ordered(tmp_path / "city", path, "auto", LOW, "EPSG:4326")
    save_model(TernausNetV2(width=2, num_filters=2), path, copes_without_mul=True)  # other random weights
    with pytest.raises(ValueError, match="Put the same file on every machine"):
        list(work(client, sheets.map_tiles, find_tiles(folder), order, 2))


def test_threads_of_a_worker_share_one_network(tmp_path):
    order = ordered(tmp_path / "city", "mini", "auto", LOW, "EPSG:4326")
    with ThreadPoolExecutor(4) as pool:
        networks = list(pool.map(sheets.loaded, [order] * 8))
    assert len({id(network) for network in networks}) == 1
    sheets.NETWORKS.clear()


def test_workers_keep_freed_memory(tmp_path):
    order = ordered(tmp_path / "city", "mini", "auto", LOW, "EPSG:4326")

    def pages(order):
        """How many fresh pages of memory a worker takes to fill 20 MB twenty times over, before and after it is set up."""
        import resource  # where there is glibc, there is POSIX

        found = []
        for prepare in (sheets.NETWORKS.clear, lambda: sheets.loaded(order)):
            prepare()
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(20):
                bytes([1]) * (20 << 20)  # numpy asks for huge pages
            found.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
        return found

    if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"):
        pytest.skip("not glibc")
    with processes(1) as client:
        before, after = client.submit(pages, order).result()
    assert before > 20 * 5000 > 10_000 > after


@pytest.mark.parametrize(("system", "library"), [("win32", None), ("darwin", None), ("linux", lambda name: object())])
def test_freed_memory_is_left_alone_where_there_is_no_mallopt(system, library, monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", system)
        patch.setattr(ctypes, "CDLL", library)  # None: calling it is a TypeError, as CDLL(None) on Windows
        sheets.keep_freed_memory()


WRONG = {
    "no worker can load it. Save it": {"model": TernausNetV2(width=2, num_filters=2)},
    "there are no weights at": {"model": "nothing.safetensors"},
    "thresholds are 0.5": {"thresholds": 0.5},
    "client is None": {"client": None},
    "ahead is 0": {"ahead": 0},
    "precision is 'half'": {"precision": "half"},
    "several tiles are named a": {"folder": [TileFiles("a", Path("a.tif"))] * 2},
    "there are no tiles": {"folder": []},
    "a tile is Path": {"folder": [Path("a.tif")]},
    "number is 'x'": {"folder": ["AOI_2_Vegas_imgx"]},
    "aoi is 'AOI_9_Nowhere'": {"folder": ["AOI_9_Nowhere_img1"]},
    "no tile can be read": {"folder": [TileFiles("a", Path("a.tif"))]},
}


@pytest.mark.parametrize("message", WRONG)
def test_what_cannot_be_is_refused_before_anything_is_written(message, client, folder, tmp_path):
    arguments = {"folder": folder, "model": "mini", "thresholds": LOW, "client": client, "out": tmp_path / "city"}
    with pytest.raises((ValueError, FileNotFoundError), match=message.replace("a tile is Path", "a tile is .*Path")):
        map_city(**arguments | WRONG[message])
    assert not (tmp_path / "city").exists()

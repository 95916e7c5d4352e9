"""Many tiles give the maps of predict, one by one and in batches, in order, read ahead, each failure in its turn."""

import gc
import threading
import warnings
from functools import cache
from itertools import count, islice

import numpy as np
import pytest
import torch

from tnv2 import TernausNetV2, Tile, TileFiles, find_tiles, load_model, predict, predict_many, read_tile, sample_tiles
from tnv2.files import box
from tnv2.network.inference import BATCH, Eye

SHAPES = [(96, 96), (90, 83), (64, 128), (64, 128), (70, 97), (96, 96), (96, 65), (96, 96), (95, 96), (40, 40)]
WIDE = (64, 1400)  # in windows


@pytest.fixture(scope="module")
def mini():
    return load_model("mini", device="cpu")


@pytest.fixture(params=[1, 3, 8])
def batch(request, monkeypatch):
    """How many tiles the CPU sees together here, as a GPU does."""
    monkeypatch.setitem(BATCH, "cpu", request.param)
    return request.param


@pytest.fixture
def sizes(monkeypatch):
    """How many tiles the network got in each call."""
    found, usual = [], Eye.of

    def spied(model, precision):
        eye = usual(model, precision)

        def network(x):
            found.append(len(x))
            return eye.network(x)

        return Eye(network, eye.channels, eye.device, eye.dtype)

    monkeypatch.setattr(Eye, "of", spied)
    return found


@cache
def sample():
    return sample_tiles()[0]


def cut(shape, mul=True, name="somewhere"):
    """A corner of the first sample tile, side by side with itself where that is too narrow."""
    tile = sample()
    rgb, bands = (np.concatenate([image] * 3, axis=1)[: shape[0], : shape[1]] for image in (tile.rgb, tile.mul))
    return Tile(rgb, bands if mul else None, name)


def test_what_is_seen_together_is_what_is_seen_alone(mini, batch, sizes):
    holes = cut((96, 96)).replace(valid=np.add.outer(np.arange(96), np.arange(96)) > 50)
    tiles = [*map(cut, SHAPES), cut(WIDE), cut((96, 96), mul=False), holes]
    expected = [predict(mini, tile) for tile in tiles]
    sizes.clear()
    found = list(predict_many(mini, iter(tiles)))
    for tile, ours, its in zip(tiles, found, expected, strict=True):
        assert ours.building.shape == tile.shape
        assert ours.origin == its.origin
        for name in ("building", "border"):
            np.testing.assert_allclose(getattr(ours, name), getattr(its, name), rtol=0, atol=0 if batch == 1 else 2e-5)
    assert not found[-1].building[~holes.valid].any()
    assert sizes == {1: [1] * 14, 3: [2, 2, 1, 3, 1, 1, 2, 2], 8: [2, 2, 1, 4, 1, 2, 2]}[batch], "by what they are padded to"


def test_other_pixels_come_back_to_the_tiles_own(mini, batch):
    tiles = [cut((90, 120)), cut((120, 90)), cut((100, 100))]
    found = list(predict_many(mini, tiles, "float32", metres=0.5))
    for tile, ours in zip(tiles, found, strict=True):
        its = predict(mini, tile, "float32", metres=0.5)
        assert ours.origin == its.origin
        np.testing.assert_allclose(ours.building, its.building, rtol=0, atol=2e-5)


def test_files_and_paths_are_read(mini, batch):
    files = find_tiles(box("sample_data"))[:2]
    found = list(predict_many(mini, [files[0], files[1].rgb, str(files[1].rgb)]))
    expected = [predict(mini, files[0].read()), *[predict(mini, read_tile(files[1].rgb))] * 2]
    for ours, its in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.building, its.building, rtol=0, atol=2e-5)


def test_a_name_is_loaded_once(batch, monkeypatch):
    loads, usual = [], load_model
    monkeypatch.setattr("tnv2.network.weights.load_model", lambda *given: loads.append(given) or usual(*given))
    assert len(list(predict_many("mini", [cut((64, 64))] * 3))) == 3
    assert len(loads) == 1


def test_no_more_is_read_than_what_is_ahead(mini, batch):
    asked = count()
    tiles = (cut((64, 64)).replace(name=str(next(asked))) for _ in count())
    assert len(list(islice(predict_many(mini, tiles), 3))) == 3
    assert next(asked) <= 3 + 3 * batch
    gc.collect()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tnv2 reads")]


def test_reading_goes_on_while_the_maps_are_used(mini, batch, monkeypatch):
    """The file after the first batch is read while whoever asked holds the first maps and asks for no more."""
    files, read, tile = [TileFiles(f"t{i}", f"{i}.tif") for i in range(batch + 1)], threading.Event(), cut((64, 64))

    def reading(self):
        if self is files[batch]:
            read.set()
        return tile

    monkeypatch.setattr(TileFiles, "read", reading)
    maps = predict_many(mini, files)
    next(maps)
    assert read.wait(20)


@pytest.mark.parametrize("first", [0, 1, 4])
def test_what_fails_is_told_in_its_turn(mini, batch, first, tmp_path):
    good = [cut((64, 64))] * first

    def generator():
        yield from good
        raise OSError("the camera is off")

    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"II*\0")
    for tiles, kind, message in (
        ([*good, cut((31, 64), name="tiny"), *good], ValueError, "tile 'tiny' is 31 x 64 px; the network needs 32 px"),
        ([*good, bad, *good], ValueError, r"bad\.tif"),
        ([*good, tmp_path / "none.tif", *good], FileNotFoundError, r"none\.tif"),
        ([*good, 3, *good], ValueError, r"tile is int; pass a Tile: read_tile\(path\)"),
        (generator(), OSError, "the camera is off"),
    ):
        maps = predict_many(mini, tiles)
        assert len(list(islice(maps, first))) == first
        with pytest.raises(kind, match=message):
            next(maps)
        assert list(maps) == []


def test_warnings_are_those_of_predict_and_point_here(batch):
    model, poor = TernausNetV2(width=2, num_filters=1).eval(), cut((64, 64), mul=False)
    bytes_ = cut((64, 64)).replace(mul=np.full((64, 64, 8), 200, np.uint8))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        list(predict_many(model, [poor, bytes_, poor]))
    with warnings.catch_warnings(record=True) as expected:
        warnings.simplefilter("always")
        for tile in (poor, bytes_, poor):
            predict(model, tile)
    assert [str(each.message) for each in found] == [str(each.message) for each in expected]
    assert len(found) == 3
    assert {each.filename for each in found + expected} == {__file__}


def test_what_is_no_tiles_and_no_network_is_refused_at_once(mini, batch):
    for tiles in (cut((64, 64)), "folder", box("sample_data"), find_tiles(box("sample_data"))[0], None, 3):
        with pytest.raises(ValueError, match=r"tiles is \w+; pass several tiles: a list of Tiles, or find_tiles\(folder\)"):
            predict_many(mini, tiles)
    with pytest.raises(ValueError, match="model is int"):
        predict_many(3, [])
    with pytest.raises(ValueError, match="training mode"):
        predict_many(TernausNetV2(width=2, num_filters=1), [])
    with pytest.raises(ValueError, match="precision is 'half'"):
        predict_many(mini, [], "half")
    assert list(predict_many(mini, [])) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_gives_what_the_cpu_gives(mini):
    tiles = sample_tiles() * 5
    for ours, tile in zip(predict_many(load_model("mini", device="cuda"), tiles, "float32"), tiles, strict=True):
        np.testing.assert_allclose(ours.building, predict(mini, tile, "float32").building, atol=2e-2)

"""Valid pixels: what a file says that nobody saw sets no scale, shows as paper, holds no building and is not scored."""

import numpy as np
import pytest
import rasterio
import tifffile

from tnv2 import Georeference, Tile, false_colour, label_instances, load_model, predict, predict_file, read_tile, true_colour
from tnv2.tiles.georeference import placed

WHERE = Georeference((0.3, 0, 600_000, 0, -0.3, 4_000_000), "EPSG:32611")
HOLE = slice(0, 40), slice(20, 90)


@pytest.fixture(scope="module")
def mini():
    return load_model("mini", device="cpu")


def scene(seed=0):
    """(200, 180, 3) counts from 100 to 1999 with a roof or two, and where they are seen."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(100, 600, (200, 180, 3), np.uint16)
    counts[80:120, 60:110] += 900
    seen = np.ones((200, 180), bool)
    seen[HOLE] = False
    return counts, seen


def write(path, counts, seen, kind):
    """Write a scene as a file that says in one of the usual ways what was not seen."""
    dtype, value, nodata = {
        "uint16": (np.uint16, 65535, 65535), "uint16 zero": (np.uint16, 0, 0), "int16": (np.int16, -9999, -9999),
        "float32": (np.float32, -3.4e38, -3.4e38), "float64": (np.float64, -1e30, -1e30),
        "float32 NaN": (np.float32, np.nan, np.nan), "NaN undeclared": (np.float32, np.nan, None),
        "infinite": (np.float32, -np.inf, None), "mask": (np.uint16, 7777, None), "alpha": (np.uint8, 255, None),
        "PNG alpha": (np.uint8, 255, None),
    }[kind]  # fmt: skip
    counts = (counts // 8 if dtype == np.uint8 else counts).astype(dtype)
    counts[~seen] = value
    options = {
        "driver": "PNG" if kind == "PNG alpha" else "GTiff",
        "width": 180,
        "height": 200,
        "dtype": dtype,
        "nodata": nodata,
    }
    alpha = "alpha" in kind
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", count=3 + alpha, photometric="rgb", **options, **placed(WHERE)) as file,
    ):
        if alpha:
            file.colorinterp = [
                *file.colorinterp[:3],
                rasterio.enums.ColorInterp.alpha,
            ]  # ahead of the pixels, or it is lost
            file.write(seen.astype(np.uint8) * 255, 4)
        file.write(np.moveaxis(counts, 2, 0), [1, 2, 3])
        if kind == "mask":
            file.write_mask(seen)
    return counts


KINDS = [
    "uint16",
    "uint16 zero",
    "int16",
    "float32",
    "float64",
    "float32 NaN",
    "NaN undeclared",
    "infinite",
    "mask",
    "alpha",
]


@pytest.mark.parametrize("kind", [*KINDS, "PNG alpha"])
@pytest.mark.filterwarnings("error", "ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_a_file_says_is_not_there_has_no_say(tmp_path, mini, kind):
    counts, seen = scene()
    path = tmp_path / "rgb.tif"
    stored = write(path, counts, seen, kind)
    tile = read_tile(path)
    with rasterio.open(path) as file:
        declared = file.dataset_mask() > 0
    assert np.array_equal(declared, seen) or kind in ("NaN undeclared", "infinite")
    np.testing.assert_array_equal(tile.valid, seen)
    np.testing.assert_array_equal(tile.rgb[seen], stored[seen])
    assert not tile.rgb[~seen].any()
    low, high = tile.scale
    np.testing.assert_array_equal([low, high], [stored[seen].min(axis=0), stored[seen].max(axis=0)])
    maps = predict(mini, tile)
    assert not maps.building[~seen].any()
    assert maps.building[seen].any()
    labels = label_instances(maps, mini.thresholds)
    assert not labels[~seen].any()
    picture = true_colour(tile)
    assert (picture[~seen] == 255).all()
    assert picture[seen].std() > 10
    predict_file(mini, path, tmp_path / "maps.tif")
    with rasterio.open(tmp_path / "maps.tif") as file:
        written = file.read().astype(int)
    assert np.abs(written - np.stack(maps.quantised())).max() <= 1


def test_what_was_not_seen_does_not_change_what_was(tmp_path, mini):
    counts, seen = scene()
    maps = []
    for kind in ("uint16", "uint16 zero", "int16", "mask"):
        write(tmp_path / "rgb.tif", counts, seen, kind)
        maps.append(predict(mini, read_tile(tmp_path / "rgb.tif")).building)
    assert all(np.array_equal(maps[0], other) for other in maps[1:])


def test_footprints_count_where_something_was_seen():
    counts, seen = scene()
    truth = np.zeros(seen.shape, np.int32)
    truth[10:30, 30:60], truth[30:50, 100:120], truth[35:60, 40:60] = 1, 2, 3
    tile = Tile(counts, truth=truth, valid=seen)
    assert np.unique(tile.truth).tolist() == [0, 2, 3]
    assert (tile.truth == 3).sum() == 20 * 20
    assert truth[10, 30] == 1  # the array that came is left alone


def test_mul_is_empty_where_it_was_not_seen(tmp_path):
    counts, seen = scene()
    write(tmp_path / "rgb.tif", counts, np.ones_like(seen), "uint16")
    mul = np.random.default_rng(1).integers(1, 2000, (8, 50, 45), np.uint16)
    mul[:, :10] = 65535
    coarse = Georeference((1.2, 0, 600_000, 0, -1.2, 4_000_000), "EPSG:32611")
    options = {"driver": "GTiff", "width": 45, "height": 50, "count": 8, "dtype": np.uint16, "nodata": 65535}
    with rasterio.open(tmp_path / "mul.tif", "w", **options, **placed(coarse)) as file:
        file.write(mul)
    tile = read_tile(tmp_path / "rgb.tif", tmp_path / "mul.tif")
    assert tile.valid.all()
    assert not tile.mul[:38].any()
    assert tile.mul[44:].all()
    assert tile.mul.max() < 2000
    assert (false_colour(tile)[:38] == 0).all()


def test_a_tile_of_nothing_has_no_buildings(tmp_path, mini):
    tifffile.imwrite(tmp_path / "a.tif", np.full((64, 64, 3), np.nan, np.float32), photometric="rgb")
    tile = read_tile(tmp_path / "a.tif")
    assert not tile.valid.any()
    assert not predict(mini, tile).building.any()
    assert true_colour(tile).shape == (64, 64, 3)


@pytest.mark.parametrize("valid", [np.ones((4, 5), np.uint8), np.ones((5, 4), bool), np.ones((4, 5, 3), bool)])
def test_valid_of_another_form_is_refused(valid):
    with pytest.raises(ValueError, match=r"valid is .*pass \(4, 5\) bool"):
        Tile(np.zeros((4, 5, 3), np.uint8), valid=valid)

"""Scenes are read some rows at a time, whatever their layout, and their maps are written whole or not at all."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import rasterio
import tifffile
from geotags import geotiff_tags, place_in
from lab import ROOT
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from tnv2 import Georeference, TernausNetV2, Tile, load_model, predict, read_tile
from tnv2.network.maps import predict_file
from tnv2.network.weights import save_model
from tnv2.tiles.rasters import Raster

PLACE = Georeference((0.3, 0, 600_000, 0, -0.3, 4_000_000), "EPSG:32611")
NATIVE = Georeference((1.2, 0, 600_000, 0, -1.2, 4_000_000), "EPSG:32611")

LAYOUTS = {
    "one plain strip": {},
    "plain strips": {"rowsperstrip": 7},
    "deflated strips": {"rowsperstrip": 7, "compression": "deflate", "predictor": True},
    "one deflated strip": {"rowsperstrip": 10_000, "compression": "deflate"},
    "plain tiles": {"tile": (32, 48)},
    "LZW tiles": {"tile": (32, 48), "compression": "lzw"},
    "BigTIFF": {"tile": (64, 64), "compression": "deflate", "bigtiff": True},
    "big-endian strips": {"byteorder": ">"},
    "big-endian tiles": {"byteorder": ">", "tile": (16, 16), "compression": "deflate", "predictor": True},
    "plain bands apart": {"planarconfig": "separate"},
    "strips, bands apart": {"planarconfig": "separate", "rowsperstrip": 9, "compression": "lzw"},
    "tiles, bands apart": {"planarconfig": "separate", "tile": (32, 32), "compression": "deflate"},
}


def image(shape, dtype=np.uint16, bands=3, seed=0):
    """Smooth noise, as different from its mirror images as from noise of another seed."""
    import cv2

    rng = np.random.default_rng(seed)
    coarse = rng.random((shape[0] // 4 + 1, shape[1] // 4 + 1, bands), np.float32)
    fine = np.stack([cv2.resize(band, shape[::-1]) for band in np.moveaxis(coarse, 2, 0)], axis=2)
    return (fine * (250 if dtype == np.uint8 else 2000)).astype(dtype)


def write(path, array, georeference=PLACE, **options):
    """Write an (H, W, C) array as a GeoTIFF in a layout."""
    photometric = "rgb" if array.shape[2] == 3 else "minisblack"
    options = {"planarconfig": "contig", "photometric": photometric, "metadata": None} | options
    data = np.moveaxis(array, 2, 0) if options["planarconfig"] == "separate" else array
    tifffile.imwrite(path, data, extratags=geotiff_tags(georeference), **options)
    return path


def narrow(**settings):
    return TernausNetV2(**{"width": 2, "num_filters": 1} | settings).eval()


@pytest.fixture
def mini():
    return load_model("mini", device="cpu")


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_any_rows_of_any_layout_are_read(tmp_path, layout, dtype):
    if dtype == np.float32 and layout.get("predictor"):
        layout = layout | {"predictor": 3}
    array = image((101, 83), dtype)
    with Raster(write(tmp_path / "scene.tif", array, **layout), 3, "RGB") as raster:
        assert (raster.shape, raster.bands, raster.dtype, raster.georeference) == ((101, 83), 3, dtype, PLACE)
        for first, last in [(0, 101), (0, 1), (100, 101), (13, 64), (32, 33)]:
            rows, valid = raster.part(slice(first, last), slice(5, 70))
            assert rows.dtype == np.dtype(dtype)
            np.testing.assert_array_equal(rows, array[first:last, 5:70])
            assert valid.all()
        low, high = raster.limits()
        np.testing.assert_array_equal((low, high), (array.min(axis=(0, 1)), array.max(axis=(0, 1))))


def test_missing_tiles_are_background(tmp_path):
    array = image((64, 96))

    def tiles():
        yield from (array[:32, :32], array[:32, 32:64], None, None, array[32:, 32:64], array[32:, 64:])

    path = tmp_path / "sparse.tif"
    tifffile.imwrite(path, tiles(), shape=array.shape, dtype=array.dtype, tile=(32, 32), compression="deflate")
    array[:32, 64:] = array[32:, :32] = 0
    with Raster(path, 3, "RGB") as raster:
        np.testing.assert_array_equal(raster.read().pixels, array)


def test_native_mul_is_resampled_as_gdal_does_whole_and_in_windows(tmp_path):
    rgb, native = image((402, 331)), image((101, 83), bands=8)
    paths = write(tmp_path / "rgb.tif", rgb), write(tmp_path / "mul.tif", native, NATIVE, tile=(32, 32))
    with rasterio.open(paths[0]) as fine, rasterio.open(paths[1]) as coarse:
        grid = {"crs": fine.crs, "transform": fine.transform, "width": 331, "height": 402}
        with WarpedVRT(coarse, resampling=Resampling.bilinear, **grid) as warped:
            expected = np.moveaxis(warped.read(), 0, 2).astype(int)[4:-4, 4:-4]  # at the rim GDAL has less to go by
    whole = read_tile(*paths).mul.astype(int)
    steps = 2000 / 32  # OpenCV places pixels to 1/32
    assert np.abs(whole[4:-4, 4:-4] - expected).max() <= steps
    for window in [(0, 0, 402, 331), (7, 11, 50, 60), (371, 300, 31, 31), (200, 0, 1, 331)]:
        row, column, height, width = window
        part = read_tile(*paths, window=window)
        assert np.abs(part.mul - whole[row : row + height, column : column + width]).max() <= steps
        np.testing.assert_array_equal(part.rgb, rgb[row : row + height, column : column + width])
        x, y = PLACE.to_world([(column, row)])[0]
        assert part.georeference == Georeference((0.3, 0, x, 0, -0.3, y), PLACE.crs)


@pytest.mark.parametrize("layout", ["plain strips", "BigTIFF", "tiles, bands apart"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("mul", [None, "fine", "native"])
def test_a_file_gets_the_maps_of_its_tile(tmp_path, mini, layout, dtype, mul):
    shape = (161, 205)
    rgb, mul_path = write(tmp_path / "rgb.tif", image(shape, dtype), **LAYOUTS[layout]), None
    if mul:
        bands, place = (image(shape, bands=8), PLACE) if mul == "fine" else (image((41, 52), bands=8), NATIVE)
        mul_path = write(tmp_path / "mul.tif", bands, place, tile=(32, 32))
    out = tmp_path / "new" / "maps.tif"
    predict_file(mini, rgb, out, mul_path)
    with tifffile.TiffFile(out) as file:
        page, maps = file.pages[0], file.asarray()
        assert (page.is_tiled, page.dtype, page.planarconfig) == (True, np.uint8, 1)
        assert place_in(out) == PLACE
        assert "building" in page.tags[42112].value
    expected = np.stack(predict(mini, read_tile(rgb, mul_path)).quantised(), axis=2)
    assert maps.shape == (*shape, 2)
    assert expected.std() > 3
    assert np.abs(maps.astype(int) - expected).max() <= 1


def test_a_scene_larger_than_a_window_gets_the_maps_of_its_tile(tmp_path):
    model, shape = narrow(), (1411, 1703)
    rgb = write(tmp_path / "rgb.tif", image(shape), tile=(256, 256), compression="deflate")
    mul = write(tmp_path / "mul.tif", image(shape, bands=8), tile=(256, 256))
    predict_file(model, rgb, tmp_path / "maps.tif", mul)
    expected = np.stack(predict(model, read_tile(rgb, mul)).quantised(), axis=2)
    maps = tifffile.imread(tmp_path / "maps.tif")
    assert expected.std() > 0
    assert np.abs(maps.astype(int) - expected).max() <= 1


def test_a_plain_tiff_gives_a_plain_tiff(tmp_path, mini):
    predict_file(mini, write(tmp_path / "rgb.tif", image((40, 50)), None), tmp_path / "maps.tiff")
    assert place_in(tmp_path / "maps.tiff") is None


def test_warnings_are_those_of_tiles(tmp_path):
    rgb = write(tmp_path / "rgb.tif", image((64, 64)))
    with pytest.warns(UserWarning, match=r"rgb\.tif has no MUL bands"):
        predict_file(narrow(), rgb, tmp_path / "maps.tif")
    mul = write(tmp_path / "mul.tif", image((64, 64), np.uint8, 8))
    with pytest.warns(UserWarning, match=r"mul\.tif are uint8 up to 2\d\d"):
        predict_file(narrow(), rgb, tmp_path / "maps.tif", mul)


def refused(folder, match, arguments, error=ValueError):
    before = sorted(folder.rglob("*"))
    with pytest.raises(error, match=match):
        predict_file(narrow(num_input_channels=3), *arguments)
    assert sorted(folder.rglob("*")) == before


def test_files_that_cannot_be_scenes_are_refused_and_nothing_is_left(tmp_path):
    rgb, out = write(tmp_path / "rgb.tif", image((64, 64))), tmp_path / "maps.tif"
    text = tmp_path / "text.tif"
    text.write_text("no picture")
    refused(tmp_path, "nowhere.tif does not exist", (tmp_path / "nowhere.tif", out), FileNotFoundError)
    refused(tmp_path, "cannot be read as an image .*: it not recognized", (text, out))
    refused(tmp_path, "would be overwritten", (rgb, rgb))
    refused(tmp_path, "ends in '.png'", (rgb, tmp_path / "maps.png"))
    for name, array, message in [
        ("small", image((31, 64)), "31 x 64 px; the network needs 32"),
        ("bands", image((64, 64), bands=8), "has 8 bands; SpaceNet's RGB-PanSharpen or PS-RGB has 3"),
        ("complex", image((64, 64)).astype(np.complex64), "is complex64; real numbers are needed"),
    ]:
        refused(tmp_path, message, (write(tmp_path / f"{name}.tif", array), out))


def test_damage_inside_a_file_is_refused_and_an_old_file_kept(tmp_path):
    rgb, out = write(tmp_path / "rgb.tif", image((64, 64)), tile=(32, 32), compression="deflate"), tmp_path / "maps.tif"
    with tifffile.TiffFile(rgb) as file:
        offset = file.pages[0].dataoffsets[2]
    with open(rgb, "r+b") as file:
        file.seek(offset)
        file.write(bytes(20))
    out.write_text("old")
    refused(tmp_path, r"rgb\.tif cannot be read as an image \(.*damaged", (rgb, out))
    assert out.read_text() == "old"


def test_mul_of_another_place_is_refused(tmp_path):
    away = Georeference((2.0, 0, 700_000, 0, -2.0, 4_000_000), "EPSG:32611")
    rgb, mul = write(tmp_path / "rgb.tif", image((64, 64))), write(tmp_path / "mul.tif", image((16, 16), bands=8), away)
    with pytest.raises(ValueError, match="show different places"):
        predict_file(narrow(), rgb, tmp_path / "maps.tif", mul)


def test_an_interrupted_run_leaves_nothing(tmp_path):
    write(tmp_path / "rgb.tif", image((3000, 3000)))
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # background jobs are deaf to it
        "from tnv2 import load_model, predict_file\npredict_file(load_model('mini', device='cpu'), 'rgb.tif', 'maps.tif')"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.iterdir())) == 1:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) != 0
    finally:
        process.kill()
    assert [path.name for path in tmp_path.iterdir()] == ["rgb.tif"]


def test_memory_does_not_grow_with_the_scene(tmp_path):
    """20 Mpx in 16 bits are 121 MB of RGB and 162 MB of float32 maps; the network is so narrow that they would show."""
    save_model(narrow(num_input_channels=3), tmp_path / "narrow.safetensors")
    command = [sys.executable, "benchmarks/windows.py", "--size", "4500", "--weights", tmp_path / "narrow.safetensors"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=600)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["peak_mb"] - figures["before_mb"] < 450, figures


def test_tiles_that_cannot_be_written_to_are_read(mini):
    rgb = image((64, 64))
    rgb.flags.writeable = False
    assert predict(mini, Tile(rgb)).building.shape == (64, 64)

"""Files on a server: of a large one only the window that is asked for is fetched; what goes wrong is said."""

import re

import numpy as np
import pytest
import rasterio

from tnv2 import Georeference, find_tiles, load_model, predict_file, read_tile
from tnv2.tiles.georeference import placed
from tnv2.tiles.rasters import source

WHERE = Georeference((0.3, 0, 600_000, 0, -0.3, 4_000_000), "EPSG:32611")
NAME = "/scenes/RGB-PanSharpen_AOI_2_Vegas_img7.tif"


@pytest.fixture
def scene(server, tmp_path, monkeypatch):
    """A tiled scene of noise on the server, and as an array."""
    monkeypatch.setenv("VSI_CACHE", "FALSE")
    counts = np.random.default_rng(5).integers(0, 2048, (3, 1024, 1280), np.uint16)
    options = {"driver": "GTiff", "width": 1280, "height": 1024, "count": 3, "dtype": np.uint16, "tiled": True}
    path = tmp_path / "scene.tif"
    with rasterio.open(path, "w", blockxsize=128, blockysize=128, photometric="rgb", **options, **placed(WHERE)) as file:
        file.write(counts)
    server.files[NAME] = path.read_bytes()
    return np.moveaxis(counts, 0, 2)


def fetched(server):
    """Return how many bytes the server was asked for."""
    ranges = [re.fullmatch(r"bytes=(\d+)-(\d+)", asked) for path, asked in server.asked if asked]
    return sum(int(span[2]) - int(span[1]) + 1 for span in ranges)


@pytest.mark.parametrize("prefix", ["", "/vsicurl/"])
def test_a_window_of_a_scene_on_a_server_is_all_that_is_fetched(server, scene, prefix):
    tile = read_tile(f"{prefix}{server.url}{NAME}", window=(300, 500, 130, 70))
    np.testing.assert_array_equal(tile.rgb, scene[300:430, 500:570])
    assert tile.name == "AOI_2_Vegas_img7"
    assert tile.georeference.transform == (0.3, 0, 600_150, 0, -0.3, 3_999_910)
    assert 0 < fetched(server) < len(server.files[NAME]) / 5
    assert {path for path, _ in server.asked} == {NAME}
    again = tile.files.read()
    np.testing.assert_array_equal(again.rgb, tile.rgb)


def test_maps_are_made_of_a_scene_on_a_server(server, scene, tmp_path):
    model = load_model("mini", device="cpu")
    predict_file(model, server.url + NAME, tmp_path / "maps.tif")
    with rasterio.open(tmp_path / "maps.tif") as maps:
        assert maps.shape == scene.shape[:2]
        assert tuple(maps.transform)[:6] == WHERE.transform


@pytest.mark.parametrize("name", ["/none.tif", "/page.tif"])
def test_what_is_no_raster_on_a_server_is_said(server, name):
    server.files["/page.tif"] = b"<html>Sign in</html>"
    with pytest.raises(ValueError, match=rf"{name} cannot be read as an image .*Check its address and the connection"):
        read_tile(server.url + name)


def test_a_server_that_is_not_there_is_said():
    with pytest.raises(ValueError, match=r"cannot be read as an image .*Check its address and the connection"):
        read_tile("http://127.0.0.1:9/a.tif")


def test_other_virtual_files_are_no_addresses(tmp_path):
    for name in ("/vsizip/a.zip/a.tif", "/vsistdin/", "ftp://host/a.tif", "GTIFF_DIR:1:a.tif"):
        with pytest.raises(FileNotFoundError, match="does not exist"):
            read_tile(name)


def test_a_bucket_is_named_as_gdal_names_it():
    assert source("s3://bucket/a.tif") == "s3://bucket/a.tif"
    assert source("~/a.tif").is_absolute()


def test_tiles_found_on_disk_are_paths():
    assert all(files.rgb.is_file() for files in find_tiles())

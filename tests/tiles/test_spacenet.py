"""SpaceNet: one call gets a real tile, kept as SpaceNet lays it out; what is absent or wrong is said and never kept."""

import json
import os

import numpy as np
import pytest
from server import HTML, XML, answer, cut

from tnv2 import Georeference, find_tiles
from tnv2.tiles.rasters import write_geotiff
from tnv2.tiles.spacenet import AOIS, TRAINING_TILES, cache_folder, fetch_tile

WHERE = Georeference((2.7e-6, 0, -115.2, 0, -2.7e-6, 36.2), "EPSG:4326")
RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 2048, (65, 60, 3), np.uint16)
MUL = RNG.integers(0, 2048, (65, 60, 8), np.uint16)
RGB_AT = "/AOI_2_Vegas/PS-RGB/SN2_buildings_train_AOI_2_Vegas_PS-RGB_img2144.tif"
MUL_AT = "/AOI_2_Vegas/PS-MS/SN2_buildings_train_AOI_2_Vegas_PS-MS_img2144.tif"
FOOTPRINTS_AT = "/AOI_2_Vegas/geojson_buildings/SN2_buildings_train_AOI_2_Vegas_geojson_buildings_img2144.geojson"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """A small tile as the bucket has it, {path: bytes}."""
    folder = tmp_path_factory.mktemp("bucket")
    write_geotiff(folder / "rgb.tif", RGB, WHERE)
    write_geotiff(folder / "mul.tif", MUL, WHERE)
    ring = WHERE.to_world([(5, 5), (25, 5), (25, 25), (5, 25), (5, 5)]).tolist()
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    footprints = json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()
    return {
        RGB_AT: (folder / "rgb.tif").read_bytes(),
        MUL_AT: (folder / "mul.tif").read_bytes(),
        FOOTPRINTS_AT: footprints,
    }


@pytest.fixture
def server(server, bucket, monkeypatch):
    monkeypatch.setattr("tnv2.tiles.spacenet.TRAINING_TILES", server.url)
    server.files = dict(bucket)
    return server


def files(folder):
    return {f"/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_tile_comes_once_and_is_found_again(server, bucket, tmp_path):
    for number in (2144, np.int64(2144)):
        tile = fetch_tile("AOI_2_Vegas", number, tmp_path)
        np.testing.assert_array_equal(tile.rgb, RGB)
        np.testing.assert_array_equal(tile.mul, MUL)
        assert (tile.name, tile.truth.sum(), tile.georeference.crs) == ("AOI_2_Vegas_img2144", 400, "EPSG:4326")
    assert [path for path, _ in server.asked] == [RGB_AT, MUL_AT, FOOTPRINTS_AT]
    assert files(tmp_path) == bucket
    assert find_tiles(tmp_path) == [tile.files]


def test_the_default_folder_is_the_users_cache(server, bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if tmp_path not in cache_folder().parents:
        pytest.skip("this system has its caches elsewhere; the user's own is left alone")
    fetch_tile("AOI_2_Vegas", 2144)
    assert files(tmp_path / "tnv2") == bucket


def test_real_files_pass(server, shared, tmp_path):
    """The checks take what SpaceNet itself has written."""
    real = shared / "data" / "AOI_2_Vegas"
    server.files = {
        RGB_AT: (real / "RGB-PanSharpen" / "RGB-PanSharpen_AOI_2_Vegas_img2144.tif").read_bytes(),
        FOOTPRINTS_AT: (real / "geojson" / "buildings" / "buildings_AOI_2_Vegas_img2144.geojson").read_bytes(),
    }
    with pytest.warns(UserWarning, match="without MUL bands"):
        tile = fetch_tile("AOI_2_Vegas", 2144, tmp_path)
    assert (tile.shape, tile.truth.max()) == ((650, 650), 39)


@pytest.mark.parametrize(
    ("absent", "attribute", "message"),
    [
        (MUL_AT, "mul", r"AOI_2_Vegas_img2144 comes without MUL bands, so its mul is None: http.*PS-MS_img2144\.tif"),
        (FOOTPRINTS_AT, "truth", r"AOI_2_Vegas_img2144 comes without footprints, so its truth is None: http.*\.geojson"),
    ],
)
def test_what_a_tile_can_do_without_is_warned_of(server, tmp_path, absent, attribute, message):
    del server.files[absent]
    with pytest.warns(UserWarning, match=message) as warned:
        tile = fetch_tile("AOI_2_Vegas", 2144, tmp_path)
    assert warned[0].filename == __file__
    assert getattr(tile, attribute) is None
    assert getattr(tile, "truth" if attribute == "mul" else "mul") is not None
    assert absent not in files(tmp_path)


def test_a_tile_that_is_not_there_is_said_with_the_places_that_are(server, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no training tile AOI_2_Vegas_img9: http.*RGB_img9\.tif.*404") as caught:
        fetch_tile("AOI_2_Vegas", 9, tmp_path)
    assert all(place in str(caught.value) for place in AOIS)
    assert files(tmp_path) == {}
    assert len(server.asked) == 1


@pytest.mark.parametrize("path", [RGB_AT, MUL_AT, FOOTPRINTS_AT])
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (answer(HTML), "a web page or a message that begins"),
        (answer(XML), "a web page or a message that begins"),
        (answer(b"something else"), "what came cannot be read as"),
        (answer(XML, 500), "500 Server Error"),
        (cut, "IncompleteRead|bytes came"),
    ],
    ids=["page", "xml", "else", "500", "cut"],
)
def test_a_wrong_file_is_never_kept_and_a_later_call_succeeds(server, bucket, tmp_path, path, fault, message):
    server.faults[path] = [fault] * 3
    with pytest.raises(ConnectionError, match=message) as caught:
        fetch_tile("AOI_2_Vegas", 2144, tmp_path)
    assert server.url + path in str(caught.value)
    kept = files(tmp_path)
    assert kept == {name: bucket[name] for name in list(bucket)[: list(bucket).index(path)]}
    assert not list(tmp_path.rglob("*.part"))
    server.faults.clear()
    fetch_tile("AOI_2_Vegas", 2144, tmp_path)
    assert files(tmp_path) == bucket


@pytest.mark.parametrize("path", [RGB_AT, MUL_AT])
@pytest.mark.parametrize("change", [lambda content: content[:-300], lambda content: content[:40]], ids=["cut", "header"])
def test_an_image_that_was_short_on_the_server_is_never_kept(server, tmp_path, path, change):
    server.files[path] = change(server.files[path])
    with pytest.raises(ConnectionError, match="what came cannot be read as an image"):
        fetch_tile("AOI_2_Vegas", 2144, tmp_path)
    assert path not in files(tmp_path)


def test_images_of_other_bands_are_never_kept(server, tmp_path):
    server.files[MUL_AT] = server.files[RGB_AT]
    with pytest.raises(ConnectionError, match="what came has 3 bands; SpaceNet's PS-MS has 8"):
        fetch_tile("AOI_2_Vegas", 2144, tmp_path)
    assert list(files(tmp_path)) == [RGB_AT]


@pytest.mark.parametrize("aoi", ["AOI_1_RIO", "vegas", "AOI_2_vegas", "", None, 2, "../AOI_2_Vegas", []])
def test_places_that_are_none_are_refused(server, tmp_path, aoi):
    with pytest.raises(ValueError, match=r"aoi is .*; SpaceNet 2 has AOI_2_Vegas, AOI_3_Paris, .* Pass one of them"):
        fetch_tile(aoi, 2144, tmp_path)
    assert server.asked == []


@pytest.mark.parametrize("number", [0, -1, 1.0, "2144", "../1", True, None])
def test_numbers_that_are_none_are_refused(server, tmp_path, number):
    with pytest.raises(ValueError, match=r"number is .*whole number from 1\. Pass 2144 for img2144"):
        fetch_tile("AOI_2_Vegas", number, tmp_path)
    assert server.asked == []


def test_the_public_bucket_itself(tmp_path):
    """The address and the names are SpaceNet's."""
    if not os.environ.get("TNV2_ONLINE"):
        pytest.skip("no test goes to the internet unasked; TNV2_ONLINE=1 fetches one tile from the public bucket")
    assert TRAINING_TILES.startswith("https://spacenet-dataset.s3.amazonaws.com/")
    tile = fetch_tile("AOI_2_Vegas", 2144, tmp_path)
    assert (tile.shape, tile.mul.shape, tile.truth.max()) == ((650, 650), (650, 650, 8), 39)

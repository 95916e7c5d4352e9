"""Metres: a tile of other pixels is seen at the 0.3 m that the network knows, and its maps come back to its own pixels."""

import numpy as np
import pytest
import rasterio

from tnv2 import (
    Georeference,
    Probabilities,
    Thresholds,
    Tile,
    label_instances,
    load_model,
    match,
    predict,
    predict_file,
    sample_tiles,
    score_city,
)  # fmt: skip
from tnv2.network.inference import known_shape, resized
from tnv2.tiles.rasters import write_geotiff


@pytest.fixture(scope="module")
def mini():
    return load_model("mini", device="cpu")


def place(metres, crs="EPSG:32611"):
    return Georeference((metres, 0, 600_000, 0, -metres, 4_000_000), crs)


def seen_at(tile, metres):
    """Return a tile of 0.3 m as a sensor of other pixels would have it, its truth included."""
    shape = tuple(round(side * 0.3 / metres) for side in tile.shape)
    rows, columns = (np.arange(side) * whole // side for side, whole in zip(shape, tile.shape, strict=True))
    return Tile(resized(tile.rgb, shape), truth=tile.truth[np.ix_(rows, columns)], georeference=place(metres))


def f1_of(tiles, mini, **options):
    return score_city(
        match(tile.truth, label_instances(predict(mini, tile, **options), mini.thresholds)) for tile in tiles
    ).f1


@pytest.mark.parametrize("metres", [0.6, 0.15])
def test_other_pixels_score_about_as_the_networks_own(mini, metres):
    tiles = sample_tiles()[:2]
    other = [seen_at(tile, metres) for tile in tiles]
    placeless = [tile.replace(georeference=None) for tile in other]
    found, untold = f1_of(other, mini), f1_of(other, mini, metres=None)
    assert found >= 0.9 * f1_of(tiles, mini)
    assert untold < found - 0.05
    assert f1_of(placeless, mini, metres=metres) == found
    assert f1_of(placeless, mini) == untold


@pytest.mark.parametrize("metres", [0.25, 0.35])
def test_what_differs_by_less_than_a_fifth_is_taken_as_it_is(mini, metres):
    tile = Tile(np.random.default_rng(0).integers(0, 2000, (64, 96, 3), np.uint16), georeference=place(metres))
    np.testing.assert_array_equal(predict(mini, tile).building, predict(mini, tile, metres=None).building)


@pytest.mark.parametrize("north", [15.6, 31.2, 36.2, 48.9])  # Khartoum, Shanghai, Las Vegas, Paris
def test_spacenets_pixels_in_degrees_are_taken_as_they_are(north):
    where = Georeference((2.7e-6, 0, 0, 0, -2.7e-6, north), "EPSG:4326")
    down, across = where.pixel_size((650, 650))
    assert (down, across) == pytest.approx((0.3, 0.3 * np.cos(np.radians(north))), abs=0.004)
    assert known_shape((650, 650), where, "auto") == (650, 650)


@pytest.mark.parametrize("metres", [0.6, 0.15])
def test_a_file_gets_the_maps_of_its_tile(mini, tmp_path, metres):
    tile = seen_at(sample_tiles()[0], metres)
    tile = tile.replace(valid=np.arange(tile.shape[1])[None] + np.zeros((tile.shape[0], 1), int) > 20)
    path = tmp_path / "rgb.tif"
    write_geotiff(path, tile.rgb, tile.georeference)
    with rasterio.open(path, "r+") as file:
        file.nodata = 0
    predict_file(mini, path, tmp_path / "maps.tif")
    with rasterio.open(tmp_path / "maps.tif") as file:
        maps = Probabilities.from_quantised(*file.read())
        assert (tuple(file.transform)[:6], file.shape) == (tile.georeference.transform, tile.shape)
    expected = predict(mini, tile)
    assert not maps.building[~tile.valid].any()
    far = np.abs(maps.building - expected.building)[:, 40:] > 0.1  # GDAL and OpenCV interpolate a little differently
    assert far.mean() < 0.02
    labels = [label_instances(each, Thresholds(min_area=80)) for each in (maps, expected)]
    assert match(*labels).f1 > 0.95
    assert sorted(path.name for path in tmp_path.iterdir()) == ["maps.tif", "rgb.tif"]


@pytest.mark.parametrize("metres", ["fast", "0.5", 0, -1, float("nan"), float("inf")])
def test_metres_that_are_none_are_refused(mini, metres):
    with pytest.raises(ValueError, match=r"metres is .*such as 0\.5"):
        predict(mini, sample_tiles()[0], metres=metres)


def test_a_tile_too_small_on_the_ground_is_refused(mini):
    tile = Tile(np.zeros((100, 100, 3), np.uint8), georeference=place(0.075))
    with pytest.raises(ValueError, match=r"25 x 25 px of 0\.3 m; the network needs 32"):
        predict(mini, tile)

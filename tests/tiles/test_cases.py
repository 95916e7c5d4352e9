"""Files of other people: each is read as rasterio reads it, and what is written of it lies where it lay."""

import warnings

import numpy as np
import pytest
import rasterio

from tnv2 import label_instances, load_model, predict, predict_file, read_tile
from tnv2.polygons.exports import write_label_geotiff


@pytest.fixture
def cases(shared):
    """The folder with files of other people."""
    return shared / "cases"


NAMES = ["utm", "c02_albers", "c03b_mollweide_4326", "c08_tfw", "c19_jpeg"]


@pytest.mark.parametrize("name", NAMES)
def test_pixels_and_place_are_those_that_gdal_reads(cases, tmp_path, name):
    tile = read_tile(cases / f"{name}.tif")
    with rasterio.open(cases / f"{name}.tif") as file:
        np.testing.assert_array_equal(np.moveaxis(tile.rgb, 2, 0), file.read())
        assert tile.georeference.transform == tuple(file.transform)[:6]
        assert bool(tile.georeference.crs) == bool(file.crs)
        if file.crs:
            assert rasterio.crs.CRS.from_user_input(tile.georeference.crs) == file.crs
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the file without a CRS
            write_label_geotiff(np.zeros(tile.shape, np.uint8), tile, tmp_path / "labels.tif")
        with rasterio.open(tmp_path / "labels.tif") as labels:
            assert (labels.transform, labels.crs) == (file.transform, file.crs)


def test_declared_no_data_leaves_the_buildings_that_are_there(cases):
    model, tile = load_model(device="cpu"), read_tile(cases / "c21_nodata65535.tif")
    with rasterio.open(cases / "c21_nodata65535.tif") as file:
        np.testing.assert_array_equal(tile.valid, file.dataset_mask() > 0)
    assert 0 < np.count_nonzero(~tile.valid) < 10_000
    labels = label_instances(predict(model, tile), model.thresholds)
    rgb = np.where(tile.valid[..., None], tile.rgb, np.median(tile.rgb[tile.valid], axis=0).astype(tile.rgb.dtype))
    clean = label_instances(predict(model, tile.replace(rgb=rgb, valid=None)), model.thresholds)
    assert labels.max() == pytest.approx(clean.max(), rel=5 / 75), "all but some beside the corner"
    assert labels.max() > 60
    assert not labels[~tile.valid].any()


def test_footprints_in_degrees_land_on_a_tile_whose_projection_has_no_code(cases):
    truth = read_tile(cases / "c02_albers.tif", None, cases / "c02_albers.geojson").truth
    assert np.bincount(truth.ravel())[1:].tolist() == [400, 450]


def test_ground_control_points_give_a_place_and_how_well_they_fit(cases):
    with pytest.warns(UserWarning, match=r"c07_gcps\.tif has no transform but 4 ground control points.*pixels away at most"):
        tile = read_tile(cases / "c07_gcps.tif")
    with rasterio.open(cases / "c07_gcps.tif") as file:
        points, crs = file.gcps
    assert tile.georeference.crs == crs.to_string()
    assert tile.georeference.transform == tuple(rasterio.transform.from_gcps(points))[:6]


@pytest.mark.parametrize("name", ["c02_albers", "c07_gcps"])
@pytest.mark.filterwarnings("ignore:.*(ground control points|no MUL bands)")
def test_maps_keep_the_place_of_their_file(cases, tmp_path, name):
    predict_file(load_model(device="cpu"), cases / f"{name}.tif", tmp_path / "maps.tif")
    where = read_tile(cases / f"{name}.tif").georeference
    with rasterio.open(tmp_path / "maps.tif") as maps:
        assert tuple(maps.transform)[:6] == where.transform
        assert maps.crs == rasterio.crs.CRS.from_user_input(where.crs)
        assert maps.descriptions == ("building", "border")


@pytest.mark.parametrize(
    ("footprints", "sizes"),
    [("c09_overlap", [600, 900]), ("c31_edge_sliver", [])],
)
def test_footprints_of_overlapping_parts_and_without_pixels(cases, footprints, sizes):
    truth = read_tile(cases / "utm.tif", None, cases / f"{footprints}.geojson").truth
    assert np.bincount(truth.ravel())[1:].tolist() == sizes


def test_lines_among_footprints_are_left_out_with_one_warning(cases):
    with pytest.warns(UserWarning, match="no area") as told:
        truth = read_tile(cases / "utm.tif", None, cases / "c10_sliver.geojson").truth
    assert [str(each.message) for each in told] == [
        f"{cases / 'c10_sliver.geojson'}: left out is what has no area (1 LineString); buildings are Polygons."
    ]
    assert np.bincount(truth.ravel())[1:].tolist() == [400, 450]

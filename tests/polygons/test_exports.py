"""Exports: what other programs read is what was there; what goes wrong leaves no half of a file."""

import json
import os
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
import tifffile
from geotags import place_in
from test_vectors import LABELS, VEGAS

from tnv2 import Georeference, Probabilities, Tile, TileFiles, rasterise, read_footprints, read_tile
from tnv2.polygons.challenge import write_challenge_csv
from tnv2.polygons.exports import (
    write_coco,
    write_geojson,
    write_geopackage,
    write_geoparquet,
    write_geotiff,
    write_label_geotiff,
)
from tnv2.polygons.vectors import to_geodataframe

UTM = Georeference((0.3, 0, 665000, 0, -0.3, 4007000), "EPSG:32611")
TURNED = Georeference((0.3, 0.02, 665000, 0.01, -0.3, 4007000), "EPSG:32611")
MAPS = Probabilities(np.random.default_rng(0).random(LABELS.shape), np.zeros(LABELS.shape))


def tile(georeference=VEGAS):
    return Tile(np.zeros((*LABELS.shape, 3), np.uint8), name="AOI_2_Vegas_img7", georeference=georeference)


def frame(georeference=VEGAS, labels=LABELS, maps=MAPS):
    return to_geodataframe(labels, tile(georeference), maps)


WRITERS = {
    "a.geojson": lambda path: write_geojson(frame(), path),
    "a.gpkg": lambda path: write_geopackage(frame(), path),
    "a.parquet": lambda path: write_geoparquet(frame(), path),
    "a.tif": lambda path: write_label_geotiff(LABELS, tile(), path),
    "a.json": lambda path: write_coco(LABELS, tile(), path, MAPS),
    "a.csv": lambda path: write_challenge_csv({"img1": LABELS}, path),
}


def assert_same(found, expected, **tolerance):
    """Two frames hold the same instances."""
    assert found.label.tolist() == expected.label.tolist()
    assert found.pixels.tolist() == expected.pixels.tolist()
    np.testing.assert_allclose(found.area_m2, expected.area_m2)
    np.testing.assert_allclose(found.building, expected.building)
    assert shapely.equals(found.geometry.values, expected.geometry.values).all()


@pytest.mark.parametrize("where", [VEGAS, UTM])
def test_geopackage_and_geoparquet_give_the_frame_back(tmp_path, where):
    write_geopackage(frame(where), tmp_path / "city.gpkg")
    write_geoparquet(frame(where), tmp_path / "city.parquet")
    for found in (geopandas.read_file(tmp_path / "city.gpkg"), geopandas.read_parquet(tmp_path / "city.parquet")):
        assert_same(found, frame(where))
        assert found.crs == where.crs
        assert found.neighbours.tolist() == ["5 9", "4", "4", ""]
    assert geopandas.list_layers(tmp_path / "city.gpkg").values.tolist() == [["city", "MultiPolygon"]]


def test_an_old_geopackage_is_replaced(tmp_path):
    write_geopackage(frame(), tmp_path / "a.gpkg")
    write_geopackage(frame(labels=(LABELS == 5).astype(int)), tmp_path / "a.gpkg")
    assert geopandas.read_file(tmp_path / "a.gpkg").label.tolist() == [1]


@pytest.mark.parametrize("where", [VEGAS, UTM, TURNED])
def test_geojson_is_as_rfc_7946_wants_it(tmp_path, where):
    write_geojson(frame(where), tmp_path / "a.geojson")
    record = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))
    assert set(record) == {"type", "features"}  # no crs
    assert record["type"] == "FeatureCollection"
    for feature in record["features"]:
        assert set(feature) == {"type", "properties", "geometry"}
        geometry = shapely.geometry.shape(feature["geometry"])
        assert geometry.is_valid
        for part in shapely.get_parts(geometry):
            assert part.exterior.is_ccw
            assert not any(ring.is_ccw for ring in part.interiors)
        positions = shapely.get_coordinates(geometry)
        assert (np.abs(positions - [-115.2 if where is VEGAS else -115.17, 36.2]) < 0.02).all()  # longitude first
        assert all(len(number.partition(".")[2]) <= 7 for number in map(str, positions.ravel()))
    assert [feature["properties"]["neighbours"] for feature in record["features"]] == [[5, 9], [4], [4], []]


@pytest.mark.parametrize("where", [VEGAS, UTM, TURNED])
def test_geojson_leads_back_to_the_pixels(tmp_path, where):
    write_geojson(frame(where), tmp_path / "a.geojson")
    found = geopandas.read_file(tmp_path / "a.geojson")
    assert found.crs == "EPSG:4326"
    assert found.label.tolist() == [4, 5, 9, 30]
    np.testing.assert_allclose(found.building, frame(where).building)
    np.testing.assert_allclose(found.to_crs("EPSG:32611").area, frame(where).area_m2, rtol=1e-2)
    labels = rasterise(read_footprints(tmp_path / "a.geojson", where), LABELS.shape)
    np.testing.assert_array_equal(np.array([0, 4, 5, 9, 30])[labels], LABELS)


def test_geojson_says_null_for_what_is_not_known(tmp_path):
    write_geojson(frame(maps=None), tmp_path / "a.geojson")
    features = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"), parse_constant=pytest.fail)["features"]
    assert [feature["properties"]["building"] for feature in features] == [None] * 4


def test_simplified_outlines_stay_valid_when_rounded(tmp_path):
    field = np.random.default_rng(3).random((40, 50))
    labels = (field > 0.5) * np.int32(1 + (np.indices(field.shape) // 9).sum(axis=0))
    simple = to_geodataframe(labels, tile(), simplify=0.4)
    write_geojson(simple, tmp_path / "a.geojson")
    found = geopandas.read_file(tmp_path / "a.geojson")
    assert found.is_valid.all()
    np.testing.assert_allclose(found.to_crs("EPSG:32611").area, simple.to_crs("EPSG:32611").area, rtol=2e-2)


@pytest.mark.filterwarnings("ignore:tile .* has no georeference")
def test_frames_without_a_place_keep_their_pixels(tmp_path):
    pixels = frame(None)
    with pytest.warns(UserWarning, match=r"no CRS: .*a\.geojson gets its positions as they are"):
        write_geojson(pixels, tmp_path / "a.geojson")
    labels = rasterise(read_footprints(tmp_path / "a.geojson"), LABELS.shape)
    np.testing.assert_array_equal(np.array([0, 4, 5, 9, 30])[labels], LABELS)
    write_geopackage(pixels, tmp_path / "a.gpkg")
    write_geoparquet(pixels, tmp_path / "a.parquet")
    for found in (geopandas.read_file(tmp_path / "a.gpkg"), geopandas.read_parquet(tmp_path / "a.parquet")):
        assert_same(found, pixels)
    assert found.crs is None


def test_no_buildings_give_whole_files(tmp_path):
    empty = frame(labels=np.zeros_like(LABELS))
    write_geoparquet(empty, tmp_path / "both" / "none.parquet")
    write_geoparquet(frame(), tmp_path / "both" / "some.parquet")
    assert len(geopandas.read_parquet(tmp_path / "both")) == 4  # their columns have the same types
    write_geojson(empty, tmp_path / "a.geojson")
    write_geopackage(empty, tmp_path / "a.gpkg")
    write_geoparquet(empty, tmp_path / "a.parquet")
    write_coco(np.zeros_like(LABELS), tile(), tmp_path / "a.json", MAPS)
    write_label_geotiff(np.zeros_like(LABELS), tile(), tmp_path / "a.tif")
    assert json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))["features"] == []
    for found in (geopandas.read_file(tmp_path / "a.gpkg"), geopandas.read_parquet(tmp_path / "a.parquet")):
        assert len(found) == 0
        assert found.crs == VEGAS.crs
        assert list(found.columns) == list(empty.columns)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["annotations"] == []
    assert not tifffile.imread(tmp_path / "a.tif").any()


@pytest.mark.parametrize("where", [VEGAS, UTM, TURNED, Georeference((1, 0, 5, 0, 1, 6)), Georeference((2, 0, 5, 0, -2, 6))])
@pytest.mark.parametrize(("largest", "dtype"), [(30, np.uint8), (256, np.uint16), (70000, np.uint32)])
@pytest.mark.filterwarnings("ignore:tile .* has no CRS")
def test_label_geotiffs_keep_labels_and_place(tmp_path, where, largest, dtype):
    labels = np.where(LABELS == 30, largest, LABELS)
    write_label_geotiff(labels, tile(where), tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].dtype == dtype
        np.testing.assert_array_equal(file.asarray(), labels)
    assert place_in(tmp_path / "a.tif") == where


def test_labels_without_a_place_give_a_plain_tiff(tmp_path):
    with pytest.warns(UserWarning, match="has no georeference"):
        write_label_geotiff(LABELS, tile(None), tmp_path / "a.tif")
    assert place_in(tmp_path / "a.tif") is None


@pytest.mark.parametrize("where", [VEGAS, UTM, TURNED, None])
def test_bands_are_read_back_as_a_tile(tmp_path, where):
    bands = np.random.default_rng(0).integers(0, 2048, (40, 50, 3), np.uint16)
    write_geotiff(tmp_path / "a.tif", bands, where)
    found = read_tile(tmp_path / "a.tif")
    np.testing.assert_array_equal(found.rgb, bands)
    assert found.georeference == where


@pytest.mark.parametrize("crs", ["EPSG:2056", "+proj=aeqd +lat_0=3 +lon_0=4 +units=m", "ESRI:102008", "ESRI:54009"])
def test_a_crs_without_an_epsg_code_comes_back(tmp_path, crs):
    write_label_geotiff(LABELS, tile(Georeference(UTM.transform, crs)), tmp_path / "a.tif")
    with rasterio.open(tmp_path / "a.tif") as file:
        assert file.crs == rasterio.crs.CRS.from_user_input(crs)
        assert tuple(file.transform)[:6] == UTM.transform
    write_geotiff(tmp_path / "b.tif", np.zeros((4, 5, 3), np.uint8), Georeference(UTM.transform, crs))
    assert rasterio.crs.CRS.from_user_input(read_tile(tmp_path / "b.tif").georeference.crs) == file.crs


def test_a_crs_that_gdal_does_not_know_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"crs is 'EPSG:99999', which GDAL does not know\. Pass a code"):
        write_label_geotiff(LABELS, tile(Georeference(UTM.transform, "EPSG:99999")), tmp_path / "a.tif")
    assert not list(tmp_path.iterdir())


def decoded(segmentation):
    """(H, W) bool of COCO's uncompressed run lengths, as pycocotools decodes them."""
    values = np.arange(len(segmentation["counts"])) % 2
    return np.repeat(values, segmentation["counts"]).reshape(segmentation["size"][::-1]).T


def test_what_a_hand_made_is_said_in_every_file(tmp_path):
    mended = to_geodataframe(LABELS, tile(), MAPS, by_hand=(5, 30))
    assert mended.by_hand.tolist() == [False, True, False, True]
    assert list(mended.columns) == [*frame().columns[:-1], "by_hand", "geometry"]
    write_geojson(mended, tmp_path / "a.geojson")
    write_geopackage(mended, tmp_path / "a.gpkg")
    write_geoparquet(mended, tmp_path / "a.parquet")
    read = [geopandas.read_file(tmp_path / "a.geojson"), geopandas.read_file(tmp_path / "a.gpkg")]
    for found in (*read, geopandas.read_parquet(tmp_path / "a.parquet")):
        assert found.by_hand.dtype == bool
        assert found.by_hand.tolist() == [False, True, False, True]
    write_coco(LABELS, tile(), tmp_path / "a.json", MAPS, by_hand=(5, 30))
    record = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert [each["by_hand"] for each in record["annotations"]] == [False, True, False, True]
    for write in (
        lambda: to_geodataframe(LABELS, tile(), by_hand=[7]),
        lambda: write_coco(LABELS, tile(), tmp_path / "b.json", by_hand=[7]),
    ):
        with pytest.raises(ValueError, match=r"by_hand has \[7\], which are no labels here"):
            write()


def test_coco_holds_every_pixel_box_and_score(tmp_path):
    write_coco(LABELS, tile(), tmp_path / "a.json", MAPS)
    record = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert record["images"] == [{"id": 1, "file_name": "AOI_2_Vegas_img7.tif", "width": 50, "height": 40}]
    assert [category["name"] for category in record["categories"]] == ["building"]
    assert [annotation["id"] for annotation in record["annotations"]] == [4, 5, 9, 30]
    for annotation in record["annotations"]:
        mask = annotation["id"] == LABELS
        np.testing.assert_array_equal(decoded(annotation["segmentation"]), mask)
        rows, columns = np.nonzero(mask)
        box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert (annotation["bbox"], annotation["area"], annotation["iscrowd"]) == (box, mask.sum(), 0)
        assert annotation["image_id"] == annotation["category_id"] == 1
        assert annotation["score"] == pytest.approx(MAPS.building[mask].mean(), abs=1e-6)


def test_coco_without_probabilities_has_no_score_and_names_the_file(tmp_path):
    read = tile().replace(files=TileFiles("x", tmp_path / "rgb_img7.tif"))
    write_coco(LABELS, read, tmp_path / "a.json")
    record = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert record["images"][0]["file_name"] == "rgb_img7.tif"
    assert not any("score" in annotation for annotation in record["annotations"])


@pytest.mark.parametrize("name", WRITERS)
def test_folders_on_the_way_are_made(tmp_path, name):
    WRITERS[name](tmp_path / "new" / "folder" / name)
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == [name]


def half_done(*arguments, **options):
    """Stands for a library call that writes to a path: half of it, and then it fails."""
    paths = [argument for argument in arguments if isinstance(argument, Path)]
    if len(paths) == 1:  # os.replace has two
        os.write(os.open(paths[0], os.O_CREAT | os.O_WRONLY), b"half")
    raise OSError("disk full")


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("a.geojson", "pathlib.Path.write_text"),
        ("a.gpkg", "geopandas.GeoDataFrame.to_file"),
        ("a.parquet", "geopandas.GeoDataFrame.to_parquet"),
        ("a.tif", "rasterio.open"),
        ("a.json", "pathlib.Path.write_text"),
        ("a.csv", "pathlib.Path.open"),
        *((name, "os.replace") for name in WRITERS),
    ],
)
def test_a_write_that_fails_midway_leaves_the_old_file(tmp_path, monkeypatch, name, target):
    path = tmp_path / name
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(target, half_done)
        with pytest.raises(OSError, match="disk full"):
            WRITERS[name](path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", WRITERS)
def test_unknown_suffixes_are_refused(tmp_path, name):
    for wrong in ("a.xyz", "a"):
        with pytest.raises(ValueError, match=rf"{wrong} ends in '.*'; name this kind of file \*\."):
            WRITERS[name](tmp_path / wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("writer", [write_geojson, write_geopackage, write_geoparquet])
def test_only_frames_are_taken_for_frames(tmp_path, writer):
    suffix = {"write_geojson": "geojson", "write_geopackage": "gpkg", "write_geoparquet": "parquet"}[writer.__name__]
    with pytest.raises(ValueError, match="frame is ndarray; pass a GeoDataFrame, to_geodataframe"):
        writer(LABELS, tmp_path / f"a.{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("labels", [LABELS[1:], LABELS.astype(float), LABELS - 1])
def test_wrong_labels_are_refused_before_anything_is_written(tmp_path, labels):
    with pytest.raises(ValueError, match=r"labels are .*; they must be \(40, 50\) whole numbers"):
        write_label_geotiff(labels, tile(), tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"labels are .*; they must be \(40, 50\) whole numbers"):
        write_coco(labels, tile(), tmp_path / "a.json")
    with pytest.raises(ValueError, match=r"probabilities are \(4, 4\)"):
        write_coco(LABELS, tile(), tmp_path / "a.json", Probabilities(np.ones((4, 4)), np.ones((4, 4))))
    assert not list(tmp_path.iterdir())


ISLANDS = np.zeros((40, 50), np.int32)
ISLANDS[4:36, 8:40] = 1
ISLANDS[14:24, 12:34] = 0  # a courtyard, across the line as well
ISLANDS[4:12, 1:6] = 2
ISLANDS[4:12, 44:49] = 3


@pytest.mark.parametrize(
    "where",
    [
        Georeference((0.01, 0, 179.75, 0, -0.01, -16.8), "EPSG:4326"),
        Georeference((0.01, 0, -180.25, 0, -0.01, -16.8), "EPSG:4326"),
        Georeference((1000, 0, 794000, 0, -1000, 8140173), "EPSG:32760"),
    ],
)
@pytest.mark.parametrize("outline", ["pixels", "square"])
def test_geojson_is_cut_at_the_antimeridian(tmp_path, where, outline):
    there = to_geodataframe(ISLANDS, tile(where), outline=outline)
    write_geojson(there, tmp_path / "a.geojson")
    found = geopandas.read_file(tmp_path / "a.geojson")
    assert found.is_valid.all()
    assert found.geom_type.tolist() == ["MultiPolygon", "Polygon", "Polygon"]
    west, _, east, _ = found.explode().bounds.values.T
    assert ((east - west < 1) & (east <= 180) & (west >= -180)).all()
    assert set(np.sign(west)) == {1, -1}
    unrolled, expected = (
        shapely.transform(shapes.geometry.values, lambda points: np.stack([points[:, 0] % 360, points[:, 1]], axis=1))
        for shapes in (found, there.to_crs("EPSG:4326"))
    )
    np.testing.assert_allclose(shapely.area(unrolled), shapely.area(expected), rtol=1e-4)
    np.testing.assert_allclose(shapely.bounds(unrolled), shapely.bounds(expected), atol=1e-6)
    assert shapely.contains(shapely.buffer(expected, 1e-6), unrolled).all()


def test_what_ends_at_the_antimeridian_is_not_cut(tmp_path):
    labels = np.zeros((40, 50), int)
    labels[3:9, 20:25] = 1
    labels[3:9, 30:40] = 2
    write_geojson(
        to_geodataframe(labels, tile(Georeference((0.01, 0, 179.75, 0, -0.01, 6), "EPSG:4326"))), tmp_path / "a.geojson"
    )
    found = geopandas.read_file(tmp_path / "a.geojson")
    np.testing.assert_allclose(found.bounds.values, [[179.95, 5.91, 180, 5.97], [-179.95, 5.91, -179.85, 5.97]])


def test_a_building_site_without_a_place_keeps_its_positions(tmp_path):
    site = 'LOCAL_CS["building site",LOCAL_DATUM["site",0],UNIT["metre",1],AXIS["east",EAST],AXIS["north",NORTH]]'
    with pytest.warns(UserWarning, match="has no place on the Earth"):
        there = frame(Georeference((0.3, 0, 5, 0, -0.3, 40), site))
    with pytest.warns(UserWarning, match=r"no place on the Earth by its CRS: .*a\.geojson gets its positions as they are"):
        write_geojson(there, tmp_path / "a.geojson")
    found = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))["features"]
    bounds = [shapely.geometry.shape(feature["geometry"]).bounds for feature in found]
    np.testing.assert_allclose(bounds, there.bounds.values)

"""Footprints: strangers' files are read as GDAL shows them, or refused quickly, by name, rule and remedy."""

import json
import time

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from rasterio.features import rasterize

from tnv2 import Georeference, rasterise, read_challenge_csv, read_footprints
from tnv2.tiles import truth_of

SQUARE = np.array([(0, 0), (650, 0), (650, 650), (0, 650)], float)


PLACES = st.floats(-9, 29, width=32, allow_subnormal=False)  # nearer to 0, shapely divides by it


@settings(deadline=None, max_examples=60)
@given(st.lists(arrays.arrays(float, st.tuples(st.integers(1, 9), st.just(2)), elements=PLACES), max_size=3))
def test_pixels_are_those_whose_centres_an_odd_number_of_rings_is_around(rings):
    """Shapely says of each ring's triangles from a fan, whose even-odd sum is the ring, which hold a centre."""
    centres = np.stack(np.meshgrid(np.arange(20) + 0.5, np.arange(20) + 0.5), axis=-1).reshape(-1, 2)
    odd, near = np.zeros(400, int), np.zeros(400, bool)
    for ring in rings:
        for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            triangle = shapely.Polygon([ring[0], a, b])
            odd += shapely.contains_xy(triangle, *centres.T)
            near |= shapely.dwithin(triangle.exterior, shapely.points(centres), 1e-6)  # either answer is right there
    labels = rasterise([rings], (20, 20)) if rings else np.zeros((20, 20), int)
    np.testing.assert_array_equal((labels.ravel() > 0)[~near], (odd % 2 > 0)[~near])


def test_neighbours_that_share_a_wall_share_no_pixel_and_leave_none_out():
    rows = np.arange(5) + 0.5  # walls through the centres of pixels
    squares = [[np.array([(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)])] for y in rows for x in rows]
    labels = rasterise(squares, (7, 7))
    assert np.bincount(labels.ravel())[1:].tolist() == [1] * 25


def test_a_building_with_a_hundred_thousand_corners_takes_no_minutes():
    angle = np.linspace(0, 2 * np.pi, 100_000, endpoint=False)
    radius = 300 + np.random.default_rng(0).uniform(-1, 1, len(angle))
    ring = 325 + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    start = time.process_time()
    area = (rasterise([[ring]], (650, 650)) > 0).sum()
    assert time.process_time() - start < 5
    assert abs(area / (np.pi * 300**2) - 1) < 0.01


@pytest.mark.parametrize(
    ("buildings", "message"),
    [
        ([[SQUARE]] * 100_000, "cover the tile .* more than 16 times"),
        ([[SQUARE / 100]] * 100_000, "cover the tile .* more than 16 times"),
        ([[np.tile([(0, -1e8), (650, 1e8)], (60_000, 1))]], "corners times rows of pixels .*: 78000000; 67108864 can be"),
        ([[SQUARE * 1e300]], "more than 1e\\+09 pixels away"),
        ([[SQUARE * np.nan]], "not finite"),
    ],
)
def test_footprints_that_would_take_minutes_are_refused(buildings, message):
    start = time.process_time()
    with pytest.raises(ValueError, match=message):
        rasterise(buildings, (650, 650))
    assert time.process_time() - start < 5


def geojson(coordinates):
    return {"features": [{"geometry": {"type": "Polygon", "coordinates": coordinates}}]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.geojson", "[" * 100_000 + "]" * 100_000),
        ("a.geojson", '{"features":[{"geometry":' + '{"type":"GeometryCollection","geometries":[' * 100_000),
        ("a.geojson", json.dumps(geojson([[(int("9" * 400), 2), (3, 4), (5, 6)]]))),
        ("a.geojson", json.dumps(geojson([[[1], [2], [3]]]))),
        ("a.geojson", json.dumps({"features": [{"geometry": {"type": "x" * 100_000}}]})),
        ("a.geojson", json.dumps(geojson([[(1e308, 2), (3, 4), (5, 6)]]))),
        ("a.csv", 'ImageId,PolygonWKT_Pix\nimg1,"POLYGON ((0 0, 1e999 0, 1 1, 0 0))"'),
        ("a.csv", "ImageId,PolygonWKT_Pix\nimg1," + "GEOMETRYCOLLECTION(" * 100_000 + "POINT(1 1)" + ")" * 100_000),
        ("a.csv", "PolygonWKT_Pix,Confidence,ImageId\nPOLYGON EMPTY\n"),
    ],
    ids=lambda text: text[:40].replace(" ", "") if len(text) > 10 else "",
)
def test_files_that_would_break_a_parser_are_refused_briefly(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=rf"{name} cannot be read as footprints .* is needed") as caught:
        read_footprints(tmp_path / name, name="img1")
    assert len(str(caught.value)) < 1000


CENTRES = np.stack(np.meshgrid(np.arange(20) + 0.5, np.arange(20) + 0.5), axis=-1).reshape(-1, 2)
PARTS = st.lists(
    st.lists(arrays.arrays(float, st.tuples(st.integers(3, 7), st.just(2)), elements=PLACES), min_size=1, max_size=2),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=60)
@given(PARTS, st.sampled_from(("MultiPolygon", "GeometryCollection", "csv")))
def test_parts_add_up_as_gdal_fills_them_one_by_one(tmp_path_factory, parts, kind):
    coordinates = [[[*ring.tolist(), ring[0].tolist()] for ring in part] for part in parts]
    polygons = [{"type": "Polygon", "coordinates": part} for part in coordinates]
    path = tmp_path_factory.getbasetemp() / ("parts.csv" if kind == "csv" else "parts.geojson")
    if kind == "csv":
        text = shapely.to_wkt(shapely.geometry.shape({"type": "MultiPolygon", "coordinates": coordinates}), -1)
        path.write_text(f'ImageId,PolygonWKT_Pix\nimg1,"{text}"\n')
    else:
        multi = {"type": "MultiPolygon", "coordinates": coordinates}
        collection = {"type": "GeometryCollection", "geometries": [{"type": "GeometryCollection", "geometries": polygons}]}
        path.write_text(json.dumps({"features": [{"geometry": multi if kind == "MultiPolygon" else collection}]}))
    labels = rasterise(read_footprints(path, name="img1"), (20, 20))
    wanted = np.zeros((20, 20), bool)
    for polygon in polygons:
        wanted |= rasterize([polygon], (20, 20)) > 0
    near = np.zeros(400, bool)  # to a wall: either answer is right there
    for polygon in polygons:
        for ring in polygon["coordinates"]:
            near |= shapely.dwithin(shapely.LineString(ring), shapely.points(CENTRES), 1e-5)
    np.testing.assert_array_equal((labels > 0).ravel()[~near], wanted.ravel()[~near])


def square(x, y, size):
    return [(x, y), (x + size, y), (x + size, y + size), (x, y + size), (x, y)]


def written(path, *geometries, **members):
    path.write_text(json.dumps({"features": [{"geometry": geometry} for geometry in geometries], **members}))
    return path


BOX = {"type": "Polygon", "coordinates": [square(2, 3, 5)]}
LINE = {"type": "LineString", "coordinates": square(2, 3, 5)}
POINT = {"type": "Point", "coordinates": (2, 3)}


def test_a_hole_stays_a_hole_until_another_part_fills_it(tmp_path):
    court, filling, apart = [square(1, 1, 8), square(3, 3, 4)], [square(5, 2, 6)], [square(13, 13, 3)]
    for parts in ([court], [court, apart], [court, filling], [court, filling, apart], [court, court]):
        path = written(tmp_path / "a.geojson", {"type": "MultiPolygon", "coordinates": parts})
        whole = shapely.union_all([shapely.Polygon(part[0], part[1:]) for part in parts])
        assert (rasterise(read_footprints(path), (20, 20)) > 0).sum() == whole.area


def test_parts_that_cross_each_other_endlessly_are_refused_soon(tmp_path):
    star = np.random.default_rng(0).uniform(0, 650, (3000, 2)).tolist()
    for parts in ([[star], [square(0, 0, 650)]], [[square(0, 0, 650)]] * 20_000):
        path = written(tmp_path / "a.geojson", {"type": "MultiPolygon", "coordinates": parts})
        start = time.process_time()
        with pytest.raises(ValueError, match=r"a\.geojson cannot be read .* parts meet more than \d+ times"):
            read_footprints(path)
        assert time.process_time() - start < 5


def test_what_has_no_area_is_left_out_with_one_warning(tmp_path):
    empty, nothing = {"type": "MultiPolygon", "coordinates": []}, {"type": "GeometryCollection", "geometries": []}
    mixed = {"type": "GeometryCollection", "geometries": [POINT, BOX, LINE]}
    path = written(tmp_path / "a.geojson", LINE, mixed, empty, None, nothing, BOX)
    with pytest.warns(UserWarning, match="no area") as told:
        buildings = read_footprints(path)
    (message,) = (str(each.message) for each in told)
    assert f"{path}: left out is what has no area" in message
    assert "(2 LineString, 1 Point, 1 empty MultiPolygon, 1 null, 1 empty GeometryCollection)" in message
    assert [len(rings) for rings in buildings] == [1, 1]
    with pytest.warns(UserWarning, match="1 null"):
        assert read_footprints(written(path, None)) == []


def test_a_line_among_a_csv_s_polygons_is_left_out_with_one_warning(tmp_path):
    line, box = (f'img1,"{shapely.geometry.shape(shape).wkt}"\n' for shape in (LINE, BOX))
    (tmp_path / "a.csv").write_text(f"ImageId,PolygonWKT_Pix\n{line}{box}{line}img2,POLYGON EMPTY\n")
    for read in (lambda: read_footprints(tmp_path / "a.csv", name="img1"), lambda: read_challenge_csv(tmp_path / "a.csv")):
        with pytest.warns(UserWarning, match="no area") as told:
            found = read()
        assert len(told) == 1
        assert "2 LineString" in str(told[0].message)
    assert (found["img1"].sum(), found["img2"].sum()) == (25, 0)


def test_nothing_but_lines_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text('ImageId,PolygonWKT_Pix\nimg1,"LINESTRING (0 0, 9 9)"\n')
    for path, what in (
        (written(tmp_path / "a.geojson", LINE, POINT), "1 LineString, 1 Point"),
        (tmp_path / "a.csv", "1 Line"),
    ):
        with pytest.raises(
            ValueError, match=f"{path.name} cannot be read .* no polygon; what it has is without area: {what}"
        ):
            read_footprints(path, name="img1")


@pytest.mark.parametrize(
    ("x", "y", "size", "lies"),
    [(3, 4, 0.3, True), (-50, -50, 200, True), (19.8, 4, 5, True), (20, 4, 5, False), (-5 + 1e-7, 4, 5, False)],
)
def test_footprints_lie_on_a_tile_or_beside_it(tmp_path, x, y, size, lies):
    """Walls on the tile's edge, and less than a hundredth of a pixel over it, are those of a neighbour."""
    path = written(tmp_path / "a.geojson", {"type": "Polygon", "coordinates": [square(x, y, size)]})
    if lies:
        truth = truth_of(path, None, "img1", (20, 20))
        assert (truth.shape, truth.dtype, truth.any()) == ((20, 20), np.int32, size > 100)
    else:
        with pytest.raises(ValueError, match=r"a\.geojson has 1 footprints and none lies on img1\. Pass the file"):
            truth_of(path, None, "img1", (20, 20))


UTM = Georeference((0.5, 0, 500_100, 0, -0.5, 4_649_800), "EPSG:32633")
SHAPES = [
    shapely.Polygon(square(500_110, 4_649_780, 10), [square(500_113, 4_649_783, 2)]),
    shapely.MultiPolygon(
        [shapely.box(500_130, 4_649_760, 500_135, 4_649_770), shapely.box(500_140, 4_649_760, 500_141, 4_649_761)]
    ),
]
AREAS = [4 * 96, 4 * 51]  # px of 0.25 m2


@pytest.mark.parametrize("ending", ["gpkg", "fgb", "shp", "parquet", "geoparquet"])
@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", "EPSG:3857"])
def test_tables_are_read_in_their_own_coordinate_system(tmp_path, ending, crs):
    frame = geopandas.GeoDataFrame({"n": [1, 2]}, geometry=SHAPES, crs=UTM.crs).to_crs(crs)
    path = tmp_path / f"H\u00e4user.{ending}"
    frame.to_parquet(path) if "parquet" in ending else frame.to_file(path)
    before = sorted(tmp_path.iterdir())
    labels = truth_of(path, UTM, "img1", (100, 100))
    assert sorted(np.bincount(labels.ravel())[1:]) == sorted(AREAS)  # FlatGeobuf has an order of its own
    assert sorted(tmp_path.iterdir()) == before


def test_tables_that_leave_a_doubt_are_refused(tmp_path):
    frame = geopandas.GeoDataFrame(geometry=SHAPES, crs=UTM.crs)
    frame.to_file(tmp_path / "two.gpkg", layer="a")
    frame.to_file(tmp_path / "two.gpkg", layer="b")
    frame.to_crs("EPSG:4326").set_crs(None, allow_override=True).to_parquet(tmp_path / "nowhere.parquet")
    (tmp_path / "junk.fgb").write_bytes(b"fgb" * 9)
    (tmp_path / "junk.parquet").write_bytes(b"PAR1" * 9)
    for name, message in (
        ("two.gpkg", "has 2 layers with geometry, a, b; save one alone"),
        ("nowhere.parquet", "names no coordinate system, and the tile has one"),
        ("junk.fgb", ""),
        ("junk.parquet", ""),
    ):
        with pytest.raises(ValueError, match=f"{name} cannot be read as footprints .*{message}.* is needed"):
            read_footprints(tmp_path / name, UTM)

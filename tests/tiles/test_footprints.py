"""Footprints: strangers' files are read or refused quickly, in little memory, by name, rule and remedy."""

import json
import time

import numpy as np
import pytest
import shapely
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays

from tnv2 import rasterise, read_footprints

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
    start = time.perf_counter()
    area = (rasterise([[ring]], (650, 650)) > 0).sum()
    assert time.perf_counter() - start < 5
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
    start = time.perf_counter()
    with pytest.raises(ValueError, match=message):
        rasterise(buildings, (650, 650))
    assert time.perf_counter() - start < 5


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

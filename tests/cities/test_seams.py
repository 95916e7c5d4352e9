"""Seams: what borders between tiles cut is joined as it would have been labelled in one piece."""

from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings, strategies as st

from tnv2.cities.seams import cut_pairs, find_seams, hang_together, union
from tnv2.polygons.outlines import outlines
from tnv2.polygons.vectors import to_geodataframe
from tnv2.tiles.georeference import Georeference
from tnv2.tiles.tiles import Tile

VEGAS = Georeference((2.7e-6, 0, -115.3, 0, -2.7e-6, 36.2), "EPSG:4326")
TURNED = Georeference((0.3, 0.02, 665000, 0.02, -0.3, 4007000), "EPSG:32611")
SIZE = 12  # px of a tile's side


def part(where, row, column, shift=(0, 0)):
    """The georeference of a part whose upper left pixel is at (row, column), and off by ``shift`` (columns, rows)."""
    a, b, _, d, e, _ = where.transform
    c, f = where.to_world([(column + shift[0], row + shift[1])])[0]
    return Georeference((a, b, c, d, e, f), where.crs)


def cut_up(labels, where, shifts=((0, 0),) * 4):
    """Sheets of the four quarters of (2 SIZE, 2 SIZE) labels and a frame of each, its own labels from 1."""
    sheets, frames = [], []
    for k, (row, column) in enumerate([(0, 0), (0, SIZE), (SIZE, 0), (SIZE, SIZE)]):
        square = labels[row : row + SIZE, column : column + SIZE]
        tile = Tile(np.zeros((SIZE, SIZE, 3), np.uint8), georeference=part(where, row, column, shifts[k]))
        sheets.append(SimpleNamespace(georeference=tile.georeference, shape=tile.shape))
        frames.append(to_geodataframe(square, tile).set_index("label"))
    return sheets, frames


def joined(sheets, frames):
    """All buildings, in no order."""
    seams = {(seam.first, seam.second): seam for seam in find_seams(sheets)}
    pairs = [
        ((first, a), (second, b))
        for (first, second), seam in seams.items()
        for a, b in cut_pairs(frames[first], frames[second], sheets[first].georeference, seam)
    ]
    groups = hang_together(pairs)
    whole = [union({key: frames[key[0]].geometry[key[1]] for key in group}, sheets, seams) for group in groups]
    cut = {key for group in groups for key in group}
    alone = [frame.geometry[label] for k, frame in enumerate(frames) for label in frame.index if (k, label) not in cut]
    return whole + alone


def as_one(labels):
    """The labels after instances that share a pixel's edge across the middle are one; by a graph over label numbers."""
    middle = labels.shape[0] // 2
    graph = np.eye(labels.max() + 1, dtype=int)
    for a, b in ((labels[middle - 1], labels[middle]), (labels[:, middle - 1], labels[:, middle])):
        both = (a > 0) & (b > 0)
        graph[a[both], b[both]] = graph[b[both], a[both]] = 1
    for _ in graph:
        graph = np.minimum(graph @ graph, 1)
    return np.where(labels > 0, graph.argmax(axis=1)[labels], 0)


def assert_same_polygons(found, expected, tolerance):
    """Two lists hold the same polygons in some order, each within ``tolerance`` px2 of its twin."""
    assert len(found) == len(expected)
    for shape in found:
        assert shape.is_valid
        assert min(shapely.area(shapely.symmetric_difference(shape, expected))) <= tolerance


@st.composite
def scenes(draw):
    """(2 SIZE, 2 SIZE) labels of a few rectangles, each cut into one label a quarter."""
    labels = np.zeros((2 * SIZE, 2 * SIZE), np.int32)
    corner = st.integers(0, 2 * SIZE - 1)
    for number in range(1, 1 + draw(st.integers(0, 4))):
        (top, bottom), (left, right) = (sorted((draw(corner), draw(corner))) for _ in range(2))
        labels[top : bottom + 1, left : right + 1] = number
    return labels


def by_quarter(labels):
    """Labels that no two quarters share, 1 to N."""
    quarter = 2 * (np.arange(2 * SIZE)[:, None] >= SIZE) + (np.arange(2 * SIZE) >= SIZE)
    _, numbers = np.unique(np.where(labels > 0, labels * 4 + quarter, 0), return_inverse=True)
    return numbers.reshape(labels.shape) + int((labels > 0).all())


@pytest.mark.parametrize("where", [VEGAS, TURNED], ids=["degrees", "turned"])
@settings(deadline=None, max_examples=60)
@given(scenes())
def test_cut_instances_become_what_one_label_image_would_have(where, labels):
    labels = by_quarter(labels)
    found = [shapely.transform(shape, where.to_pixels) for shape in joined(*cut_up(labels, where))]
    numbers, index = np.unique(as_one(labels), return_inverse=True)
    expected = outlines(index.reshape(labels.shape) + int(numbers[0] > 0))
    assert_same_polygons(found, expected, 1e-3)


def test_a_square_over_four_tiles_has_four_corners_again():
    labels = np.zeros((2 * SIZE, 2 * SIZE), np.int32)
    labels[6:20, 5:17] = 1
    [square] = joined(*cut_up(labels, VEGAS))
    assert len(square.exterior.coords) == 5
    np.testing.assert_allclose(VEGAS.to_pixels([square.bounds[:2], square.bounds[2:]]), [(5, 20), (17, 6)], atol=2e-3)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(*[st.floats(-0.24, 0.24)] * 2), min_size=4, max_size=4))
def test_sides_within_half_a_pixel_leave_neither_gap_nor_sliver(shifts):
    labels = np.zeros((2 * SIZE, 2 * SIZE), np.int32)
    labels[6:20, 5:17] = 1
    [square] = joined(*cut_up(labels, VEGAS, shifts))
    assert square.geom_type == "Polygon"
    assert square.is_valid
    pixels = shapely.transform(square, VEGAS.to_pixels)
    assert shapely.hausdorff_distance(pixels.exterior, shapely.box(5, 6, 17, 20).exterior) < 0.5
    assert sum(shapely.Polygon(hole).area for hole in pixels.interiors) < 0.25


def test_who_is_adjacent():
    def found(*shifts):
        sheets = [SimpleNamespace(georeference=part(VEGAS, *place), shape=(SIZE, SIZE)) for place in shifts]
        return [(seam.first, seam.second, seam.axis) for seam in find_seams(sheets)]

    assert found((0, 0), (0, SIZE)) == [(0, 1, 0)]
    assert found((0, SIZE), (0, 0)) == [(0, 1, 0)]
    assert found((0, 0), (SIZE, 3)) == [(0, 1, 1)]
    assert found((0, 0), (0.2, SIZE + 0.4)) == [(0, 1, 0)]
    assert found((0, 0), (0, SIZE + 0.6)) == []  # too far
    assert found((0, 0), (0, SIZE - 0.6)) == []  # they overlap
    assert found((0, 0), (SIZE, SIZE)) == []  # a corner
    assert found((0, 0), (0, 0)) == []  # the same place
    assert found((0, 0)) == found() == []


def test_a_tile_turned_against_another_is_no_neighbour():
    a, _, c, _, e, f = part(VEGAS, 0, SIZE).transform
    turned = Georeference((a, 0.1 * a, c, 0.1 * a, e, f), VEGAS.crs)
    sheets = [SimpleNamespace(georeference=where, shape=(SIZE, SIZE)) for where in (VEGAS, turned)]
    assert find_seams(sheets) == []

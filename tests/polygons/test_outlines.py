"""Outlines: polygons are the pixels, exactly; simplified ones keep their area, their parts and their distance."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from tnv2 import rasterise
from tnv2.polygons.outlines import outlines
from tnv2.polygons.simple import simplified
from tnv2.polygons.vectors import numbered

SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)
IMAGES = arrays.arrays(np.int64, SHAPES, elements=st.integers(0, 3)).map(lambda labels: numbered(labels)[1])
SKEWED = np.array([[0.26, 0.02], [0.01, -0.30]])


def blobs(seed, size=60):
    """Label images with wavy outlines, holes and long shared walls."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((size, size)), 3)
    return numbered((field * 30).astype(int).clip(0))[1]


def rings(shape):
    return [np.array(ring.coords) for part in shapely.get_parts(shape) for ring in (part.exterior, *part.interiors)]


def areas(index):
    return np.bincount(index.ravel())[1:]


def assert_parted(shapes):
    """All are valid and no two share ground."""
    assert shapely.is_valid(shapes).all()
    np.testing.assert_allclose(shapely.area(shapely.union_all(shapes)), shapely.area(shapes).sum(), rtol=1e-9)


@settings(deadline=None, max_examples=60)
@given(IMAGES)
def test_outlines_hold_the_pixels_and_nothing_else(index):
    shapes = outlines(index)
    assert_parted(shapes)
    np.testing.assert_allclose(shapely.area(shapes), areas(index))
    rows, columns = np.mgrid[: index.shape[0], : index.shape[1]] + 0.5
    for number, shape in enumerate(shapes, 1):
        np.testing.assert_array_equal(shapely.contains_xy(shape, columns, rows), index == number)
    np.testing.assert_array_equal(rasterise([rings(shape) for shape in shapes], index.shape), index)


@settings(deadline=None, max_examples=60)
@given(IMAGES)
def test_parts_and_holes_are_those_of_the_pixels(index):
    """Pixels of a part share edges; what a part leaves out inside hangs together by corners."""
    for number, shape in enumerate(outlines(index), 1):
        parts = ndimage.label(index == number)[1]
        assert shapely.get_num_geometries(shape) == parts
        assert shape.geom_type == ("Polygon" if parts == 1 else "MultiPolygon")
        for part in shapely.get_parts(shape):
            column, row = np.floor(shapely.get_coordinates(part.point_on_surface())[0]).astype(int)
            inside = ndimage.label(index == number)[0]
            outside = np.pad(inside != inside[row, column], 1, constant_values=True)
            pockets = ndimage.label(outside)[1] - 1
            assert len(part.interiors) == pockets


@settings(deadline=None, max_examples=30)
@given(IMAGES)
def test_outlines_bend_where_pixels_do_and_only_there(index):
    """Apart from corners there are only meetings of three or more pieces in the outlines."""
    for shape in outlines(index):
        for ring in rings(shape):
            before, after = np.diff(ring[:-1], axis=0, prepend=ring[-2:-1]), np.diff(ring, axis=0)
            assert not (before * after).any(axis=1)[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]].any()
            for column, row in ring[:-1][before[:, 0] * after[:, 1] == before[:, 1] * after[:, 0]].astype(int):
                around = np.pad(index, 1)[row : row + 2, column : column + 2]
                assert len(np.unique(around)) > 2


@pytest.mark.parametrize("tolerance", [0.1, 0.4, 1.5, 20])
@pytest.mark.parametrize("seed", range(3))
def test_simplified_outlines_keep_area_and_distance_and_stay_apart(seed, tolerance):
    index = blobs(seed)
    exact, simple = outlines(index), simplified(index, tolerance, SKEWED)[0]
    assert_parted(simple)
    assert shapely.coverage_is_valid(simple)  # shared walls are shared corner for corner
    every = simplified(index, 1e-9, SKEWED)[0]  # which also has a corner where more than two meet
    assert shapely.get_num_coordinates(simple).sum() <= shapely.get_num_coordinates(every).sum()
    np.testing.assert_allclose(shapely.area(simple), areas(index), rtol=0.02 + 1e-9)
    np.testing.assert_array_equal(shapely.get_num_geometries(simple), shapely.get_num_geometries(exact))
    before, after = (shapely.transform(shapely.boundary(shapes), lambda xy: xy @ SKEWED.T) for shapes in (exact, simple))
    assert (shapely.hausdorff_distance(before, after, densify=0.1) <= tolerance + 1e-6).all()


@settings(deadline=None, max_examples=40)
@given(IMAGES, st.floats(0.1, 5))
def test_any_image_can_be_simplified(index, tolerance):
    simple = simplified(index, tolerance, np.eye(2))[0]
    assert_parted(simple)
    np.testing.assert_allclose(shapely.area(simple), areas(index), rtol=0.02 + 1e-9)


def test_stairs_become_a_slope():
    """... which is within 2 % of a triangle's area where that has 80 steps, and not where it has 10."""
    stairs = 1 + np.tril(np.ones((80, 80), int))
    simple = simplified(stairs, 1.0, np.eye(2))[0]
    assert shapely.get_num_coordinates(simple).max() < 10
    assert shapely.coverage_is_valid(simple)
    assert shapely.get_num_coordinates(simplified(stairs[:10, :10], 1.0, np.eye(2))[0]).max() > 10


def test_no_instances_give_no_outlines():
    assert outlines(np.zeros((3, 4), int)).shape == (0,)
    assert simplified(np.zeros((3, 4), int), 1, np.eye(2))[0].shape == (0,)

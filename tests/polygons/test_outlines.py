"""Outlines: polygons are the pixels, exactly; simplified ones keep their area, their parts and their distance."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from tnv2 import label_instances, load_model, rasterise
from tnv2.polygons.outlines import outlines
from tnv2.polygons.simple import simplified
from tnv2.polygons.squares import squared
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


@pytest.mark.parametrize("tolerance", [3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_walls_on_either_side_of_a_crooked_lane_do_not_run_into_each_other(seed, tolerance):
    """They share no wall, and each keeps its area, so that nothing but this rule parts them."""
    steps = np.random.default_rng(seed).integers(-3, 4, 60).cumsum() // 3
    lane, columns = 30 + steps.clip(-12, 12)[:, None], np.arange(60)
    index = np.where(columns < lane, 1, np.where(columns > lane + 1, 2, 0))
    simple, kinds = simplified(index, tolerance, np.eye(2))
    assert_parted(simple)
    assert set(kinds) == {"simple"}
    assert shapely.get_num_coordinates(simple).max() < 20


def test_stairs_become_a_slope():
    """... which is within 2 % of a triangle's area where that has 80 steps, and not where it has 10."""
    stairs = 1 + np.tril(np.ones((80, 80), int))
    simple = simplified(stairs, 1.0, np.eye(2))[0]
    assert shapely.get_num_coordinates(simple).max() < 10
    assert shapely.coverage_is_valid(simple)
    assert shapely.get_num_coordinates(simplified(stairs[:10, :10], 1.0, np.eye(2))[0]).max() > 10


def turned(corners, degrees, place):
    """Corners turned about (0, 0) and moved to a place."""
    angle = np.radians(degrees)
    return np.array(corners) @ [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]] + place


def angles(shape):
    """Degrees between successive walls of a polygon, 0 to 180."""
    steps = [np.diff(ring, axis=0) @ (1, 1j) for ring in rings(shape)]
    return np.concatenate([np.abs(np.degrees(np.angle(np.roll(step, -1) / step))) for step in steps])


def as_a_network_sees(index, blur=2):
    """The same instances with their corners rounded."""
    fields = [ndimage.gaussian_filter((index == number).astype(float), blur) for number in range(index.max() + 1)]
    return np.argmax(fields, axis=0)


HOUSE = [(0, 0), (50, 0), (50, 24), (26, 24), (26, 50), (0, 50)]


@pytest.mark.parametrize("degrees", [0, 10, 27, 45, 63, 80])
@pytest.mark.parametrize("seen", [lambda index: index, as_a_network_sees])
def test_a_house_gets_its_right_angles_back(degrees, seen):
    drawn = turned(HOUSE, degrees, (60, 20))
    (shape,), (kind,) = squared(seen(rasterise([[drawn]], (120, 120))), 1.5, np.eye(2))
    house = shapely.Polygon(drawn)
    assert kind == "square"
    np.testing.assert_allclose(angles(shape), 90, atol=1e-6)
    assert len(angles(shape)) == len(HOUSE)
    assert shape.intersection(house).area / shape.union(house).area > 0.95


def test_right_angles_are_those_on_the_ground():
    """... on pixels that are higher than wide, too."""
    wide = np.diag([0.2, -0.3])
    drawn = turned(np.multiply(HOUSE, 0.2), 27, (15, 10)) @ np.linalg.inv(wide).T + (0, 80)
    (shape,), (kind,) = squared(rasterise([[drawn]], (90, 140)), 0.4, wide)
    assert kind == "square"
    np.testing.assert_allclose(angles(shapely.transform(shape, lambda points: points @ wide.T)), 90, atol=1e-6)


def test_round_roofs_stay_round_and_cut_corners_cut():
    ring = 25 * np.exp(1j * np.linspace(0, 2 * np.pi, 80)[:-1])
    cut = turned([(0, 0), (30, 0), (50, 20), (50, 50), (0, 50)], 12, (80, 10))
    index = rasterise([[np.stack([ring.real, ring.imag], axis=1) + 40], [cut]], (80, 140))
    shapes, kinds = squared(index, 1.5, np.eye(2))
    assert kinds.tolist() == ["simple", "square"]
    assert shapes[0].equals(simplified(index, 1.5, np.eye(2))[0][0])
    np.testing.assert_allclose(sorted(angles(shapes[1])), [45, 45, 90, 90, 90], atol=3)


def test_houses_wall_to_wall_share_walls_and_a_front():
    terrace = [(0, 0), (24, 0), (24, 34), (0, 34)]
    index = as_a_network_sees(
        rasterise([[turned(np.add(terrace, (x, 0)), 17, (20, 10))] for x in range(0, 96, 24)], (90, 130))
    )
    shapes, kinds = squared(index, 1.5, np.eye(2))
    assert set(kinds) == {"square"}
    assert shapely.coverage_is_valid(shapes)
    row = shapely.union_all(shapes).simplify(1e-6)
    np.testing.assert_allclose(angles(row), 90, atol=1e-3)
    assert len(angles(row)) == 4  # one front, not a step a house


@settings(deadline=None, max_examples=40)
@given(IMAGES, st.floats(0.1, 5))
def test_any_image_can_be_squared(index, tolerance):
    shapes, kinds = squared(index, tolerance, np.eye(2))
    assert_squared(shapes, kinds, index)


@pytest.mark.parametrize("tolerance", [0.4, 1.5])
@pytest.mark.parametrize("seed", range(3))
def test_squared_outlines_stay_apart_and_near_the_pixels(seed, tolerance):
    index = blobs(seed)
    shapes, kinds = squared(index, tolerance, SKEWED)
    assert_squared(shapes, kinds, index)


def test_real_labels_squared_stay_apart(real_tiles, real_maps):
    thresholds = load_model("mini", device="cpu").thresholds
    for tile, maps in zip(real_tiles, real_maps, strict=True):
        for index in (tile.truth, label_instances(maps, thresholds)):
            shapes, kinds = squared(index, 0.45, tile.georeference.ground(tile.shape))
            assert_squared(shapes, kinds, index)
            assert len(kinds) < 5 or np.mean(kinds == "square") > 0.7


def assert_squared(shapes, kinds, index):
    """All are valid, share walls corner for corner, and those that are square agree with the pixels."""
    assert_parted(shapes)
    assert shapely.coverage_is_valid(shapes)
    exact = outlines(index)
    agree = shapely.area(shapely.intersection(shapes, exact)) / shapely.area(shapely.union(shapes, exact))
    assert (agree[kinds == "square"] >= 0.9).all()
    assert set(kinds) <= {"square", "simple", "pixels"}


def test_no_instances_give_no_outlines():
    assert outlines(np.zeros((3, 4), int)).shape == (0,)
    assert simplified(np.zeros((3, 4), int), 1, np.eye(2))[0].shape == (0,)
    assert [len(each) for each in squared(np.zeros((3, 4), int), 1, np.eye(2))] == [0, 0]

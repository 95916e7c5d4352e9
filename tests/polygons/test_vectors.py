"""Vectors: a table whose rows are the instances, on the ground where they are, with areas that a surveyor would get."""

import geopandas
import numpy as np
import pytest
import shapely
from matplotlib.path import Path as Outline
from pyproj import Transformer

from tnv2 import Georeference, Probabilities, Tile, rasterise
from tnv2.polygons.vectors import COLUMNS, to_geodataframe

VEGAS = Georeference((2.7e-6, 0, -115.2, 0, -2.7e-6, 36.2), "EPSG:4326")
UTM = Georeference((0.3, 0.02, 665000, 0.01, -0.3, 4007000), "EPSG:32611")
LABELS = np.zeros((40, 50), np.int32)
LABELS[2:20, 3:17] = 9
LABELS[6:10, 6:12] = 0  # a courtyard
LABELS[20:34, 17:30] = 4  # meets 9 at a corner
LABELS[22:30, 30:41] = 5  # shares a wall with 4
LABELS[36:38, 44:46] = LABELS[38:40, 46:48] = 30  # two parts


def tile(georeference=VEGAS, shape=LABELS.shape):
    return Tile(np.zeros((*shape, 3), np.uint8), name="somewhere", georeference=georeference)


def terraces(size=256):
    """(H, W) int32: rows of houses wall to wall, at an angle to the pixels."""
    angle = np.radians(27)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    house = np.array([(0, 0), (30, 0), (30, 22), (12, 22), (12, 40), (0, 40)])
    return rasterise([[np.add(house, (x, y)) @ turn] for x in range(0, 240, 30) for y in range(-60, 200, 60)], (size, size))


def outline_rasterised(shape, where, size):
    """(H, W) bool: the pixels whose centres matplotlib's even-odd test puts inside."""
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    centres = np.stack([columns.ravel(), rows.ravel()], axis=1)
    inside = np.zeros(len(centres), bool)
    for part in shapely.get_parts(shape):
        for ring in (part.exterior, *part.interiors):
            inside ^= Outline(where.to_pixels(ring.coords)).contains_points(centres)
    return inside.reshape(size)


def pixel_rings(shape, where):
    parts = shapely.get_parts(shape)
    return [where.to_pixels(np.array(ring.coords)) for part in parts for ring in (part.exterior, *part.interiors)]


@pytest.mark.parametrize("where", [VEGAS, UTM])
def test_rows_are_the_instances_where_they_are(where):
    frame = to_geodataframe(LABELS, tile(where))
    assert list(frame.columns) == [column for column in COLUMNS if column != "outline"]
    assert frame.crs == where.crs
    assert frame.label.tolist() == [4, 5, 9, 30]
    assert frame.pixels.tolist() == [182, 88, 228, 8]
    assert frame.neighbours.tolist() == [(5, 9), (4,), (4,), ()]
    assert frame.building.isna().all()
    assert frame.geom_type.tolist() == ["Polygon", "Polygon", "Polygon", "MultiPolygon"]
    assert frame.is_valid.all()
    for label, shape in zip(frame.label, frame.geometry, strict=True):
        np.testing.assert_array_equal(outline_rasterised(shape, where, LABELS.shape), label == LABELS)
        assert all(part.exterior.is_ccw for part in shapely.get_parts(shape))


def test_building_is_the_mean_probability():
    building = np.random.default_rng(0).random(LABELS.shape, np.float32)
    frame = to_geodataframe(LABELS, tile(), Probabilities(building, np.zeros(LABELS.shape)))
    expected = [building[label == LABELS].mean() for label in frame.label]
    np.testing.assert_allclose(frame.building, expected, rtol=1e-5)


def test_areas_are_those_of_utm():
    """UTM's scale is off by 0.04 % on its central meridian and right 180 km beside it."""
    frame = to_geodataframe(LABELS, tile())
    np.testing.assert_allclose(frame.area_m2, frame.to_crs("EPSG:32611").area, rtol=2e-3)
    np.testing.assert_allclose(frame.area_m2, frame.pixels * VEGAS.pixel_area(LABELS.shape), rtol=1e-5)
    frame = to_geodataframe(LABELS, tile(UTM))
    np.testing.assert_allclose(frame.area_m2, frame.pixels * 0.0902, rtol=2e-3)


def test_a_pixel_measures_what_it_does_in_utm():
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32611", always_xy=True).transform(*VEGAS.to_world([(0, 0), (650, 650)]).T)
    np.testing.assert_allclose(np.hypot(*(VEGAS.ground((650, 650)) @ (650, 650))), np.hypot(np.ptp(x), np.ptp(y)), rtol=2e-3)
    skewed = UTM.ground((650, 650))
    np.testing.assert_allclose(np.linalg.norm(skewed, axis=0), np.linalg.norm(UTM.matrix[:2, :2], axis=0), rtol=2e-3)


@pytest.mark.parametrize("where", [VEGAS, UTM])
@pytest.mark.parametrize("metres", [0.3, 1.0, 4.0])
def test_simplifying_moves_outlines_by_metres(where, metres):
    truth = terraces()
    exact, simple = (to_geodataframe(truth, tile(where, truth.shape), simplify=by) for by in (0, metres))
    assert simple.is_valid.all()
    assert shapely.get_num_coordinates(simple.geometry).sum() < 0.6 * shapely.get_num_coordinates(exact.geometry).sum()
    np.testing.assert_allclose(simple.area_m2, exact.area_m2, rtol=0.0201)
    before, after = (frame.boundary.to_crs("EPSG:32611").values for frame in (exact, simple))
    assert (shapely.hausdorff_distance(before, after, densify=0.05) <= metres * 1.002).all()
    assert (
        (simple.drop(columns=["geometry", "area_m2"]) == exact.drop(columns=["geometry", "area_m2"]))
        .drop(columns="building")
        .all(axis=None)
    )


def test_a_tile_without_a_place_is_measured_in_pixels_and_says_so():
    with pytest.warns(UserWarning, match=r"tile 'somewhere' has no georeference: positions are in pixels"):
        frame = to_geodataframe(LABELS, tile(None))
    assert frame.crs is None
    assert frame.area_m2.isna().all()
    assert frame.area.tolist() == frame.pixels.tolist()
    assert frame.total_bounds.tolist() == [3, 2, 48, 40]
    with pytest.warns(UserWarning, match=r"has no CRS: positions are in units of its transform"):
        frame = to_geodataframe(LABELS, tile(Georeference(UTM.transform)))
    np.testing.assert_allclose(frame.area, frame.pixels * 0.0902)


def test_no_buildings_give_a_table_of_the_same_kind():
    full, empty = to_geodataframe(LABELS, tile(), simplify=1), to_geodataframe(np.zeros_like(LABELS), tile(), simplify=1)
    assert len(empty) == 0
    assert empty.crs == full.crs
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
    assert isinstance(empty, geopandas.GeoDataFrame)


def test_a_building_may_fill_the_tile():
    frame = to_geodataframe(np.full((7, 9), 3), tile(UTM, (7, 9)))
    assert (frame.label.tolist(), frame.pixels.tolist()) == ([3], [63])


def test_labels_are_not_changed():
    labels = LABELS.copy()
    to_geodataframe(labels, tile(), simplify=1)
    np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (LABELS[1:], {}, r"labels are \(39, 50\) int32; they must be \(40, 50\).*label_instances"),
        (LABELS.astype(float), {}, "float64; they must be"),
        (LABELS > 0, {}, "bool; they must be"),
        (-LABELS, {}, "0 for background and one positive number"),
        (LABELS, {"simplify": -1}, r"simplify is -1, .* metres, 0 or more"),
        (LABELS, {"simplify": float("nan")}, "simplify is nan"),
        (LABELS, {"probabilities": Probabilities(np.ones((4, 4)), np.ones((4, 4)))}, r"\(4, 4\) and labels \(40, 50\)"),
    ],
)
def test_bad_input_is_refused(labels, options, message):
    with pytest.raises(ValueError, match=message):
        to_geodataframe(labels, tile(), **options)


def test_metres_need_a_known_crs():
    with pytest.raises(ValueError, match=r"CRS None; .* whose CRS is known"):
        to_geodataframe(LABELS, tile(None), simplify=1)
    with pytest.raises(ValueError, match="'EPSG:99999', which PROJ does not know"):
        to_geodataframe(LABELS, tile(Georeference(UTM.transform, "EPSG:99999")))


def test_real_footprints_go_there_and_back(real_tiles):
    for real in real_tiles:
        frame = to_geodataframe(real.truth, real)
        rings = [pixel_rings(shape, real.georeference) for shape in frame.geometry]
        np.testing.assert_array_equal(rasterise(rings, real.shape), real.truth)
        np.testing.assert_allclose(frame.area_m2, frame.to_crs("EPSG:32611").area, rtol=2e-3)
        simple = to_geodataframe(real.truth, real, simplify=0.5)
        assert simple.is_valid.all()
        np.testing.assert_allclose(simple.area_m2, frame.area_m2, rtol=0.0201)


def test_an_outline_can_be_chosen_and_every_row_says_which_it_got():
    truth = terraces()
    frames = {kind: to_geodataframe(truth, tile(UTM, truth.shape), outline=kind) for kind in ("pixels", "simple", "square")}
    for kind, frame in frames.items():
        assert list(frame.columns) == COLUMNS
        assert frame.is_valid.all()
        assert kind == "pixels" or shapely.coverage_is_valid(frame.geometry.values)
        assert (frame.outline == kind).mean() > 0.8
        np.testing.assert_allclose(frame.area_m2, frames["pixels"].area_m2, rtol=0.1)
    corners = [frame.count_coordinates().sum() for frame in frames.values()]
    assert corners[0] > 2 * corners[1] >= corners[2]
    plain, by_metres = (
        to_geodataframe(truth, tile(UTM, truth.shape)),
        to_geodataframe(truth, tile(UTM, truth.shape), simplify=1),
    )
    assert plain.geometry.equals(frames["pixels"].geometry)
    assert by_metres.geometry.equals(to_geodataframe(truth, tile(UTM, truth.shape), simplify=1, outline="simple").geometry)


@pytest.mark.parametrize("where", [None, Georeference((1, 0, 5, 0, -1, 6)), Georeference((0.3, 0, 5, 0, -0.3, 6), "SITE")])
@pytest.mark.parametrize("outline", ["pixels", "simple", "square"])
def test_without_metres_outlines_go_by_pixels_and_say_so(where, outline):
    if where and where.crs:
        where = Georeference(where.transform, SITE)
    truth = terraces()
    with pytest.warns(
        UserWarning, match=r"has no (georeference|CRS|place on the Earth by its CRS 'LOCAL_CS.*): positions are"
    ):
        frame = to_geodataframe(truth, tile(where, truth.shape), outline=outline)
    assert frame.is_valid.all()
    assert frame.area_m2.isna().all()
    assert (frame.outline == outline).mean() > 0.8
    with pytest.raises(ValueError, match=r"whose CRS is known and has a place on the Earth"):
        to_geodataframe(truth, tile(where, truth.shape), simplify=1)


SITE = 'LOCAL_CS["building site",LOCAL_DATUM["site",0],UNIT["metre",1],AXIS["east",EAST],AXIS["north",NORTH]]'


def test_empty_tables_have_the_outline_too():
    full, empty = (to_geodataframe(labels, tile(), outline="square") for labels in (LABELS, np.zeros_like(LABELS)))
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outline": "round"}, "outline is 'round'; it must be 'pixels', 'simple', 'square'"),
        ({"outline": "pixels", "simplify": 1}, r"simplify is 1, outline 'pixels' .* Leave it out"),
    ],
)
def test_outlines_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        to_geodataframe(LABELS, tile(), **options)


@pytest.mark.parametrize(
    "where",
    [
        Georeference((3e-6, 0, 179.99995, 0, -3e-6, -16.8), "EPSG:4326"),
        Georeference((0.5, 0, 819790.0, 0, -0.5, 8140173.0), "EPSG:32760"),
    ],
)
def test_areas_hold_across_the_antimeridian(where):
    frame = to_geodataframe(LABELS, tile(where))
    np.testing.assert_allclose(frame.area_m2, frame.pixels * where.pixel_area(LABELS.shape), rtol=1e-4)


def test_large_and_small_numbers_give_the_same_table():
    """One is counted, the other sorted."""
    few, many = to_geodataframe(LABELS, tile()), to_geodataframe(LABELS.astype(np.int64) * 60_000_000, tile())
    assert (few.label * 60_000_000).tolist() == many.label.tolist()
    assert few.geometry.equals(many.geometry)
    assert [tuple(60_000_000 * label for label in row) for row in few.neighbours] == many.neighbours.tolist()

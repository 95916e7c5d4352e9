"""Places on the ground, against rasterio, pyproj, the ellipsoid's formulas and the tags that tifffile finds in a file."""

import numpy as np
import pytest
import rasterio
import tifffile
from hypothesis import given, settings, strategies as st
from pyproj import Geod
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from tnv2 import Georeference
from tnv2.tiles.georeference import crs_text, place_of, placed
from tnv2.tiles.rasters import write_geotiff

A, E2 = 6378137.0, 0.0066943799901413165  # of WGS 84: metres, eccentricity squared
TURNED = (0.4, 0.1, 665_000.0, -0.2, -0.3, 4_007_000.0)
IMAGE = np.arange(5 * 7, dtype=np.uint8).reshape(5, 7, 1)

numbers = st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-6)


def turned(angle, width, height, x, y):
    """The transform of pixels of this width and height, turned by an angle."""
    return (width * np.cos(angle), height * np.sin(angle), x, width * np.sin(angle), -height * np.cos(angle), y)


transforms = st.builds(turned, st.floats(0, 6.28), st.floats(0.1, 10), st.floats(0.1, 10), numbers, numbers)


def at(affine, column, row):
    """Where rasterio sees the corner of a pixel."""
    return np.ravel(rasterio.transform.xy(affine, [row], [column], offset="ul"))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(transforms, numbers, numbers)
def test_positions_are_those_of_rasterio_there_and_back_and_in_a_window(transform, column, row):
    where, affine = Georeference(transform), rasterio.Affine(*transform)
    np.testing.assert_allclose(where.to_world([(column, row)])[0], at(affine, column, row), rtol=1e-9, atol=1e-6)
    there = where.to_world([(column, row), (row, column)])
    np.testing.assert_allclose(where.to_pixels(there), [(column, row), (row, column)], rtol=1e-6, atol=1e-2)
    moved = where.moved(column, row)
    for x, y in ((0, 0), (3, 0), (0, 5)):
        ours, its = at(rasterio.Affine(*moved.transform), x, y), at(affine, column + x, row + y)
        np.testing.assert_allclose(ours, its, rtol=1e-9, atol=1e-6)
    assert moved.crs == where.crs


@pytest.mark.parametrize("latitude", [-60, 0, 36.2])
@pytest.mark.parametrize("turn", [0, 0.7])
def test_a_pixel_in_degrees_is_as_large_as_on_the_ellipsoid(latitude, turn):
    """At the middle: over a tile of many degrees a corner's pixels are of another size."""
    height, width, degrees = 600, 200, 0.01
    a, b, _, d, e, _ = turned(turn, degrees, 2 * degrees, 0, 0)
    middle = np.array([(a, b), (d, e)]) @ (width / 2, height / 2)
    where = Georeference((a, b, 10 - middle[0], d, e, latitude - middle[1]), "EPSG:4326")
    sine = np.sin(np.radians(latitude))
    east = np.radians(A / np.sqrt(1 - E2 * sine**2) * np.cos(np.radians(latitude)))  # metres a degree
    north = np.radians(A * (1 - E2) / (1 - E2 * sine**2) ** 1.5)
    expected = np.array([(a * east, b * east), (d * north, e * north)])
    ground = where.ground((height, width))
    np.testing.assert_allclose(ground, expected, rtol=1e-3, atol=1)
    assert where.pixel_area((height, width)) == pytest.approx(2 * degrees**2 * east * north, rel=2e-3)
    down, across = where.pixel_size((height, width))
    assert (down, across) == pytest.approx((np.hypot(*expected[:, 1]), np.hypot(*expected[:, 0])), rel=2e-3)


def test_a_pixel_in_metres_is_what_pyproj_measures_around_it():
    """Away from a zone's meridian an UTM metre is none; the judge walks around the very pixel."""
    where, shape = Georeference((30, 4, 780_000, 6, -50, 6_600_000), "EPSG:32611"), (400, 900)
    corners = where.to_world(np.array(shape[::-1]) / 2 + [(0, 0), (1, 0), (1, 1), (0, 1)])
    from pyproj import Transformer

    area, _ = Geod(ellps="WGS84").polygon_area_perimeter(
        *Transformer.from_crs("EPSG:32611", "EPSG:4326", always_xy=True).transform(*corners.T)
    )
    assert where.pixel_area(shape) == pytest.approx(abs(area), rel=1e-4)
    assert abs(area) != pytest.approx(30 * 50 + 4 * 6, rel=1e-4)


@pytest.mark.parametrize("crs", ["", "EPSG:99999"])
def test_without_a_known_crs_no_size_is_known(crs):
    where = Georeference(TURNED, crs)
    assert (where.ground((5, 7)), where.pixel_size((5, 7)), where.pixel_area((5, 7))) == (None, None, None)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        ((1, 0, 0, 0, -1), "must be six finite numbers"),
        ((1, 0, 0, 0, -1, 0, 0), "must be six finite numbers"),
        ((1, 0, np.nan, 0, -1, 0), "must be six finite numbers"),
        ((1, 0, 0, 0, -1, np.nextafter(1e12, np.inf)), "must be six finite numbers"),
        ((1, 2, 0, 2, 4, 0), "squash the tile to a line"),
        ((0, 0, 5, 1, 2, 5), "squash the tile to a line"),
        ((1, 0, 5, 0, np.nextafter(1e-24, 0), 5), "squash the tile to a line"),
        ((10, 0.3, 0, 50, 0, -0.3), "GDAL's order"),
    ],
)
def test_transforms_that_no_tile_has_are_refused(transform, message):
    with pytest.raises(ValueError, match=message):
        Georeference(transform)
    with pytest.raises(ValueError, match="crs is 4326; it must be text"):
        Georeference(TURNED, 4326)


@pytest.mark.parametrize(
    "transform",
    [
        (1, 0, 0, 0, -1, 1e12),
        (1, 0, 5, 0, 1e-24, 5),
        (0, 0.3, 0, 0.3, 0, 0),  # a quarter turn at the origin
        (0.3, 0.1, 0, 0.1, -0.3, 0),
        (0.3, 0.1, 0, 0.1, -0.3, 7),
        (0.3, 0, 0, 0, -0.3, 0),
        (1, 2, 5, 3, 4, 6),
    ],
)
def test_transforms_that_a_tile_may_have_are_taken(transform):
    where = Georeference(list(transform))
    assert where.transform == transform
    assert hash(where) == hash(Georeference(transform)), "which cannot be changed"


@pytest.mark.parametrize("transform", [TURNED, (2.7e-6, 0, -115.3, 0, -2.7e-6, 36.2)], ids=["turned", "north-up"])
def test_others_read_where_a_written_file_lies(transform, tmp_path):
    crs = "EPSG:4326" if transform[1] == 0 else "EPSG:32611"
    write_geotiff(tmp_path / "a.tif", IMAGE, Georeference(transform, crs))
    with rasterio.open(tmp_path / "a.tif") as file:
        assert tuple(file.transform)[:6] == pytest.approx(transform, rel=1e-12)
        assert file.crs == CRS.from_string(crs)
        assert place_of(file) == Georeference(tuple(file.transform)[:6], crs)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tags = {name: tag.value for name, tag in ((tag.name, tag) for tag in file.pages[0].tags)}
        keys = file.pages[0].geotiff_tags
    a, b, c, d, e, f = transform
    if b == 0:
        assert tags["ModelPixelScaleTag"] == pytest.approx((a, -e, 0))
        assert tags["ModelTiepointTag"] == pytest.approx((0, 0, 0, c, f, 0))
    else:
        np.testing.assert_allclose(np.reshape(tags["ModelTransformationTag"], (4, 4))[:2], [(a, b, 0, c), (d, e, 0, f)])
    assert int(keys["GTRasterTypeGeoKey"]) == 1, "the corner, not the centre, of the first pixel"
    assert int(keys["GeographicTypeGeoKey" if b == 0 else "ProjectedCSTypeGeoKey"]) == int(crs[5:])


def test_a_file_without_a_place_has_none_and_one_without_crs_keeps_its_transform(tmp_path):
    write_geotiff(tmp_path / "a.tif", IMAGE, None)
    write_geotiff(tmp_path / "b.tif", IMAGE, Georeference(TURNED))
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(tmp_path / "a.tif") as file:
        assert place_of(file) is None
    with rasterio.open(tmp_path / "b.tif") as file:
        assert file.crs is None
        assert place_of(file) == Georeference(TURNED)
    assert placed(None) == {}
    with pytest.raises(ValueError, match="crs is 'EPSG:99999', which GDAL does not know"):
        placed(Georeference(TURNED, "EPSG:99999"))


def test_ground_control_points_give_the_transform_that_fits_and_how_far_they_are_from_it(tmp_path):
    affine, nudge = rasterio.Affine(*TURNED), [3, -3, -3, 3]
    corners = [(0, 0), (7, 0), (0, 5), (7, 5)]  # column, row; a saddle, of which the best plane takes nothing away
    world = [at(affine, column + off, row) for (column, row), off in zip(corners, nudge, strict=True)]
    points = [GroundControlPoint(row, column, *there) for (column, row), there in zip(corners, world, strict=True)]
    options = {"width": 7, "height": 5, "count": 1, "dtype": "uint8", "gcps": points, "crs": "EPSG:32611"}
    with rasterio.open(tmp_path / "a.tif", "w", "GTiff", **options) as file:
        file.write(IMAGE[..., 0], 1)
    told = pytest.warns(UserWarning, match=r"no transform but 4 ground control points.* them 3 pixels away at most")
    with rasterio.open(tmp_path / "a.tif") as file, told:
        found = place_of(file)
    assert found.crs == "EPSG:32611"
    np.testing.assert_allclose(found.transform, TURNED, rtol=1e-9)


def test_a_crs_is_its_code_or_its_text_or_nothing_with_a_warning():
    assert crs_text(None) == ""
    assert crs_text(CRS.from_epsg(32611)) == "EPSG:32611"
    own = CRS.from_proj4("+proj=laea +lat_0=36.2 +lon_0=-115.3 +datum=WGS84 +units=m")
    text = crs_text(own)
    assert CRS.from_wkt(text) == own
    assert Georeference((0.5, 0, 5e4, 0, -0.5, 0), text).pixel_area((2, 2)) == pytest.approx(0.25, rel=1e-5), "equal areas"
    local = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]')
    with pytest.warns(UserWarning, match=r"the coordinate system '.*site.*' has no known place on the Earth"):
        assert crs_text(local) == ""

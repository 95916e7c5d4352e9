"""xarray: what rioxarray reads is the tile that read_tile reads, and what a tile gives is what rioxarray would read."""

import warnings

import numpy as np
import pytest
import rasterio
import rioxarray
import xarray

from tnv2 import Georeference, Tile, read_tile, sample_tiles
from tnv2.tiles.georeference import placed

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rioxarray's own

UTM = Georeference((0.3, 0, 600_000, 0, -0.3, 4_000_000), "EPSG:32611")
TURNED = Georeference((0.2, 0.1, 600_000, 0.1, -0.2, 4_000_000), "EPSG:32611")
COUNTS = np.random.default_rng(0).integers(1, 2000, (3, 40, 50), np.uint16)


def write(path, counts, where, nodata=None):
    options = {"driver": "GTiff", "height": counts.shape[1], "width": counts.shape[2], "count": len(counts)}
    with rasterio.open(path, "w", **options, dtype=counts.dtype, nodata=nodata, **placed(where)) as file:
        file.write(counts)
    return path


def holed(dtype, value):
    counts = COUNTS.astype(dtype)
    counts[:, 5:9, 10:30] = value
    return counts


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("counts", "nodata"), [(COUNTS, None), (holed(np.uint16, 0), 0), (holed(np.float32, np.nan), np.nan)]
)
@pytest.mark.parametrize("where", [UTM, TURNED])
def test_what_rioxarray_reads_is_the_tile(tmp_path, counts, nodata, masked, where):
    path = write(tmp_path / "a.tif", counts, where, nodata)
    expected = read_tile(path)
    with rioxarray.open_rasterio(path, masked=masked) as array:
        tile = Tile.from_xarray(array, name="a")
        turned = Tile.from_xarray(array.transpose("y", "x", "band"))
    assert tile.georeference == expected.georeference
    np.testing.assert_array_equal(tile.valid, expected.valid)
    np.testing.assert_array_equal(tile.rgb, expected.rgb)
    np.testing.assert_array_equal(turned.rgb, expected.rgb)


@pytest.mark.parametrize("where", [UTM, TURNED])
@pytest.mark.parametrize(("counts", "nodata"), [(COUNTS, None), (holed(np.uint16, 0), 0)])
def test_what_a_tile_gives_is_what_rioxarray_reads(tmp_path, counts, nodata, where):
    path = write(tmp_path / "a.tif", counts, where, nodata)
    array = read_tile(path).to_xarray()
    with rioxarray.open_rasterio(path, masked=nodata is not None) as expected:
        np.testing.assert_array_equal(array.to_numpy(), expected.to_numpy())
        assert array.rio.crs == expected.rio.crs
        assert array.rio.transform() == expected.rio.transform()
        if where is UTM:
            xarray.testing.assert_allclose(array.x.drop_vars("spatial_ref"), expected.x.drop_vars("spatial_ref"))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Transform that is non-rectilinear")  # of the turned one
        array.rio.to_raster(tmp_path / "b.tif")
    again = read_tile(tmp_path / "b.tif")
    assert again.georeference.crs == where.crs
    assert again.georeference.transform == pytest.approx(where.transform)
    np.testing.assert_array_equal(again.valid, read_tile(path).valid)
    np.testing.assert_array_equal(again.rgb, read_tile(path).rgb)


def test_labels_and_maps_become_arrays_with_a_place(tmp_path):
    tile = sample_tiles()[0]
    tile.to_xarray(tile.truth).rio.to_raster(tmp_path / "labels.tif")
    with rasterio.open(tmp_path / "labels.tif") as file:
        np.testing.assert_array_equal(file.read(1), tile.truth)
        assert tuple(file.transform)[:6] == pytest.approx(tile.georeference.transform)
        assert file.crs.to_epsg() == 4326
    whole = Tile.from_xarray(tile.to_xarray(), tile.to_xarray(tile.mul), "again")
    np.testing.assert_array_equal(whole.mul, tile.mul)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (COUNTS, "the array is ndarray"),
        (xarray.DataArray(COUNTS[0], dims=("y", "x")), r"pass a DataArray of y, x and band"),
        (xarray.DataArray(COUNTS[:2], dims=("band", "y", "x")), "has 2 along 'band'; 3 bands are needed"),
    ],
)
def test_other_arrays_are_refused(array, message):
    with pytest.raises(ValueError, match=message):
        Tile.from_xarray(array)
    with pytest.raises(ValueError, match=r"image is \(3, 40, 50\); it must be"):
        sample_tiles()[0].to_xarray(COUNTS)

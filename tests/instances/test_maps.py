"""Maps of any network are read as what they are, by what wrote them; what is not clear is asked for."""

import io
import zipfile

import numpy as np
import pytest
import rasterio
import tifffile
import torch
import xarray

from tnv2 import Georeference, Probabilities, predict_file, read_probabilities
from tnv2.tiles import write_geotiff

RNG = np.random.default_rng(0)
BUILDING, BORDER = RNG.random((2, 30, 40), np.float32)
PAIR = np.stack([BUILDING, BORDER])
WHERE = Georeference((0.5, 0, 600_000, 0, -0.5, 4_000_000), "EPSG:32611")


def assert_are(maps, building, border=None, atol=1e-7):
    np.testing.assert_allclose(maps.building, building, atol=atol)
    assert (maps.border is None) == (border is None)
    if border is not None:
        np.testing.assert_allclose(maps.border, border, atol=atol)


def raster(path, bands, names=(), nodata=None, scale=None, offset=0, **options):
    """Write (C, H, W) with rasterio."""
    count, height, width = bands.shape
    options |= {
        "transform": rasterio.Affine(*WHERE.transform),
        "crs": WHERE.crs,
    }
    with rasterio.open(path, "w", "GTiff", width, height, count, dtype=bands.dtype, nodata=nodata, **options) as file:
        file.write(bands)
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
        if scale:
            file.scales, file.offsets = [scale] * count, [offset] * count
    return path


def test_arrays_of_every_layout_and_of_torch():
    assert_are(read_probabilities(BUILDING), BUILDING)
    assert_are(read_probabilities(PAIR), BUILDING, BORDER)
    assert_are(read_probabilities(np.moveaxis(PAIR, 0, 2)), BUILDING, BORDER)
    assert_are(read_probabilities(BUILDING[None]), BUILDING)
    assert_are(read_probabilities(torch.from_numpy(PAIR)), BUILDING, BORDER)
    assert_are(read_probabilities(BUILDING, BORDER), BUILDING, BORDER)
    assert_are(read_probabilities(PAIR, bands=(2,)), BORDER)
    assert_are(read_probabilities(PAIR, bands=(2, 1)), BORDER, BUILDING)
    assert_are(read_probabilities(BUILDING > 0.5), BUILDING > 0.5)
    maps = Probabilities(BUILDING)
    assert read_probabilities(maps) is maps


@pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.uint16, 65535)])
def test_whole_numbers_are_parts_of_their_greatest_or_have_a_scale(dtype, full):
    counts = np.round(PAIR * full).astype(dtype)
    assert_are(read_probabilities(counts), BUILDING, BORDER, 0.51 / full)
    percent = np.round(PAIR * 100).astype(dtype)
    assert_are(read_probabilities(percent, scale=0.01), BUILDING, BORDER, 0.0051)
    with pytest.warns(UserWarning, match=rf"no number above 1 of {full}.* maps > 0"):
        read_probabilities((BUILDING > 0.5).astype(dtype))


def test_eight_bits_are_from_quantised_to_the_bit():
    counts = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(read_probabilities(counts).building, Probabilities.from_quantised(counts).building)


def test_numpys_files_and_names_in_them(tmp_path):
    np.save(tmp_path / "a.npy", PAIR)
    assert_are(read_probabilities(tmp_path / "a.npy"), BUILDING, BORDER)
    for one, two in (
        ("building", "border"),
        ("building_prob", "boundaries"),
        ("Probability", "contact"),
        ("interior", "edge"),
    ):
        np.savez_compressed(tmp_path / "a.npz", labels=np.ones((30, 40), np.int64), **{two: BORDER, one: BUILDING})
        assert_are(read_probabilities(str(tmp_path / "a.npz")), BUILDING, BORDER)
    np.savez(tmp_path / "a.npz", PAIR)
    assert_are(read_probabilities(tmp_path / "a.npz"), BUILDING, BORDER)
    assert_are(read_probabilities(tmp_path / "a.npz", bands=(2,)), BORDER)
    np.savez(tmp_path / "a.npz", pred=BUILDING, other=BORDER)
    with pytest.raises(
        ValueError, match=r"a\.npz has 2 maps, 'pred', 'other', and bands is None.* Pass one or two of these"
    ):
        read_probabilities(tmp_path / "a.npz")
    assert_are(read_probabilities(tmp_path / "a.npz", bands=("pred",)), BUILDING)
    assert_are(read_probabilities(tmp_path / "a.npz", bands=("pred", "other")), BUILDING, BORDER)
    with pytest.raises(ValueError, match=r"bands is \('nothing',\)"):
        read_probabilities(tmp_path / "a.npz", bands=("nothing",))


def test_geotiffs_of_one_band_and_two_with_names_scale_and_no_data(tmp_path):
    path = tmp_path / "a.tif"
    assert_are(read_probabilities(raster(path, PAIR[:1])), BUILDING)
    assert_are(read_probabilities(raster(path, PAIR)), BUILDING, BORDER)
    assert_are(read_probabilities(raster(path, PAIR[::-1], ("boundary", "building"))), BUILDING, BORDER)
    counts = np.round(PAIR * 255).astype(np.uint8)
    assert_are(read_probabilities(raster(path, counts)), BUILDING, BORDER, 0.002)
    counts = np.round(PAIR * 10_000).astype(np.uint16)
    found = read_probabilities(raster(path, counts, scale=1e-4))
    assert_are(found, BUILDING, BORDER, 1e-4)
    with rasterio.open(path) as file:
        assert found.origin["place"].transform == tuple(file.transform)[:6]
    counts = np.round(PAIR * 200 - 100).astype(np.int16)
    assert_are(read_probabilities(raster(path, counts, scale=0.005, offset=0.5)), BUILDING, BORDER, 0.003)
    ends = np.array([[[0, 255]]], np.uint8)
    assert_are(read_probabilities(raster(path, ends, scale=0.00392157)), [[0, 1]])
    holes = np.where(np.arange(40) < 10, -1, PAIR[:1]).astype(np.float32)
    with pytest.warns(UserWarning, match=r"has no data on 25\.0% of its pixels"):
        assert_are(read_probabilities(raster(path, holes, nodata=-1)), np.where(np.arange(40) < 10, 0, BUILDING))
    with pytest.raises(ValueError, match=r"has 3 maps, 1, 2, 3, and bands is None"):
        read_probabilities(raster(path, RNG.random((3, 5, 6))))
    bands = RNG.random((3, 5, 6))
    assert_are(read_probabilities(raster(path, bands), bands=(3, 1)), bands[2], bands[0])


def test_pages_png_and_alpha(tmp_path):
    for maps, options in ((PAIR, {"photometric": "minisblack"}), (RNG.random((4, 9, 8)), {"photometric": "minisblack"})):
        tifffile.imwrite(tmp_path / "pages.tif", maps, **options)
        assert_are(read_probabilities(tmp_path / "pages.tif", bands=(2, 1)), maps[1], maps[0])
    import cv2

    counts = np.round(BUILDING * 65535).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), counts)
    assert_are(read_probabilities(tmp_path / "a.png"), BUILDING, atol=1e-5)
    from skimage import io as images

    grey = np.dstack([np.full((6, 7), 128, np.uint8), np.where(np.arange(7) < 5, 255, 0) + np.zeros((6, 1), int)])
    images.imsave(tmp_path / "alpha.png", grey.astype(np.uint8), check_contrast=False)
    with pytest.warns(UserWarning, match="has no data"):
        assert_are(read_probabilities(tmp_path / "alpha.png"), np.where(np.arange(7) < 5, 128 / 255, 0) + np.zeros((6, 1)))


def test_what_predict_file_writes_is_what_is_read(tmp_path):
    tile = RNG.integers(0, 255, (64, 64, 3), np.uint8)
    write_geotiff(tmp_path / "rgb.tif", tile, WHERE)
    predict_file("mini", tmp_path / "rgb.tif", tmp_path / "maps.tif", metres=None)
    with rasterio.open(tmp_path / "maps.tif") as file:
        expected = Probabilities.from_quantised(*file.read())
    found = read_probabilities(tmp_path / "maps.tif")
    np.testing.assert_array_equal([found.building, found.border], [expected.building, expected.border])
    assert found.origin["place"] == WHERE


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rioxarray's own
def test_data_arrays_of_xarray_and_rioxarray(tmp_path):
    import rioxarray

    assert_are(read_probabilities(xarray.DataArray(BUILDING, dims=("y", "x"))), BUILDING)
    named = xarray.DataArray(PAIR[::-1], dims=("band", "y", "x"), coords={"band": ["edge", "building"]})
    assert_are(read_probabilities(named), BUILDING, BORDER)
    assert_are(read_probabilities(named.transpose("y", "x", "band")), BUILDING, BORDER)
    assert_are(read_probabilities(named, bands=("edge",)), BORDER)
    gaps = xarray.DataArray(np.where(np.arange(40) < 4, np.nan, BUILDING), dims=("y", "x"))
    with pytest.warns(UserWarning, match=r"no data on 10\.0%"):
        assert_are(read_probabilities(gaps), np.where(np.arange(40) < 4, 0, BUILDING))
    counts = np.round(PAIR * 10_000).astype(np.uint16)
    path = raster(tmp_path / "a.tif", counts, ("border", "building"), scale=1e-4)
    with rioxarray.open_rasterio(path) as opened:
        found = read_probabilities(opened)
        assert_are(found, BORDER, BUILDING, 1e-4)
        assert found.origin["place"] == read_probabilities(path).origin["place"]
    with rioxarray.open_rasterio(path, mask_and_scale=True) as opened:
        assert_are(read_probabilities(opened), BORDER, BUILDING, 1e-4)


@pytest.mark.parametrize(
    ("maps", "options", "message"),
    [
        (np.full((4, 4), 3.0), {}, r"values from 3\.0 to 3\.0; .*sigmoid of logits"),
        (PAIR - 3, {}, "sigmoid of logits"),
        (np.stack([BUILDING, 1 - BUILDING]), {}, r"add up to 1 everywhere.*bands=\(2,\)"),
        (np.ones((4, 4), np.int64), {}, "is int64; maps are real numbers"),
        (np.zeros((2, 7, 2)), {}, r"is \(2, 7, 2\); it must be \(H, W\)"),
        (PAIR[None], {}, r"is \(1, 2, 30, 40\); it must be .* Pass one picture's maps"),
        (np.zeros((0, 4)), {}, r"is \(0, 4\)"),
        (PAIR, {"border": BORDER}, "has 2 maps and border 1; pass one each"),
        (BUILDING, {"border": BORDER[:5]}, r"border \(5, 40\)"),
        (PAIR, {"bands": (0,)}, r"bands is \(0,\)"),
        (PAIR, {"bands": ()}, r"bands is \(\)"),
        (Probabilities(BUILDING), {"border": BORDER}, "maps are Probabilities"),
        ([BUILDING], {}, "probabilities are list; pass Probabilities"),
        (None, {}, "probabilities are NoneType"),
        (torch.zeros(4, 4, requires_grad=True), {}, r"Pass tensor\.detach\(\)\.cpu\(\)\.numpy\(\)"),
    ],
)
def test_what_is_no_map_is_told_what_would_be(maps, options, message):
    with pytest.raises(ValueError, match=message):
        read_probabilities(maps, **options)


def header(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def test_damaged_hostile_and_missing_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_probabilities(tmp_path / "a.npy")
    np.save(tmp_path / "whole.npy", PAIR)
    whole = (tmp_path / "whole.npy").read_bytes()
    objects = io.BytesIO()
    np.save(objects, np.array([{}, []], object), allow_pickle=True)
    huge = header("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}\n")
    twice = header("{'descr': '<f4', 'fortran_order': False, 'shape': (2**40, 4)}\n")
    for content in (b"", b"no array", whole[:-9], whole[:20], objects.getvalue(), huge, twice):
        (tmp_path / "bad.npy").write_bytes(content)
        with pytest.raises(ValueError, match=r"bad\.npy is no array that can be a map .*Save one with np\.save"):
            read_probabilities(tmp_path / "bad.npy")
        with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive:
            archive.writestr("building.npy", content)
        with pytest.raises(ValueError, match=r"building\.npy is no array that can be a map"):
            read_probabilities(tmp_path / "bad.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 and no archive")
    with pytest.raises(ValueError, match=r"bad\.npz cannot be read as arrays \(BadZipFile"):
        read_probabilities(tmp_path / "bad.npz")

"""Tiles: every layout and format is found and read; what cannot be a tile is refused with the reason and the remedy."""

import json
import struct
import time
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
import tifffile

from tnv2 import Georeference, Tile, TileFiles, find_tiles, rasterise, read_footprints, read_tile, sample_tiles
from tnv2.tiles.rasters import read_image, write_geotiff
from tnv2.tiles.tiles import image_id

WHERE = Georeference((2.7e-6, 0, -115.2, 0, -2.7e-6, 36.2), "EPSG:4326")
RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 2048, (65, 60, 3), np.uint16)
MUL = RNG.integers(0, 2048, (65, 60, 8), np.uint16)


@pytest.fixture
def rgb_path(tmp_path):
    path = tmp_path / "RGB-PanSharpen_AOI_2_Vegas_img7.tif"
    write_geotiff(path, RGB, WHERE)
    return path


def written(path, array, **options):
    tifffile.imwrite(path, array, photometric="minisblack", **options)
    return path


def geojson(path, geometries, **members):
    features = [{"type": "Feature", "properties": {}, "geometry": geometry} for geometry in geometries]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features, **members}))
    return path


def square(column, row, size, third=()):
    ring = [(column, row), (column + size, row), (column + size, row + size), (column, row + size), (column, row)]
    return [[*WHERE.to_world([position])[0], *third] for position in ring]


def test_reads_pixels_and_place(rgb_path):
    tile = read_tile(rgb_path)
    np.testing.assert_array_equal(tile.rgb, RGB)
    assert (tile.name, tile.mul, tile.truth) == ("AOI_2_Vegas_img7", None, None)
    assert tile.georeference.crs == "EPSG:4326"
    np.testing.assert_allclose(tile.georeference.transform, WHERE.transform, rtol=1e-12)


@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "packbits", "zstd"])
def test_reads_compressed_files(tmp_path, compression):
    path = written(tmp_path / "a.tif", RGB, planarconfig="contig", compression=compression)
    np.testing.assert_array_equal(read_tile(path).rgb, RGB)


def test_reads_8_bit_and_channel_first_files(tmp_path):
    eight_bit = (RGB // 8).astype(np.uint8)
    path = written(tmp_path / "a.tif", np.moveaxis(eight_bit, 2, 0), planarconfig="separate")
    np.testing.assert_array_equal(read_tile(path).rgb, eight_bit)
    mul_path = written(tmp_path / "m.tif", np.moveaxis(MUL, 2, 0), planarconfig="separate")
    np.testing.assert_array_equal(read_tile(path, mul_path).mul, MUL)


def test_georeference_goes_there_and_back():
    where = Georeference((2e-6, 1e-7, 10, -3e-7, -4e-6, 50), "EPSG:4326")
    pixels = RNG.uniform(0, 650, (20, 2))
    np.testing.assert_allclose(where.to_pixels(where.to_world(pixels)), pixels, atol=1e-6)
    np.testing.assert_allclose(where.to_world([(0, 0)]), [(10, 50)])


def test_point_pixels_and_matrices_are_understood(tmp_path):
    keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 2, 3072, 0, 1, 32611)  # projected, pixel is point, UTM 11 N
    tags = [(33550, "d", 3, (0.5, 0.5, 0.0), True), (33922, "d", 6, (0, 0, 0, 1000.25, 1999.75, 0), True)]
    path = written(tmp_path / "a.tif", RGB, planarconfig="contig", extratags=[*tags, (34735, "H", 16, keys, True)])
    assert read_tile(path).georeference == Georeference((0.5, 0, 1000, 0, -0.5, 2000), "EPSG:32611")
    matrix = (0.5, 0.1, 0, 1000, 0.1, -0.5, 0, 2000, 0, 0, 0, 0, 0, 0, 0, 1)
    path = written(tmp_path / "b.tif", RGB, planarconfig="contig", extratags=[(34264, "d", 16, matrix, True)])
    assert read_tile(path).georeference == Georeference((0.5, 0.1, 1000, 0.1, -0.5, 2000))


def test_native_mul_lands_where_it_lies(tmp_path):
    """A smooth field sampled at 1.2 m and at 0.3 m agrees after resampling, though 162.5 native pixels were cut to 162."""

    def field(where, height, width):
        rows, columns = np.mgrid[:height, :width] + 0.5
        x, y = np.moveaxis(where.to_world(np.stack([columns, rows], axis=-1).reshape(-1, 2)), 1, 0)
        wave = 1000 + 500 * np.sin((x + 115.2) * 12000) * np.cos((y - 36.2) * 9000)
        return np.repeat(wave.reshape(height, width, 1), 8, axis=2).round().astype(np.uint16)

    native = Georeference((4 * 2.7e-6, 0, -115.2, 0, -4 * 2.7e-6, 36.2), "EPSG:4326")
    write_geotiff(tmp_path / "rgb.tif", np.zeros((650, 650, 3), np.uint16), WHERE)
    write_geotiff(tmp_path / "mul.tif", field(native, 162, 163), native)
    tile = read_tile(tmp_path / "rgb.tif", tmp_path / "mul.tif")
    difference = np.abs(tile.mul[8:-8, 8:-8].astype(int) - field(WHERE, 650, 650)[8:-8, 8:-8])
    assert tile.mul.shape == (650, 650, 8)
    assert tile.mul.dtype == np.uint16
    assert difference.max() < 8


def test_native_mul_without_georeference_is_stretched_over_the_tile(tmp_path):
    rgb_path = written(tmp_path / "rgb.tif", np.zeros((650, 650, 3), np.uint16), planarconfig="contig")
    ramp = np.repeat((np.arange(163) * 10).astype(np.uint16)[None, :, None], 162, axis=0).repeat(8, axis=2)
    tile = read_tile(rgb_path, written(tmp_path / "mul.tif", ramp, planarconfig="contig"))
    assert tile.mul.shape == (650, 650, 8)
    assert abs(int(tile.mul[300, 325, 0]) - 815) < 10


def test_footprints_of_every_kind(rgb_path, tmp_path):
    with_hole = {"type": "Polygon", "coordinates": [square(5, 5, 20), square(10, 10, 6)]}
    in_parts = {"type": "MultiPolygon", "coordinates": [[square(30, 5, 8)], [square(42, 5, 8)]]}
    high = {"type": "Polygon", "coordinates": [square(30, 30, 10, third=[512.0])]}
    clipped = {"type": "Polygon", "coordinates": [square(50, 55, 100)]}
    outside = {"type": "Polygon", "coordinates": [square(500, 500, 10)]}
    empty = {"type": "Polygon", "coordinates": []}
    path = geojson(tmp_path / "b.geojson", [with_hole, in_parts, high, clipped, outside, empty, None])
    with pytest.warns(UserWarning, match=r"b\.geojson: .*no area \(1 empty Polygon, 1 null\)"):
        truth = read_tile(rgb_path, footprints_path=path).truth
    expected = np.zeros((65, 60), int)
    expected[5:25, 5:25] = 1
    expected[10:16, 10:16] = 0
    expected[5:13, 30:38] = expected[5:13, 42:50] = 2
    expected[30:40, 30:40] = 3
    expected[55:, 50:] = 4
    np.testing.assert_array_equal(truth, expected)
    assert truth.dtype == np.int32


def test_no_footprints_is_a_truth_without_buildings(rgb_path, tmp_path):
    truth = read_tile(rgb_path, footprints_path=geojson(tmp_path / "b.geojson", [])).truth
    assert truth.shape == (65, 60)
    assert not truth.any()


def test_smaller_footprint_lies_on_top():
    big, small = (np.array([(a, a), (b, a), (b, b), (a, b)]) for a, b in ((0, 10), (2, 5)))
    for buildings in ([[big], [small]], [[small], [big]]):
        labels = rasterise(buildings, (10, 10))
        assert np.bincount(labels.ravel())[1:].tolist() == ([91, 9] if buildings[0][0] is big else [9, 91])


def test_csv_gives_the_footprints_of_its_tile(rgb_path, tmp_path):
    path = tmp_path / "solutions.csv"
    path.write_text(
        "ImageId,BuildingId,PolygonWKT_Pix,PolygonWKT_Geo\n"
        'AOI_2_Vegas_img7,1,"POLYGON ((5 5 0,15 5 0,15 15 0,5 15 0,5 5 0),(8 8 0,10 8 0,10 10 0,8 10 0,8 8 0))",\n'
        'AOI_2_Vegas_img77,1,"POLYGON ((0 0,60 0,60 60,0 60,0 0))",\n'
        "AOI_2_Vegas_img8,-1,POLYGON EMPTY,POLYGON EMPTY\n"
    )
    truth = read_tile(rgb_path, footprints_path=path).truth
    assert (truth.max(), truth.sum()) == (1, 100 - 4)
    assert read_footprints(path, name="AOI_2_Vegas_img8") == []
    with pytest.raises(ValueError, match="no row with ImageId 'AOI_2_Vegas_img9'"):
        read_footprints(path, name="AOI_2_Vegas_img9")


def test_footprints_in_degrees_fit_a_tile_in_utm(tmp_path):
    from pyproj import Transformer

    utm = Georeference((0.3, 0, 665000, 0, -0.3, 4007000), "EPSG:32611")
    ring = np.array([(10, 10), (40, 10), (40, 30), (10, 30), (10, 10)], float)
    degrees = Transformer.from_crs("EPSG:32611", "EPSG:4326", always_xy=True).transform(*utm.to_world(ring).T)
    geometry = {"type": "Polygon", "coordinates": [np.stack(degrees, axis=1).tolist()]}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    for members in ({}, {"crs": crs}):
        path = geojson(tmp_path / "b.geojson", [geometry], **members)
        np.testing.assert_allclose(read_footprints(path, utm)[0][0], ring, atol=0.01)


def test_both_spacenet_layouts_are_found(tmp_path):
    old, new, first = tmp_path / "AOI_2_Vegas_Train", tmp_path / "AOI_3_Paris", tmp_path / "AOI_1_Rio"
    for path in [
        old / "RGB-PanSharpen/RGB-PanSharpen_AOI_2_Vegas_img10.tif",
        old / "RGB-PanSharpen/RGB-PanSharpen_AOI_2_Vegas_img9.tif",
        old / "MUL/MUL_AOI_2_Vegas_img9.tif",
        old / "MUL/MUL_AOI_2_Vegas_img10.tif",
        old / "MUL-PanSharpen/MUL-PanSharpen_AOI_2_Vegas_img9.tif",
        old / "PAN/PAN_AOI_2_Vegas_img9.tif",
        old / "geojson/buildings/buildings_AOI_2_Vegas_img9.geojson",
        old / "summaryData/AOI_2_Vegas_Train_Building_Solutions.csv",
        new / "PS-RGB/SN2_buildings_train_AOI_3_Paris_PS-RGB_img3.tif",
        new / "PS-MS/SN2_buildings_train_AOI_3_Paris_PS-MS_img3.tif",
        new / "MS/SN2_buildings_train_AOI_3_Paris_MS_img3.tif",
        new / "geojson_buildings/SN2_buildings_train_AOI_3_Paris_geojson_buildings_img3.geojson",
        first / "3band/3band_AOI_1_RIO_img8.tif",
        first / "8band/8band_AOI_1_RIO_img8.tif",
        first / "geojson/Geo_AOI_1_RIO_img8.geojson",
    ]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = find_tiles(tmp_path)
    assert [files.name for files in found] == ["AOI_1_RIO_img8", "AOI_2_Vegas_img9", "AOI_2_Vegas_img10", "AOI_3_Paris_img3"]
    names = [[files.rgb.parent.name, files.mul.parent.name, files.footprints.name[-12:]] for files in found]
    assert names[0] == ["3band", "8band", "img8.geojson"]
    assert names[1] == ["RGB-PanSharpen", "MUL-PanSharpen", "img9.geojson"]
    assert names[2] == ["RGB-PanSharpen", "MUL", "olutions.csv"]
    assert names[3] == ["PS-RGB", "PS-MS", "img3.geojson"]


def test_tiles_are_the_samples_unless_one_place_names_others(tmp_path, monkeypatch):
    monkeypatch.delenv("TNV2_TILES", raising=False)
    assert [files.name for files in find_tiles()] == [tile.name for tile in sample_tiles()]
    monkeypatch.setenv("TNV2_TILES", str(tmp_path))
    written(tmp_path / "RGB-PanSharpen_AOI_2_Vegas_img1.tif", np.zeros((40, 40, 3), np.uint16))
    assert [files.name for files in find_tiles()] == ["AOI_2_Vegas_img1"]
    assert len(sample_tiles()) == 4


def test_sample_tiles_are_whole():
    tiles = sample_tiles()
    assert len(tiles) == 4
    for tile in tiles:
        assert tile.shape == (650, 650)
        assert tile.mul.shape == (650, 650, 8)
        assert tile.truth.max() > 10
        assert tile.georeference.crs == "EPSG:4326"


def test_real_tiles_of_every_kind_are_read(shared):
    found = {(files.name, files.rgb.parent.parent.name): files for files in find_tiles(shared / "data")}
    crop, empty = ("AOI_2_Vegas_img2144", "data"), ("AOI_2_Vegas_img246", "AOI_2_Vegas")
    named = [("AOI_2_Vegas_img2144", "AOI_2_Vegas"), crop, empty, ("AOI_1_RIO_img8", "AOI_1_Rio")]
    tiles = {key: found[key].read() for key in named}
    vegas = tiles["AOI_2_Vegas_img2144", "AOI_2_Vegas"]
    assert (vegas.truth.max(), vegas.shape) == (39, (650, 650))
    crop = tiles[crop]
    assert crop.mul.shape == (650, 500, 8)
    assert np.corrcoef(crop.rgb[..., 0].ravel(), crop.mul[..., 4].ravel())[0, 1] > 0.99  # red is MUL band 5
    assert not tiles[empty].truth.any()
    rio = tiles["AOI_1_RIO_img8", "AOI_1_Rio"]
    assert (rio.mul.shape, rio.truth.max()) == ((406, 439, 8), 32)


def test_files_of_other_names_are_found_by_their_pattern(tmp_path):
    for name in ("city_1_10.tif", "city_1_9.tif", "sub/city_2_1.tif", "city_1_9 (1).tif", "._city_1_9.tif", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_geotiff(tmp_path / name, RGB, WHERE)
    geojson(tmp_path / "city_1_9.geojson", [{"type": "Polygon", "coordinates": [square(5, 5, 10)]}])
    found = find_tiles(tmp_path, "city_*.tif")
    assert [files.name for files in found] == ["city_1_9", "city_1_10", "city_2_1"]
    assert [files.read().truth is None for files in found] == [False, True, True]
    assert (found[0].read().truth > 0).sum() == 100
    with pytest.raises(FileNotFoundError, match=r"holds no file named '\*\.png'\. Pass their pattern"):
        find_tiles(tmp_path, "*.png")


def test_a_whole_city_is_found_in_two_seconds(tmp_path):
    for folder, ending in (("RGB-PanSharpen", "tif"), ("MUL-PanSharpen", "tif"), ("geojson/buildings", "geojson")):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(3831):
            (tmp_path / folder / f"{Path(folder).name}_AOI_2_Vegas_img{number}.{ending}").touch()
    start = time.process_time()
    found = find_tiles(tmp_path)
    assert time.process_time() - start < 2
    assert len(found) == 3831
    assert all(files.mul and files.footprints for files in found)


def test_geojson_and_csv_of_a_real_tile_agree(shared):
    folder = shared / "data" / "AOI_2_Vegas"
    rgb = folder / "RGB-PanSharpen" / "RGB-PanSharpen_AOI_2_Vegas_img1488.tif"
    by_csv = read_tile(rgb, None, folder / "summaryData" / "AOI_2_Vegas_Train_Building_Solutions.csv").truth
    by_geojson = read_tile(rgb, None, folder / "geojson" / "buildings" / "buildings_AOI_2_Vegas_img1488.geojson").truth
    assert ((by_csv > 0) != (by_geojson > 0)).mean() < 1e-3


def test_mul_of_another_place_is_refused(rgb_path, tmp_path):
    write_geotiff(tmp_path / "mul.tif", MUL, Georeference((2.7e-6, 0, -115.1, 0, -2.7e-6, 36.2), "EPSG:4326"))
    with pytest.raises(ValueError, match=r"mul\.tif and .*img7\.tif show different places.*same image number"):
        read_tile(rgb_path, tmp_path / "mul.tif")


def test_mul_turned_about_its_place_is_turned_back(rgb_path, tmp_path):
    south_up = Georeference((2.7e-6, 0, -115.2, 0, 2.7e-6, 36.2 - 65 * 2.7e-6), "EPSG:4326")
    a, _, c, _, e, f = south_up.transform
    keys = (1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 1, 2048, 0, 1, 4326)
    tags = [(34264, "d", 16, (a, 0, 0, c, 0, e, 0, f, 0, 0, 0, 0, 0, 0, 0, 1), True), (34735, "H", 16, keys, True)]
    path = written(tmp_path / "m.tif", MUL[::-1], planarconfig="contig", extratags=tags)
    np.testing.assert_array_equal(read_tile(rgb_path, path).mul, MUL)


def test_mul_of_other_proportions_is_refused(rgb_path, tmp_path):
    with pytest.raises(ValueError, match=r"\(60, 120\).*proportions"):
        read_tile(rgb_path, written(tmp_path / "mul.tif", np.zeros((60, 120, 8), np.uint16), planarconfig="contig"))


def test_mul_in_another_coordinate_system_is_refused(rgb_path, tmp_path):
    keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32611)
    tags = [(33550, "d", 3, (0.3, 0.3, 0.0), True), (33922, "d", 6, (0, 0, 0, 665000, 4007000, 0), True)]
    path = written(tmp_path / "m.tif", MUL, planarconfig="contig", extratags=[*tags, (34735, "H", 16, keys, True)])
    with pytest.raises(ValueError, match="EPSG:32611 and EPSG:4326"):
        read_tile(rgb_path, path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "gone.tif", "gone.tif does not exist"),
        (lambda p: written(p / "x.tif", RGB[..., :2], planarconfig="contig"), "x.tif has 2 bands; .* has 3"),
        (lambda p: written(p / "x.tif", RGB[..., 0]), "x.tif has 1 band; .* has 3"),
        (
            lambda p: written(p / "x.tif", RGB.astype(np.complex64), planarconfig="contig"),
            "x.tif is complex64; real numbers",
        ),
    ],
)
def test_bad_images_are_refused_by_name_and_reason(tmp_path, make, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_tile(make(tmp_path))


def test_files_that_are_no_tiff_or_cut_short_are_refused(rgb_path, tmp_path):
    whole = rgb_path.read_bytes()
    for content in (b"", b"GIF89a", b"<html>Sign in</html>", whole[:40], whole[: len(whole) // 2], whole[:-200]):
        path = tmp_path / "cut.tif"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"cut\.tif cannot be read as an image"):
            read_tile(path)


def retagged(path, **tags):
    with tifffile.TiffFile(path, mode="r+") as file:
        for name, value in tags.items():
            file.pages[0].tags[name].overwrite(value)
    return path


def plain(path):
    return written(path, RGB, planarconfig="contig")


def zeros(path, shape, side=256):
    """A deflated TIFF of zeros, a thousandth of its size in memory."""
    pieces = (np.zeros((side, side, shape[2]), np.uint8) for _ in range(-(-shape[0] // side) * -(-shape[1] // side)))
    tifffile.imwrite(path, pieces, shape=shape, dtype=np.uint8, tile=(side, side), compression="deflate", photometric="rgb")
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: retagged(plain(p), ImageWidth=2**16, ImageLength=2**15), ": 32768 x 65536 px, 12288 MB in memory"),
        (lambda p: retagged(plain(p), ImageWidth=60_000), ": 65 x 60000 px, 22 MB .* at most 32766 px a side"),
        (lambda p: zeros(p, (10_000, 10_000, 3)), ": 10000 x 10000 px, 286 MB in memory"),
        (lambda p: zeros(p, (40, 40, 3), 16384), " is made of pieces of 768 MB"),
    ],
    ids=["huge header", "long side", "bomb", "bomb of one piece"],
)
def test_what_would_take_gigabytes_is_refused_before_it_is_read(rgb_path, make, message):
    path = make(rgb_path)
    start = time.process_time()
    with pytest.raises(ValueError, match=rf"img7\.tif{message}.*(Pass a window of|Rewrite) it") as caught:
        read_tile(path)
    assert time.process_time() - start < 1
    assert "damaged" not in str(caught.value)


def test_bands_on_pages_of_their_own_are_read_and_other_pages_left_out(tmp_path):
    eight = np.moveaxis(MUL, 2, 0)
    np.testing.assert_array_equal(read_image(written(tmp_path / "a.tif", eight), 8, "MUL")[0], MUL)
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        file.write(RGB, photometric="rgb")
        file.write(RGB[::2, ::2], photometric="rgb", subfiletype=1)  # an overview
    np.testing.assert_array_equal(read_tile(tmp_path / "b.tif").rgb, RGB)


def test_pages_that_differ_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for dtype in (np.uint8, np.uint16, np.uint8):
            file.write((RGB[..., 0] // 16).astype(dtype), metadata=None)
    with pytest.raises(ValueError, match=r"a\.tif has pages of several sizes or dtypes\. Keep"):
        read_tile(tmp_path / "a.tif")


@pytest.mark.parametrize(("driver", "name"), [("PNG", "a.png"), ("JPEG", "a.jpg"), ("JP2OpenJPEG", "a.jp2")])
def test_pictures_of_other_formats_are_tiles_as_rasterio_reads_them(tmp_path, driver, name):
    picture = cv2.resize((RGB // 8).astype(np.uint8), (128, 128), interpolation=cv2.INTER_CUBIC)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(tmp_path / name, "w", driver=driver, width=128, height=128, count=3, dtype="uint8") as file:
            file.write(np.moveaxis(picture, 2, 0))
        with rasterio.open(tmp_path / name) as file:
            expected = np.moveaxis(file.read(), 0, 2)
    tile = read_tile(tmp_path / name)
    np.testing.assert_array_equal(tile.rgb, expected)
    assert tile.georeference is None
    letter = {"PNG": "pgw", "JPEG": "jgw", "JP2OpenJPEG": "j2w"}[driver]
    (tmp_path / f"a.{letter}").write_text("0.5\n0\n0\n-0.5\n500000.25\n3999999.75\n")  # the centre of the first pixel
    assert read_tile(tmp_path / name).georeference.transform == (0.5, 0, 500000, 0, -0.5, 4000000)


def test_pages_that_lead_in_a_circle_come_to_an_end(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(RGB[..., 0], metadata=None)
        file.write(RGB[::2, ::2, 0], metadata=None)
    with tifffile.TiffFile(path) as file:
        last = file.pages[1].offset
    content = bytearray(path.read_bytes())
    (count,) = struct.unpack_from("<H", content, last)
    struct.pack_into("<I", content, last + 2 + 12 * count, last)  # after the last page comes the last page
    path.write_bytes(content)
    start = time.process_time()
    with pytest.raises(ValueError, match=r"a\.tif has 1 band;"):
        read_tile(path)
    assert time.process_time() - start < 2


def test_native_mul_that_would_grow_to_gigabytes_is_refused(tmp_path):
    rgb_path, mul_path = zeros(tmp_path / "rgb.tif", (8000, 8000, 3)), zeros(tmp_path / "mul.tif", (2000, 2000, 8))
    with pytest.raises(ValueError, match=r"mul\.tif on the pixels of .*rgb\.tif: 8000 x 8000 px, 488 MB"):
        read_tile(rgb_path, mul_path)


def test_mul_with_the_wrong_bands_says_what_to_do(rgb_path, tmp_path):
    with pytest.raises(ValueError, match=r"m\.tif has 4 bands; .* has 8.*leave mul_path out"):
        read_tile(rgb_path, written(tmp_path / "m.tif", MUL[..., :4], planarconfig="contig"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("b.geojson", "not json"),
        ("b.geojson", "[]"),
        ("b.geojson", '{"type": "FeatureCollection"}'),
        ("b.geojson", '{"features": [{"geometry": {"type": "Point", "coordinates": [1, 2]}}]}'),
        ("b.geojson", '{"features": [{"geometry": {"type": "Polygon", "coordinates": [[[1], [2], [3]]]}}]}'),
        ("b.geojson", '{"features": [{"geometry": {"type": "Polygon", "coordinates": [[[NaN, 1], [2, 2], [3, 1]]]}}]}'),
        ("b.geojson", '{"features": [], "crs": {"properties": {"name": "EPSG:nowhere"}}}'),
        ("b.csv", "a,b\n1,2\n"),
        ("b.csv", 'ImageId,PolygonWKT_Pix\nAOI_2_Vegas_img7,"LINESTRING (1 2, 3 4)"\n'),
        ("b.csv", "ImageId,PolygonWKT_Pix\nAOI_2_Vegas_img7\n"),
        ("b.csv", 'ImageId,PolygonWKT_Pix\nAOI_2_Vegas_img7,"POLYGON ((1 2"\n'),
    ],
)
def test_bad_footprints_are_refused_by_name_and_reason(rgb_path, tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=rf"{name} cannot be read as footprints .* is needed"):
        read_tile(rgb_path, footprints_path=tmp_path / name)


def test_footprints_of_another_place_are_refused(rgb_path, tmp_path):
    path = geojson(tmp_path / "b.geojson", [{"type": "Polygon", "coordinates": [square(500, 500, 10)]}])
    with pytest.raises(
        ValueError, match=r"b\.geojson has 1 footprints and none lies on AOI_2_Vegas_img7\. Pass the file of the same"
    ):
        read_tile(rgb_path, footprints_path=path)


def test_footprints_as_other_tools_write_them(rgb_path, tmp_path):
    box = {"type": "Polygon", "coordinates": [square(5, 5, 20)]}
    path = geojson(tmp_path / "b.geojson", [{"type": "GeometryCollection", "geometries": [box]}], crs=None)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert (read_tile(rgb_path, footprints_path=path).truth == 1).sum() == 400
    path = tmp_path / "b.csv"
    path.write_bytes(b'\xef\xbb\xbfImageId,PolygonWKT_Pix\r\nAOI_2_Vegas_img7,"POLYGON ((5 5,25 5,25 25,5 25,5 5))"\r\n')
    assert (read_tile(rgb_path, footprints_path=path).truth == 1).sum() == 400


def test_missing_footprints_and_folders_are_refused(rgb_path, tmp_path):
    with pytest.raises(FileNotFoundError, match="leave footprints_path out"):
        read_tile(rgb_path, footprints_path=tmp_path / "gone.geojson")
    with pytest.raises(FileNotFoundError, match="gone is not a folder"):
        find_tiles(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty holds no RGB tile that is named as SpaceNet"):
        find_tiles(tmp_path / "empty")


def test_tiles_of_one_name_in_two_folders_stay_apart(tmp_path):
    for folder in ("whole", "crop"):
        for product in ("RGB-PanSharpen", "MUL-PanSharpen"):
            path = tmp_path / folder / product / f"{product}_AOI_2_Vegas_img7.tif"
            path.parent.mkdir(parents=True)
            path.touch()
    for files in find_tiles(tmp_path):
        assert files.rgb.parents[1] == files.mul.parents[1]
    assert len(find_tiles(tmp_path)) == 2


def test_products_in_any_folders_come_together(tmp_path):
    names = (
        "images/RGB-PanSharpen_AOI_2_Vegas_img7.tif",
        "bands/MUL_AOI_2_Vegas_img7.tif",
        "b/buildings_AOI_2_Vegas_img7.geojson",
    )
    for name in names:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (files,) = find_tiles(tmp_path)
    assert files.mul.name == "MUL_AOI_2_Vegas_img7.tif"
    assert files.footprints.name == "buildings_AOI_2_Vegas_img7.geojson"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rgb": RGB[..., 0]}, r"rgb is \(65, 60\)"),
        ({"rgb": RGB.tolist()}, "rgb is list"),
        ({"rgb": RGB, "mul": MUL[:30]}, r"mul is \(30, 60\) and rgb \(65, 60\)"),
        ({"rgb": RGB, "truth": np.zeros((2, 2), int)}, r"truth is \(2, 2\)"),
        ({"rgb": RGB, "truth": np.zeros((65, 60))}, "float64"),
        ({"rgb": RGB, "truth": np.full((65, 60), -1)}, "whole labels"),
        ({"rgb": RGB, "truth": np.full((65, 60), 2**33)}, "whole labels"),
    ],
)
def test_tiles_check_their_arrays(arguments, message):
    with pytest.raises(ValueError, match=message):
        Tile(**arguments)


@pytest.mark.parametrize("name", ["../up", "/etc/tile", "a/b", "..", ".", "nul\0", 7])
def test_names_that_lead_out_of_a_folder_are_refused(name):
    with pytest.raises(ValueError, match=r'name is .* it has no "/" and is no folder\. Pass'):
        TileFiles(name, Path("a.tif"))


def test_copies_and_hidden_files_are_no_tiles(tmp_path):
    whole = tmp_path / "RGB-PanSharpen" / "RGB-PanSharpen_AOI_2_Vegas_img1.tif"
    copies = (f"._{whole.name}", f"{whole.stem} (1).tif", f".ipynb_checkpoints/{whole.stem}-checkpoint.tif")
    for path in (whole, *(whole.parent / name for name in copies)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (files,) = find_tiles(tmp_path)
    assert files.rgb == whole


def test_links_to_folders_are_followed_and_circles_end(tmp_path):
    whole = tmp_path / "disk" / "RGB-PanSharpen_AOI_2_Vegas_img1.tif"
    whole.parent.mkdir()
    whole.touch()
    (tmp_path / "cities").mkdir()
    (tmp_path / "cities" / "vegas").symlink_to(whole.parent, target_is_directory=True)
    (whole.parent / "back").symlink_to(tmp_path / "cities", target_is_directory=True)
    (files,) = find_tiles(tmp_path / "cities")
    assert files.rgb.samefile(whole)


def test_odd_digits_in_names_do_not_end_the_search(tmp_path):
    for name in ("AOI_2\u00b23_Vegas_img1", "AOI_2_Vegas_img\u0663", "AOI_2_Vegas_img1"):
        (tmp_path / f"RGB-PanSharpen_{name}.tif").touch()
    assert len(find_tiles(tmp_path)) == 3


@pytest.mark.parametrize(
    "transform",
    [(1, 0, 0, 0, 0, 0), (1, 0, 0), (float("nan"), 0, 0, 0, 1, 0), (1, 0, 1e300, 0, 1, 0), (1e-300, 0, 0, 0, 1, 0)],
)
def test_georeference_checks_its_transform(transform):
    with pytest.raises(ValueError, match="transform is"):
        Georeference(transform)


def test_names_are_image_ids():
    assert image_id("RGB-PanSharpen_AOI_2_Vegas_img2144.tif") == "AOI_2_Vegas_img2144"
    assert image_id("3band_AOI_1_RIO_img8.tif") == "AOI_1_RIO_img8"
    assert image_id("/somewhere/my own tile.tif") == "my own tile"


def test_rasterised_pixels_are_those_whose_centres_are_inside():
    ring = RNG.uniform(2, 48, (7, 2))
    centres = np.stack(np.meshgrid(np.arange(50) + 0.5, np.arange(50) + 0.5), axis=-1).reshape(-1, 2)
    outline = cv2.convexHull(ring.astype(np.float32))
    inside = [cv2.pointPolygonTest(outline, (float(x), float(y)), False) > 0 for x, y in centres]
    labels = rasterise([[outline[:, 0].astype(float)]], (50, 50))
    np.testing.assert_array_equal(labels.ravel() > 0, inside)

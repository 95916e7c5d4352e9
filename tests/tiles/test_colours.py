"""Colours: which of a file's are red, green and blue, by the colours that it names, by number, or by its palette."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from tnv2 import load_model, predict, predict_file, read_tile
from tnv2.tiles.georeference import placed

RNG = np.random.default_rng(3)
COLOURS = {"red": 1, "green": 2, "blue": 3, "nir": 4}


def write(path, order, interpretation=None, **options):
    """Write a file whose bands stand in ``order``; return them as (H, W, 3) red, green and blue."""
    counts = RNG.integers(1, 2000, (4, 64, 70), np.uint16)
    profile = {
        "driver": "GTiff",
        "width": 70,
        "height": 64,
        "count": len(order),
        "dtype": np.uint16,
        **placed(None),
        **options,
    }
    with rasterio.open(path, "w", **profile) as file:
        file.write(np.stack([counts[COLOURS[name] - 1] for name in order]))
        if interpretation:
            file.colorinterp = interpretation
    return np.moveaxis(counts[:3], 0, 2)


RGBN = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined]
BGRN = [ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined]

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.mark.parametrize(
    ("order", "interpretation"),
    [
        (["red", "green", "blue", "nir"], RGBN),
        (["blue", "green", "red", "nir"], BGRN),
        (["blue", "green", "red"], BGRN[:3]),
        (["red", "green", "blue"], None),
    ],
    ids=["RGB + NIR", "BGR + NIR", "BGR", "RGB without names"],
)
def test_colours_are_taken_by_the_names_that_the_file_gives_them(tmp_path, order, interpretation):
    rgb = write(tmp_path / "a.tif", order, interpretation, photometric="minisblack")
    np.testing.assert_array_equal(read_tile(tmp_path / "a.tif").rgb, rgb)


def test_four_bands_without_names_are_asked_for_by_number(tmp_path):
    rgb = write(tmp_path / "a.tif", ["blue", "green", "red", "nir"], photometric="minisblack")
    with pytest.raises(ValueError, match=r"a\.tif has 4 bands.*Pass bands=\(1, 2, 3\).*calls them gray, undefined"):
        read_tile(tmp_path / "a.tif")
    tile = read_tile(tmp_path / "a.tif", bands=(3, 2, 1))
    np.testing.assert_array_equal(tile.rgb, rgb)
    np.testing.assert_array_equal(tile.files.read().rgb, rgb)
    model = load_model("mini", device="cpu")
    predict_file(model, tmp_path / "a.tif", tmp_path / "maps.tif", bands=(3, 2, 1))
    with rasterio.open(tmp_path / "maps.tif") as maps:
        assert np.abs(maps.read().astype(int) - np.stack(predict(model, tile).quantised())).max() <= 1


@pytest.mark.parametrize("bands", [(1, 2), (0, 1, 2), (1, 2, 5), (1, 2, 3, 4), (1, 2, "blue")])
def test_numbers_that_no_band_has_are_refused(tmp_path, bands):
    write(tmp_path / "a.tif", ["red", "green", "blue", "nir"])
    with pytest.raises(ValueError, match=r"bands is .* has 4 bands; bands are 3 numbers of the file's, counted from 1"):
        read_tile(tmp_path / "a.tif", bands=bands)


def test_eight_bands_that_name_colours_are_no_rgb(tmp_path):
    counts = RNG.integers(1, 2000, (8, 64, 70), np.uint16)
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", width=70, height=64, count=8, dtype=np.uint16) as file:
        file.write(counts)
        file.colorinterp = [*RGBN[:3], *[ColorInterp.undefined] * 5]
    with pytest.raises(ValueError, match="has 8 bands; SpaceNet's RGB"):
        read_tile(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_tile(tmp_path / "a.tif", bands=(5, 3, 2)).rgb, np.moveaxis(counts[[4, 2, 1]], 0, 2))


def test_a_palette_becomes_its_colours(tmp_path):
    index = RNG.integers(0, 256, (64, 70), np.uint8)
    palette = {i: (*RNG.integers(0, 256, 3).tolist(), 0 if i == 7 else 255) for i in range(256)}
    with rasterio.open(tmp_path / "a.png", "w", driver="PNG", width=70, height=64, count=1, dtype="uint8") as file:
        file.write(index, 1)
        file.write_colormap(1, palette)
    tile = read_tile(tmp_path / "a.png")
    colours = np.array([palette[i] for i in range(256)], np.uint8)[index]
    np.testing.assert_array_equal(tile.valid, index != 7)
    np.testing.assert_array_equal(tile.rgb[tile.valid], colours[tile.valid][:, :3])

    with pytest.raises(ValueError, match="has 1 bands; bands are 3 numbers"):
        read_tile(tmp_path / "a.png", bands=(1, 2, 3))


def test_the_palette_of_another_program_becomes_its_colours(shared):
    path = shared / "cases" / "c18_palette.tif"
    with rasterio.open(path) as file:
        colours = np.array([file.colormap(1)[i] for i in range(256)], np.uint8)[file.read(1)]
    np.testing.assert_array_equal(read_tile(path).rgb, colours[..., :3])


def test_grey_is_no_rgb(tmp_path):
    write(tmp_path / "a.tif", ["red"])
    with pytest.raises(ValueError, match=r"has 1 band; .*Pass a file with red, green and blue, or with a palette"):
        read_tile(tmp_path / "a.tif")

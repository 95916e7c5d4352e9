"""BandViewer: every control through its value, compared with what NumPy says; the click in real JupyterLab and Chromium."""

import matplotlib
import numpy as np
import pytest
import traitlets
from lab import kernel_says, notebook, wait_for

from tnv2 import BANDS, BandViewer, Georeference, Tile, composite, find_tiles, normalised_difference, render_scene
from tnv2.pictures import difference_map, false_colour, scaled, true_colour

THREE = {
    "true colour": ("red", "green", "blue"),
    "false colour": ("NIR1", "red", "green"),
    "red edge": ("NIR1", "red edge", "red"),
    "coastal": ("green", "blue", "coastal"),
}


@pytest.fixture(scope="module")
def tile():
    return render_scene(1, 200).tile


@pytest.fixture
def viewer(tile):
    return BandViewer(tile)


def coarse(mul):
    """MUL as a sensor with pixels four times as wide would see it."""
    height, width = mul.shape[:2]
    return mul.reshape(height // 4, 4, width // 4, 4, 8).mean((1, 3)).round().astype(mul.dtype)


def band(tile, name):
    return tile.mul[..., BANDS.index(name)].astype(float)


def stretched(tile, names, low=2, high=98):
    """Three bands between their percentiles, channel by channel, in 64 bits."""
    channels = [np.interp(band(tile, name), np.percentile(band(tile, name), (low, high)), (0, 255)) for name in names]
    return np.stack(channels, axis=2)


def assert_shows(viewer, expected):
    assert viewer.picture.dtype == np.uint8
    assert np.abs(viewer.picture - expected).max() <= 0.51
    assert viewer.picture.std() > 10


def test_what_the_browser_sets_is_drawn_and_what_python_sets_is_told(viewer, tile):
    viewer.set_state({"_composite": "red edge", "_stretch": [5, 90]})
    assert viewer.composite.value == "red edge"
    assert viewer.stretch.value == (5, 90)
    assert (viewer._red, viewer._green, viewer._blue) == THREE["red edge"]
    assert_shows(viewer, stretched(tile, THREE["red edge"], 5, 90))
    seen = []
    viewer.index.observe(lambda change: seen.append(change.new), "value")
    viewer.index.value = "NDVI"
    assert (viewer._index, seen) == ("NDVI", ["NDVI"])
    assert set(viewer._held) == {"composite", "red", "green", "blue", "stretch"}


@pytest.mark.parametrize(
    ("name", "value"), [("composite", "sepia"), ("red", "NDVI"), ("stretch", (90, 10)), ("stretch", (-1, 50))]
)
def test_what_is_no_choice_is_refused(viewer, name, value):
    before = getattr(viewer, name).value
    with pytest.raises(traitlets.TraitError, match="it must be"):
        getattr(viewer, name).value = value
    assert getattr(viewer, name).value == before


@pytest.mark.parametrize("name", THREE)
def test_named_composites_show_their_bands(viewer, tile, name):
    viewer.composite.value = name
    assert (viewer.red.value, viewer.green.value, viewer.blue.value) == THREE[name]
    assert_shows(viewer, stretched(tile, THREE[name]))


def test_any_three_bands(viewer, tile):
    viewer.red.value, viewer.green.value, viewer.blue.value = "NIR2", "yellow", "coastal"
    assert viewer.composite.value == "any three"
    assert_shows(viewer, stretched(tile, ("NIR2", "yellow", "coastal")))
    viewer.red.value, viewer.green.value, viewer.blue.value = THREE["coastal"]
    assert viewer.composite.value == "coastal"
    viewer.composite.value = "any three"
    assert_shows(viewer, stretched(tile, THREE["coastal"]))


def test_every_band_can_be_every_channel(viewer, tile):
    for number, control in enumerate((viewer.red, viewer.green, viewer.blue)):
        for name in BANDS:
            control.value = name
            assert np.abs(viewer.picture[..., number] - stretched(tile, [name])[..., 0]).max() <= 0.51


def test_stretch_moves_the_limits_and_the_picture(viewer, tile):
    viewer.stretch.value = (10, 80)
    assert_shows(viewer, stretched(tile, THREE["true colour"], 10, 80))
    for number, name in enumerate(THREE["true colour"]):
        dark, bright = viewer.limits[:, number]
        assert (band(tile, name) < dark).mean() <= 0.1 <= (band(tile, name) <= dark).mean()
        assert (band(tile, name) < bright).mean() <= 0.8 <= (band(tile, name) <= bright).mean()
        assert (viewer.picture[band(tile, name) <= dark, number] == 0).all()
        assert (viewer.picture[band(tile, name) >= bright, number] == 255).all()


def test_a_stretch_without_width_is_a_threshold(viewer, tile):
    viewer.stretch.value = (50, 50)
    expected = [np.where(band(tile, name) > np.median(band(tile, name)), 255, 0) for name in THREE["true colour"]]
    np.testing.assert_array_equal(viewer.picture, np.stack(expected, axis=2))


def test_the_histogram_counts_the_shown_bands_and_marks_the_limits(viewer, tile):
    viewer.composite.value = "red edge"
    viewer.stretch.value = (0, 100)
    lines = viewer._histogram["lines"]
    for number, (line, name) in enumerate(zip(lines, THREE["red edge"], strict=True)):
        values, edges = band(tile, name), line["x"]
        assert sum(line["y"]) == values.size
        assert 32 <= len(line["y"]) <= 64
        for i in (0, 7, 20, 30):
            assert line["y"][i] == ((values >= edges[i]) & (values < edges[i + 1])).sum()
        assert line["marks"] == [values.min(), values.max()] == viewer.limits[:, number].tolist()
        assert line["label"].startswith(f"{name}, ")
        assert np.argmax([int(part) for part in line["colour"][4:-1].split(",")]) == number  # reddish, greenish, bluish


@pytest.mark.parametrize(("name", "first", "second"), [("NDVI", "NIR1", "red"), ("NDWI", "green", "NIR1")])
def test_indices_have_their_formula_their_colours_and_a_bar(viewer, tile, name, first, second):
    viewer.index.value = name
    a, b = band(tile, first), band(tile, second)
    expected = matplotlib.colormaps["BrBG"](((a - b) / (a + b) + 1) / 2)[..., :3] * 255
    assert np.abs(viewer.picture - expected).max() < 5  # one step of the map, where 32 bits round another way
    assert np.abs(viewer.picture - expected).mean() < 0.5
    drawing = viewer._histogram
    np.testing.assert_allclose([drawing["lines"][0]["x"][0], drawing["lines"][0]["x"][-1]], [-1, 1])
    assert sum(drawing["lines"][0]["y"]) == a.size
    assert drawing["bar"][0] == "rgb(84, 48, 5)"
    assert drawing["bar"][-1] == "rgb(0, 60, 48)"
    assert viewer.limits is None


def test_an_index_holds_the_other_controls_and_gives_them_back(viewer):
    before = viewer.picture
    viewer.index.value = "NDVI"
    controls = (viewer.composite, viewer.red, viewer.green, viewer.blue, viewer.stretch)
    assert all(control.disabled for control in controls)
    viewer.index.value = "none"
    assert not any(control.disabled for control in controls)
    np.testing.assert_array_equal(viewer.picture, before)


def test_plants_and_pools_stand_out():
    tile = render_scene(1, 200).tile
    ndvi = normalised_difference(tile.mul[..., 6], tile.mul[..., 4])
    plants = band(tile, "NIR1") > 2.5 * band(tile, "red")
    assert plants.sum() > 100
    assert ndvi[plants].min() > 1.5 / 3.5 - 1e-6
    picture = difference_map(ndvi).astype(int)
    assert (picture[plants, 1] > picture[plants, 0]).all()  # green beats brown


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_normalised_difference_is_bounded_and_antisymmetric(dtype):
    a, b = np.random.default_rng(0).integers(0, 4, (2, 50, 50)).astype(dtype) * 60
    difference = normalised_difference(a, b)
    assert (np.abs(difference) <= 1).all()
    assert (difference[(a == 0) & (b == 0)] == 0).all()
    assert (difference[(a > 0) & (b == 0)] == 1).all()
    np.testing.assert_array_equal(difference, -normalised_difference(b, a))
    assert normalised_difference(dtype(60), dtype(180)) == -0.5


def test_a_tile_of_zeros_is_shown_without_a_warning():
    viewer = BandViewer(Tile(np.zeros((8, 8, 3), np.uint16), np.zeros((8, 8, 8), np.uint16)))
    viewer.index.value = "NDWI"
    assert np.ptp(viewer.picture) == np.ptp(difference_map(np.zeros((1, 1))))
    viewer.index.value = "none"
    assert (viewer.picture == 0).all()


def click(viewer, row, column):
    """Tell the viewer what the browser tells it."""
    viewer._handle_custom_msg({"pixel": [row, column]}, [])


def press(viewer, rows, columns, fresh=False):
    viewer._handle_custom_msg({"step": [rows, columns], "fresh": fresh}, [])


def test_clicks_choose_two_pixels_and_then_replace_the_older(viewer, tile):
    assert viewer.pixels == []
    assert viewer.spectra.shape == (0, 8)
    click(viewer, 10, 20)
    assert viewer.pixels == [(10, 20)]
    click(viewer, 30, 40)
    click(viewer, 50, 60)
    assert viewer.pixels == [(50, 60), (30, 40)]
    np.testing.assert_array_equal(viewer.spectra, [tile.mul[50, 60], tile.mul[30, 40]])
    click(viewer, 70, 80)
    assert viewer.pixels == [(50, 60), (70, 80)]
    assert viewer._marks == [[50, 60], [70, 80]]


def test_the_spectrum_is_drawn_over_wavelength(viewer, tile):
    viewer.pixels = [(3, 4), (5, 6)]
    first, second = viewer._spectrum["lines"]
    assert first["y"] == tile.mul[3, 4].tolist()
    assert second["y"] == tile.mul[5, 6].tolist()
    assert (first["dashed"], second["dashed"]) == (False, True)
    assert first["x"] == viewer.wavelengths.tolist() == [425, 480, 545, 605, 660, 725, 832.5, 950]
    assert viewer._spectrum["x"] == "wavelength, nm"
    viewer.pixels = []
    assert viewer._spectrum["lines"] == []


def test_keys_move_the_newest_pixel_within_the_tile(viewer):
    press(viewer, 0, 1)
    assert viewer.pixels == [(100, 101)]
    press(viewer, 0, 0, fresh=True)
    press(viewer, -10, 0)
    assert viewer.pixels == [(100, 101), (90, 101)]
    for _ in range(30):
        press(viewer, -10, 10)
    assert viewer.pixels == [(100, 101), (0, 199)]


def test_without_mul_only_rgb_is_offered(tile):
    viewer = BandViewer(tile.replace(mul=None))
    assert viewer.composite.options == ("true colour",)
    assert viewer.index.options == ("none",)
    assert all(control.disabled for control in (viewer.composite, viewer.red, viewer.green, viewer.blue, viewer.index))
    assert "no MUL bands" in viewer._note
    np.testing.assert_array_equal(viewer.picture, true_colour(tile))
    viewer.stretch.value = (20, 60)
    np.testing.assert_array_equal(viewer.picture, true_colour(tile, 20, 60))
    viewer.pixels = [(7, 9)]
    np.testing.assert_array_equal(viewer.spectra, [tile.rgb[7, 9]])
    assert viewer.wavelengths.tolist() == [660, 545, 480]
    with pytest.raises(traitlets.TraitError):
        viewer.index.value = "NDVI"


def test_native_mul_has_the_same_bands_and_the_same_limits(tile):
    native = coarse(tile.mul)
    viewer = BandViewer(tile, native)
    assert viewer._titles == ["native, 1.2 m", "pan-sharpened, 0.3 m"]
    viewer.composite.value, viewer.stretch.value = "coastal", (5, 90)
    assert viewer.native_picture.shape == (50, 50, 3)
    for number, name in enumerate(THREE["coastal"]):
        expected = np.interp(native[..., BANDS.index(name)], np.percentile(band(tile, name), (5, 90)), (0, 255))
        assert np.abs(viewer.native_picture[..., number] - expected).max() <= 0.51
    viewer.index.value = "NDVI"
    a, b = native[..., 6].astype(float), native[..., 4].astype(float)
    expected = matplotlib.colormaps["BrBG"](((a - b) / (a + b) + 1) / 2)[..., :3] * 255
    assert np.abs(viewer.native_picture - expected).mean() < 0.5
    assert viewer._shape == [200, 200]  # clicks on either count in the tile's pixels
    assert BandViewer(tile).native_picture is None


def test_pixel_sizes_are_said_only_where_known(tile):
    def titles(georeference):
        return BandViewer(tile.replace(georeference=georeference), coarse(tile.mul))._titles

    for unknown in (None, Georeference((1, 0, 0, 0, -1, 0), "our own grid")):
        assert titles(unknown) == ["native, 4 times as wide pixels", "pan-sharpened"]
    assert titles(Georeference((0.5, 0, 500_000, 0, -0.5, 4e6), "EPSG:32611")) == ["native, 2 m", "pan-sharpened, 0.5 m"]
    north = Georeference((2, 0, 0, 0, -2, 8_399_737.9), "EPSG:3857")  # web Mercator doubles lengths at 60 degrees
    assert titles(north) == ["native, 4 m", "pan-sharpened, 1 m"]


@pytest.mark.parametrize("pixels", [(10, 20), [(1, 2), (3, 4), (5, 6)], [(200, 0)], [(-1, 0)], [(1.5, 2)], 7, ["ab"]])
def test_what_is_no_pixel_is_refused(viewer, pixels):
    viewer.pixels = [(1, 2)]
    with pytest.raises(
        ValueError, match=r"at most two \(row, column\) in whole numbers, rows 0 to 199 and columns 0 to 199"
    ):
        viewer.pixels = pixels
    assert viewer.pixels == [(1, 2)]


def test_what_is_no_native_mul_is_refused(tile):
    with pytest.raises(ValueError, match="no MUL bands to compare it with"):
        BandViewer(tile.replace(mul=None), coarse(tile.mul))
    with pytest.raises(ValueError, match=r"\(50, 50, 3\); it must be \(H, W, 8\)"):
        BandViewer(tile, coarse(tile.mul)[..., :3])
    with pytest.raises(ValueError, match=r"\(200, 200\) px and the tile \(200, 200\); native MUL is coarser"):
        BandViewer(tile, tile.mul)
    with pytest.raises(ValueError, match="of the same proportions"):
        BandViewer(tile, coarse(tile.mul)[:30])
    with pytest.raises(ValueError, match="uint8 and the tile's MUL uint16"):
        BandViewer(tile, (coarse(tile.mul) // 8).astype(np.uint8))


def test_composites_by_name_and_by_number(tile):
    np.testing.assert_array_equal(composite(tile.mul, "false colour"), false_colour(tile))
    np.testing.assert_array_equal(composite(tile.mul, (4, 2, 1), 5, 90), true_colour(tile, 5, 90))
    for bands in ("sepia", (1, 2), (1, 2, 8)):
        with pytest.raises(ValueError, match="must be one of true colour, false colour, red edge, coastal, or three"):
            composite(tile.mul, bands)


def test_scaled_goes_straight_from_dark_to_bright():
    values = np.array([[[0, 5], [10, 5], [15, 6], [20, 4], [99, 5]]], np.uint16)
    np.testing.assert_array_equal(scaled(values, (10, 5), (20, 5))[0], [[0, 0], [0, 0], [128, 255], [255, 0], [255, 0]])


def test_a_real_tile_looks_the_same_in_its_mul_and_in_its_rgb_file(shared):
    (files,) = find_tiles(shared / "data" / "crop_AOI_2_Vegas_img2144")
    tile = files.read()
    viewer = BandViewer(tile)
    difference = np.abs(viewer.picture.astype(int) - true_colour(tile))
    assert np.median(difference) <= 2
    assert np.percentile(difference, 95) <= 6
    viewer.index.value = "NDVI"
    viewer.pixels = [(10, 10), (649, 499)]
    np.testing.assert_array_equal(viewer.spectra, tile.mul[[10, 649], [10, 499]])


NAME = "<script>window.struck = true</script>"
CELL = f"""
import tnv2
tile = tnv2.render_scene(1, 200).tile.replace(name={NAME!r})
viewer = tnv2.BandViewer(tile, tile.mul[2::4, 2::4])
viewer
"""
COLOURS = """([which, pixels]) => {
    const image = document.querySelectorAll(".tnv2-picture img")[which];
    const canvas = Object.assign(document.createElement("canvas"), {width: image.naturalWidth, height: image.naturalHeight});
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return pixels.map(([row, column]) => [...context.getImageData(column, row, 1, 1).data].slice(0, 3));
}"""


@pytest.fixture(scope="module")
def page(browser, lab_server):
    """A notebook with one viewer, all cells run."""
    with notebook(browser, lab_server, CELL, ".tnv2-chart svg") as page:
        yield page


def shown(page, which, pixels):
    return page.evaluate(COLOURS, [which, pixels])


def test_click_and_controls_in_jupyterlab(page):
    stage = page.locator(".tnv2-picture-stage").nth(1)
    stage.scroll_into_view_if_needed()
    spectrum = page.locator(".tnv2-chart").nth(1)
    assert "Click the picture" in spectrum.inner_text()
    box = stage.bounding_box()
    for row, column in ((30, 150), (171, 12)):
        at = {"x": (column + 0.5) / 200 * box["width"], "y": (row + 0.5) / 200 * box["height"]}
        stage.click(position=at)
        wait_for(lambda r=row, c=column: f"row {r}, column {c}" in spectrum.inner_text(), 10)
    assert kernel_says(page, "print(viewer.pixels)") == "[(30, 150), (171, 12)]"
    assert kernel_says(page, "print((viewer.spectra[1] == tile.mul[171, 12]).all())") == "True"
    assert page.locator(".tnv2-mark").all_inner_texts() == ["1", "2"] * 2
    assert spectrum.locator("circle").count() == 16

    stage.press("Shift+ArrowRight")
    wait_for(lambda: kernel_says(page, "print(viewer.pixels[1])") == "(171, 22)", 10)
    stage.press("Enter")
    stage.press("ArrowUp")
    wait_for(lambda: kernel_says(page, "print(viewer.pixels)") == "[(170, 22), (171, 22)]", 10)

    pixels = [[0, 0], [17, 23], [49, 31], [30, 8]]
    python = "print([viewer.{}[row, column].tolist() for row, column in {}])"
    page.locator(".tnv2-viewer select").first.focus()
    for choice in ("false colour", "red edge"):
        before = shown(page, 1, pixels)
        page.keyboard.press("ArrowDown")  # JupyterLab would take it, and leave the viewer
        wait_for(lambda b=before: shown(page, 1, pixels) != b, 10)
        assert kernel_says(page, "print(viewer.composite.value)") == choice
        assert str(shown(page, 1, pixels)) == kernel_says(page, python.format("picture", pixels))
        assert str(shown(page, 0, pixels)) == kernel_says(page, python.format("native_picture", pixels))
    boxes = page.locator(".tnv2-picture-stage").evaluate_all(
        "(all) => all.map((one) => [one.clientWidth, one.clientHeight])"
    )
    assert boxes[0] == boxes[1]
    height = page.locator(".tnv2-viewer").bounding_box()["height"]
    kernel_says(page, "viewer.index.value = 'NDVI'")
    wait_for(lambda: page.locator(".tnv2-bar").count() == 65, 10)
    assert page.locator(".tnv2-viewer").bounding_box()["height"] == height  # nothing jumps
    assert page.locator(".tnv2-picture-name").first.inner_text() == NAME
    assert page.evaluate("() => window.struck") is None

"""The page's side of a prediction gives what Python's does: limits, sizes, padding, windows, footprints and outlines."""

import base64
import json
import warnings

import cv2
import numpy as np
import pytest
import rasterio.features
import shapely
from arrays import PACKING, came, sent
from conftest import fetched
from pyproj import Transformer
from shapely.geometry import shape

from tnv2.network.inference import known_shape, resized
from tnv2.network.windows import mirrored, padded, spans
from tnv2.page.page import LIBRARIES
from tnv2.pictures import stretch
from tnv2.tiles import Georeference, rasterise
from tnv2.tiles.limits import limits_of

IMPORT = f"""async () => {{
    window.network = {{}};
    const names = ["network", "rasters", "texts", "truth", "vectors"];
    for (const name of names) Object.assign(network, await import(`./${{name}}.js`));
    {PACKING}
}}"""


@pytest.fixture(scope="module")
def page(browser, served):
    page = browser.new_page()
    page.goto(f"{served}/")
    page.evaluate(IMPORT)
    yield page
    page.close()


def image(rng, kind, height=90, width=130):
    pixels = rng.integers(100, 200 if kind == np.uint8 else 1900, (height, width, 3)).astype(kind)
    return cv2.GaussianBlur(pixels, (0, 0), 2)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("contrast", ["low", "high", "none"])
@pytest.mark.parametrize(
    "lone", [[], [(3, 3, 255)], [(5, 7, 0), (50, 60, 1)], [(5, 7, 0)], [(5, 7, 0), (9, 9, 0)]],
    ids=["none", "high", "low", "black", "blacks"],
)  # fmt: skip
def test_limits_are_those_of_python(page, kind, contrast, lone):
    rng = np.random.default_rng(1)
    pixels = image(rng, kind)
    if contrast == "high":
        pixels[::2] //= 4  # so that 0 is black, and not far from all others
    if contrast == "none":
        pixels[:] = 120
    for row, column, value in lone:
        pixels[row, column] = value * (1 if kind == np.uint8 or value < 255 else 255)
    valid = rng.random(pixels.shape[:2]) > 0.1
    for row, column, _ in lone:
        valid[row, column] = True
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", ".*of the pixels are")  # a test of its own, below
        low, high = limits_of([pixels[valid]], valid.size, "tile")
    found = page.evaluate(
        "([rgb, valid]) => network.limitsOf({rgb: unpacked(rgb), valid: unpacked(valid)})",
        [sent(pixels), sent(valid.astype(np.uint8))],
    )
    assert (found["low"], found["high"]) == (low.tolist(), high.tolist())
    assert found["alone"] == bool(told)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize(("value", "told"), [(20, 0), (0, 1), (255, 1), (110, 0)], ids=["near", "black", "white", "among"])
def test_a_far_value_of_many_pixels_is_named_as_in_python(page, kind, value, told):
    pixels = np.random.default_rng(4).integers(90, 130, (90, 130, 3)).astype(kind)
    pixels[:40, :, 1] = value
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        limits_of([pixels.reshape(-1, 3)], pixels[..., 0].size, "tile")
    found = page.evaluate(
        "([rgb, valid]) => network.limitsOf({rgb: unpacked(rgb), valid: unpacked(valid)})",
        [sent(pixels), sent(np.ones(pixels.shape[:2], np.uint8))],
    )["shared"]
    assert len(warned) == told
    if told:
        words = f"{found['share']:.1%} of the pixels are {found['value']} in a channel, all others {found['first']} to "
        assert f"{words}{found['final']}, which" in str(warned[0].message)
    else:
        assert found is None


@pytest.mark.parametrize("metres", [0.15, 0.25, 0.37, 0.5, 1.2])
def test_sizes_are_those_of_python(page, metres):
    place = Georeference((metres, 0, 600_000, 0, -metres * 1.02, 4_000_000), "EPSG:32611")
    size = place.pixel_size((406, 439))
    assert tuple(page.evaluate("(size) => network.knownShape(406, 439, size)", list(size))) == known_shape(
        (406, 439), place, "auto"
    )


@pytest.mark.parametrize("to", [(150, 217), (60, 87), (45, 65), (90, 130)], ids=["larger", "smaller", "half", "same"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_resizes_as_python_does(page, kind, to):
    pixels = image(np.random.default_rng(2), kind)
    text = page.evaluate(
        "([pixels, from, to]) => packed(network.resized(unpacked(pixels), 3, from, to))",
        [sent(pixels), list(pixels.shape[:2]), list(to)],
    )
    wanted = resized(pixels, to)
    apart = np.abs(came(text, wanted.shape).astype(float) - wanted)
    assert apart.max() <= (1e-3 if kind == np.float32 else 1)  # of 100 to 1900; OpenCV counts bytes in fixed point
    valid = np.random.default_rng(3).random(pixels.shape[:2]) > 0.5
    text = page.evaluate("([valid, from, to]) => packed(network.nearest(unpacked(valid), from, to))",
                         [sent(valid.astype(np.uint8)), list(valid.shape), list(to)])  # fmt: skip
    np.testing.assert_array_equal(came(text, to), resized(valid, to))


@pytest.mark.parametrize("length", [32, 33, 63, 64, 650, 1280, 1281])
def test_pads_as_python_does(page, length):
    before, long = padded(length)
    found = page.evaluate(
        "(length) => { const {before, places} = network.mirrored(length); return [before, [...places]]; }", length
    )
    assert found == [before, mirrored(before, long, length).tolist()]


@pytest.mark.parametrize("length", [32, 672, 1280, 1312, 2048, 2112, 2944, 4096])
def test_windows_are_those_of_python(page, length):
    found = page.evaluate("(length) => network.spans(length).map(({start, weights}) => [start, [...weights]])", length)
    wanted = spans(length)
    assert [start for start, _ in found] == [start for start, _ in wanted]
    for (_, mine), (_, theirs) in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_a_tile_of_several_windows_is_blended_as_in_python(page):
    """A network that says where it looks: each pixel's own value, whatever the window."""
    found = page.evaluate("""async () => {
        const height = 1500, width = 1400, rgb = new Uint16Array(3 * height * width), seen = [];
        for (let i = 0; i < height * width; i++) rgb[3 * i] = 1 + i % 2000;
        const limits = {low: [0, 0, 0], high: [2001, 1, 1]};
        const look = async (bands, tall, wide) => {
            seen.push([tall, wide]);
            return Float32Array.from({length: 2 * tall * wide}, (_, k) => bands[k % (tall * wide)] * 0.229 + 0.485);
        };
        const valid = new Uint8Array(height * width).fill(1), tile = {height, width, rgb, mul: null, valid};
        const maps = await network.predictMaps(tile, limits, null, 11, look, async () => {});
        let most = 0;
        for (let i = 0; i < height * width; i++) most = Math.max(most, Math.abs(maps.building[i] - rgb[3 * i] / 2001));
        return [seen, most];
    }""")  # fmt: skip
    assert found[0] == [[1280, 1280]] * 4
    assert found[1] < 1e-6


def test_pictures_are_stretched_as_in_python(page):
    rng = np.random.default_rng(4)
    pixels, valid = image(rng, np.uint16), rng.random((90, 130)) > 0.2
    text = page.evaluate("([pixels, valid]) => packed(network.stretched(unpacked(pixels), 3, [2, 0, 1], unpacked(valid)))",
                         [sent(pixels), sent(valid.astype(np.uint8))])  # fmt: skip
    apart = np.abs(came(text, pixels.shape).astype(int) - stretch(pixels[..., [2, 0, 1]], valid=valid))
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.001


def test_quantises_as_python_does(page):
    maps = np.random.default_rng(5).random(10_000, np.float32)
    maps[:256] = (np.arange(256) + np.float32(0.5)) / np.float32(255)
    text = page.evaluate("(map) => packed(network.eightBit(unpacked(map)))", sent(maps.clip(0, 1)))
    wanted = np.floor(maps.clip(0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    np.testing.assert_array_equal(came(text), wanted)


@pytest.mark.parametrize("length", range(9))
def test_texts_come_back_as_bytes(page, length):
    from tnv2.page.page import as_text

    data = np.random.default_rng(length).integers(0, 256, 1000 + length).astype(np.uint8)
    assert as_text(data.tobytes()).encode() == base64.b85encode(data.tobytes()).replace(b"<", b".")
    text = page.evaluate("(text) => packed(network.fromText(text).slice())", as_text(data.tobytes()))
    np.testing.assert_array_equal(came(text), data)


def buildings(rng, count=60):
    """Polygons in pixels: some with a hole, some over each other, some over the edge, corners on centres and between."""
    found = []
    for _ in range(count):
        x, y, size, turn = *rng.uniform(-10, 110, 2), rng.uniform(2, 25), rng.uniform(0, 7)
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8))) + turn
        ring = np.stack([x + size * np.cos(angles), y + size * np.sin(angles)], axis=1)
        ring = np.round(ring * 2) / 2 if rng.random() < 0.4 else ring
        found.append([ring, ring.mean(axis=0) + (ring - ring.mean(axis=0)) / 3][: rng.integers(1, 3)])
    return found


@pytest.mark.parametrize("seed", range(6))
def test_footprints_are_drawn_as_in_python(page, seed):
    drawn = buildings(np.random.default_rng(seed))
    polygons = [[[ring.tolist() for ring in rings]] for rings in drawn]
    text = page.evaluate("(buildings) => packed(network.labelsOf({epsg: 4326, buildings}, null, 90, 110))", polygons)
    labels = came(text, (90, 110))
    np.testing.assert_array_equal(labels > 0, rasterise(drawn, (90, 110)) > 0)
    wanted = rasterise(drawn, (90, 110))
    pairs = np.unique(np.stack([labels.ravel(), wanted.ravel()]), axis=1)
    assert len(pairs[0]) == wanted.max() + 1  # each of mine is one of theirs


@pytest.mark.parametrize("density", [0.2, 0.5, 0.8])
def test_outlines_are_the_pixels_own(page, density):
    rng = np.random.default_rng(7)
    labels = np.where(rng.random((40, 60)) < density, rng.integers(1, 4, (40, 60)), 0).astype(np.int32)
    labels[5:12, 5:12], labels[7:9, 7:9] = 4, 0  # with a hole, and what is in it
    draw = """([labels, count]) => network.geojsonOf([
        {name: "a", height: 40, width: 60, place: null, labels: unpacked(labels), count, byHand: new Uint8Array(9)}])"""
    features = json.loads(page.evaluate(draw, [sent(labels), 4]))["features"]
    for number, feature in enumerate(features, 1):
        geometry = shape(feature["geometry"])
        assert geometry.is_valid
        assert geometry.area == (labels == number).sum() == feature["properties"]["pixels"]
        drawn = rasterio.features.rasterize([geometry], labels.shape)
        np.testing.assert_array_equal(drawn > 0, labels == number)
        parts = getattr(geometry, "geoms", [geometry])
        assert all(part.exterior.is_ccw for part in parts)
        assert not any(ring.is_ccw for part in parts for ring in part.interiors)


@pytest.mark.parametrize("epsg", [32760, 4326])
def test_buildings_across_180_degrees_are_cut_there(page, epsg):
    page.add_script_tag(content=fetched("proj4", LIBRARIES["proj4"]).decode())
    west, north = Transformer.from_crs(4326, epsg, always_xy=True).transform(179.9995, -16.8)
    step = 1.0 if epsg == 32760 else 1e-5
    place = {"epsg": epsg, "transform": [step, 0, west, 0, -step, north]}
    tile = {"name": "fiji", "height": 60, "width": 120, "place": place, "count": 4}
    labels = np.zeros((60, 120), np.int32)
    labels[5:25, 30:80], labels[10:15, 40:70], labels[40:50, 5:25], labels[40:50, 90:110], labels[52, 3:117] = 1, 0, 2, 3, 4
    draw = "([tile, labels]) => network.geojsonOf([{...tile, labels: unpacked(labels), byHand: new Uint8Array(5)}])"
    features = json.loads(page.evaluate(draw, [tile, sent(labels)]))["features"]
    back = Transformer.from_crs(4326, epsg, always_xy=True)
    for number, feature in enumerate(features, 1):
        geometry = shape(feature["geometry"])
        parts = getattr(geometry, "geoms", [geometry])
        assert geometry.is_valid
        assert len(parts) == (1 if number in (2, 3) else 2)
        assert all(
            part.bounds[2] - part.bounds[0] < 0.01 and -180 <= part.bounds[0] <= part.bounds[2] <= 180 for part in parts
        )

        def pixels(x, y):
            x, y = np.where(np.asarray(x) < 0, np.asarray(x) + 360, x), np.asarray(y)  # one after the other
            if epsg == 32760:
                x, y = back.transform(x, y)
            return (x - west) / step, (north - y) / step

        wanted = shapely.union_all([shapely.box(c, r, c + 1, r + 1) for r, c in np.argwhere(labels == number)])
        apart = shapely.symmetric_difference(shapely.transform(geometry, pixels, interleaved=False), wanted)
        assert apart.area < 0.006 * wanted.length  # what is rounded to 1e-7 degrees is moved by half a centimetre

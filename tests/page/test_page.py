"""The page opens from disk in real Chromium and Firefox, and finds what predict finds, without Python or a network."""

import base64
import functools
import http.server
import json
import os
import re
import shutil
import threading
import time
from pathlib import Path

import cv2
import geopandas
import numpy as np
import pytest
import rasterio
from arrays import PACKING, came
from conftest import unavailable
from firefox import firefox
from lab import CHROMIUM_FLAGS
from rasterio.features import rasterize
from shapely.geometry import box

from tnv2 import (
    Probabilities,
    Recipe,
    Thresholds,
    label_instances,
    load_model,
    match,
    predict,
    read_tile,
    sample_tiles,
    save_page,
    true_colour,
)  # fmt: skip
from tnv2.tiles import Georeference, write_geotiff

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")  # rasterio's, of files that have none

MAPS = f"""(name) => {{
    {PACKING}
    return [packed(came.maps[name].building), packed(came.maps[name].border)];
}}"""
TRUTH = "new Int32Array(came.model.get('_truth').buffer).filter(Boolean).length"
REAL = [
    ("AOI_2_Vegas/RGB-PanSharpen/RGB-PanSharpen_AOI_2_Vegas_img1488.tif", None),
    ("AOI_2_Vegas/RGB-PanSharpen/RGB-PanSharpen_AOI_2_Vegas_img2144.tif", None),
    ("AOI_2_Vegas/RGB-PanSharpen/RGB-PanSharpen_AOI_2_Vegas_img246.tif", None),
    ("AOI_4_Shanghai/RGB-PanSharpen/RGB-PanSharpen_AOI_4_Shanghai_img6917.tif", None),
    ("crop_AOI_2_Vegas_img2144/RGB-PanSharpen_AOI_2_Vegas_img2144.tif",
     "crop_AOI_2_Vegas_img2144/MUL-PanSharpen_AOI_2_Vegas_img2144.tif"),
    ("AOI_1_Rio/3band/3band_AOI_1_RIO_img8.tif", "AOI_1_Rio/8band/8band_AOI_1_RIO_img8.tif"),
    ("AOI_1_Rio/3band/3band_AOI_1_RIO_img10.tif", "AOI_1_Rio/8band/8band_AOI_1_RIO_img10.tif"),
    ("png_8bit/AOI_2_Vegas_img371.png", None),
]  # fmt: skip


@pytest.fixture(scope="session")
def model():
    return load_model("mini", "cpu")


@pytest.fixture(scope="session")
def page_file(tmp_path_factory):
    """The page, written to a folder of its own."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    try:
        save_page(path)
    except ImportError as error:
        unavailable(str(error))
    except ConnectionError as error:
        pytest.skip(str(error))
    return path


class Opened:
    """The page in a browser, with what it asked for and said."""

    def __init__(self, browser, url, **options):
        self.context = browser.new_context(viewport={"width": 1100, "height": 1000}, accept_downloads=True, **options)
        self.page = self.context.new_page()
        self.requests, self.errors, self.dropped = [], [], 0
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(url)
        self.wait("globalThis.came?.ready")

    def wait(self, what, seconds=120):
        end = time.monotonic() + seconds
        while not self.page.evaluate(what):  # wait_for_function would need eval, which the page forbids
            assert time.monotonic() < end, f"{what} did not become true: {self.page.inner_text('main')}"
            time.sleep(0.05)

    def drop(self, *paths):
        """Give files to the page and return the sentences that it has on them."""
        self.page.set_input_files("#files", [str(path) for path in paths])
        self.dropped += 1
        self.wait(f"came.done === {self.dropped}")
        return self.page.locator("#notes li").all_inner_texts()

    def maps(self, name, shape):
        assert self.page.evaluate("(name) => name in came.maps", name), self.page.inner_text("main")[:2000]
        return [came(packed, shape) for packed in self.page.evaluate(MAPS, name)]

    def count(self):
        return int(self.page.inner_text(".tnv2-count").split()[0])

    def saved(self, button, folder):
        with self.page.expect_download() as download:
            self.page.click(f"#{button}")
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path


@pytest.fixture(scope="module")
def opened(browser, page_file):
    found = Opened(browser, page_file.as_uri() + "#maps", offline=True)
    yield found
    assert [url for url in found.requests if not url.startswith(("file:", "blob:", "data:"))] == []
    assert found.errors == []
    found.context.close()


@pytest.fixture
def fresh(opened):
    """The page as after start over."""
    if opened.page.is_enabled("#again"):
        opened.page.click("#again")
    return opened


def check_equal(opened, model, paths):
    """Assert that the page's maps and instances of a tile that was dropped are predict's."""
    tile = read_tile(*paths)
    wanted = predict(model, tile, precision="float32")
    building, border = opened.maps(tile.name, tile.shape)
    assert np.abs(building - wanted.building).max() < 0.01
    assert np.abs(border - wanted.border).max() < 0.01
    labels = label_instances(wanted.rounded(), model.thresholds)
    found = match(labels, label_instances(Probabilities(building, border).rounded(), model.thresholds))
    assert found.f1 >= 0.99
    assert opened.count() == pytest.approx(labels.max(), abs=1)


def sample(number):
    return [path for path in (sample_tiles()[number].files.rgb, sample_tiles()[number].files.mul) if path]


def test_shows_the_sample_at_once_and_is_small_enough_for_a_mail(browser, page_file, model):
    assert page_file.stat().st_size < 10_000_000
    page = browser.new_page(offline=True)
    page.goto(page_file.as_uri())
    page.wait_for_selector(".tnv2-count")
    tile = sample_tiles()[0]
    labels = label_instances(predict(model, tile, precision="float32").rounded(), model.thresholds)
    assert page.inner_text(".tnv2-count") == f"{labels.max()} buildings"
    assert "Las Vegas" in page.text_content("footer")
    assert f"F1 {match(tile.truth, labels).f1:.2f}" in page.inner_text(".tnv2-rates")
    page.close()


@pytest.mark.parametrize("number", range(4))
def test_sample_tiles_give_what_predict_gives(fresh, model, number):
    assert fresh.drop(*sample(number)) == []
    check_equal(fresh, model, sample(number))


@pytest.mark.parametrize(("rgb", "mul"), REAL, ids=[Path(rgb).stem for rgb, _ in REAL])
def test_real_tiles_give_what_predict_gives(fresh, model, shared, rgb, mul):
    paths = [shared / "data" / path for path in (rgb, mul) if path]
    fresh.drop(*paths)
    check_equal(fresh, model, paths)


def test_a_server_may_send_it_too(browser, page_file, model):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=page_file.parent))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        opened = Opened(browser, f"http://127.0.0.1:{server.server_address[1]}/page.html#maps")
        opened.drop(*sample(2))
        check_equal(opened, model, sample(2))
        opened.context.close()
    finally:
        server.shutdown()
        server.server_close()


def test_firefox_gives_the_same(page_file, model):
    if not shutil.which("firefox-esr"):
        unavailable("Firefox is not installed; on Debian: apt-get install firefox-esr")
    with firefox() as page:
        page.open(page_file.as_uri() + "#maps")
        page.wait("typeof came === 'object' && came.ready")
        page.set_files("#files", sample(1))
        page.wait("came.done === 1")
        tile = read_tile(*sample(1))
        texts = page.evaluate(f"({MAPS})({json.dumps(tile.name)})")
        building, border = (came(packed, tile.shape) for packed in texts)
        wanted = predict(model, tile, precision="float32")
        assert np.abs(building - wanted.building).max() < 0.01
        assert np.abs(border - wanted.border).max() < 0.01
        count = label_instances(wanted.rounded(), model.thresholds).max()
        assert page.evaluate("document.querySelector('.tnv2-count').textContent") == f"{count} buildings"


def test_a_gpu_is_tried_and_told(browser, page_file):
    flags = [flag for flag in CHROMIUM_FLAGS if flag != "--disable-gpu"]
    flags += ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]  # by software: good for values, not for speed
    other = browser.browser_type.launch(executable_path=shutil.which("chromium"), args=flags)
    opened = Opened(other, page_file.as_uri())
    if opened.page.evaluate("came.ready.why") == "there is no WebGPU here":
        pytest.skip("this Chromium has no WebGPU, not even one drawn by software")
    opened.wait("came.ready.why.startsWith('WebGPU\\'s maps')")
    assert float(re.search(r"within (\S+) of", opened.page.evaluate("came.ready.why"))[1]) < 0.001
    other.close()


def test_nothing_leaves_the_page(fresh, server):
    before = len(fresh.requests)
    fresh.drop(*sample(0))
    assert [url for url in fresh.requests[before:] if not url.startswith(("blob:", "data:"))] == []
    reach = """async (url) => {
        const image = new Promise((done, failed) => Object.assign(new Image(), {onload: done, onerror: failed, src: url}));
        return (await Promise.allSettled([fetch(url), image])).map(({status}) => status);
    }"""
    assert fresh.page.evaluate(reach, f"{server.url}/file") == ["rejected", "rejected"]
    assert server.asked == []
    del fresh.requests[before:]  # Chromium counts what the policy stops
    policy = fresh.page.get_attribute("meta[http-equiv=Content-Security-Policy]", "content")
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy
    assert "unsafe-eval" not in policy.replace("wasm-unsafe-eval", "")


# --- what it takes ---------------------------------------------------------------------------------------------------------


UTM = Georeference((0.3, 0, 665_000, 0, -0.3, 4_005_000), "EPSG:32611")
WRITTEN = {
    "deflate": {"compress": "deflate", "predictor": 2}, "lzw": {"compress": "lzw"}, "zstd": {"compress": "zstd"},
    "tiled": {"tiled": True, "blockxsize": 64, "blockysize": 64}, "bigtiff": {"BIGTIFF": "YES"},
    "planar": {"interleave": "band"}, "big-endian": {"ENDIANNESS": "BIG"},
}  # fmt: skip


def scene(height=192, width=224, dtype=np.uint16):
    noise = np.random.default_rng(3).integers(0, 1900 if dtype == np.uint16 else 255, (height, width, 3))
    return cv2.GaussianBlur(noise.astype(dtype), (0, 0), 3)


@pytest.mark.parametrize("how", WRITTEN)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_reads_geotiffs_as_gdal_does(fresh, model, tmp_path, how, dtype):
    path = tmp_path / f"{how}.tif"
    pixels = scene(dtype=dtype)
    options = {"driver": "GTiff", "height": 192, "width": 224, "count": 3, "dtype": pixels.dtype, **WRITTEN[how]}
    with rasterio.open(path, "w", crs="EPSG:32611", transform=rasterio.Affine(*UTM.transform), **options) as file:
        file.write(np.moveaxis(pixels, 2, 0))
    assert fresh.drop(path) == []
    check_equal(fresh, model, [path])


@pytest.mark.parametrize("how", ["nodata", "alpha", "mask"])
def test_knows_where_nothing_was_seen(fresh, model, tmp_path, how):
    path = tmp_path / f"{how}.tif"
    pixels, valid = scene(), np.ones((192, 224), bool)
    pixels[:40], valid[:40] = 0, False
    options = {"driver": "GTiff", "height": 192, "width": 224, "count": 3 + (how == "alpha"), "dtype": "uint16"}
    options |= {"nodata": {"nodata": 0}, "alpha": {"photometric": "rgb", "alpha": "yes"}}.get(how, {})
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **options) as file:
        file.write(np.moveaxis(pixels, 2, 0), [1, 2, 3])
        if how == "alpha":
            file.write(np.where(valid, 65535, 0).astype(np.uint16), 4)
        if how == "mask":
            file.write_mask(valid)
    fresh.drop(path)
    check_equal(fresh, model, [path])
    assert not fresh.maps(how, (192, 224))[0][:40].any()


PLACES = {
    "point": ("EPSG:32611", (0.3, 0, 665_000, 0, -0.3, 4_005_000), {"AREA_OR_POINT": "Point"}),
    "turned": ("EPSG:32611", (0.27, 0.13, 665_000, 0.13, -0.27, 4_005_000), {}),
    "south": ("EPSG:32755", (0.5, 0, 333_000, 0, -0.5, 5_820_000), {}),
    "web": ("EPSG:3857", (0.4, 0, -12_830_000, 0, -0.4, 4_320_000), {}),
    "degrees": ("EPSG:4326", (2.7e-6, 0, -115.2, 0, -2.7e-6, 36.2), {}),
}


@pytest.mark.parametrize("case", PLACES)
def test_lies_where_gdal_says(fresh, model, tmp_path, case):
    crs, transform, tags = PLACES[case]
    path = tmp_path / f"{case}.tif"
    with rasterio.open(path, "w", driver="GTiff", height=96, width=128, count=3, dtype="uint16", crs=crs,
                       transform=rasterio.Affine(*transform)) as file:  # fmt: skip
        file.update_tags(**tags)
        file.write(np.moveaxis(sample_tiles()[2].rgb[200:296, 200:328], 2, 0))
    assert fresh.drop(path) == []
    tile = read_tile(path)
    np.testing.assert_allclose(
        [float(line) for line in fresh.saved("world", tmp_path).read_text().split()][4:],
        tile.georeference.to_world([(0.5, 0.5)])[0], rtol=1e-12,
    )  # fmt: skip
    check_equal(fresh, model, [path])
    fresh.page.locator("input[type=number][data-name=min_area]").fill("0")
    fresh.page.wait_for_timeout(100)
    drawn = geopandas.read_file(fresh.saved("geojson", tmp_path)).to_crs(crs)
    assert len(drawn) == fresh.count() > 0
    corners = tile.georeference.to_pixels(drawn.get_coordinates())
    assert np.abs(corners - corners.round()).max() < 0.05  # 7 decimals of a degree are 1 cm
    assert drawn["area_m2"].sum() == pytest.approx(drawn.to_crs(drawn.estimate_utm_crs()).area.sum(), rel=0.003)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_reads_pictures(fresh, model, tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    picture = true_colour(sample_tiles()[2])[:256, :256, ::-1]
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111])
    (told,) = fresh.drop(path)
    assert "names no place" in told
    check_equal(fresh, model, [path])


def test_several_files_become_several_tiles_with_their_footprints(fresh):
    files = [tile.files for tile in sample_tiles()[:2]]
    assert fresh.drop(*(path for each in files for path in (each.rgb, each.mul, each.footprints))) == []
    assert fresh.page.locator(".tnv2-thumb").count() == 2
    fresh.page.wait_for_selector("[aria-busy=false] .tnv2-pooled")
    assert fresh.page.inner_text(".tnv2-pooled").startswith("2 tiles")
    assert all(re.fullmatch(r"\d\.\d\d", text) for text in fresh.page.locator(".tnv2-badge").all_inner_texts())
    fresh.page.click("#again")
    assert "AOI_0_Synthetic_img1" in fresh.page.inner_text(".tnv2-title")


def test_scores_are_those_of_python(fresh, model, shared):
    folder, name = shared / "data" / "AOI_2_Vegas", "AOI_2_Vegas_img2144"
    paths = [folder / f"RGB-PanSharpen/RGB-PanSharpen_{name}.tif", folder / f"geojson/buildings/buildings_{name}.geojson"]
    assert fresh.drop(*paths) == []
    tile = read_tile(paths[0], None, paths[1])
    found = match(tile.truth, label_instances(predict(model, tile, precision="float32").rounded(), model.thresholds))
    told = [float(number) for number in re.findall(r"\d\.\d\d", fresh.page.inner_text(".tnv2-rates"))]
    np.testing.assert_allclose(told, [found.f1, found.precision, found.recall], atol=0.0051)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32611"])
def test_footprints_may_be_in_degrees_or_in_utm(fresh, tmp_path, crs):
    write_geotiff(tmp_path / "utm.tif", scene(), UTM)
    house = box(665_003, 4_004_982, 665_018, 4_004_997)
    geopandas.GeoDataFrame(geometry=[house], crs="EPSG:32611").to_crs(crs).to_file(tmp_path / "drawn.geojson")
    assert fresh.drop(tmp_path / "utm.tif", tmp_path / "drawn.geojson") == []
    wanted = read_tile(tmp_path / "utm.tif", None, tmp_path / "drawn.geojson").truth
    assert fresh.page.evaluate(TRUTH) == (wanted > 0).sum() == 50 * 50


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_takes_what_is_pasted_and_dropped(fresh, tmp_path, kind):
    cv2.imwrite(str(tmp_path / "picture.png"), scene(dtype=np.uint8))
    data = base64.b64encode((tmp_path / "picture.png").read_bytes()).decode()
    give = """([data, kind]) => {
        const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0)), transfer = new DataTransfer();
        transfer.items.add(new File([bytes], `${kind}.png`, {type: "image/png"}));
        const [Kind, name] = {paste: [ClipboardEvent, "clipboardData"], drop: [DragEvent, "dataTransfer"]}[kind];
        document.dispatchEvent(new Kind(kind, {[name]: transfer, cancelable: true}));
    }"""
    fresh.page.evaluate(give, [data, kind])
    fresh.dropped += 1
    fresh.wait(f"came.done === {fresh.dropped}")
    assert kind in fresh.page.inner_text(".tnv2-title")


# --- what it refuses -------------------------------------------------------------------------------------------------------


def written(path, count=3, dtype="uint16", size=64, crs=None, **options):
    with rasterio.open(path, "w", driver="GTiff", height=size, width=size, count=count, dtype=dtype, crs=crs,
                       transform=rasterio.Affine(*UTM.transform) if crs else None, **options) as file:  # fmt: skip
        file.write(np.arange(count * size * size).reshape(count, size, size).astype(dtype))
    return path


def text_file(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def cut_short(path):
    written(path, size=256)
    path.write_bytes(path.read_bytes()[:5000])
    return path


def palette(path):
    written(path, 1, "uint8", photometric="palette")
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {0: (0, 0, 0), 1: (255, 0, 0)})
    return path


def sixteen_bits(path):
    cv2.imwrite(str(path), scene())
    return path


REFUSED = {
    "real.tif": (lambda path: written(path, dtype="float32"), "whole numbers of 8 or 16 bits"),
    "one.tif": (lambda path: written(path, 1), "has 1 band; this page takes 3"),
    "five.tif": (lambda path: written(path, 5), "has 5 bands; this page takes 3"),
    "eight.tif": (lambda path: written(path, 8), "no RGB tile of its name came with it"),
    "small.tif": (lambda path: written(path, size=24, crs="EPSG:32611"), "the network needs 32 px a side"),
    "short.tif": (cut_short, "damaged or cut short"),
    "palette.tif": (palette, "has a palette"),
    "lerc.tif": (lambda path: written(path, compress="lerc"), "compressed in a way that this page does not know"),
    "deep.png": (sixteen_bits, "PNG of 16 bits"),
    "odd.tif": (lambda path: text_file(path, "<html>Not found</html>"), "is no GeoTIFF, PNG, JPEG or GeoJSON"),
    "half.geojson": (lambda path: text_file(path, '{"type": "FeatureCollection", "features": ['), "there is no tile yet"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_says_in_one_sentence_what_it_cannot_take(fresh, tmp_path, name):
    make, words = REFUSED[name]
    (told,) = fresh.drop(make(tmp_path / name))
    assert told.startswith(name)
    assert words in told
    assert "img1" in fresh.page.inner_text(".tnv2-title")  # the sample is still there


def feature(kind, *positions):
    return json.dumps({"features": [{"geometry": {"type": kind, "coordinates": [*positions]}}]})


FOOTPRINTS = {
    "no JSON": ("{", "is no whole GeoJSON"),
    "no collection": ('{"type": "Polygon"}', "is no GeoJSON FeatureCollection"),
    "lines": (feature("LineString", [0, 0], [1, 1]), "has no polygon"),
    "elsewhere": (feature("Polygon", [[0, 0], [1, 0], [1, 1], [0, 0]]), "none lies on"),
    "another system": ('{"crs": {"properties": {"name": "EPSG:2154"}}, "features": []}', "which this page does not know"),
    "far": (feature("Polygon", [[1e300, 0], [1, 0], [1, 1], [0, 0]]), "finite numbers"),
}


@pytest.mark.parametrize("case", FOOTPRINTS)
def test_says_what_is_wrong_with_footprints(fresh, tmp_path, case):
    text, words = FOOTPRINTS[case]
    tile = written(tmp_path / "tile.tif", size=64, crs="EPSG:32611")
    (told,) = fresh.drop(tile, text_file(tmp_path / "drawn.geojson", text))
    assert told.startswith("drawn.geojson")
    assert words in told


def test_says_what_it_does_not_know_of_a_place(fresh, tmp_path):
    (told,) = fresh.drop(written(tmp_path / "lambert.tif", crs="EPSG:2154"))
    assert "EPSG:2154" in told
    assert fresh.page.is_disabled("#world")
    fresh.page.click("#again")
    (told,) = fresh.drop(written(tmp_path / "nowhere.tif"))
    assert "names no place" in told


def test_a_forgotten_no_data_value_is_named_as_in_python(fresh, model, tmp_path):
    pixels = scene()
    pixels[:40] = 65535
    with rasterio.open(
        path := tmp_path / "border.tif", "w", driver="GTiff", height=192, width=224, count=3, dtype="uint16"
    ) as file:
        file.write(np.moveaxis(pixels, 2, 0))
    with pytest.warns(UserWarning, match="20.8% of the pixels are 65535") as warned:
        predict(model, read_tile(path))
    told = next(str(each.message) for each in warned if "65535" in str(each.message))
    words = told[told.index("20.8%") : told.index(" If 65535")]
    assert any(words in each for each in fresh.drop(path))


def test_hostile_names_and_contents_stay_data(fresh, tmp_path):
    trap = "<img src=x onerror=document.title='trapped'>"
    tile = written(tmp_path / f"{trap}.tif", crs="EPSG:32611")
    drawn = json.dumps({"features": [{"properties": {"name": trap}, "geometry": {"type": trap}}]})
    told = fresh.drop(tile, text_file(tmp_path / f"{trap}.geojson", drawn))
    assert trap[:30] in told[-1]
    other = fresh.context.new_page()
    other.goto(fresh.saved("handout", tmp_path).as_uri())
    other.wait_for_selector(".tnv2-count")
    assert fresh.page.title() == "Find buildings in a satellite tile"
    assert other.title() == tile.stem
    other.close()


# --- what it gives back ----------------------------------------------------------------------------------------------------


@pytest.fixture
def tuned(fresh, shared):
    """A real tile at thresholds of one's own."""
    path = shared / "data/AOI_2_Vegas/RGB-PanSharpen/RGB-PanSharpen_AOI_2_Vegas_img2144.tif"
    fresh.drop(path)
    for name, value in {"mask": 0.5, "seed": 0.65, "border": 0.4, "min_area": 100}.items():
        fresh.page.locator(f"input[type=number][data-name={name}]").fill(str(value))
    fresh.page.wait_for_timeout(100)
    return fresh, read_tile(path)


def test_saves_what_python_would(tuned, model, tmp_path):
    opened, tile = tuned
    recipe = Recipe.load(opened.saved("recipe", tmp_path))
    assert (recipe.tile, recipe.weights, recipe.files["rgb"]) == (tile.name, "mini", tile.files.rgb.name)
    assert recipe.sha256 == model.origin["sha256"]
    assert recipe.thresholds == Thresholds(0.5, 0.65, 0.4, 100)
    building, border = opened.maps(tile.name, tile.shape)
    labels = label_instances(Probabilities(building, border).rounded(), recipe.thresholds)
    assert opened.count() == labels.max() > 20

    opened.saved("world", tmp_path)
    with rasterio.open(opened.saved("png", tmp_path)) as file:  # GDAL reads the world file beside it
        np.testing.assert_array_equal(file.read(1), labels)
        np.testing.assert_allclose(tuple(file.transform)[:6], tile.georeference.transform, rtol=1e-12)

    frame = geopandas.read_file(opened.saved("geojson", tmp_path))
    assert frame.crs == "EPSG:4326"
    assert frame.geometry.is_valid.all()
    assert frame["label"].tolist() == list(range(1, labels.max() + 1))
    shapes, transform = zip(frame.geometry, frame["label"], strict=True), rasterio.Affine(*tile.georeference.transform)
    np.testing.assert_array_equal(rasterize(shapes, tile.shape, transform=transform), labels)
    np.testing.assert_allclose(frame["area_m2"], frame.to_crs(frame.estimate_utm_crs()).area, rtol=0.002)

    other = opened.context.new_page()
    other.goto(opened.saved("handout", tmp_path).as_uri())
    other.wait_for_selector(".tnv2-count")
    assert other.inner_text(".tnv2-count") == f"{labels.max()} buildings"
    other.close()


def test_polygons_without_a_place_are_told(fresh, tmp_path):
    fresh.drop(written(tmp_path / "nowhere.tif"))
    fresh.saved("geojson", tmp_path)
    assert "maps misplace them" in fresh.page.locator("#notes li").last.inner_text()


def test_hand_edits_go_with_it(tuned, tmp_path):
    opened, _ = tuned
    edits = [{"kind": "delete", "at": [[330, 600]]}, {"kind": "add", "at": [[1, 200], [1, 230], [20, 230], [20, 200]]}]
    opened.page.evaluate("(edits) => came.model.set('edits', edits)", edits)
    opened.page.wait_for_timeout(100)
    assert list(Recipe.load(opened.saved("recipe", tmp_path)).edits) == edits
    frame = geopandas.read_file(opened.saved("geojson", tmp_path))
    assert len(frame) == opened.count()
    assert frame["by_hand"].sum() == 1


# --- large tiles, and other screens ----------------------------------------------------------------------------------------


def test_large_tiles_go_in_windows_and_can_be_stopped(fresh, model, tmp_path):
    path = tmp_path / "large.tif"
    write_geotiff(path, np.tile(sample_tiles()[0].rgb[:160], (1, 5, 1)), UTM)  # 3,250 px wide
    fresh.page.set_input_files("#files", str(path))
    fresh.page.click("#stop")
    fresh.dropped += 1
    fresh.wait(f"came.done === {fresh.dropped}")
    assert fresh.page.inner_text("#said") == "Stopped."
    assert "img1" in fresh.page.inner_text(".tnv2-title")
    fresh.page.set_input_files("#files", str(path))
    fresh.dropped += 1
    seen = set()
    while fresh.page.evaluate(f"came.done < {fresh.dropped}"):
        seen.add(fresh.page.inner_text("#said"))
        time.sleep(0.02)
    assert any(re.search(r"window \d of 4, \d+ s left", text) for text in seen)
    check_equal(fresh, model, [path])


@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (390, "dark")])
def test_nothing_keeps_anybody_out(browser, page_file, width, scheme):
    script = os.environ.get("TNV2_AXE")
    if not script:
        pytest.skip("axe-core is not there; set TNV2_AXE to the path of axe.min.js")
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.wait_for_selector(".tnv2-count")
    for summary in page.locator("footer summary").all():
        summary.click()
    page.add_script_tag(path=script)
    look = (
        """async () => (await axe.run({exclude: ["script"]})).violations.map((v) => [v.id, v.nodes.map(({html}) => html)])"""
    )
    assert page.evaluate(look) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()

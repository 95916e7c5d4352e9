"""The browser's engine gives the labels of label_instances, pixel for pixel, in real Chromium."""

import json
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from arrays import PACKING, came, sent
from lab import ROOT
from noise import noise_maps

from tnv2 import Probabilities, Thresholds, label_instances, match, overlay
from tnv2.instances.labels import seeds
from tnv2.pictures import PALETTE

IMPORT = f"""async () => {{
    window.engine = {{...await import("./engine.js"), ...await import("./scores.js"), ...await import("./paint.js")}};
    {PACKING}
}}"""
LOAD = """([width, height, building, border]) => {
    Object.assign(window, {space: engine.workspace(width, height), building: unpacked(building)});
    window.border = border && unpacked(border);
}"""
LABEL = """(thresholds) => {
    const {labels, stride, width, height} = engine.label(space, building, border, thresholds);
    const inner = new Int32Array(width * height);
    for (let row = 0; row < height; row++) {
        inner.set(labels.subarray((row + 1) * stride + 1, (row + 1) * stride + 1 + width), row * width);
    }
    return [packed(inner), space.count];
}"""
MEASURE = """() => Math.min(...[...Array(9).keys()].map((n) => {
    const start = performance.now();
    engine.squaredDepths(space, building, 0.2 + n / 20);
    return performance.now() - start;
}))"""
MATCH = """([truth, iou]) => {
    window.known = engine.footprints(unpacked(truth), space.width);
    const score = engine.match(space, known, iou), codes = engine.statuses(space, known, score);
    return {
        ...score, ofTruth: 0, ofLabel: 0, best: [...score.best],
        pairs: score.pairs.map((pair) => [pair.truth, pair.label, pair.iou]),
        statusOfLabels: [...codes.ofLabels], statusOfTruth: [...codes.ofTruth],
    };
}"""
DRAW_ERRORS = """([picture, opacity]) => {
    const background = unpacked(picture), pixels = new Uint32Array(background.length);
    const codes = engine.statuses(space, known, engine.match(space, known));
    engine.drawErrors(space, known, codes, background, pixels, opacity);
    return packed(pixels);
}"""
DRAW_SEEDS = """([picture, palette]) => {
    const background = unpacked(picture), pixels = new Uint32Array(background.length);
    engine.drawSeeds(space, background, pixels, palette, 1);
    return packed(pixels);
}"""
DRAW = """([picture, palette, opacity]) => {
    const background = unpacked(picture), pixels = new Uint32Array(background.length);
    engine.draw(space, background, pixels, palette, opacity);
    return packed(pixels);
}"""


@pytest.fixture(scope="module")
def page(browser, served):
    page = browser.new_page()
    page.goto(f"{served}/")
    page.evaluate(IMPORT)
    yield page
    page.close()


class Engine:
    def __init__(self, page, probabilities):
        self.page, self.shape = page, probabilities.building.shape
        self.maps = probabilities.quantised()
        page.evaluate(LOAD, [self.shape[1], self.shape[0], *map(sent, self.maps), *[None][len(self.maps) - 1 :]])

    def labels(self, thresholds):
        packed, count = self.page.evaluate(LABEL, vars(thresholds))
        labels = came(packed, self.shape)
        assert count == labels.max()
        return labels

    def assert_equal(self, thresholds):
        expected = label_instances(Probabilities.from_quantised(*self.maps), thresholds)
        np.testing.assert_array_equal(self.labels(thresholds), expected, err_msg=str(thresholds))


def rgba(picture):
    return sent(np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)]).view(np.uint32))


def pixels(packed, shape):
    drawn = came(packed).view(np.uint8).reshape(*shape, 4)
    assert (drawn[..., 3] == 255).all()
    return drawn[..., :3]


def random_thresholds(seed, count):
    rng = np.random.default_rng(seed)
    return [Thresholds(*rng.uniform(0, 1, 3).round(2), rng.integers(0, 60)) for _ in range(count)]


EXTREMES = [
    Thresholds(*values, min_area)
    for values in [(0, 0, 1), (1, 1, 0), (0, 0, 0), (0, 1, 1), (1, 0, 1), (0.5, 0, 1), (0.5, 1, 0.5)]
    for min_area in (0, 20)
]


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (33, 57), (128, 96)])
def test_equals_python_on_generated_maps(page, shape):
    for seed, grain in enumerate((0, 0.7, 2, 4)):
        engine = Engine(page, noise_maps(seed, *shape, grain))
        for thresholds in EXTREMES + random_thresholds(seed, 25):
            engine.assert_equal(thresholds)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (33, 57), (128, 96)])
@pytest.mark.parametrize("border", [True, False])
def test_equals_python_on_distances(page, shape, border):
    parted = 0
    for seed, grain in enumerate((0, 0.7, 2, 4, 8)):
        maps = noise_maps(seed, *shape, grain)
        engine = Engine(page, maps if border else Probabilities(maps.building))
        depths = np.random.default_rng(seed).choice([0, 0.5, 1, 1.4143, 2, 2.2361, 3, 5.5, 12, 1e5], 40)
        for thresholds, distance in zip(EXTREMES + random_thresholds(seed, 26), depths, strict=True):
            engine.assert_equal(replace(thresholds, distance=distance))
        deep = Thresholds(0.4, 0.4, 1, 0, 2)
        parted += engine.labels(deep).max() > engine.labels(replace(deep, distance=0)).max()
    assert parted or min(shape) == 1


def test_distances_of_a_real_tile_are_fast(page, real_maps):
    engine = Engine(page, Probabilities(real_maps[0].building))
    for distance in (1, 4, 9):
        for mask in (0.1, 0.3, 0.5):
            engine.assert_equal(Thresholds(mask, 0.5, 1, 20, distance))
    assert page.evaluate(MEASURE) < 100  # ms; some 10 on a quiet machine


def test_equals_python_on_the_sample_tiles_maps(page, sample_maps):
    for probabilities in sample_maps:
        engine = Engine(page, probabilities)
        for thresholds in [Thresholds(), Thresholds(0.3, 0.8, 0.8), *EXTREMES, *random_thresholds(0, 8)]:
            engine.assert_equal(thresholds)


def test_equals_python_on_real_maps(page, real_maps):
    for probabilities in real_maps:
        engine = Engine(page, probabilities)
        for thresholds in [Thresholds(), Thresholds(0.3, 0.8, 0.8), *random_thresholds(1, 8)]:
            engine.assert_equal(thresholds)


def test_node_gives_the_same(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed; Chromium tests the same engine")
    probabilities = noise_maps(9, 70, 90, 2)
    wanted = EXTREMES + random_thresholds(9, 40)
    maps = [array.ravel().tolist() for array in probabilities.quantised()]
    shutil.copy(ROOT / "tnv2" / "browser" / "engine.js", tmp_path / "engine.mjs")
    (tmp_path / "main.mjs").write_text(
        f"""import {{ label, workspace }} from "./engine.mjs";
        const space = workspace(90, 70), [building, border] = {json.dumps(maps)}.map((map) => Uint8Array.from(map));
        console.log(JSON.stringify({json.dumps([vars(t) for t in wanted])}.map(
            (thresholds) => [...label(space, building, border, thresholds).labels])));"""
    )
    output = subprocess.run([node, tmp_path / "main.mjs"], capture_output=True, text=True, check=True, timeout=60).stdout
    rounded = probabilities.rounded()
    for thresholds, labels in zip(wanted, json.loads(output), strict=True):
        padded = np.pad(label_instances(rounded, thresholds), 1)
        np.testing.assert_array_equal(np.reshape(labels, (72, 92)), padded, err_msg=str(thresholds))


def test_more_than_65535_components_and_a_large_tile(page):
    building = np.zeros((1024, 1024), np.float32)
    building[::2, ::2] = 0.9
    engine = Engine(page, Probabilities(building, np.zeros_like(building)))
    engine.assert_equal(Thresholds(min_area=0))
    assert engine.labels(Thresholds(min_area=0)).max() == 512 * 512
    engine.assert_equal(Thresholds(min_area=2))
    large = Engine(page, noise_maps(5, 2048, 2048, 6))
    for thresholds in (Thresholds(), Thresholds(0.3, 0.7, 0.6, 50)):
        large.assert_equal(thresholds)


def test_a_new_minimum_area_alone_gives_what_a_fresh_start_gives(page):
    engine = Engine(page, noise_maps(6, 120, 120, 2))
    for thresholds in random_thresholds(7, 5):
        for min_area in (0, 300, 1, 40):
            engine.assert_equal(Thresholds(thresholds.mask, thresholds.seed, thresholds.border, min_area))


def blobs(seed, shape):
    """Truth and maps that agree in places only."""
    truth = label_instances(noise_maps(seed, *shape, 4), Thresholds(0.55, 0.6, 1, 5))
    return truth, noise_maps(seed, *shape, 3)


@pytest.mark.parametrize("seed", range(8))
def test_scores_equal_pythons(page, seed):
    truth, probabilities = blobs(seed, (90, 110))
    engine = Engine(page, probabilities)
    for thresholds in random_thresholds(seed, 15):
        labels = engine.labels(thresholds)
        for iou in (0.5, 0.3):
            expected, got = match(truth, labels, iou), page.evaluate(MATCH, [sent(truth), iou])
            assert [got[name] for name in ("tp", "fp", "fn")] == [expected.tp, expected.fp, expected.fn]
            assert [got[name] for name in ("precision", "recall", "f1")] == [
                expected.precision,
                expected.recall,
                expected.f1,
            ]
            assert [pair[:2] for pair in got["pairs"]] == expected.pairs.tolist()
            np.testing.assert_allclose([pair[2] for pair in got["pairs"]], expected.iou)
            assert [(a, tuple(b)) for a, b in got["merged"]] == list(expected.merged)
            assert [(a, tuple(b)) for a, b in got["split"]] == list(expected.split)


def test_every_building_meets_one_fate(page):
    """One pair each of found, missed, spurious, merged and split buildings, told apart."""
    truth, building = np.zeros((40, 120), np.int32), np.zeros((40, 120), np.float32)
    for number, (left, right) in enumerate([(2, 12), (22, 32), (62, 70), (72, 80), (90, 114)], start=1):
        truth[5:20, left:right] = number
    for left, right in [(2, 12), (42, 52), (62, 80), (90, 101), (103, 114)]:  # found, spurious, merged, split in two
        building[5:20, left:right] = 0.9
    engine = Engine(page, Probabilities(building, np.zeros_like(building)))
    engine.labels(Thresholds())
    got = page.evaluate(MATCH, [sent(truth), 0.5])
    found, missed, spurious, merged, split = range(1, 6)
    assert got["statusOfLabels"] == [0, found, spurious, merged, split, split]
    assert got["statusOfTruth"] == [0, found, missed, merged, merged, split]
    picture = np.full((40, 120, 3), 100, np.uint8)
    drawn = pixels(page.evaluate(DRAW_ERRORS, [rgba(picture), 0.5]), truth.shape)
    covered = (truth > 0) | (building > 0)
    assert (drawn[~covered] == 100).all()
    middles = [tuple(drawn[12, column]) for column in (7, 27, 47, 66, 95)]
    assert len(set(middles)) == 5
    assert (100, 100, 100) not in middles


def test_seeds_are_drawn_where_they_are(page):
    probabilities = noise_maps(3, 60, 80, 3)
    engine = Engine(page, probabilities)
    thresholds = Thresholds(0.5, 0.6, 0.9, 0)
    labels = engine.labels(thresholds)
    picture = np.zeros((60, 80, 3), np.uint8)
    drawn = pixels(page.evaluate(DRAW_SEEDS, [rgba(picture), PALETTE.tolist()]), (60, 80))
    where = seeds(Probabilities.from_quantised(*engine.maps), thresholds) > 0
    assert where.any()
    assert not drawn[~where].any()
    np.testing.assert_array_equal(drawn[where], PALETTE[(labels[where] - 1) % len(PALETTE)])


def test_draws_what_overlay_draws(page):
    engine = Engine(page, noise_maps(3, 60, 80, 3))
    labels = engine.labels(Thresholds(0.5, 0.6, 0.9, 5))
    picture = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    drawn = pixels(page.evaluate(DRAW, [rgba(picture), PALETTE.tolist(), 0.4]), (60, 80))
    assert labels.max() > 7
    assert np.abs(drawn.astype(int) - overlay(picture, labels, 0.4)).max() <= 1

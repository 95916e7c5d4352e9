"""The browser mends labels by hand as tnv2.edited does, pixel for pixel, in real Chromium."""

import numpy as np
import pytest
from arrays import PACKING, came, sent
from noise import noise_edits, noise_maps

from tnv2 import Thresholds, edited, label_instances

IMPORT = f"""async () => {{
    window.engine = {{...await import("./engine.js"), ...await import("./edits.js")}};
    {PACKING}
}}"""
MEND = """([width, height, building, border, thresholds, lists]) => {
    const space = engine.workspace(width, height), maps = [unpacked(building), unpacked(border)];
    return lists.map((edits) => {
        engine.label(space, ...maps, thresholds);
        const start = performance.now(), {waiting, byHand} = engine.mend(space, edits), took = performance.now() - start;
        const areas = [...space.areas.subarray(0, space.count + 1)];
        return {labels: packed(space.labels.slice()), waiting, byHand: [...byHand], count: space.count, areas, took};
    });
}"""


@pytest.fixture(scope="module")
def page(browser, served):
    page = browser.new_page()
    page.goto(f"{served}/")
    page.evaluate(IMPORT)
    yield page
    page.close()


def mended(page, probabilities, thresholds, lists):
    height, width = probabilities.building.shape
    found = page.evaluate(MEND, [width, height, *map(sent, probabilities.quantised()), vars(thresholds), lists])
    for each in found:
        each["labels"] = came(each["labels"], (height + 2, width + 2))[1:-1, 1:-1]
    return found


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (1, 40), (40, 1), (33, 57), (128, 96)])
def test_equals_python_on_generated_maps(page, shape):
    acted = dict.fromkeys(("delete", "merge", "split", "add"), 0)
    reasons = set()
    for seed, grain in enumerate((0, 0.7, 2, 4)):
        maps = noise_maps(seed, *shape, grain).rounded()
        for thresholds in (Thresholds(0.4, 0.6, 0.9, 3), Thresholds(0.5, 0.5, 1, 0), Thresholds(0.2, 0.8, 0.6, 20)):
            labels = label_instances(maps, thresholds)
            lists = [noise_edits(100 * seed + n, labels, length) for n, length in enumerate((0, 1, 2, 5, 15, 15, 40, 40))]
            for edits, got in zip(lists, mended(page, maps, thresholds, lists), strict=True):
                wanted = edited(labels, edits)
                np.testing.assert_array_equal(got["labels"], wanted.labels, err_msg=str(edits))
                assert got["waiting"] == list(wanted.waiting)
                assert tuple(np.flatnonzero(got["byHand"])) == wanted.by_hand
                assert got["count"] == wanted.labels.max()
                assert got["areas"][1:] == np.bincount(wanted.labels.ravel())[1:].tolist()
                for edit, why in zip(edits, wanted.waiting, strict=True):
                    acted[edit["kind"]] += not why
                reasons.add(wanted.waiting)
    if min(shape) > 1:
        assert min(acted.values()) > 20
        told = set().union(*reasons)
        assert len(told) == 7, told


def test_equals_python_on_the_sample_tiles_maps(page, sample_maps):
    for seed, probabilities in enumerate(sample_maps):
        maps = probabilities.rounded()
        labels = label_instances(maps, Thresholds(0.3, 0.6, 0.6))
        edits = noise_edits(seed, labels, 60)
        (got,) = mended(page, maps, Thresholds(0.3, 0.6, 0.6), [edits])
        wanted = edited(labels, edits)
        np.testing.assert_array_equal(got["labels"], wanted.labels)
        assert got["waiting"] == list(wanted.waiting)


def test_what_stood_before_does_not_show(page):
    """Edits leave nothing behind in the workspace: with none, the labels are those of the thresholds again."""
    maps = noise_maps(3, 60, 80, 3).rounded()
    labels = label_instances(maps, Thresholds(0.4, 0.6, 0.9, 3))
    edits = noise_edits(1, labels, 30)
    first, empty, again = mended(page, maps, Thresholds(0.4, 0.6, 0.9, 3), [edits, [], edits])
    np.testing.assert_array_equal(first.pop("labels"), again.pop("labels"))
    assert {**first, "took": 0} == {**again, "took": 0}
    np.testing.assert_array_equal(empty["labels"], labels)


def test_a_thousand_edits_are_quick(page):
    maps = noise_maps(5, 650, 650, 6).rounded()
    labels = label_instances(maps, Thresholds(0.4, 0.6, 0.9))
    rng = np.random.default_rng(2)
    edits = []
    for row, column in rng.choice(np.argwhere(labels), 1000).tolist():
        kind = ["delete", "split", "add"][len(edits) % 3]
        ends = np.clip([[row, column - 12], [row + 9, column + 12], [row - 9, column + 12]], 0, 649).tolist()
        edits.append({"kind": kind, "at": {"delete": [[row, column]], "split": ends[:2], "add": ends}[kind]})
    found = mended(page, maps, Thresholds(0.4, 0.6, 0.9), [edits] * 5)
    assert min(each["took"] for each in found) < 300, [each["took"] for each in found]  # ms

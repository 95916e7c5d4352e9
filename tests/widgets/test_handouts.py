"""A handout opens from disk in real Chromium, without any server, and does what the tuner does."""

import re

import numpy as np
import pytest
from lab import wait_for
from scipy import ndimage
from skimage import data, filters

from tnv2 import Thresholds, ThresholdTuner, label_instances, match, sample_tiles

TRAP = "</script><script>window.trapped = true</script><!-- state -->"


@pytest.fixture(scope="module")
def tuner(sample_maps):
    return ThresholdTuner(sample_tiles()[0].replace(name=TRAP), sample_maps[0], Thresholds(0.45, 0.55, 0.6, 30))


@pytest.fixture(scope="module")
def page(browser, tuner, tmp_path_factory):
    path = tmp_path_factory.mktemp("handout") / "handout.html"
    tuner.save_handout(path)
    assert [child.name for child in path.parent.iterdir()] == ["handout.html"]
    assert path.stat().st_size < 2_000_000
    page = browser.new_page(viewport={"width": 1100, "height": 900}, offline=True)
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector(".tnv2-tuner canvas")
    yield page
    assert [url for url in requests if not url.startswith(("file:", "blob:"))] == []
    assert errors == []
    page.close()


def shown(page):
    """The building count, and F1, precision and recall, as the page shows them."""
    count = int(page.locator(".tnv2-count").inner_text().split()[0])
    return count, [float(number) for number in re.findall(r"\d\.\d+", page.locator(".tnv2-rates").inner_text())]


def expected(tuner, thresholds):
    labels = label_instances(tuner.probabilities, thresholds)
    m = match(tuner.tile.truth, labels)
    return labels.max(), [m.f1, m.precision, m.recall]


def set_threshold(page, name, value):
    page.locator(f"input[type=number][data-name={name}]").fill(str(value))


def test_starts_as_the_tuner_stands(page, tuner):
    count, rates = shown(page)
    wanted_count, wanted = expected(tuner, tuner.thresholds)
    assert count == wanted_count
    np.testing.assert_allclose(rates, wanted, atol=0.0051)


def test_sliders_move_buildings_and_scores(page, tuner):
    for mask, seed, border, min_area in [(0.3, 0.8, 0.8, 20), (0.2, 0.9, 0.3, 0), (0.6, 0.6, 1, 200)]:
        for name, value in zip(("mask", "seed", "border", "min_area"), (mask, seed, border, min_area), strict=True):
            set_threshold(page, name, value)
        wanted_count, wanted = expected(tuner, Thresholds(mask, seed, border, min_area))
        wait_for(lambda n=wanted_count: shown(page)[0] == n, 5)
        np.testing.assert_allclose(shown(page)[1], wanted, atol=0.0051)


def test_presets_and_reset(page, tuner):
    page.get_by_role("button", name="practice").click()
    assert page.locator("input[type=number][data-name=seed]").input_value() == "0.80"
    page.get_by_role("button", name="reset").click()
    wait_for(lambda: shown(page)[0] == expected(tuner, tuner.thresholds)[0], 5)
    assert page.get_by_role("button", name="best").is_disabled()


def test_a_name_with_script_in_it_stays_text(page):
    assert page.locator("h1").inner_text() == TRAP
    assert page.locator(".tnv2-title span").text_content() == TRAP
    assert page.title() == TRAP
    assert page.evaluate("() => window.trapped") is None


def test_errors_can_be_visited(page):
    set_threshold(page, "min_area", 400)
    page.wait_for_timeout(400)
    page.locator(".tnv2-errors button").first.click()
    assert page.locator("select[data-name=show]").input_value() == "errors"
    wait_for(lambda: float(page.locator(".tnv2-frame").get_attribute("data-zoom")) == 5, 5)


def test_pointing_reads_the_picture(page, tuner):
    page.get_by_role("button", name="reset").click()
    page.get_by_role("button", name="fit").click()
    box = page.locator(".tnv2-frame canvas").bounding_box()
    labels = tuner.labels
    rows, columns = np.nonzero(labels == np.bincount(labels.ravel())[1:].argmax() + 1)
    middle = len(rows) // 2
    row, column = rows[middle], columns[middle]
    page.mouse.move(box["x"] + (column + 0.5) / 650 * box["width"], box["y"] + (row + 0.5) / 650 * box["height"])
    text = page.locator(".tnv2-readout").inner_text()
    area = (labels == labels[row, column]).sum()
    assert f"row {row} col {column}" in text
    assert f"#{labels[row, column]} " in text
    assert f"{area} px" in text
    assert int(re.search(r"(\d+) m\u00b2", text)[1]) == pytest.approx(area * 0.3**2, rel=0.02)
    building = tuner.probabilities.building[row, column]
    assert f"building {building:.2f}" in text


def test_wheel_zooms_dragging_pans_and_keys_do_both(page):
    frame = page.locator(".tnv2-frame")

    def transform():
        return page.evaluate("() => document.querySelector('.tnv2-frame canvas').style.transform")

    frame.click()
    page.mouse.wheel(0, -300)
    wait_for(lambda: float(frame.get_attribute("data-zoom")) > 1, 5)
    before = transform()
    page.mouse.down()
    page.mouse.move(400, 300, steps=3)
    page.mouse.up()
    assert transform() != before
    frame.focus()
    page.keyboard.press("0")
    assert float(frame.get_attribute("data-zoom")) == 1
    page.keyboard.press("+")
    assert float(frame.get_attribute("data-zoom")) == 1.25
    before = transform()
    page.keyboard.press("ArrowRight")
    assert transform() != before
    assert "row" in page.locator(".tnv2-readout").inner_text()


def test_memory_does_not_grow_over_ten_thousand_changes(page):
    devtools = page.context.new_cdp_session(page)

    def used_after(changes):
        page.evaluate(
            """async (changes) => {
                const slider = document.querySelector("input[type=range][data-name=mask]");
                for (let n = 0; n < changes; n++) {
                    slider.value = 0.2 + 0.006 * (n % 100);
                    slider.dispatchEvent(new Event("input", { bubbles: true }));
                    if (n % 20 === 0) await new Promise(requestAnimationFrame);
                }
                await new Promise((resolve) => setTimeout(resolve, 400)); // the list of errors is written after a rest
            }""",
            changes,
        )
        devtools.send("HeapProfiler.collectGarbage")
        return devtools.send("Runtime.getHeapUsage")["usedSize"]

    before = used_after(500)
    assert used_after(10_000) < before + 1_000_000


def test_the_distance_is_no_slider_beside_a_border_map_until_it_counts(page):
    row = page.locator("label.tnv2-row", has=page.locator("input[type=range][data-name=distance]"))
    assert not row.is_visible()
    assert page.locator("input[type=range][data-name=border]").is_visible()
    assert "distance" not in page.get_by_role("button", name="reset").get_attribute("title")


@pytest.fixture(scope="module")
def coins():
    """Coins and a map of them that scikit-image made: soft, and without a border map."""
    picture = data.coins()[90:]
    brighter = filters.gaussian(picture, 7, preserve_range=True) - filters.threshold_local(picture, 151)
    tuner = ThresholdTuner(picture, 1 / (1 + np.exp(-brighter / 10)), Thresholds(min_area=300))
    tuner.things = "coins"
    return tuner


def test_maps_without_a_border_have_a_distance_in_its_place(browser, coins, tmp_path):
    coins.save_handout(tmp_path / "coins.html")
    page = browser.new_page(viewport={"width": 1100, "height": 900}, offline=True)
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((tmp_path / "coins.html").as_uri())
    page.wait_for_selector(".tnv2-tuner canvas")
    names = [slider.get_attribute("data-name") for slider in page.locator("input[type=range]:visible").all()]
    assert names == ["mask", "seed", "distance", "min_area", "opacity"]
    assert page.locator("select[data-name=under] option").all_inner_texts() == ["tile", "building map"]
    told = page.get_by_role("button", name="reset").get_attribute("title")
    assert "distance 0" in told
    assert "border" not in told
    found = []
    for mask, distance in ((0.5, 0), (0.5, 9), (0.4, 9), (0.4, 14.5), (0.4, 60)):
        set_threshold(page, "mask", mask)
        set_threshold(page, "distance", distance)
        wanted = label_instances(coins.probabilities, Thresholds(mask, 0.5, min_area=300, distance=distance)).max()
        wait_for(lambda n=wanted: page.locator(".tnv2-count").inner_text() == f"{n} coins", 5)
        found.append(wanted)
    assert found[1] == 18 > found[0] > found[-1] == 0
    set_threshold(page, "mask", 0.5)
    box = page.locator(".tnv2-frame canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + box["height"] * 0.2)
    row, column, depth = re.search(
        r"row (\d+) col (\d+) .* distance ([\d.]+)", page.locator(".tnv2-readout").inner_text()
    ).groups()
    region = coins.probabilities.building > 0.5
    assert float(depth) == pytest.approx(ndimage.distance_transform_edt(region)[int(row), int(column)], abs=0.051)
    assert errors == []
    page.close()


@pytest.mark.parametrize("show", ["instances", "errors", "seeds", "nothing"])
@pytest.mark.parametrize("under", ["tile", "false colour", "building map", "border map"])
def test_every_view_is_a_picture_of_its_own(page, show, under):
    pictures = set()
    for choice in ("nothing", show):
        page.locator("select[data-name=show]").select_option(choice)
        page.locator("select[data-name=under]").select_option(under)
        page.wait_for_timeout(100)
        pictures.add(page.evaluate("() => document.querySelector('canvas').toDataURL()"))
    assert len(pictures) == (1 if show == "nothing" else 2)

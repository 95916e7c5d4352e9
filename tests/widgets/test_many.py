"""Several tiles in one tuner: in Python, in a handout in real Chromium, and in JupyterLab."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import traitlets
from lab import ROOT, kernel_says, notebook, wait_for
from noise import noise_maps

from tnv2 import (
    Probabilities,
    Recipe,
    Recipes,
    SweepMap,
    Thresholds,
    ThresholdTuner,
    Tile,
    edited,
    label_instances,
    match,
    score_city,
    sweep,
)

SHAPES = [(90, 120), (90, 120), (100, 80), (64, 64), (90, 120), (70, 130)]
START = Thresholds(0.45, 0.55, 0.7, 12)
POINTS = [Thresholds(0.3, 0.6, 0.8, 0), Thresholds(0.6, 0.6, 0.4, 30), Thresholds(0.5, 0.55, 1, 12), START]


def labelled(n):
    """A tile with footprints that are not quite what its maps say; the fourth has none, the fifth's maps have no border."""
    maps = noise_maps(n, *SHAPES[n], 4)
    rgb = np.random.default_rng(n).integers(0, 2048, (*SHAPES[n], 3), np.uint16)
    truth = np.roll(label_instances(maps, Thresholds(0.5, 0.5 + n / 30, 0.75, 12)), n, axis=1)
    return Tile(rgb, name=f"tile-{n}", truth=None if n == 3 else truth), Probabilities(maps.building) if n == 4 else maps


@pytest.fixture
def tuner():
    tiles, maps = zip(*map(labelled, range(6)), strict=True)
    return ThresholdTuner(list(tiles), list(maps), START)


def pooled(tuner, thresholds, edits=None):
    """The Score of all labelled tiles by other means than the tuner's."""
    found = []
    for place, (tile, maps) in enumerate(zip(tuner.tiles, tuner.maps, strict=True)):
        if tile.truth is not None:
            labels = label_instances(maps, thresholds)
            found.append(match(tile.truth, edited(labels, (edits or {}).get(place, [])).labels))
    return score_city(found)


def middle_of_one(labels):
    """A pixel inside the largest instance of labels, as [row, column]."""
    rows, columns = np.nonzero(labels == np.bincount(labels.ravel())[1:].argmax() + 1)
    return [int(rows[len(rows) // 2]), int(columns[len(rows) // 2])]


def test_a_single_tile_is_as_it_was():
    tile, maps = labelled(0)
    tuner = ThresholdTuner(tile, maps, START)
    assert (tuner._tiles, tuner._every_edits, tuner._worker) == ([], [], "")
    assert tuner._building == maps.quantised()[0].tobytes()
    assert tuner.tiles == (tile,)
    assert repr(tuner.score) == repr(score_city([tuner.match]))
    assert list(tuner.recipes) == [tuner.recipe]


def test_the_thresholds_are_everybodys_and_the_rest_the_visible_tiles(tuner):
    for place in (0, 2, 5):
        tuner.at = place
        assert tuner.tile is tuner.tiles[place]
        np.testing.assert_array_equal(tuner.labels, label_instances(tuner.maps[place], START))
        assert repr(tuner.match) == repr(tuner.matches[place])
    tuner.mask = 0.3
    tuner.at = 3
    assert tuner.mask == 0.3
    assert tuner.match is tuner.matches[3] is None
    for thresholds in POINTS:
        tuner.thresholds = thresholds
        assert tuner.score == pooled(tuner, thresholds)
    with pytest.raises(traitlets.TraitError, match=r"at is 6; it counts 6 tiles"):
        tuner.at = 6


def test_a_sweep_over_all_tiles_moves_it(tuner):
    known = [n for n in range(6) if n not in (3, 4)]
    found = sweep(
        [tuner.maps[n] for n in known], [tuner.tiles[n].truth for n in known], [0.4, 0.5], [0.5, 0.6], [0.6, 1], [12]
    )
    heat = SweepMap(found, tuner)
    assert tuner.best == found.best
    heat.point = [1, 0]
    assert (tuner.seed, tuner.border) == (0.6, 0.6)


def test_edits_are_kept_for_each_tile(tuner):
    edits = {}
    for place in (0, 2):
        tuner.at = place
        assert tuner.edits == []
        edits[place] = tuner.edits = [{"kind": "delete", "at": [middle_of_one(tuner.labels)]}]
    tuner.at = 0
    assert tuner.edits == edits[0]
    assert tuner.score == pooled(tuner, START, edits) != pooled(tuner, START)
    assert [len(recipe.edits) for recipe in tuner.recipes] == [1, 0, 1, 0, 0, 0]
    tuner.at = 3  # of 64 x 64 px
    with pytest.raises(Exception, match="edit"):
        tuner.edits = [{"kind": "delete", "at": [[80, 3]]}]


def test_recipes_are_kept_in_one_file_and_make_all_labels_again(tuner, tmp_path):
    tuner.at = 1
    tuner.edits = [{"kind": "delete", "at": [middle_of_one(tuner.labels)]}]
    tuner.recipes.save(tmp_path / "all.json")
    again = Recipes.load(tmp_path / "all.json")
    assert again == tuner.recipes
    assert again[1] == tuner.recipe
    code = str(again)
    assert code.count("import tnv2") == 1
    for maps, tile in zip(tuner.maps, tuner.tiles, strict=True):  # which came as arrays, so the code has gaps for them
        code = code.replace("tile = ...", f"tile = given[{tile.name!r}]", 1)
        code = re.sub(
            r"(probabilities = tnv2.predict|maps = \.\.\.).*", f"probabilities = kept[{tile.name!r}]", code, count=1
        )
        code = (
            code.replace("probabilities = tnv2.read_probabilities(maps).rounded()\n", "", 1) if maps.border is None else code
        )
    names = {"given": dict.fromkeys([tile.name for tile in tuner.tiles])}
    names["kept"] = {tile.name: maps for tile, maps in zip(tuner.tiles, tuner.maps, strict=True)}
    exec(code, names)
    for place, labels in enumerate(names["every"]):
        tuner.at = place
        np.testing.assert_array_equal(labels, tuner.labels)
    for wrong, kind in (("all.json", Recipe), ("one.json", Recipes)):
        tuner.recipe.save(tmp_path / "one.json")
        with pytest.raises(ValueError, match="its format is not"):
            kind.load(tmp_path / wrong)


def test_lists_that_do_not_fit_are_refused():
    tile, maps = labelled(0)
    with pytest.raises(ValueError, match="maps are a list of 1 and tiles a list of 2"):
        ThresholdTuner([tile, tile], [maps])
    with pytest.raises(ValueError, match="maps are one Probabilities and tiles a list of 1"):
        ThresholdTuner([tile], maps)
    with pytest.raises(ValueError, match="a list of 0"):
        ThresholdTuner([], [])
    with pytest.raises(ValueError, match=r"of tile 1 \(counted from 0\): probabilities are \(64, 64\)"):
        ThresholdTuner([tile, tile], [maps, labelled(3)[1]])


def test_a_large_handout_is_written_and_warned_of(tmp_path):
    rng = np.random.default_rng(0)
    tiles = [Tile(rng.integers(0, 256, (1600, 1600, 3), np.uint8)) for _ in range(2)]
    tuner = ThresholdTuner(tiles, [Probabilities(rng.random((1600, 1600), np.float32)) for _ in tiles])
    with pytest.warns(UserWarning, match=r"is 1\d\.\d MB, .* Tiles in it: 2") as warned:
        tuner.save_handout(tmp_path / "large.html")
    assert f"{(tmp_path / 'large.html').stat().st_size / 1e6:.1f} MB" in str(warned[0].message)
    assert warned[0].filename == __file__


# In a page.


class Page:
    """A handout of several tiles in a browser."""

    def __init__(self, page, tuner, folder):
        tuner.save_handout(folder / "many.html")
        self.page, self.errors = page, []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto((folder / "many.html").as_uri())
        self.settled()

    def settled(self):
        self.page.wait_for_timeout(50)  # a change is asked for in a microtask
        self.page.wait_for_selector(".tnv2-strip[aria-busy=false]")
        return self

    def pooled(self):
        """F1, precision and recall of all tiles."""
        return [float(number) for number in re.findall(r"\d\.\d\d", self.page.locator(".tnv2-pooled").inner_text())]

    def badges(self):
        return self.page.locator(".tnv2-badge").all_inner_texts()

    def count(self):
        self.page.wait_for_timeout(100)
        return int(self.page.locator(".tnv2-count").inner_text().split()[0])

    def name(self):
        return self.page.locator(".tnv2-thumb[aria-selected=true]").get_attribute("title")

    def move(self, thresholds):
        for name in ("mask", "seed", "border", "min_area"):
            self.page.locator(f"input[type=number][data-name={name}]").fill(str(getattr(thresholds, name)))
        return self.settled()

    def click(self, row, column, shape):
        box = self.page.locator(".tnv2-frame canvas").first.bounding_box()
        self.page.mouse.click(
            box["x"] + (column + 0.5) / shape[1] * box["width"], box["y"] + (row + 0.5) / shape[0] * box["height"]
        )


@pytest.fixture
def page(browser, tuner, tmp_path):
    opened = browser.new_page(viewport={"width": 1100, "height": 1000}, offline=True)
    page = Page(opened, tuner, tmp_path)
    yield page
    assert page.errors == []
    opened.close()


def rates(score):
    return [score.f1, score.precision, score.recall]


def test_the_figures_of_all_tiles_are_pythons(page, tuner):
    assert "6 tiles" in page.page.locator(".tnv2-pooled").inner_text()
    for thresholds in POINTS:
        page.move(thresholds)
        tuner.thresholds = thresholds
        np.testing.assert_allclose(page.pooled(), rates(tuner.score), atol=0.0051)
        for badge, found in zip(page.badges(), tuner.matches, strict=True):
            if found:
                assert float(badge) == pytest.approx(found.f1, abs=0.0051)
        assert int(page.badges()[3]) == label_instances(tuner.maps[3], thresholds).max()  # no footprints: how many


def test_a_worker_counts_and_without_one_the_page_says_so(browser, tuner, tmp_path, page):
    assert len(page.page.workers) == 1
    opened = browser.new_page(viewport={"width": 1100, "height": 1000}, offline=True)
    opened.add_init_script("window.Worker = class { constructor() { throw new Error('no workers here'); } };")
    other = Page(opened, tuner, tmp_path)
    assert "No worker can run here" in opened.locator(".tnv2-strip").inner_text()
    assert other.pooled() == page.pooled()
    other.move(POINTS[0])
    page.move(POINTS[0])
    assert other.pooled() == page.pooled()
    assert other.badges() == page.badges()
    assert other.errors == []
    opened.close()


def test_one_tile_starts_no_worker_and_has_no_strip(browser, tmp_path):
    ThresholdTuner(*labelled(0)).save_handout(tmp_path / "one.html")
    opened = browser.new_page()
    opened.goto((tmp_path / "one.html").as_uri())
    opened.wait_for_selector(".tnv2-tuner canvas")
    assert opened.locator(".tnv2-strip").count() == len(opened.workers) == 0
    opened.close()


def test_a_click_or_the_keys_change_the_tile(page, tuner):
    thumbs = page.page.locator(".tnv2-thumb")
    thumbs.nth(2).click()
    for key, place in (("ArrowRight", 3), ("ArrowRight", 4), ("ArrowLeft", 3), ("Home", 0), ("End", 5), ("ArrowDown", 5)):
        page.page.keyboard.press(key)
        assert page.name() == f"tile-{place}"
        assert thumbs.evaluate_all("(all) => all.map((node) => node.tabIndex)") == [-(n != place) for n in range(6)]
        assert page.page.evaluate("() => document.activeElement.title") == f"tile-{place}"
        assert page.count() == label_instances(tuner.maps[place], START).max()
        height, width = SHAPES[place]
        assert page.page.locator(".tnv2-frame canvas").evaluate("(c) => [c.height, c.width]") == [height, width]
    thumbs.nth(4).click()
    assert not page.page.locator("input[type=range][data-name=border]").is_visible()  # its maps have none


def test_worst_first_and_back(page):
    given = page.page.locator(".tnv2-thumb").evaluate_all("(all) => all.map((node) => node.title)")
    assert given == [f"tile-{n}" for n in range(6)]
    button = page.page.get_by_role("button", name="worst first")
    button.click()
    numbers = [float(text) for text in page.badges() if "." in text]
    assert numbers == sorted(numbers) != []
    assert "." not in page.badges()[-1]  # without footprints there is nothing to be bad at
    page.move(POINTS[1])
    page.page.wait_for_timeout(900)
    numbers = [float(text) for text in page.badges() if "." in text]
    assert numbers == sorted(numbers)
    button.click()
    assert page.page.locator(".tnv2-thumb").evaluate_all("(all) => all.map((node) => node.title)") == given


def test_the_colours_are_legible_and_follow_the_thresholds(page):
    def inks():
        return page.page.locator(".tnv2-badge").evaluate_all(
            "(all) => all.map((n) => { const s = getComputedStyle(n); return [s.color, s.backgroundColor]; })"
        )

    def contrast(pen, paper):
        light = []
        for colour in (pen, paper):
            channels = np.array(re.findall(r"[\d.]+", colour)[:3], float) / 255
            linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
            light.append(linear @ [0.2126, 0.7152, 0.0722])
        return (max(light) + 0.05) / (min(light) + 0.05)

    before = inks()
    assert all(contrast(*pair) > 4.5 for n, pair in enumerate(before) if n != 3)
    page.move(Thresholds(0.9, 0.9, 0.2, 100))
    assert inks() != before
    assert all(contrast(*pair) > 4.5 for n, pair in enumerate(inks()) if n != 3)


def test_each_tile_has_its_edits_and_its_undo(page, tuner):
    edits = {}
    thumbs = page.page.locator(".tnv2-thumb")
    for place in (0, 2):
        thumbs.nth(place).click()
        if not page.page.locator(".tnv2-mending").evaluate("(node) => node.open"):
            page.page.locator(".tnv2-mending summary").click()
        labels = label_instances(tuner.maps[place], START)
        row, column = middle_of_one(labels)
        page.page.get_by_role("button", name="delete", exact=True).click()
        page.click(row, column, SHAPES[place])
        assert page.count() == labels.max() - 1
        edits[place] = [{"kind": "delete", "at": [[row, column]]}]
    page.settled()
    wanted = pooled(tuner, START, edits)
    np.testing.assert_allclose(page.pooled(), rates(wanted), atol=0.0051)
    thumbs.nth(1).click()
    assert page.count() == label_instances(tuner.maps[1], START).max()
    thumbs.nth(0).click()
    assert page.page.locator(".tnv2-state").inner_text() == "1 edit"
    page.page.get_by_role("button", name="undo", exact=True).click()
    assert page.count() == label_instances(tuner.maps[0], START).max()
    page.page.get_by_role("button", name="redo", exact=True).click()
    page.page.get_by_role("button", name="undo", exact=True).click()
    page.settled()
    np.testing.assert_allclose(page.pooled(), rates(pooled(tuner, START, {2: edits[2]})), atol=0.0051)
    thumbs.nth(2).click()
    assert page.page.locator(".tnv2-state").inner_text() == "1 edit"


def test_a_handout_opens_as_the_tuner_stands(browser, tuner, tmp_path):
    tuner.at = 2
    tuner.edits = [{"kind": "delete", "at": [middle_of_one(tuner.labels)]}]
    wanted = tuner.score
    opened = browser.new_page(offline=True)
    page = Page(opened, tuner, tmp_path)
    assert page.name() == "tile-2"
    assert page.count() == tuner.labels.max()
    np.testing.assert_allclose(page.pooled(), rates(wanted), atol=0.0051)
    assert opened.title() == "6 tiles"
    opened.close()


def test_a_drag_drops_what_is_behind_and_ends_at_the_last(page, tuner):
    page.page.evaluate(
        """async () => {
            const slider = document.querySelector("input[type=range][data-name=mask]");
            for (let n = 0; n <= 60; n++) {
                slider.value = 0.2 + 0.005 * n;
                slider.dispatchEvent(new Event("input", { bubbles: true }));
                await new Promise(requestAnimationFrame);
            }
        }"""
    )
    page.settled()
    tuner.mask = 0.5
    np.testing.assert_allclose(page.pooled(), rates(tuner.score), atol=0.0051)


CELL = """import sys
sys.path.insert(0, {tests!r})
sys.path.insert(0, {widgets!r})
from test_many import START, labelled
import tnv2
tiles, maps = zip(*map(labelled, range(6)))
tuner = tnv2.ThresholdTuner(list(tiles), list(maps), START)
tuner"""


def test_memory_stays_flat_over_ten_thousand_changes_and_a_thousand_edits(browser, tuner, tmp_path):
    """Without a worker, so that what counts all tiles is in the page as well; all edits are undone."""
    opened = browser.new_page(viewport={"width": 1100, "height": 1000}, offline=True)
    opened.add_init_script("window.Worker = class { constructor() { throw new Error('no workers here'); } };")
    page, devtools = Page(opened, tuner, tmp_path), opened.context.new_cdp_session(opened)
    opened.locator(".tnv2-mending summary").click()
    told, sizes = [], []
    for changes, edits in ((1_000, 34), (10_000, 168)):  # edits of each tile
        told += opened.evaluate(
            """async ([changes, edits]) => {
                const frame = () => new Promise(requestAnimationFrame), told = [];
                for (const thumb of document.querySelectorAll(".tnv2-thumb")) {
                    thumb.click();
                    const slider = document.querySelector("input[type=range][data-name=mask]");
                    for (let n = 0; n < changes / 6; n++) {
                        slider.value = 0.2 + 0.006 * (n % 100);
                        slider.dispatchEvent(new Event("input", { bubbles: true }));
                        if (n % 40 === 0) await frame();
                    }
                    const stage = document.querySelector(".tnv2-frame"), undo = document.querySelector(".tnv2-steps button");
                    const { left, top, width, height } = stage.getBoundingClientRect();
                    const tools = document.querySelectorAll(".tnv2-tools button");
                    stage.setPointerCapture = stage.hasPointerCapture = () => {};
                    const fire = (name, x, y) => stage.dispatchEvent(new PointerEvent(name, { clientX: left + x * width,
                        clientY: top + y * height, pointerId: 1, isPrimary: true, bubbles: true, button: 0 }));
                    for (let n = 0; n < edits; n += 2) { // a building is drawn, and deleted again
                        tools[4].click();
                        fire("pointerdown", 0.3, 0.3);
                        for (const [x, y] of [[0.6, 0.3], [0.6, 0.6], [0.3, 0.6]]) fire("pointermove", x, y);
                        fire("pointerup", 0.3, 0.6);
                        tools[1].click();
                        fire("pointerdown", 0.45, 0.45); fire("pointerup", 0.45, 0.45);
                        if (n % 20 === 0) await frame();
                    }
                    await new Promise((resolve) => setTimeout(resolve, 100));
                    told.push(document.querySelector(".tnv2-state").textContent);
                    for (let n = 0; n < edits; n++) undo.click();
                }
                await new Promise((resolve) => setTimeout(resolve, 1000)); // the lists of errors are written after a rest
                return told;
            }""",
            [changes, edits],
        )
        page.settled()
        devtools.send("HeapProfiler.collectGarbage")
        used = devtools.send("Runtime.getHeapUsage")
        sizes.append(used["usedSize"] + used["backingStorageSize"])
    assert told == ["34 edits"] * 6 + ["168 edits"] * 6
    assert sizes[1] < sizes[0] + 1_000_000, sizes
    assert page.errors == []
    opened.close()


def test_jupyterlab_and_python_hear_of_each_other(browser, lab_server):
    cell = CELL.format(tests=str(ROOT / "tests"), widgets=str(ROOT / "tests" / "widgets"))
    with notebook(browser, lab_server, cell, ".tnv2-strip[aria-busy=false]") as opened:
        assert len([worker for worker in opened.workers if worker.url.startswith("blob:")]) >= 1
        said = kernel_says(opened, "print(f'{tuner.score.f1:.2f}', end='')")
        assert f"F1 {said}" in opened.locator(".tnv2-pooled").inner_text()
        opened.locator(".tnv2-thumb").nth(1).click()
        opened.keyboard.press("ArrowRight")
        wait_for(lambda: kernel_says(opened, "print(tuner.at, tuner.tile.name, end='')") == "2 tile-2", 20)
        opened.locator(".tnv2-mending summary").click()
        opened.get_by_role("button", name="delete", exact=True).click()
        row, column = middle_of_one(label_instances(labelled(2)[1].rounded(), START))
        box = opened.locator(".tnv2-frame").bounding_box()
        opened.mouse.click(box["x"] + (column + 0.5) / 80 * box["width"], box["y"] + (row + 0.5) / 100 * box["height"])
        told = f"[[], [], [{{'kind': 'delete', 'at': [[{row}, {column}]]}}], [], [], []]"
        wait_for(lambda: kernel_says(opened, "print(tuner._every_edits, end='')") == told, 20)
        opened.locator(".tnv2-thumb").nth(0).click()
        wait_for(lambda: kernel_says(opened, "print(tuner.at, len(tuner.edits), end='')") == "0 0", 20)
        kernel_says(opened, "tuner.at = 2; tuner.mask = 0.4")
        wait_for(lambda: opened.locator(".tnv2-state").inner_text() == "1 edit", 20)
        opened.wait_for_selector(".tnv2-strip[aria-busy=false]")
        said = kernel_says(opened, "print(f'{tuner.score.f1:.2f}', end='')")
        wait_for(lambda: f"F1 {said}" in opened.locator(".tnv2-pooled").inner_text(), 20)
        before = len(opened.workers)
        kernel_says(opened, "tuner.close()")
        wait_for(lambda: opened.locator(".tnv2-strip").count() == 0 and len(opened.workers) == before - 1, 20)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, tuner, tmp_path, scheme):
    script = Path(os.environ.get("TNV2_AXE", "node_modules/axe-core/axe.min.js"))
    if not script.is_file():
        pytest.skip("axe-core is not found; `npm install axe-core` gets it, or set TNV2_AXE to its axe.min.js")
    opened = browser.new_page(viewport={"width": 1100, "height": 1000}, color_scheme=scheme)
    page = Page(opened, tuner, tmp_path)
    opened.get_by_role("button", name="A", exact=True).click()
    page.move(POINTS[0])
    opened.evaluate(script.read_text(encoding="utf-8"))
    found = opened.evaluate("async () => (await axe.run()).violations")
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
    opened.close()

"""Buildings are mended by hand in a handout in real Chromium, by pointer and by keyboard, and Python mends them alike."""

import json

import numpy as np
import pytest
from lab import code_cells, kernel_says, notebook, wait_for

from tnv2 import Georeference, Probabilities, Thresholds, ThresholdTuner, Tile, edited, label_instances

SIZE = 160
HOUSES = {"a": (20, 60, 20, 60), "b": (20, 60, 66, 106), "c": (90, 130, 20, 100), "shed": (90, 100, 120, 130)}
EMPTY = (110, 150)  # nothing is near
DRAWN = [[120, 115], [120, 150], [150, 150], [150, 115]]


@pytest.fixture
def tuner():
    building, truth = np.zeros((SIZE, SIZE), np.float32), np.zeros((SIZE, SIZE), np.int32)
    for number, (name, (top, bottom, left, right)) in enumerate(HOUSES.items(), start=1):
        building[top:bottom, left:right] = 0.6 if name == "shed" else 0.9
        truth[top:bottom, left:right] = number
    rgb = np.random.default_rng(0).integers(0, 2048, (SIZE, SIZE, 3), np.uint16)
    where = Georeference((0.5, 0, 600_000, 0, -0.5, 4_000_000), "EPSG:32611")
    maps = Probabilities(building, np.zeros_like(building))
    return ThresholdTuner(Tile(rgb, name="four", truth=truth, georeference=where), maps, Thresholds(min_area=20))


def middle(name):
    top, bottom, left, right = HOUSES[name]
    return (top + bottom) // 2, (left + right) // 2


class Page:
    """A handout, its section open, and what its edits make of the maps in Python."""

    def __init__(self, page, tuner, folder):
        tuner.save_handout(folder / "tuner.html")
        self.page, self.tuner, self.errors = page, tuner, []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto((folder / "tuner.html").as_uri())
        page.wait_for_selector(".tnv2-tuner canvas")
        if not page.locator(".tnv2-mending").evaluate("(node) => node.open"):
            page.locator(".tnv2-mending summary").click()

    def tool(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()

    def at(self, row, column):
        box = self.page.locator(".tnv2-frame canvas").bounding_box()
        return box["x"] + (column + 0.5) / SIZE * box["width"], box["y"] + (row + 0.5) / SIZE * box["height"]

    def click(self, row, column):
        self.page.mouse.click(*self.at(row, column))

    def drag(self, *places):
        self.page.mouse.move(*self.at(*places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.at(*place), steps=8)
        self.page.mouse.up()

    def walk(self, row, column):
        """Move the cross from the middle, where it starts, or from where it is, to a pixel."""
        self.page.keyboard.press("ArrowUp")  # the first key may only show the cross
        here_row, here_column = self.cross()
        for distance, keys in ((row - here_row, ("Up", "Down")), (column - here_column, ("Left", "Right"))):
            arrow = f"Arrow{keys[distance > 0]}"
            tens, ones = divmod(abs(distance), 10)
            for key in [f"Shift+{arrow}"] * tens + [arrow] * ones:
                self.page.keyboard.press(key)
        assert self.cross() == (row, column)

    def cross(self):
        words = self.said().replace(",", "").split()
        assert words[0::2][:2] == ["row", "col"], words
        return int(words[1]), int(words[3])

    def said(self):
        return self.page.locator(".tnv2-said").inner_text()

    def entries(self):
        self.page.wait_for_timeout(300)
        return [text.split("\n") for text in self.page.locator(".tnv2-edits li button:first-child").all_inner_texts()]

    def count(self):
        self.page.wait_for_timeout(100)
        return int(self.page.locator(".tnv2-count").inner_text().split()[0])

    def number(self, row, column):
        """The number of the building at a pixel as the readout says it, 0 for none."""
        self.page.mouse.move(*self.at(row, column))
        words = self.page.locator(".tnv2-readout").inner_text().split()
        return next((int(word[1:]) for word in words if word.startswith("#")), 0)

    def numbers(self, *names):
        return [self.number(*middle(name)) for name in names]


@pytest.fixture
def page(browser, tuner, tmp_path):
    opened = browser.new_page(viewport={"width": 1100, "height": 1000}, offline=True)
    page = Page(opened, tuner, tmp_path)
    yield page
    assert page.errors == []
    opened.close()


def test_the_section_is_closed_until_there_are_edits(browser, tuner, tmp_path):
    for edits in ([], [{"kind": "delete", "at": [middle("a")]}]):
        tuner.edits = edits
        tuner.save_handout(tmp_path / "a.html")
        page = browser.new_page()
        page.goto((tmp_path / "a.html").as_uri())
        page.wait_for_selector(".tnv2-tuner canvas")
        assert page.locator(".tnv2-mending").evaluate("(node) => node.open") is bool(edits)
        assert page.locator(".tnv2-count").inner_text() == f"{4 - len(edits)} buildings"
        page.keyboard.press("d")  # in a closed section no key holds a tool
        assert page.locator(".tnv2-holds").count() == 0
        page.close()


def test_the_pointer_deletes_merges_splits_and_adds(page):
    page.tool("delete")
    page.click(*middle("shed"))
    assert page.count() == 3
    page.tool("merge")
    page.click(*middle("a"))
    page.click(*middle("b"))
    assert page.count() == 2
    assert len(set(page.numbers("a", "b"))) == 1
    page.tool("split")
    page.drag((85, 60), (135, 62))
    assert page.count() == 3
    assert page.number(110, 40) != page.number(110, 80)
    page.tool("add")
    page.drag(*DRAWN, DRAWN[0])
    assert page.count() == 4
    assert page.number(135, 130) > 0
    assert [line[0].split()[1] for line in page.entries()] == ["delete", "merge", "split", "add"]
    assert "by hand" in page.page.locator(".tnv2-readout").inner_text()
    rates = page.page.locator(".tnv2-with").inner_text().split("\n")
    assert [line.split("   ")[-1] for line in rates] == ["with edits", "without"]
    assert rates[1].startswith("F1 1.00")
    assert not rates[0].startswith("F1 1.00")


def test_a_building_that_no_edit_touches_keeps_its_colour(page):
    def colours(*names):
        places = [middle(name) for name in names]
        return page.page.evaluate(
            """(places) => {
                const context = document.querySelector(".tnv2-frame canvas").getContext("2d");
                return places.map(([row, column]) => [...context.getImageData(column, row, 1, 1).data]);
            }""",
            places,
        )

    before = colours("a", "b", "c", "shed")
    page.tool("delete")
    page.click(*middle("a"))
    assert page.count() == 3
    after = colours("a", "b", "c", "shed")
    assert after[0] != before[0]
    assert after[1:] == before[1:]


def test_clicks_set_points_too(page):
    page.tool("add")
    for place in DRAWN:
        page.click(*place)
    page.page.get_by_role("button", name="finish").click()
    assert page.count() == 5
    page.tool("split")
    page.click(85, 60)
    page.page.mouse.dblclick(*page.at(135, 60))
    assert page.count() == 6
    assert float(page.page.locator(".tnv2-frame").get_attribute("data-zoom") or 1) == 1  # it did not fit, or zoom


def test_the_keyboard_deletes_merges_splits_and_adds(page):
    press = page.page.keyboard.press
    page.page.locator(".tnv2-frame").focus()
    press("d")
    page.walk(*middle("shed"))
    assert "building #" in page.said()
    press("Enter")
    assert page.count() == 3
    press("m")
    page.walk(*middle("a"))
    press("Space")
    page.walk(*middle("b"))
    press("Enter")
    assert page.count() == 2
    press("s")
    page.walk(85, 60)
    press("Space")
    page.walk(135, 60)
    press("Enter")
    assert page.count() == 3
    press("a")
    for place in DRAWN[:3]:
        page.walk(*place)
        press("Space")
    page.walk(*DRAWN[3])
    press("Enter")
    assert page.count() == 4
    assert [line[0].split()[1] for line in page.entries()] == ["delete", "merge", "split", "add"]
    press("Control+z")
    assert page.count() == 3
    press("Control+Shift+Z")
    assert page.count() == 4
    page.walk(60, 60)
    press("Space")
    press("Escape")  # lets go of the point, and then of the tool
    assert page.page.locator(".tnv2-holds").count() == 1
    press("Escape")
    assert page.page.locator(".tnv2-holds").count() == 0
    press("+")
    assert float(page.page.locator(".tnv2-frame").get_attribute("data-zoom")) == 1.25


def test_undo_and_redo_go_all_the_way_and_through_removals(page):
    undo, redo = (page.page.get_by_role("button", name=name, exact=True) for name in ("undo", "redo"))
    page.tool("delete")
    for name in ("a", "b", "c"):
        page.click(*middle(name))
    assert page.count() == 1
    page.page.get_by_role("button", name="remove edit 2 from the list").click()
    assert page.count() == 2
    assert [bool(number) for number in page.numbers("a", "b", "c")] == [False, True, False]
    undo.click()
    assert page.count() == 1
    for left in (2, 3, 4):
        undo.click()
        assert page.count() == left
    assert undo.is_disabled()
    for left in (3, 2, 1, 2):
        redo.click()
        assert page.count() == left
    assert redo.is_disabled()
    undo.click()
    page.tool("delete")
    page.click(*middle("shed"))
    assert redo.is_disabled()  # another way was taken


def test_an_edit_waits_while_its_building_is_gone_and_comes_back(page):
    page.tool("delete")
    page.click(*middle("shed"))
    assert page.entries() == [["1  delete at row 95 col 125"]]
    seed = page.page.locator("input[type=number][data-name=seed]")
    seed.fill("0.7")
    assert page.entries() == [["1  delete at row 95 col 125", "waits: no building there"]]
    assert page.page.locator(".tnv2-state").inner_text() == "1 edit, 1 waits"
    seed.fill("0.5")
    assert page.entries() == [["1  delete at row 95 col 125"]]
    assert page.count() == 3


def test_what_finds_nothing_is_told_and_kept_out_of_the_list(page):
    page.tool("delete")
    page.click(*EMPTY)
    assert page.said() == "Nothing is changed: no building there."
    page.tool("split")
    page.drag((85, 40), (100, 44), (110, 48))
    assert page.said() == "Nothing is changed: the line does not cut a building in two."
    assert page.entries() == []
    assert page.count() == 4


def test_two_fingers_are_no_line(page):
    """A second finger takes the first one's line away."""
    page.tool("add")
    fire = """([name, x, y, id]) => document.querySelector(".tnv2-frame").dispatchEvent(new PointerEvent(name, {
        clientX: x, clientY: y, pointerId: id, isPrimary: id === 1, pointerType: "touch", bubbles: true, button: 0 }))"""
    page.page.evaluate("() => { document.querySelector('.tnv2-frame').setPointerCapture = () => {}; }")
    events = [("pointerdown", *DRAWN[0], 1), *(("pointermove", *place, 1) for place in DRAWN)]
    for name, row, column, pointer in events:
        page.page.evaluate(fire, [name, *page.at(row, column), pointer])
    assert page.page.locator(".tnv2-line").get_attribute("d").startswith("M")
    for name, pointer in (("pointerdown", 2), ("pointermove", 1), ("pointerup", 2), ("pointerup", 1)):
        page.page.evaluate(fire, [name, *page.at(*middle("a")), pointer])
    assert not page.page.locator(".tnv2-line").get_attribute("d")
    assert page.entries() == []


def test_an_entry_leads_to_its_place(page):
    page.tool("delete")
    page.click(*middle("c"))
    page.page.locator(".tnv2-edits li button").first.click()
    wait_for(lambda: float(page.page.locator(".tnv2-frame").get_attribute("data-zoom")) == 5, 5)


def test_python_mends_what_the_page_shows(browser, tuner, tmp_path):
    """A handout that starts with a tuner's edits shows the numbers that ``tuner.labels`` has."""
    tuner.edits = [
        {"kind": "split", "at": [[85, 60], [135, 63]]},
        {"kind": "merge", "at": [list(middle("a")), list(middle("b"))]},
        {"kind": "add", "at": DRAWN},
        {"kind": "delete", "at": [EMPTY]},
    ]
    assert tuner.edited.waiting == ("", "", "", "no building there")
    opened = browser.new_page(viewport={"width": 1100, "height": 1000}, offline=True)
    again = Page(opened, tuner, tmp_path)
    labels = tuner.labels
    assert again.count() == labels.max()
    for row, column in [middle("a"), middle("b"), (110, 40), (110, 80), (135, 130), EMPTY, (60, 63)]:
        assert again.number(row, column) == labels[row, column]
    opened.close()


def test_labels_match_recipe_and_polygons_hold_the_edits(tuner):
    bare = label_instances(tuner.probabilities, tuner.thresholds)
    tuner.edits = ({"kind": "merge", "at": (middle("a"), np.array(middle("b")))}, {"kind": "delete", "at": [middle("shed")]})
    assert tuner.edits == json.loads(json.dumps(tuner.edits))
    np.testing.assert_array_equal(tuner.labels, edited(bare, tuner.edits).labels)
    assert (tuner.match.tp, tuner.match.fn) == (2, 2)
    frame = tuner.to_geodataframe()
    assert frame.by_hand.tolist() == [True, False]
    assert frame.geom_type.tolist() == ["MultiPolygon", "Polygon"]
    assert frame.by_hand.dtype == bool
    names = {"tile": tuner.tile, "probabilities": tuner.probabilities, "labels": bare}
    code = str(tuner.recipe)
    exec(code[code.index("edits = [") :], names | {"tnv2": __import__("tnv2")}, names)
    np.testing.assert_array_equal(names["labels"], tuner.labels)
    tuner.edits = []
    assert "edits" not in str(tuner.recipe)
    np.testing.assert_array_equal(tuner.labels, bare)
    assert tuner.to_geodataframe(outline="square").by_hand.tolist() == [False] * 4


@pytest.mark.parametrize("edits", [3, ["delete"], [{"kind": "add", "at": [[0, 0]]}], [{"kind": "delete", "at": [[0, 160]]}]])
def test_what_is_no_edit_is_refused_and_changes_nothing(tuner, edits):
    tuner.edits = before = [{"kind": "delete", "at": [[1, 2]]}]
    with pytest.raises(Exception, match="edit"):
        tuner.edits = edits
    assert tuner.edits == before


def test_memory_stays_flat_over_a_thousand_edits(page):
    """A house is deleted and drawn again, over and over, and all of it is undone."""
    devtools = page.page.context.new_cdp_session(page.page)
    top, bottom, left, right = HOUSES["a"]
    corners = [page.at(row, column) for row, column in ((top, left), (top, right), (bottom, right), (bottom, left))]
    told, sizes = [], []
    for edits in (200, 1000):
        told += page.page.evaluate(
            """async ([middle, corners, count]) => {
                const frame = document.querySelector(".tnv2-frame"), undo = document.querySelector(".tnv2-steps button");
                const tools = document.querySelectorAll(".tnv2-tools button");
                frame.setPointerCapture = frame.hasPointerCapture = () => {};
                const fire = (name, [clientX, clientY]) => frame.dispatchEvent(new PointerEvent(name, {
                    clientX, clientY, pointerId: 1, isPrimary: true, bubbles: true, button: 0 }));
                for (let n = 0; n < count; n += 2) {
                    tools[1].click();
                    fire("pointerdown", middle); fire("pointerup", middle);
                    tools[4].click();
                    fire("pointerdown", corners[0]);
                    for (const corner of corners) fire("pointermove", corner);
                    fire("pointerup", corners[3]);
                    if (n % 20 === 0) await new Promise(requestAnimationFrame);
                }
                await new Promise((resolve) => setTimeout(resolve, 100));
                const told = document.querySelector(".tnv2-state").textContent;
                for (let n = 0; n < count; n++) undo.click();
                await new Promise((resolve) => setTimeout(resolve, 400));
                return [told];
            }""",
            [page.at(*middle("a")), corners, edits],
        )
        assert page.entries() == []
        devtools.send("HeapProfiler.collectGarbage")
        sizes.append(devtools.send("Runtime.getHeapUsage")["usedSize"])
    assert told == ["200 edits", "1000 edits"]
    assert sizes[1] < sizes[0] + 500_000, sizes


CELL = """import numpy as np
import tnv2
building = np.zeros((160, 160))
building[20:60, 20:60] = building[90:130, 20:100] = 0.9
tuner = tnv2.ThresholdTuner(tnv2.Tile(np.zeros((160, 160, 3), np.uint8)), tnv2.Probabilities(building, np.zeros((160, 160))))
tuner"""


def test_jupyterlab_hears_no_key_and_python_all_edits(browser, lab_server):
    with notebook(browser, lab_server, CELL, ".tnv2-tuner canvas") as opened:
        cells = len(code_cells(opened))
        opened.locator(".tnv2-mending summary").click()
        opened.locator(".tnv2-frame").focus()
        for key in ("a", "m", "s", "d", "d"):  # which insert cells, change their type and delete them
            opened.keyboard.press(key)
        opened.locator(".tnv2-frame").click(position=dict(zip("xy", place_of(opened, 40, 40), strict=True)))
        wait_for(lambda: kernel_says(opened, "print(len(tuner.edits), tuner.labels.max(), end='')") == "1 1", 20)
        opened.keyboard.press("Control+z")
        wait_for(lambda: kernel_says(opened, "print(len(tuner.edits), tuner.labels.max(), end='')") == "0 2", 20)
        kernel_says(opened, "tuner.edits = [{'kind': 'delete', 'at': [[100, 50]]}]")
        wait_for(
            lambda: opened.locator(".tnv2-edits li").all_inner_texts()[:1] == ["1  delete at row 100 col 50\n\u00d7"], 20
        )
        opened.get_by_role("button", name="undo", exact=True).click()
        wait_for(lambda: kernel_says(opened, "print(tuner.edits, end='')") == "[]", 20)
        assert len(code_cells(opened)) == cells


def place_of(page, row, column):
    """Where a pixel is in the frame."""
    box = page.locator(".tnv2-frame").bounding_box()
    return (column + 0.5) / SIZE * box["width"], (row + 0.5) / SIZE * box["height"]

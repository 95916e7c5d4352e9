"""The curtain compares two pictures in a handout in real Chromium, by keyboard, mouse and finger."""

import cv2
import numpy as np
import pytest
from lab import wait_for
from noise import noise_maps

from tnv2 import Thresholds, ThresholdTuner, Tile, label_instances, match

SHAPE = (120, 160)
A, B = Thresholds(0.4, 0.55, 0.8, 10), Thresholds(0.6, 0.6, 0.5, 30)
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def tuner():
    maps = noise_maps(7, *SHAPE, 5)
    truth = label_instances(maps, Thresholds(0.5, 0.55, 0.7, 20))
    return ThresholdTuner(Tile(np.zeros((*SHAPE, 3), np.uint8), truth=truth), maps, A)


@pytest.fixture
def opened(browser, tuner, tmp_path):
    """Opens the handout in a context of its own."""
    tuner.save_handout(tmp_path / "handout.html")
    contexts, errors = [], []

    def open_page(**options):
        contexts.append(browser.new_context(**{"viewport": {"width": 1100, "height": 1000}} | options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((tmp_path / "handout.html").as_uri())
        page.wait_for_selector(".tnv2-tuner canvas")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def move(page, thresholds):
    for name in ("mask", "seed", "border", "min_area"):
        page.locator(f"input[type=number][data-name={name}]").fill(str(getattr(thresholds, name)))
    page.wait_for_timeout(100)


def compare(page, choice):
    page.locator("select[data-name=compare]").select_option(choice)
    page.wait_for_timeout(100)


def keep(page, name):
    page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_timeout(100)


def place(page):
    return int(page.get_by_role("slider", name="curtain").get_attribute("aria-valuenow"))


def looks(page):
    """What is seen of the frame, as tinted or not: (H, W) bool, the tile being black."""
    page.add_style_tag(content=".tnv2-caption, .tnv2-handle, .tnv2-hint, .tnv2-over { opacity: 0; }")
    shot = cv2.imdecode(np.frombuffer(page.locator(".tnv2-frame").screenshot(), np.uint8), cv2.IMREAD_COLOR)
    rows, columns = ((np.arange(n) + 0.5) / n * m for n, m in zip(SHAPE, shot.shape, strict=False))
    return shot.max(axis=2)[np.ix_(rows.astype(int), columns.astype(int))] > 20


def expected(tuner, left, right, share):
    """Where instances are, (H, W) bool, with those of ``left`` up to a share of the width; None for no instances."""
    seen = [
        np.zeros(SHAPE, bool) if each is None else label_instances(tuner.probabilities, each) > 0 for each in (left, right)
    ]
    return np.where(np.arange(SHAPE[1]) + 0.5 < share * SHAPE[1], *seen)


def assert_shows(page, tuner, left, right):
    share = float(page.locator(".tnv2-handle").evaluate("(node) => parseFloat(node.style.left) || 0")) / 100
    same = looks(page) == expected(tuner, left, right, share)
    at = round(share * SHAPE[1])
    same[:, max(0, at - 1) : at + 2] = True  # the edge itself may be of either
    assert same.mean() > 0.998


def told(tuner, thresholds):
    found = match(tuner.tile.truth, label_instances(tuner.probabilities, thresholds))
    return f"F1 {found.f1:.2f}"


def test_off_there_is_nothing_of_it(opened, tuner):
    page = opened()
    assert page.locator(".tnv2-frame canvas").count() == 1
    assert not page.locator(".tnv2-handle").is_visible()
    assert_shows(page, tuner, A, A)


def test_picture_and_instances(opened, tuner):
    page = opened()
    compare(page, "picture | instances")
    assert page.locator(".tnv2-caption").all_inner_texts()[0] == "picture"
    assert_shows(page, tuner, None, A)
    move(page, B)
    assert_shows(page, tuner, None, B)
    compare(page, "off")
    assert_shows(page, tuner, B, B)
    assert page.locator(".tnv2-frame canvas").count() == 1


def test_two_settings_stay_while_the_sliders_move(opened, tuner):
    page = opened()
    keep(page, "A")
    move(page, B)
    assert page.locator("select[data-name=compare]").input_value() == "A | now"
    assert_shows(page, tuner, A, B)
    left, right = page.locator(".tnv2-caption").all_inner_texts()
    assert left.startswith("A")
    assert right.startswith("now")
    assert told(tuner, A) in left
    assert told(tuner, B) in right
    assert "mask 0.4" in left
    assert "mask 0.6" in right
    keep(page, "B")
    move(page, Thresholds(0.9, 0.9, 0.1, 0))
    assert_shows(page, tuner, A, B)
    assert told(tuner, B) in page.locator(".tnv2-caption").all_inner_texts()[1]
    compare(page, "A | now")
    assert_shows(page, tuner, A, Thresholds(0.9, 0.9, 0.1, 0))


def test_the_keys_move_it(opened, tuner):
    page = opened()
    keep(page, "A")
    move(page, B)
    handle = page.get_by_role("slider", name="curtain")
    handle.focus()
    for key, wanted in (
        ("ArrowRight", 52),
        ("ArrowLeft", 50),
        ("Shift+ArrowLeft", 40),
        ("PageUp", 50),
        ("Home", 0),
        ("End", 100),
    ):
        page.keyboard.press(key)
        assert place(page) == wanted
        assert_shows(page, tuner, A, B)
    assert "Left: A" in handle.get_attribute("aria-valuetext")
    assert page.evaluate("() => window.scrollY") == 0


def test_the_mouse_moves_it_and_not_the_picture(opened, tuner):
    page = opened()
    compare(page, "picture | instances")
    box = page.locator(".tnv2-frame").bounding_box()
    middle = box["y"] + box["height"] / 2
    for tool in ("look", "add"):  # the tools of the hand leave it alone
        if tool == "add":
            page.locator(".tnv2-mending summary").click()
            page.get_by_role("button", name="add", exact=True).click()
        for share in (0.25, 0.75):
            page.mouse.move(box["x"] + box["width"] * place(page) / 100, middle)
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] * share, middle, steps=4)
            page.mouse.up()
            assert place(page) == round(100 * share)
            assert_shows(page, tuner, None, A)
    assert page.locator(".tnv2-edits li").count() == 0


def test_a_finger_moves_it(opened):
    page = opened(**PHONE)
    compare(page, "picture | instances")
    page.locator(".tnv2-frame").scroll_into_view_if_needed()
    scrolled = page.evaluate("() => window.scrollY")
    box = page.locator(".tnv2-frame").bounding_box()
    devtools = page.context.new_cdp_session(page)
    y = box["y"] + box["height"] / 2
    for name, share in (("touchStart", 0.5), ("touchMove", 0.6), ("touchMove", 0.7), ("touchEnd", None)):
        points = [] if share is None else [{"x": box["x"] + share * box["width"], "y": y}]
        devtools.send("Input.dispatchTouchEvent", {"type": name, "touchPoints": points})
    wait_for(lambda: abs(place(page) - 70) <= 1, 5)
    assert page.evaluate("() => window.scrollY") == scrolled


def test_it_zooms_with_the_picture_and_shows_edits_on_both_sides(opened, tuner):
    page = opened()
    keep(page, "A")
    move(page, B)
    page.locator(".tnv2-frame").focus()
    for key in ("+", "+", "ArrowRight"):
        page.keyboard.press(key)
    transforms = page.locator(".tnv2-frame canvas").evaluate_all("(all) => all.map((node) => node.style.transform)")
    assert len(transforms) == 3
    assert len(set(transforms)) == 1
    page.keyboard.press("0")
    page.locator(".tnv2-mending summary").click()
    page.get_by_role("button", name="delete", exact=True).click()
    both = [label_instances(tuner.probabilities, each) for each in (A, B)]
    shared = np.where(both[1] > 0, both[0], 0)
    for side, columns in enumerate(
        (slice(0, 70), slice(90, None))
    ):  # what is deleted at a pixel is each setting's own building
        there = shared[:, columns]
        row, column = np.argwhere(there == np.bincount(there.ravel())[1:].argmax() + 1)[20].tolist()
        column += columns.start
        assert looks(page)[row, column]
        box = page.locator(".tnv2-frame").bounding_box()
        page.mouse.click(
            box["x"] + (column + 0.5) / SHAPE[1] * box["width"], box["y"] + (row + 0.5) / SHAPE[0] * box["height"]
        )
        page.wait_for_timeout(300)
        assert not looks(page)[row, column], side


def test_a_and_b_are_kept_in_python_and_in_a_handout(browser, tuner, tmp_path):
    tuner._presets = tuner._presets | {"A": {"mask": 0.9, "seed": 0.9, "border": 1, "min_area": 0, "distance": 0}}
    tuner.save_handout(tmp_path / "kept.html")
    tuner._presets = {name: preset for name, preset in tuner._presets.items() if name != "A"}
    page = browser.new_page()
    page.goto((tmp_path / "kept.html").as_uri())
    compare(page, "A | now")
    assert page.locator(".tnv2-caption").all_inner_texts()[0].startswith("A")
    page.close()

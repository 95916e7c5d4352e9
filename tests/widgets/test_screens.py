"""A handout on other screens: wheel and fingers over the picture, a phone, forced colours, no scripts, axe-core."""

import os
import re
from pathlib import Path

import pytest
from lab import wait_for

from tnv2 import Thresholds, ThresholdTuner, sample_tiles

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


@pytest.fixture(scope="module")
def handout(sample_maps, tmp_path_factory):
    """The address of a handout whose buildings are not all right."""
    path = tmp_path_factory.mktemp("screens") / "handout.html"
    ThresholdTuner(sample_tiles()[0], sample_maps[0], Thresholds(0.45, 0.55, 0.6, 400)).save_handout(path)
    return path.as_uri()


@pytest.fixture
def opened(browser, handout):
    """Opens the handout in a context of its own."""
    contexts = []

    def open_page(**options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.goto(handout)
        page.wait_for_selector(
            ".tnv2-tuner canvas" if options.get("java_script_enabled", True) else "footer", state="attached"
        )
        return page

    yield open_page
    for context in contexts:
        context.close()


def zoom(page):
    return float(page.locator(".tnv2-frame").get_attribute("data-zoom") or 1)


def scrolled(page):
    return page.evaluate("() => window.scrollY")


def middle(page):
    box = page.locator(".tnv2-frame").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_wheel_scrolls_the_page_until_the_picture_is_clicked(opened):
    page = opened(viewport={"width": 900, "height": 400})
    hint = page.locator(".tnv2-hint")
    page.mouse.move(*middle(page))
    page.mouse.wheel(0, 60)
    wait_for(lambda: scrolled(page) > 0, 5)
    assert zoom(page) == 1
    wait_for(lambda: float(hint.evaluate("(node) => getComputedStyle(node).opacity")) == 1, 5)
    assert "Ctrl + wheel" in hint.inner_text()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    wait_for(lambda: zoom(page) == pytest.approx(1.22, abs=0.01), 5)
    page.mouse.wheel(0, 30)
    page.wait_for_timeout(200)
    assert zoom(page) == pytest.approx(1.22, abs=0.01)
    before = scrolled(page)
    page.mouse.down()
    page.mouse.up()
    page.mouse.wheel(0, -100)
    wait_for(lambda: zoom(page) > 1.4, 5)
    assert scrolled(page) == before
    for _ in range(3):
        page.mouse.wheel(0, 100)
    wait_for(lambda: zoom(page) == 1, 5)  # there is nothing to zoom out of: the wheel is the page's again
    page.mouse.wheel(0, 100)
    wait_for(lambda: scrolled(page) > before, 5)
    page.mouse.move(5, 5)
    page.mouse.move(*middle(page))
    page.mouse.wheel(0, -40)
    page.wait_for_timeout(200)
    assert zoom(page) == 1


def touch(devtools, kind, *points):
    devtools.send(
        "Input.dispatchTouchEvent",
        {"type": kind, "touchPoints": [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]},
    )


def swipe(page, devtools, rise):
    """One finger from the picture's middle, up by ``rise`` CSS pixels."""
    x, y = middle(page)
    touch(devtools, "touchStart", (x, y))
    for step in range(1, 9):
        touch(devtools, "touchMove", (x, y - rise * step / 8))
        page.wait_for_timeout(20)
    touch(devtools, "touchEnd")
    page.wait_for_timeout(100)


def test_one_finger_scrolls_two_zoom_and_then_one_pans(opened):
    page = opened(**PHONE)
    devtools = page.context.new_cdp_session(page)
    swipe(page, devtools, 120)
    wait_for(lambda: scrolled(page) > 60, 5)
    assert zoom(page) == 1
    page.wait_for_timeout(1500)  # it glides on
    page.evaluate("() => window.scrollTo(0, 0)")

    x, y = middle(page)
    touch(devtools, "touchStart", (x - 20, y), (x + 20, y))
    for apart in range(20, 65, 5):
        touch(devtools, "touchMove", (x - apart, y), (x + apart, y))
        page.wait_for_timeout(20)
    touch(devtools, "touchEnd")
    assert zoom(page) == pytest.approx(3, abs=0.2)
    assert page.evaluate("() => visualViewport.scale") == pytest.approx(1, abs=0.01)  # the picture's zoom, not the page's

    def place():
        return page.evaluate("() => document.querySelector('.tnv2-frame canvas').getBoundingClientRect().top")

    before = place()
    swipe(page, devtools, 60)
    assert scrolled(page) == 0
    assert place() == pytest.approx(before - 60, abs=8)
    page.get_by_role("button", name="fit").tap()
    assert zoom(page) == 1


def test_a_tap_reads_and_buttons_zoom(opened):
    page = opened(**PHONE)
    assert "Tap the picture" in page.locator(".tnv2-readout").inner_text()
    page.touchscreen.tap(*middle(page))
    wait_for(lambda: "row " in page.locator(".tnv2-readout").inner_text(), 5)
    page.wait_for_timeout(300)
    assert re.search(r"building [01]\.\d\d", page.locator(".tnv2-readout").inner_text())
    page.locator(".tnv2-zooms button", has_text="+").tap()
    assert zoom(page) == 1.25
    page.locator(".tnv2-zooms button", has_text="\u2212").tap()
    assert zoom(page) == 1


def test_a_phone_shows_picture_then_panel_and_controls_for_fingers(opened):
    page = opened(**PHONE)
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    frame, panel = (page.locator(name).bounding_box() for name in (".tnv2-frame", ".tnv2-panel"))
    assert frame["y"] + frame["height"] <= panel["y"]
    assert frame["width"] > 340
    assert panel["width"] > 340
    for control in page.locator(".tnv2-tuner :is(input, select, button):visible").all():
        if not control.locator("xpath=ancestor::*[contains(@class, 'tnv2-errors')]").count():
            assert control.bounding_box()["height"] >= 24
    error = page.locator(".tnv2-errors button").first
    error.scroll_into_view_if_needed()
    assert scrolled(page) > 100
    error.tap()
    wait_for(lambda: zoom(page) == 5, 5)
    box = page.locator(".tnv2-frame").bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 844


def test_forced_colours_leave_the_legend_its_colours(opened):
    pages = [opened(forced_colors=forced) for forced in ("none", "active")]
    looks = [
        page.locator(".tnv2-legend .tnv2-swatch").evaluate_all(
            "(all) => all.map((one) => [getComputedStyle(one).borderTopColor, getComputedStyle(one).backgroundColor])"
        )
        for page in pages
    ]
    assert pages[1].evaluate("() => matchMedia('(forced-colors: active)').matches")
    assert looks[0] == looks[1]
    assert len(set(map(tuple, looks[1]))) == 5


def test_with_scripts_off_the_page_says_what_to_press(opened):
    page = opened(java_script_enabled=False)
    told = page.locator("main").inner_text()
    assert "Scripts are off" in told
    assert "Trust HTML" in told
    assert "Scripts are off" not in opened().locator("main").inner_text()


@pytest.mark.parametrize("options", [{}, PHONE, {"color_scheme": "dark"}], ids=["desk", "phone", "dark"])
def test_axe_finds_nothing(opened, options):
    script = Path(os.environ.get("TNV2_AXE", "node_modules/axe-core/axe.min.js"))
    if not script.is_file():
        pytest.skip("axe-core is not found; `npm install axe-core` gets it, or set TNV2_AXE to its axe.min.js")
    page = opened(**options)
    page.wait_for_timeout(500)
    page.evaluate(script.read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run()).violations")
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []

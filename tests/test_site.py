"""The site is whole and small, asks no server for anything, and its tuners are alive.

It is built with two lessons, so as not to run all eight once more; `make site` does the same with all.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup
from conftest import unavailable
from lab import ROOT, wait_for

LESSONS = ("00_start_here", "04_tune_and_score")
OWN = ("index", *LESSONS, "teachers", "model_card", "readme")  # all pages but the one with the network, and handouts
SPARE = "(body) => innerHeight - body.offsetHeight - 2 * 16"  # px in a frame below what is in it, whose margin is 16
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of a site with two lessons."""
    folder = tmp_path_factory.mktemp("built") / "site"
    build(folder)
    return folder


def build(folder):
    """Write the site; skip where the page's runtime cannot be had."""
    command = [sys.executable, str(ROOT / "docs" / "build_site.py"), *LESSONS, "--out", str(folder)]
    done = subprocess.run(command, env=os.environ | {"TNV2_TILES": "nowhere"}, capture_output=True, text=True, timeout=600)
    if "could not be fetched by npm" in done.stderr or "Install it: pip install" in done.stderr:
        unavailable(f"the page cannot be built: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def soups(site):
    """{name: parsed page} of all pages but the one with the network, and handouts."""
    assert {path.stem for path in site.glob("*.html")} == {*OWN, "tnv2-page"}
    return {name: BeautifulSoup((site / f"{name}.html").read_text("utf-8"), "html.parser") for name in OWN}


def links(soup):
    """Return the addresses that a page asks for and leads to: (those that it loads, those that a click opens)."""
    loaded = [tag[name] for name in ("src", "srcset", "poster", "data") for tag in soup.find_all(attrs={name: True})]
    loaded += [tag["href"] for tag in soup.find_all("link")]
    return loaded, [tag["href"] for tag in soup.find_all("a")]


def test_every_link_leads_somewhere(site, soups):
    ids = {f"{name}.html": {tag["id"] for tag in soup.find_all(id=True)} for name, soup in soups.items()}
    for name, soup in soups.items():
        loaded, opened = links(soup)
        for address in [*loaded, *opened]:
            if re.match(r"data:|https://", address):
                assert address.startswith("data:") or address not in loaded, f"{name} loads {address[:80]}"
                continue
            target, _, anchor = address.partition("#")
            assert not re.match(r"\w+:|/", target), f"{name} leads to {address}"
            assert not target or (site / unquote(target)).is_file(), f"{name} leads to {address}, which is not there"
            assert not anchor or anchor in ids[target or f"{name}.html"], f"{name} leads to {address}, which is not in it"


def test_every_file_can_be_reached_from_the_index(site, soups):
    seen, waiting = set(), ["index.html"]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            soup = soups.get(Path(name).stem) if "/" not in name else None
            ways = [address for each in links(soup) for address in each] if soup else []
            waiting += [unquote(way.partition("#")[0]) for way in ways if not re.match(r"\w+:|#", way)]
    assert seen == {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}


def test_links_of_the_lessons_are_the_sites(soups):
    assert "00_start_here.html" in links(soups["04_tune_and_score"])[1]
    assert "What does the satellite really see?" in soups["00_start_here"].get_text()  # not built here, so no link
    assert not [way for soup in soups.values() for way in links(soup)[1] if way.endswith((".md", "01_tiles_and_bands.html"))]


def test_lessons_are_as_a_learner_gets_them(soups):
    for name in LESSONS:
        text = soups[name].main.get_text()
        assert "# Solution" not in text
        assert text.count("Not answered yet: ") >= text.count("Exercise ") >= 2
        assert text.count("Hint") >= 2
        assert not re.search(r"Traceback|Warning:", text)
    assert re.search(r"\d+ buildings", soups["00_start_here"].get_text())


def test_nothing_tells_of_the_computer_it_was_built_on(site):
    for path in site.rglob("*.html"):
        text = path.read_text("utf-8")
        for place in (str(ROOT), str(site.parent), str(Path.home()) + os.sep):
            assert place not in text, f"{path.name} names {place}"


def test_the_site_is_small(site):
    sizes = {path.name: path.stat().st_size / 1e6 for path in site.rglob("*") if path.is_file()}
    print({name: round(size, 1) for name, size in sizes.items()})
    assert sum(sizes.values()) < 25  # of the 60 MB that all lessons may take together
    assert sizes["tnv2-page.html"] < 10


@pytest.fixture
def opened(browser, site):
    """Opens a page of the site from disk; in the end it has asked for files alone, and nothing went wrong."""
    contexts, asked, wrong = [], [], []

    def open_page(name, **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("requestfailed", lambda request: wrong.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.goto((site / f"{name}.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [url[:80] for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert wrong == []


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("options", [PHONE, {"color_scheme": "dark"}], ids=["light phone", "dark desk"])
def test_pages_open_from_disk_fit_the_screen_and_axe_finds_nothing(opened, name, options):
    page = opened(name, **options)
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("[...document.querySelectorAll('pre')].every((pre) => pre.scrollWidth <= pre.clientWidth)")
    script = Path(os.environ.get("TNV2_AXE", "node_modules/axe-core/axe.min.js"))
    if not script.is_file():
        pytest.skip("axe-core is not found; `npm install axe-core` gets it, or set TNV2_AXE to its axe.min.js")
    page.evaluate(script.read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run({ exclude: ['iframe'] }, { preload: false })).violations")
    assert [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found] == []


def test_a_tuner_in_a_lesson_is_alive_and_its_frame_as_high_as_it_is(opened):
    page = opened("04_tune_and_score", viewport={"width": 1100, "height": 900})
    frames = page.locator("iframe")
    assert frames.count() == 3  # of one tile, of several, and of coins
    for frame in frames.all():
        frame.scroll_into_view_if_needed()
        tuner = frame.content_frame
        tuner.locator(".tnv2-tuner canvas").first.wait_for()
        wait_for(lambda body=tuner.locator("body"): 0 <= body.evaluate(SPARE) < 4, 5)
    first = frames.first.content_frame
    assert first.locator("select[data-name=show]").input_value() == "errors"  # as the lesson set it
    assert first.get_by_role("button", name="best").is_enabled()  # and as it stands at the lesson's end
    before = first.locator(".tnv2-count").inner_text()
    first.locator("input[type=number][data-name=min_area]").fill("2000")
    wait_for(lambda: first.locator(".tnv2-count").inner_text() != before, 5)
    assert page.locator(".tnv2-still").count() == 1  # of the heat map


def test_the_page_with_the_network_opens_from_the_index(opened):
    page = opened("index")
    page.get_by_role("link", name="Try it in this browser").click()
    page.wait_for_selector(".tnv2-tuner canvas")


def test_a_folder_that_is_no_site_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    command = [sys.executable, str(ROOT / "docs" / "build_site.py"), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "is no site" in done.stderr
    assert (tmp_path / "letter.txt").read_text() == "dear"

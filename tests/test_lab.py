"""The first notebook in real JupyterLab, in real Chromium: cells run, the tuner appears, the keyboard moves buildings."""

import os
import re
import signal
import socket
import subprocess

import psutil
import pytest
from lab import ROOT, answers, jupyterlab, kernel_says, run_notebook, wait_for


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """The first notebook's page, all cells run."""
    with jupyterlab(tmp_path_factory.mktemp("lab")) as address:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        run_notebook(page, address, "00_start_here.ipynb", finished=".tnv2-tuner canvas")
        yield page
        page.close()


def picture(page):
    return page.evaluate("() => document.querySelector('.tnv2-tuner canvas').toDataURL()")


def count(page):
    return page.locator(".tnv2-tuner .tnv2-count").inner_text()


def test_keyboard_moves_buildings_and_python_follows(page):
    page.locator(".tnv2-tuner canvas").scroll_into_view_if_needed()
    before, count_before = picture(page), count(page)
    slider = page.locator(".tnv2-tuner input[type=range][data-name=mask]")
    slider.focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    wait_for(lambda: picture(page) != before and count(page) != count_before, 10)
    value = float(slider.input_value())
    assert value > 0.5
    wait_for(lambda: kernel_says(page, "print(tuner.thresholds.mask)") == str(value), 10)
    wait_for(lambda: kernel_says(page, "print(tuner.labels.max(), 'buildings')") == count(page), 10)


def test_python_moves_sliders_and_buildings(page):
    before = picture(page)
    kernel_says(page, "tuner.thresholds = tnv2.Thresholds(0.25, 0.75, 0.35, 120)")
    fields = {"mask": "0.25", "seed": "0.75", "border": "0.35", "min_area": "120"}
    for name, value in fields.items():
        wait_for(
            lambda n=name, v=value: page.locator(f".tnv2-tuner input[type=number][data-name={n}]").input_value() == v, 10
        )
    wait_for(lambda: picture(page) != before, 10)
    assert kernel_says(page, "print(tuner.labels.max(), 'buildings')") == count(page)


def test_number_field_refuses_what_is_no_threshold(page):
    field = page.locator(".tnv2-tuner input[type=number][data-name=seed]")
    field.fill("7")
    assert "tnv2-wrong" in field.get_attribute("class")
    assert kernel_says(page, "print(tuner.seed)") == "0.75"
    page.get_by_role("button", name="reset").click()
    wait_for(lambda: kernel_says(page, "print(tuner.thresholds == model.thresholds)") == "True", 10)


def test_make_lab_asks_for_its_token_and_is_reached_from_here_only(tmp_path):
    """The README's command itself, but for the browser that it would open."""
    if not (ROOT / ".venv" / "lab").is_file():
        pytest.skip("there is no .venv that make lab made; make lab or make test makes it")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = f"LAB=--no-browser --allow-root --ServerApp.port={port}"
    with (tmp_path / "log").open("w+") as log:
        make = subprocess.Popen(
            ["make", "lab", flags], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            printed = rf"http://localhost:{port}/lab/tree/(\S+)\?token=(\w+)"
            wait_for(lambda: re.search(printed, (tmp_path / "log").read_text()), 60)
            notebook, token = re.search(printed, (tmp_path / "log").read_text()).groups()
            assert notebook == "notebooks/00_start_here.ipynb"
            files = f"http://localhost:{port}/api/contents"
            wait_for(lambda: answers(f"{files}/{notebook}?token={token}"), 20)
            assert answers(f"{files}/README.md?token={token}")
            assert not answers(f"{files}/README.md")
            servers = psutil.Process(make.pid).children(recursive=True)
            heard = {c.laddr.ip for server in servers for c in server.net_connections("tcp") if c.laddr.port == port}
            assert heard
            assert heard <= {"127.0.0.1", "::1"}
        finally:
            os.killpg(make.pid, signal.SIGTERM)
            make.wait(20)

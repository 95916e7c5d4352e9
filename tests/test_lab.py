"""Two notebooks in real JupyterLab, in real Chromium: cells run, widgets appear, keyboard and mouse move buildings."""

import contextlib
import os
import re
import signal
import socket
import subprocess

import psutil
import pytest
from lab import ROOT, answers, code_cells, end_kernels, kernel_says, run_notebook, wait_for


@pytest.fixture(scope="module")
def address(lab_server):
    """The address of a JupyterLab, without the kernels of this file at its end."""
    yield lab_server[0]
    end_kernels(lab_server[0])


@pytest.fixture(scope="module")
def page(browser, address):
    """The first notebook's page, all cells run."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    run_notebook(page, address, "00_start_here.ipynb", finished=".tnv2-tuner canvas")
    yield page
    page.close()


@pytest.fixture(scope="module")
def tuning(browser, address):
    """The page of the lesson on tuning, all cells run."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    run_notebook(page, address, "04_tune_and_score.ipynb", finished=".tnv2-heatmap svg")
    wait_for(lambda: all(cell["count"] for cell in code_cells(page)), 120)
    yield page
    page.close()


def picture(page):
    return page.evaluate("() => document.querySelector('.tnv2-tuner canvas').toDataURL()")


def count(page):
    return page.locator(".tnv2-tuner .tnv2-count").first.inner_text()


def raise_mask(page):
    """Move the mask slider by keyboard until there are other buildings; return its value."""
    page.locator(".tnv2-tuner canvas").first.scroll_into_view_if_needed()
    before, count_before = picture(page), count(page)
    slider = page.locator(".tnv2-tuner input[type=range][data-name=mask]").first
    slider.focus()
    for _ in range(49):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(50)
        if picture(page) != before and count(page) != count_before:
            return slider.input_value()
    raise AssertionError(f"{count_before} at any mask")


def test_keyboard_moves_buildings_and_python_follows(page):
    value = float(raise_mask(page))
    assert value > 0.5
    wait_for(lambda: kernel_says(page, "print(tuner.thresholds.mask)") == str(value), 10)
    wait_for(lambda: kernel_says(page, "print(tuner.labels.max(), 'buildings')") == count(page), 10)


def test_python_moves_sliders_and_buildings(page):
    before = picture(page)
    kernel_says(page, "tuner.thresholds = tnv2.Thresholds(0.25, 0.75, 0.35, 120)")
    fields = {"mask": "0.25", "seed": "0.75", "border": "0.35", "min_area": "120"}
    for name, value in fields.items():
        wait_for(
            lambda n=name, v=value: page.locator(f".tnv2-tuner input[type=number][data-name={n}]").first.input_value() == v,
            10,
        )
    wait_for(lambda: picture(page) != before, 10)
    assert kernel_says(page, "print(tuner.labels.max(), 'buildings')") == count(page)


def test_number_field_refuses_what_is_no_threshold(page):
    field = page.locator(".tnv2-tuner input[type=number][data-name=seed]").first
    field.fill("7")
    assert "tnv2-wrong" in field.get_attribute("class")
    assert kernel_says(page, "print(tuner.seed)") == "0.75"
    page.get_by_role("button", name="reset").click()
    wait_for(lambda: kernel_says(page, "print(tuner.thresholds == model.thresholds)") == "True", 10)


def test_the_checkup_sees_jupyterlab_from_a_kernel(page):
    *lines, well = kernel_says(page, "from tnv2 import doctor; print(doctor())").splitlines()
    assert well == "True"
    told = {line[10:22].strip(): line[22:] for line in lines}
    assert "which runs this" in told["kernel"]
    assert "of another environment" not in told["JupyterLab"]
    assert "fit this kernel" in told["widgets"]


def test_every_cell_of_the_lesson_runs_and_solutions_are_folded(tuning):
    cells = code_cells(tuning)
    assert [cell["count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
    assert [cell["hidden"] for cell in cells] == [cell["source"].startswith("# Solution") for cell in cells]
    printed = ["".join(output.get("text", "")) for cell in cells for output in cell["outputs"]]
    assert sum(text.startswith("Not answered yet") for text in printed) == sum(cell["hidden"] for cell in cells) >= 2


def test_an_answer_typed_into_a_lesson_is_checked(tuning):
    """By keyboard, as a learner does: an answer, Shift+Enter, and Shift+Enter on the check below."""
    at = next(at for at, cell in enumerate(code_cells(tuning)) if cell["source"].startswith("answer_1 = ..."))
    for answer, right in (("1.0", False), ("0.4", True)):
        before = code_cells(tuning)[at + 1]["count"]
        tuning.locator(".jp-CodeCell", has_text="answer_1 = ").first.locator(".cm-content").click()
        tuning.keyboard.press("Control+a")
        tuning.keyboard.type(f"answer_1 = {answer}")
        tuning.keyboard.press("Shift+Enter")
        tuning.keyboard.press("Shift+Enter")
        wait_for(lambda old=before: (code_cells(tuning)[at + 1]["count"] or old) > old, 20)
        wait_for(lambda: code_cells(tuning)[at + 1]["outputs"], 10)
        [output] = code_cells(tuning)[at + 1]["outputs"]
        assert "".join(output["text"]).startswith("Right") == right
        assert not "".join(output["text"]).startswith("Not answered yet")


def test_slider_and_map_of_a_lesson_move_the_buildings(tuning):
    value = raise_mask(tuning)
    wait_for(lambda: kernel_says(tuning, "print(tuner.mask)") == value, 10)
    wait_for(lambda: kernel_says(tuning, "print(tuner.labels.max(), 'buildings')") == count(tuning), 10)
    columns = int(kernel_says(tuning, "print(len(heat.borders))"))
    tuning.locator(".tnv2-heatmap rect").nth(2 * columns + 1).click()  # the third seed from below, the second border
    wait_for(lambda: kernel_says(tuning, "print(heat.point, tuner.thresholds == heat.thresholds)") == "[2, 1] True", 10)
    chosen = kernel_says(tuning, "print(tuner.seed, tuner.border)").split()
    for name, value in zip(("seed", "border"), chosen, strict=True):
        field = tuning.locator(f".tnv2-tuner input[type=number][data-name={name}]").first
        wait_for(lambda f=field, v=value: float(f.input_value()) == float(v), 10)
    wait_for(lambda: kernel_says(tuning, "print(tuner.labels.max(), 'buildings')") == count(tuning), 10)


def heard_at(pid, port):
    """Return the addresses at which a process's children hear a port; those that end meanwhile hear nothing."""
    heard = set()
    for process in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error, FileNotFoundError):  # psutil lets the second through
            heard |= {c.laddr.ip for c in process.net_connections("tcp") if c.laddr.port == port}
    return heard


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
            heard = heard_at(make.pid, port)
            assert heard
            assert heard <= {"127.0.0.1", "::1"}
        finally:
            os.killpg(make.pid, signal.SIGTERM)
            make.wait(20)

"""The tuner draws, hears and is heard in Notebook 7 and in Voila as well; JupyterLab is in the other tests."""

import importlib.util
import sys

import pytest
from conftest import unavailable
from lab import TOKEN, jupyter, running, wait_for, write_notebook

CELL = """import numpy as np
import tnv2
from ipywidgets import Label
from IPython.display import display
building = np.zeros((60, 80))
building[10:20, 10:30], building[30:50, 40:70] = 0.9, 0.6
tuner, said = tnv2.ThresholdTuner(np.zeros((60, 80, 3), np.uint8), building), Label("not yet")
tuner.observe(lambda _: setattr(said, "value", f"Python has {tuner.labels.max()}"), "mask")
display(tuner, said)"""


@pytest.fixture
def folder(tmp_path):
    write_notebook(tmp_path / "cell.ipynb", [CELL])
    return tmp_path


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert [error for error in errors if "tnv2" in error] == []
    page.close()


def asked_for(package):
    if importlib.util.find_spec(package) is None:
        unavailable(f"{package} is not installed; pip install {package}")


def check(page):
    """Both houses are drawn, a slider drops the fainter one from the picture at once, and Python hears of it."""
    page.wait_for_selector(".tnv2-tuner canvas", timeout=120_000)
    counted, picture = page.locator(".tnv2-count"), page.locator(".tnv2-tuner canvas").first
    assert counted.inner_text() == "2 buildings"
    before = picture.screenshot()
    page.locator(".tnv2-tuner input[type=number][data-name=mask]").fill("0.7")
    wait_for(lambda: counted.inner_text() == "1 building", 10)
    assert picture.screenshot() != before
    wait_for(lambda: page.get_by_text("Python has 1", exact=True).count() == 1, 20)


def test_notebook_7(folder, page):
    asked_for("notebook")
    with jupyter(folder, "notebook", "--JupyterNotebookApp.expose_app_in_browser=True") as address:
        page.goto(f"{address}/notebooks/cell.ipynb?token={TOKEN}")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=60_000,
        )
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        check(page)


def test_voila(folder, page):
    asked_for("voila")
    command = [sys.executable, "-m", "voila", "cell.ipynb", "--Voila.ip=127.0.0.1"]
    with running(folder, command, "/voila/static/voila.js") as address:
        page.goto(address, timeout=120_000)
        check(page)

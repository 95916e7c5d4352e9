"""A tuner whose kernel has gone says so and goes on; a saved notebook has the widgets' pictures without any kernel."""

import base64
import json

import cv2
import nbformat
import numpy as np
import pytest
from lab import kernel_says, notebook, wait_for
from nbconvert import HTMLExporter

from tnv2 import BandViewer, SweepMap, Thresholds, ThresholdTuner, render_scene, sweep
from tnv2.instances import Probabilities

VIEW = "application/vnd.jupyter.widget-view+json"
CELL = """
import numpy as np
import tnv2
tile = tnv2.render_scene(1, 200).tile
maps = tnv2.Probabilities(np.where(tile.truth % 3 == 1, 0.65, 0.1), np.full(tile.shape, 0.4))
tuner = tnv2.ThresholdTuner(tile, maps)
tuner
"""


@pytest.fixture
def page(browser, tmp_path):
    with notebook(browser, tmp_path, CELL, ".tnv2-tuner canvas") as page:
        yield page


@pytest.mark.parametrize(
    "ending",
    [
        "await kernel.restart()",
        "kernel.requestExecute({code: 'import os; os._exit(1)'})",
        "await window.jupyterapp.shell.currentWidget.sessionContext.shutdown()",
    ],
    ids=["restarted", "died", "shut down"],
)
def test_a_kernel_that_is_gone_is_told_and_the_tuner_goes_on(page, ending):
    gone = page.locator(".tnv2-gone")
    assert kernel_says(page, "print(tuner.mask)") == "0.5"
    assert gone.inner_text() == ""
    page.evaluate(
        f"async () => {{ const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel; {ending}; }}"
    )
    wait_for(gone.inner_text, 30)
    assert "Python no longer listens" in gone.inner_text()
    assert page.locator(".tnv2-count").inner_text() != "0 buildings"
    page.wait_for_timeout(3000)
    for button in page.locator(".jp-Dialog button").all():  # JupyterLab's own words of a death
        button.click()
    page.locator(".tnv2-tuner input[type=number][data-name=mask]").fill("0.9")
    wait_for(lambda: page.locator(".tnv2-count").inner_text() == "0 buildings", 10)
    assert "P \u2013" in page.locator(".tnv2-rates").inner_text()


@pytest.fixture(scope="module")
def widgets():
    tile = render_scene(1, 200).tile
    maps = Probabilities(np.where(tile.truth % 3 == 1, 0.65, 0.1), np.full(tile.shape, 0.4))
    tuner = ThresholdTuner(tile, maps)
    return tuner, SweepMap(sweep(maps, tile.truth, seed=(0.5, 0.7), border=(0.3, 0.5))), BandViewer(tile)


def bundle(widget):
    """What IPython publishes of a widget, its still decoded."""
    data, _ = widget._repr_mimebundle_()
    return data, cv2.imdecode(np.frombuffer(base64.b64decode(data["image/png"]), np.uint8), cv2.IMREAD_COLOR_RGB)


def test_every_widget_has_a_still_beside_its_view(widgets):
    for widget in widgets:
        data, picture = bundle(widget)
        assert VIEW in data
        assert min(picture.shape[:2]) >= 200
        assert len(data["image/png"]) < 1_000_000


def test_the_tuners_still_is_of_what_it_shows_when_it_is_displayed(widgets):
    tuner = widgets[0]
    for thresholds in (Thresholds(), Thresholds(mask=0.9)):
        tuner.thresholds = thresholds
        _, picture = bundle(tuner)
        tinted = (
            picture[:200, :200] != bundle(ThresholdTuner(tuner.tile, tuner.probabilities, Thresholds(1)))[1][:200, :200]
        ).any(2)
        np.testing.assert_array_equal(tinted[tuner.labels == 0], False)
        assert tinted.any() == (tuner.labels.max() > 0)


def test_a_page_without_widgets_shows_the_stills(widgets):
    outputs = [nbformat.v4.new_output("display_data", data=bundle(widget)[0]) for widget in widgets]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=json.loads(json.dumps(outputs)))])
    page, _ = HTMLExporter().from_notebook_node(book)
    assert page.count('src="data:image/png;base64,') == 3

"""A tuner whose kernel has gone says so and goes on; a saved notebook has the widgets' pictures without any kernel."""

import base64

import cv2
import nbformat
import numpy as np
import pytest
from lab import kernel_says, notebook, wait_for
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from tnv2 import BandViewer, SweepMap, Thresholds, ThresholdTuner, label_instances, render_scene, sweep
from tnv2.instances import Probabilities

VIEW = "application/vnd.jupyter.widget-view+json"
CELL = """
import numpy as np
import tnv2
tile = tnv2.render_scene(2, 200).tile
maps = tnv2.Probabilities(np.where(tile.truth % 3 == 1, 0.65, 0.1), np.full(tile.shape, 0.4))
tuner = tnv2.ThresholdTuner(tile, maps)
tuner
"""


@pytest.fixture
def page(browser, lab_server):
    with notebook(browser, lab_server, CELL, ".tnv2-tuner canvas") as page:
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


def test_a_saved_notebook_shows_the_last_picture_without_its_kernel(page):
    still = page.locator(".tnv2-still")
    assert not still.is_visible()
    kernel_says(page, "tuner.mask = 0.9")
    wait_for(lambda: "0 buildings" in still.text_content(), 15)
    assert not still.is_visible()
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.reload()
    wait_for(still.is_visible, 60)
    page.wait_for_timeout(5000)
    assert still.is_visible()
    assert "0 buildings; F1 0.000" in still.inner_text()
    assert still.locator("img").evaluate("(image) => image.naturalWidth") == 200
    assert not page.get_by_text("Error displaying widget").is_visible()


@pytest.fixture(scope="module")
def widgets():
    tile = render_scene(2, 200).tile
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


@pytest.mark.parametrize("kept", [True, False], ids=["with the widgets' state", "without"])
def test_nbconverts_page_shows_each_widgets_picture_once(browser, tmp_path, widgets, kept):
    more = [
        "tnv2.SweepMap(tnv2.sweep(maps, tile.truth, seed=(0.5, 0.7), border=(0.3, 0.5)))",
        "tnv2.BandViewer(tile)",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (CELL, *more)])
    NotebookClient(book, timeout=120, store_widget_state=kept).execute()
    (tmp_path / "page.html").write_text(HTMLExporter().from_notebook_node(book)[0], encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri(), wait_until="domcontentloaded")
    page.wait_for_timeout(2000)
    shown = [image for image in page.locator("img").all() if image.is_visible()]
    assert len(shown) == 3
    assert all(image.evaluate("(one) => one.naturalWidth") >= 200 for image in shown)
    tuner, *_ = widgets
    count = label_instances(tuner.probabilities).max()
    assert count > 1
    assert f"{count} buildings; F1 " in page.locator(".tnv2-still").first.inner_text()
    context.close()

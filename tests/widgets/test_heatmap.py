"""The heat map's cells are the sweep's scores, and a click on one moves the tuner."""

import numpy as np
import pytest
import traitlets
from lab import kernel_says, notebook, wait_for
from noise import noise_maps

from tnv2 import SweepMap, Thresholds, ThresholdTuner, Tile, label_instances, sweep

AXES = {"seed": (0.4, 0.5, 0.6, 0.7), "border": (0.3, 0.5, 0.8)}
CELLS = f"""
import numpy as np
import tnv2
tile = tnv2.render_scene(2, 200).tile
maps = tnv2.Probabilities(np.where(tile.truth % 3 == 1, 0.65, 0.1), np.full(tile.shape, 0.4))
tuner = tnv2.ThresholdTuner(tile, maps)
cells = tnv2.SweepMap(tnv2.sweep(maps, tile.truth, **{AXES!r}), tuner)
cells
"""


@pytest.fixture
def cells():
    maps = noise_maps(1, 40, 50, 3)
    truth = label_instances(maps, Thresholds(0.5, 0.6, 0.5, 5))
    tile = Tile(np.zeros((40, 50, 3), np.uint8), truth=truth)
    return SweepMap(sweep(maps, truth, **AXES), ThresholdTuner(tile, maps, Thresholds(0.1, 0.2, 0.3)))


def test_starts_at_the_best_and_leaves_the_tuner_where_it_is(cells):
    assert cells.thresholds == cells.sweep.best
    assert cells.tuner.thresholds == Thresholds(0.1, 0.2, 0.3)
    assert cells.tuner.best == cells.sweep.best


def test_a_cell_moves_the_tuner_to_its_thresholds(cells):
    cells.point = [3, 0]
    assert cells.tuner.thresholds == cells.thresholds == Thresholds(0.5, 0.7, 0.3)
    cells.thresholds = Thresholds(0.5, 0.4, 0.8)
    assert cells.point == [0, 2]
    assert cells.tuner.thresholds == Thresholds(0.5, 0.4, 0.8)


def test_of_maps_without_a_border_map_it_moves_seed_and_distance():
    maps = noise_maps(1, 40, 50, 3).building
    truth = label_instances(noise_maps(1, 40, 50, 3), Thresholds(0.5, 0.6, 1, 5))
    tuner = ThresholdTuner(None, maps, Thresholds(0.1, 0.2))
    cells = SweepMap(sweep(maps, truth, seed=(0.5, 0.6), distance=(0, 2, 3.5)), tuner)
    assert (cells.across, cells.borders, cells.published) == ("distance", [0, 2, 3.5], [0, 0])
    cells.point = [1, 2]
    assert tuner.thresholds == cells.thresholds == Thresholds(0.5, 0.6, distance=3.5)
    with pytest.raises(ValueError, match=r"its distances \[0"):
        cells.thresholds = Thresholds(distance=9)


def test_what_is_no_cell_is_refused(cells):
    before = cells.point
    with pytest.raises(traitlets.TraitError, match=r"\[4, 0\]; it is \[seed index, border index\] in a grid of 4 seeds"):
        cells.point = [4, 0]
    with pytest.raises(ValueError, match="is no cell of this map"):
        cells.thresholds = Thresholds(0.5, 0.45, 0.5)
    with pytest.raises(ValueError, match="is no cell of this map"):
        cells.thresholds = Thresholds(0.3, 0.5, 0.5)
    assert cells.point == before


def test_scores_and_marks_are_the_sweeps(cells):
    assert cells.scores == cells.sweep.plane().tolist()
    assert cells.published == [1, 1]
    assert cells.scores[cells.best[0]][cells.best[1]] == cells.sweep.best_f1


def test_colours_run_from_the_lowest_score_to_the_highest(cells):
    plane, colours = cells.sweep.plane(), np.array(cells.colours)
    assert plane.min() > 0.3
    assert set(colours[plane == plane.min()]) == {"#440154"} == {cells.bar[0]}  # viridis from end to end
    assert set(colours[plane == plane.max()]) == {"#fde725"} == {cells.bar[-1]}


@pytest.fixture(scope="module")
def page(browser, lab_server):
    with notebook(browser, lab_server, CELLS, ".tnv2-heatmap svg") as page:
        yield page


def test_the_bar_has_the_numbers_of_its_ends(page):
    scores = [float(part) for part in kernel_says(page, "s = cells.sweep.plane(); print(s.min(), s.max())").split()]
    assert scores[1] > scores[0]
    told = page.locator(".tnv2-heatmap text").all_text_contents()
    assert {f"{score:.2f}" for score in (*scores, sum(scores) / 2)} <= set(told)
    assert page.locator(".tnv2-heatmap-bar").count() > 20


def test_clicks_and_keys_move_the_tuner_in_jupyterlab(page):
    page.locator(".tnv2-heatmap rect").nth(3 * 3 + 2).click()  # the last seed and border
    wait_for(lambda: kernel_says(page, "print(tuner.thresholds.seed, tuner.thresholds.border)") == "0.7 0.8", 10)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    wait_for(lambda: kernel_says(page, "print(tuner.thresholds.seed, tuner.thresholds.border)") == "0.6 0.5", 10)
    assert "seed 0.6   border 0.5   F1 " in page.locator(".tnv2-heatmap-told").inner_text()
    kernel_says(page, "tuner.seed = 0.1")
    page.locator(".tnv2-heatmap rect").nth(3 * 2 + 1).click()  # the chosen one again
    wait_for(lambda: kernel_says(page, "print(tuner.thresholds.seed, tuner.thresholds.border)") == "0.6 0.5", 10)

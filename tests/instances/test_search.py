"""A sweep scores what a loop over thresholds would, finds the best, and says what that is worth on other tiles."""

import time
from dataclasses import FrozenInstanceError

import matplotlib.pyplot as plt
import numpy as np
import pytest
from noise import noise_maps

from tnv2 import Probabilities, Thresholds, label_instances, match, score_city, sweep

GRID = {"mask": (0.4, 0.5), "seed": (0.5, 0.6, 0.8), "border": (0.3, 0.7), "min_area": (1, 6)}


@pytest.fixture(scope="module")
def tiles():
    """Three noise maps, and as their truth what other thresholds make of them."""
    maps = [noise_maps(seed, 50, 60, 3).rounded() for seed in range(3)]
    return maps, [label_instances(m, Thresholds(0.45, 0.55, 0.6, 4)) for m in maps]


def test_scores_what_a_loop_would(tiles):
    found = sweep(*tiles, **GRID)
    for point in np.ndindex(2, 3, 2, 2):
        thresholds = Thresholds(*(values[i] for values, i in zip(GRID.values(), point, strict=True)))
        assert found.at(point) == thresholds
        matches = [match(truth, label_instances(m, thresholds)) for m, truth in zip(*tiles, strict=True)]
        assert found.f1[point] == pytest.approx(score_city(matches).f1)
        assert [tuple(row) for row in found.counts[(slice(None), *point)]] == [(m.tp, m.fp, m.fn) for m in matches]


def test_what_was_found_cannot_be_changed(tiles):
    found = sweep(*tiles, mask=(0.5,), seed=(0.5,), border=(0.5,), min_area=(0,))
    with pytest.raises(FrozenInstanceError):
        found.axes = {}


def test_best_is_the_best(tiles):
    found = sweep(*tiles, **GRID)
    matches = [match(truth, label_instances(m, found.best)) for m, truth in zip(*tiles, strict=True)]
    assert score_city(matches).f1 == found.best_f1 == found.f1.max()


@pytest.mark.parametrize("count", [2, 3])
def test_score_on_tiles_kept_out_is_of_thresholds_chosen_without_them(tiles, count):
    tiles = [part[:count] for part in tiles]
    found = sweep(*tiles, **GRID)
    scores = []
    for i in range(count):
        others = [[part[j] for j in range(count) if j != i] for part in tiles]
        scores.append(match(tiles[1][i], label_instances(tiles[0][i], sweep(*others, **GRID).best)))
    assert found.kept_out == score_city(scores)
    assert found.kept_out.f1 <= found.best_f1
    assert sweep(tiles[0][0], tiles[1][0], **GRID).kept_out is None


def listed(tiles, grid=GRID):
    """Every point of the grid with its Score, found by a loop, those without a building left out."""
    maps, truths = tiles
    for values in np.ndindex(2, 3, 2, 2):
        thresholds = Thresholds(*(grid[name][i] for name, i in zip(grid, values, strict=True)))
        matches = [match(truth, label_instances(m, thresholds)) for m, truth in zip(maps, truths, strict=True)]
        if sum(m.tp + m.fp for m in matches):
            yield thresholds, score_city(matches)


@pytest.mark.parametrize(("wanted", "other"), [("precision", "recall"), ("recall", "precision")])
def test_best_at_a_wanted_rate_is_what_a_loop_finds(tiles, wanted, other):
    found, scores = sweep(*tiles, **GRID), dict(listed(tiles))
    tried = sorted({getattr(score, wanted) for score in scores.values()})
    for rate in (0, tried[0], tried[len(tried) // 2], tried[-1]):
        best = scores[found.best_at(**{wanted: rate})]
        fitting = [score for score in scores.values() if getattr(score, wanted) >= rate]
        assert getattr(best, wanted) >= rate
        assert getattr(best, other) == max(getattr(score, other) for score in fitting)
    with pytest.raises(
        ValueError, match=rf"no point of this grid has a {wanted} of 1: it reaches {tried[0]:.3f} to {tried[-1]:.3f}"
    ):
        found.best_at(**{wanted: 1})


@pytest.mark.parametrize("count", [2, 3])
def test_kept_out_at_is_of_thresholds_chosen_without_the_tile(tiles, count):
    tiles = [part[:count] for part in tiles]
    found = sweep(*tiles, **GRID)
    rate = found.score(found.best).precision
    scores = []
    for i in range(count):
        others = [[part[j] for j in range(count) if j != i] for part in tiles]
        scores.append(match(tiles[1][i], label_instances(tiles[0][i], sweep(*others, **GRID).best_at(precision=rate - 0.1))))
    assert found.kept_out_at(precision=rate - 0.1) == score_city(scores)
    assert found.kept_out_at(recall=1).recall < 1  # the others do not reach it: the nearest, and no error
    assert sweep(tiles[0][0], tiles[1][0], **GRID).kept_out_at(recall=0.1) is None


def test_what_finds_nothing_is_not_precise():
    maps = Probabilities(np.pad(np.full((6, 6), 0.6), 5), np.zeros((16, 16)))
    truth = np.zeros((16, 16), int)
    truth[0:3, 0:3] = 1
    with pytest.raises(ValueError, match=r"it reaches 0\.000 to 0\.000"):
        sweep(maps, truth, seed=(0.5, 0.9), border=1).best_at(precision=0.5)
    with pytest.raises(ValueError, match="it has none"):
        sweep(maps, truth * 0, seed=0.9, border=1).best_at(recall=0.5)


@pytest.mark.parametrize("asked", [{}, {"precision": 0.5, "recall": 0.5}, {"recall": 1.5}, {"precision": -0.1}])
def test_one_rate_is_to_be_wanted(tiles, asked):
    found = sweep(*tiles, **GRID)
    for method in (found.best_at, found.kept_out_at):
        with pytest.raises(ValueError, match="give one of the two, from 0 to 1"):
            method(**asked)


def test_the_rates_picture_has_every_point_and_the_known_ones(tiles):
    maps = [Probabilities(m.building, m.border, {"thresholds": {"seed": 0.77}}) for m in tiles[0]]
    found = sweep(maps, tiles[1], **GRID)
    present = match(tiles[1][0], label_instances(maps[0], Thresholds(0.47)))
    ax = found.plot_rates({"present": present, "mine": found.at((0, 0, 0, 0))})
    drawn = {line.get_label(): line.get_xydata() for line in ax.lines}
    scores = dict(listed(tiles))
    points = {(score.recall, score.precision) for score in scores.values()}
    assert {tuple(point) for point in drawn["the grid"] if np.isfinite(point).all()} == points
    front = [a for a in points if not any(b != a and b[0] >= a[0] and b[1] >= a[1] for b in points)]
    assert {tuple(point) for point in drawn["not beaten in both"]} == set(front)
    for name, thresholds in (("published", Thresholds()), ("card", Thresholds(seed=0.77))):  # neither is on the grid
        expected = score_city([match(t, label_instances(m, thresholds)) for m, t in zip(maps, tiles[1], strict=True)])
        assert found.known[name] == expected
        assert drawn[name].tolist() == [[expected.recall, expected.precision]]
    assert drawn["present"].tolist() == [[present.recall, present.precision]]
    assert drawn["best F1"].tolist() == [[scores[found.best].recall, scores[found.best].precision]]
    assert drawn["mine"].tolist() == [
        [found.score(found.at((0, 0, 0, 0))).recall, found.score(found.at((0, 0, 0, 0))).precision]
    ]
    with pytest.raises(ValueError, match="no point of this grid"):
        found.score(Thresholds(0.123))
    plt.close(ax.figure)


def test_on_a_tile_without_buildings_the_best_thresholds_find_none(tiles):
    maps = Probabilities(np.pad(np.full((6, 6), 0.6), 5), np.zeros((16, 16)))
    found = sweep(maps, np.zeros((16, 16), int), seed=(0.5, 0.9), border=1)
    assert found.f1.ravel().tolist() == [0, 1], "what is found is wrong, and to find nothing is right"
    assert (found.best.seed, found.best_f1) == (0.9, 1)
    together = sweep([maps, tiles[0][0]], [np.zeros((16, 16), int), tiles[1][0]], **GRID)
    alone = sweep(tiles[0][0], tiles[1][0], **GRID)
    tp, fp, fn = np.moveaxis(alone.counts[0], -1, 0)
    wrong = sweep(maps, np.zeros((16, 16), int), **GRID).counts[0][..., 1]
    np.testing.assert_allclose(together.f1, 2 * tp / (2 * tp + fp + wrong + fn))


def test_among_equals_the_middle_is_chosen():
    maps = Probabilities(np.pad(np.full((6, 6), 0.9), 5), np.zeros((16, 16)))
    truth = (maps.building > 0).astype(np.int32)
    assert sweep(maps, truth, seed=(0, 0.2, 0.4, 0.6, 0.8, 0.95), border=0.5).best.seed == pytest.approx(0.4)


def test_a_real_tile_is_searched_in_seconds(real_tiles, real_maps):
    tile, maps = max(zip(real_tiles, real_maps, strict=True), key=lambda pair: pair[0].truth.max())
    start = time.perf_counter()
    found = sweep(maps, tile.truth)
    seconds = time.perf_counter() - start
    assert found.f1.shape == (1, 21, 21, 1)
    assert found.best_f1 >= match(tile.truth, label_instances(maps.rounded())).f1
    assert seconds < 10


def test_plot_marks_the_published_and_the_best_point(tiles):
    found = sweep(*tiles, border=(0.2, 0.5, 0.8), seed=(0.4, 0.5, 0.6))
    ax = found.plot()
    marks = {
        text.get_text(): collection.get_offsets()[0]
        for text, collection in zip(ax.get_legend().texts, ax.collections[1:3], strict=True)
    }
    np.testing.assert_allclose(marks["published"], (0.5, 0.5))
    np.testing.assert_allclose(marks["best"], (found.best.border, found.best.seed))
    np.testing.assert_allclose(ax.collections[0].get_array().reshape(3, 3), found.plane())
    assert "kept out" in ax.get_title()
    plt.close(ax.figure)


def test_without_a_border_map_distance_is_searched_in_its_place(tiles):
    maps = [each.building for each in tiles[0]]
    truth = [label_instances(Probabilities(each).rounded(), Thresholds(0.45, 0.5, 1, 4, 3)) for each in maps]
    grid = {"mask": 0.45, "seed": (0.5, 0.7), "distance": (0, 3, 5), "min_area": 4}
    found = sweep(maps, truth, **grid)
    assert found.f1.shape == (1, 2, 3, 1)
    for point in np.ndindex(1, 2, 3, 1):
        thresholds = found.at(point)
        assert (thresholds.seed, thresholds.distance) == (grid["seed"][point[1]], grid["distance"][point[2]])
        matches = [
            match(t, label_instances(Probabilities(m).rounded(), thresholds)) for t, m in zip(truth, maps, strict=True)
        ]
        assert found.f1[point] == pytest.approx(score_city(matches).f1)
    assert found.best == Thresholds(0.45, 0.5, 0.5, 4, 3)
    assert found.best_f1 == 1
    ax = found.plot()
    assert ax.get_xlabel() == "distance threshold, pixels"
    plt.close(ax.figure)
    assert len(sweep(maps[0], truth[0], seed=0.5).axes["distance"]) == 21


def test_bad_arguments_are_refused(tiles):
    with pytest.raises(ValueError, match=r"truth is \(3, 3\) and the maps \(50, 60\)"):
        sweep(tiles[0][0], np.zeros((3, 3), int))
    with pytest.raises(ValueError, match=r"seed is 1\.5"):
        sweep(tiles[0][0], tiles[1][0], seed=(0.5, 1.5))
    with pytest.raises(ValueError, match="nothing to search"):
        sweep([], [])
    with pytest.raises(ValueError, match="nothing to search"):
        sweep(tiles[0][0], tiles[1][0], border=())

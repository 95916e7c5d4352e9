"""A sweep scores what a loop over thresholds would, finds the best, and says what that is worth on other tiles."""

import time

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


def test_best_is_the_best(tiles):
    found = sweep(*tiles, **GRID)
    matches = [match(truth, label_instances(m, found.best)) for m, truth in zip(*tiles, strict=True)]
    assert score_city(matches).f1 == found.best_f1 == found.f1.max()


def test_score_on_tiles_kept_out_is_of_thresholds_chosen_without_them(tiles):
    found = sweep(*tiles, **GRID)
    scores = []
    for i in range(3):
        others = [[part[j] for j in range(3) if j != i] for part in tiles]
        scores.append(match(tiles[1][i], label_instances(tiles[0][i], sweep(*others, **GRID).best)))
    assert found.kept_out == score_city(scores)
    assert found.kept_out.f1 <= found.best_f1
    assert sweep(tiles[0][0], tiles[1][0], **GRID).kept_out is None


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

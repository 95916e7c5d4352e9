"""Scenes over given layouts: buildings where the layout has them, none where it has none."""

import numpy as np
import pytest

from tnv2 import render_scene
from tnv2.scenes import STYLES, render_layout


@pytest.fixture(scope="module")
def layout():
    """The footprints of another scene."""
    return render_scene(5, 300, "suburb").tile.truth


@pytest.mark.parametrize("style", STYLES)
def test_the_layout_is_the_truth_and_the_same_seed_gives_the_same_pixels(layout, style):
    tile = render_layout(4, layout, style)
    np.testing.assert_array_equal(tile.truth, layout)
    assert tile.rgb.dtype == np.uint16
    assert 0 < tile.mul.min() <= tile.mul.max() < 2048
    np.testing.assert_array_equal(tile.mul, render_layout(4, layout, style).mul)
    assert (tile.mul != render_layout(5, layout, style).mul).mean() > 0.9


def test_edges_are_where_the_layout_has_them(layout):
    tile = render_layout(7, layout, "suburb")
    slope = np.hypot(*np.gradient(tile.mul[..., 2].astype(float)))
    outline = (layout > 0) != (np.roll(layout, 1, axis=0) > 0)
    assert np.median(slope[outline]) > 1.5 * np.median(slope[np.roll(outline, (11, 9), axis=(0, 1))])


def test_masks_are_their_connected_parts_at_any_shape():
    mask = np.zeros((70, 101), bool)
    mask[10:30, 10:40], mask[40:60, 10:40], mask[10:30, 60:90] = True, True, True
    tile = render_layout(0, mask)
    assert tile.shape == (70, 101)
    assert tile.truth.max() == 3
    np.testing.assert_array_equal(tile.truth > 0, mask)


def test_an_empty_layout_is_a_tile_without_buildings_that_has_edges_all_the_same():
    tile = render_layout(3, np.zeros((400, 400), bool), "suburb")
    assert not tile.truth.any()
    slope = np.hypot(*np.gradient(tile.mul[..., 2].astype(float)))
    assert np.percentile(slope, 99.8) > 10 * np.median(slope)


def test_what_is_no_layout_is_refused():
    for wrong in (np.zeros((40, 40)), np.zeros((40, 40, 3), bool), np.zeros((40, 8), bool)):
        with pytest.raises(ValueError, match=r"it must be \(H, W\) bool or int labels"):
            render_layout(0, wrong)
    with pytest.raises(ValueError, match="style is 'village'"):
        render_layout(0, np.zeros((40, 40), bool), "village")

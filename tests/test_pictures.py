"""Pictures: stretched by percentiles, tinted and outlined instance by instance."""

import numpy as np
import pytest

from tnv2 import Tile, false_colour, overlay, probability_map, sample_tiles, stretch, true_colour
from tnv2.pictures import PALETTE, outlines


def test_stretch_takes_percentiles_to_the_ends():
    rng = np.random.default_rng(0)
    image = rng.integers(100, 2048, (50, 60, 3), np.uint16)
    out = stretch(image, 5, 90)
    for channel in range(3):
        dark, bright = np.percentile(image[..., channel], (5, 90))
        assert (out[image[..., channel] <= dark, channel] == 0).all()
        assert (out[image[..., channel] >= bright, channel] == 255).all()
        middle = np.abs(image[..., channel] - (dark + bright) / 2) < 1
        assert np.abs(out[middle, channel].astype(int) - 127.5).max() <= 1
    assert out.dtype == np.uint8


def test_constant_channels_become_black_without_warning():
    assert (stretch(np.full((4, 5, 3), 700, np.uint16)) == 0).all()


def test_plants_are_red_in_false_colour():
    tile = sample_tiles()[0]
    red, near_infrared = tile.mul[..., 4].astype(int), tile.mul[..., 6].astype(int)
    plants = near_infrared > 2.5 * red
    picture = false_colour(tile).astype(int)
    assert plants.sum() > 1000
    assert (picture[plants, 0] > picture[plants, 1]).mean() > 0.99
    assert true_colour(tile).shape == (*tile.shape, 3)


def test_false_colour_needs_mul():
    with pytest.raises(ValueError, match="no MUL bands"):
        false_colour(Tile(np.zeros((4, 4, 3), np.uint8), name="here"))


def test_outlines_are_the_pixels_with_another_neighbour():
    labels = np.zeros((9, 9), int)
    labels[2:7, 1:5], labels[2:7, 5:8] = 1, 2
    expected = labels > 0
    expected[3:6, 2:4] = expected[3:6, 6] = False
    np.testing.assert_array_equal(outlines(labels), expected)


def test_overlay_leaves_background_and_its_input_alone():
    labels = np.zeros((20, 20), int)
    labels[5:15, 5:15] = 3
    picture = np.full((20, 20, 3), 100, np.uint8)
    out = overlay(picture, labels, 0.5)
    assert (picture == 100).all()
    assert (out[labels == 0] == 100).all()
    np.testing.assert_array_equal(out[5, 5], PALETTE[2])
    assert np.abs(out[10, 10] - (100 + PALETTE[2].astype(float)) / 2).max() <= 0.5


def test_overlay_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"\(4, 4, 3\) uint16"):
        overlay(np.zeros((4, 4, 3), np.uint16), np.zeros((4, 4), int))
    with pytest.raises(ValueError, match="opacity is 2"):
        overlay(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), int), opacity=2)


def test_probability_map_brightens_with_probability():
    picture = probability_map(np.linspace(0, 1, 64)[None])
    luminance = picture @ np.array([0.299, 0.587, 0.114])
    assert picture.shape == (1, 64, 3)
    assert (np.diff(luminance[0]) > 0).all()

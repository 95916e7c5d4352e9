"""Limits: clean pictures keep their least and greatest values to the bit; a handful of far pixels has no say."""

import warnings
from contextlib import contextmanager

import numpy as np
import pytest

from tnv2 import Tile, label_instances, load_model, match, predict, sample_tiles, score_city
from tnv2.network.inference import as_input
from tnv2.tiles.limits import limits_of


@pytest.fixture(scope="module")
def mini():
    return load_model("mini", device="cpu")


@pytest.mark.filterwarnings("error")
def test_clean_tiles_are_scaled_by_their_extremes_to_the_bit(real_tiles):
    for tile in [*real_tiles, *sample_tiles()]:
        low, high = tile.scale
        assert low.dtype == high.dtype == tile.rgb.dtype
        np.testing.assert_array_equal(low, tile.rgb.min(axis=(0, 1)))
        np.testing.assert_array_equal(high, tile.rgb.max(axis=(0, 1)))


def f1_of(tiles, mini):
    matches = [match(tile.truth, label_instances(predict(mini, tile), mini.thresholds)) for tile in tiles]
    return score_city(matches).f1


@pytest.mark.filterwarnings("ignore:.*far from all others")
@pytest.mark.parametrize("value", [65535, 0])
@pytest.mark.parametrize("place", [(slice(300, 301), slice(200, 201)), (slice(0, 6), slice(0, 7))], ids=["pixel", "corner"])
def test_a_few_wild_pixels_move_the_score_little(real_tiles, mini, place, value):
    spoilt = []
    for tile in real_tiles:
        rgb = tile.rgb.copy()
        rgb[place] = value
        spoilt.append(tile.replace(rgb=rgb))
    assert abs(f1_of(spoilt, mini) - f1_of(real_tiles, mini)) < 0.03


def test_wild_pixels_are_named_and_the_rest_keeps_its_scale(real_tiles):
    for tile in real_tiles:
        rgb = tile.rgb.copy()
        rgb[5, 300] = 65535
        with pytest.warns(UserWarning, match=r"far from all others in at most 42 pixels .* to 65535.*gdal_edit\.py"):
            low, high = tile.replace(rgb=rgb).scale
        rest = np.delete(tile.rgb.reshape(-1, 3), 5 * 650 + 300, axis=0)
        np.testing.assert_array_equal([low, high], [rest.min(axis=0), rest.max(axis=0)])
        rgb[:30, :30] = 65535
        with pytest.warns(UserWarning, match=r"0\.2% of the pixels are 65535 .* all others .*-a_nodata 65535"):
            assert tile.replace(rgb=rgb).scale[1].max() == 65535


def test_the_rule_is_the_one_that_is_written_down():
    values = np.arange(100_000)[:, None] % 1001  # 0 to 1000, each a hundred times
    for wild, alone in [(2000, False), (2002, True), (-1000, False), (-1002, True)]:
        block = values.copy()
        block[:10] = wild  # as many as may be alone among 100,000
        with pytest.warns(UserWarning, match="at most 10 pixels") if alone else warns_nothing():
            low, high = limits_of([block], len(block), "it")
        assert (low[0], high[0]) == ((0, 1000) if alone else (min(wild, 0), max(wild, 1000)))
        block[:11] = wild  # one more, and it is what the picture shows
        with warns_nothing():
            low, high = limits_of([block], len(block), "it")
        assert (low[0], high[0]) == (min(wild, 0), max(wild, 1000))


def test_black_pixels_are_left_out_where_others_begin_above_them():
    values = np.array([[20, 60, 40]]) + np.arange(100_000)[:, None] % 961  # up to 980, 1020 and 1000
    rest = values.min(axis=0), values.max(axis=0)
    few, many = values.copy(), values.copy()
    few[:10], many[:11] = 0, 0  # as many as a ten-thousandth, and one more
    with pytest.warns(UserWarning, match="channel: 0 to 980, 0 .* 20 to 980, 60 to 1020, 40 to 1000 is what"):
        np.testing.assert_array_equal(limits_of([few], len(few), "it"), rest)
    with pytest.warns(UserWarning, match="is what is scaled"):
        np.testing.assert_array_equal(limits_of(np.array_split(few, 7), len(few), "it"), rest)
    dark_in_one = values.copy()
    dark_in_one[:10, 1] = 0  # a colour, and none that no sensor sees
    begins_low, one_colour = np.maximum(few - 12, 0), np.where(few > 0, 1000, 0)
    for block, low in ((many, 0), (dark_in_one, (20, 0, 40)), (begins_low, 0), (one_colour, 0), (0 * few, 0)):
        with warns_nothing():
            np.testing.assert_array_equal(limits_of([block], len(block), "it")[0], np.broadcast_to(low, 3))


@contextmanager
def warns_nothing():
    """Fail on any warning inside."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.filterwarnings("ignore:.*far from all others")
def test_blocks_give_what_the_whole_gives(dtype):
    rng = np.random.default_rng(4)
    image = (rng.random((40_000, 3)) * 200).astype(dtype)
    image[rng.integers(0, 40_000, 3)] = 255
    whole = limits_of([image], 40_000, "it")
    for step in (1, 7, 4096, 39_999):
        parts = limits_of((image[i : i + step] for i in range(0, 40_000, step)), 40_000, "it")
        np.testing.assert_array_equal(parts, whole)


def test_a_window_of_a_scene_is_scaled_as_the_scene(real_tiles):
    tile = real_tiles[0]
    window = Tile(tile.rgb[100:260, 50:178], limits=tile.scale)
    np.testing.assert_array_equal(as_input(window), as_input(tile)[:, 100:260, 50:178])
    assert not np.array_equal(as_input(window.replace(limits=None)), as_input(window))


def test_limits_of_another_form_are_refused():
    with pytest.raises(ValueError, match=r"limits are .*two \(3,\) arrays"):
        Tile(np.zeros((4, 4, 3), np.uint8), limits=(0, 255))

"""Windows cover a scene, their weights sum to 1, and blended maps are those of one look at the whole."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from tnv2 import Probabilities, Tile, label_instances, load_model, match, predict, sample_tiles
from tnv2.network.inference import as_input
from tnv2.network.windows import OVERLAP, RAMP, SIZE, blended, mirrored, padded, spans


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 1500))
def test_weights_sum_to_one_and_leave_out_what_sees_too_little(strides):
    length = 32 * strides
    total = np.zeros(length)
    for start, weights in spans(length):
        end = start + len(weights)
        assert start % 32 == 0 == len(weights) % 32
        assert len(weights) <= SIZE
        assert weights.min() >= 0
        margin = (OVERLAP - RAMP) // 2
        assert start == 0 or not weights[:margin].any()
        assert end == length or not weights[-margin:].any()
        total[start:end] += weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(32, 5000))
def test_reflection_is_numpys(length):
    before, long = padded(length)
    expected = np.pad(np.arange(length), (before, long - length - before), mode="reflect")
    np.testing.assert_array_equal(mirrored(before, long, length), expected)


@pytest.mark.parametrize("shape", [(32, 32), (650, 650), (1279, 1281), (45, 2900), (3001, 50), (2111, 1693)])
@pytest.mark.parametrize("batch", [1, 3])
def test_what_is_seen_pixel_by_pixel_comes_back(shape, batch):
    scene = np.random.default_rng(0).random((*shape, 2), np.float32)

    def look(windows):
        assert len(windows) <= batch
        return np.stack([np.moveaxis(image, 2, 0) for (image,) in windows])

    came = np.concatenate(list(blended(shape, lambda first, last: [scene[first:last]], look, batch)), axis=1)
    np.testing.assert_allclose(came, np.moveaxis(scene, 2, 0), atol=1e-6)


def joined(tiles, columns, mul=False):
    """Return tiles side by side, ``columns`` a row, as one Tile."""

    def together(images):
        rows = [np.concatenate(images[i : i + columns], axis=1) for i in range(0, len(images), columns)]
        return np.concatenate(rows)

    return Tile(together([tile.rgb for tile in tiles]), together([tile.mul for tile in tiles]) if mul else None, "joined")


def at_once(model, tile):
    """Return the Probabilities of a tile of any size, of one look at the whole."""
    sides = [(padded(size)[0], padded(size)[1] - size - padded(size)[0]) for size in tile.shape]
    x = torch.from_numpy(np.pad(as_input(tile), [(0, 0), *sides], mode="reflect"))[None]
    with torch.inference_mode():
        maps = torch.sigmoid(model(x))[0].numpy()
    (top, _), (left, _) = sides
    return Probabilities(*maps[:, top : top + tile.shape[0], left : left + tile.shape[1]])


def check_no_seams(scene):
    assert max(scene.shape) > SIZE
    model = load_model("mini", device="cpu")
    whole, windowed = at_once(model, scene), predict(model, scene)
    for name in ("building", "border"):
        assert np.abs(getattr(whole, name) - getattr(windowed, name)).max() < 0.02
    truth, found = (label_instances(maps, model.thresholds) for maps in (whole, windowed))
    assert truth.max() > 20
    assert match(truth, found).f1 >= 0.99


def test_windows_show_no_seams_in_scenes():
    check_no_seams(joined(sample_tiles(), 2, mul=True))
    tiles = [tile.replace(rgb=tile.rgb[:, :333], mul=None, truth=None) for tile in sample_tiles()]
    check_no_seams(joined([*tiles, tiles[0]], 5))


def test_windows_show_no_seams_in_real_tiles(real_tiles):
    check_no_seams(joined(real_tiles, 2))


def test_one_scaling_holds_for_the_whole_scene():
    """A bright corner changes how the far end is scaled, as it does for one look."""
    model = load_model("mini", device="cpu")
    dim = joined([tile.replace(mul=None) for tile in sample_tiles()], 2)
    rgb = dim.rgb.copy()
    rgb[:5, :5] = 1.5 * dim.rgb.max(axis=(0, 1))  # not so far from the rest that it has no say
    far = np.s_[-300:, -300:]
    bright = predict(model, Tile(rgb)).building[far]
    assert np.abs(bright - predict(model, dim).building[far]).max() > 0.1
    assert np.abs(bright - at_once(model, Tile(rgb)).building[far]).max() < 0.02

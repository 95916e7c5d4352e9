"""Convolutions with fewer multiplications equal torch's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch.nn import functional as F

from tnv2.network.fast import convolutions
from tnv2.network.fast.convolutions import Strips, doubled, doubled_weights, winograd, winograd_weights

sizes = st.integers(1, 12)


def example(seed, images, inner, outer, height, width):
    """An image in two parts by channels, a weight and a bias."""
    generator = torch.Generator().manual_seed(seed)
    x, weight, bias = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((images, inner, height, width), (outer, inner, 3, 3), (outer,))
    )
    return x.contiguous(memory_format=torch.channels_last), weight, bias


@pytest.fixture(params=[1, 2000, 1 << 30], ids=["strips of one row", "some strips", "one strip"])
def working_set(request, monkeypatch):
    monkeypatch.setattr(convolutions, "WORKING_SET", request.param)


@pytest.fixture(scope="module")
def strips():
    with Strips() as strips:
        yield strips


@pytest.mark.usefixtures("working_set")
@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 99), images=st.integers(1, 2), inner=sizes, outer=sizes, height=sizes, width=sizes)
def test_both_equal_the_plain_convolution(strips, seed, images, inner, outer, height, width):
    x, weight, bias = example(seed, images, inner, outer, height, width)
    expected = F.conv2d(F.interpolate(x, scale_factor=2), weight, bias, padding=1)
    torch.testing.assert_close(doubled(strips, [x], doubled_weights(weight), bias), expected)
    x, weight, bias = example(seed, images, inner, outer, 2 * height, 2 * width)
    torch.testing.assert_close(winograd(strips, [x], winograd_weights(weight), bias), F.conv2d(x, weight, bias, padding=1))


def test_parts_are_joined_by_channel_and_left_alone(strips):
    x, weight, bias = example(0, 2, 7, 5, 6, 8)
    parts, before = x.split([3, 4], 1), x.clone()
    torch.testing.assert_close(winograd(strips, parts, winograd_weights(weight), bias), F.conv2d(x, weight, bias, padding=1))
    twice = F.conv2d(F.interpolate(x, scale_factor=2), weight, bias, padding=1)
    torch.testing.assert_close(doubled(strips, parts, doubled_weights(weight), bias), twice)
    torch.testing.assert_close(x, before, rtol=0, atol=0)


def test_an_error_in_a_strip_is_raised_and_the_threads_go_on(strips):
    def fail(scratch, image, top, rows):
        raise MemoryError(f"row {top}")

    for _ in range(2):
        with pytest.raises(MemoryError, match="row 0"):
            strips.each(fail, 1, 64, 1 << 22)
    seen = []
    strips.each(lambda scratch, *strip: seen.append(strip), 2, 64, 1 << 22)
    assert sorted(row for image, top, rows in seen for row in range(64 * image + top, 64 * image + top + rows)) == list(
        range(128)
    )


def test_pixels_are_prepared_and_a_shortcut_is_added(strips):
    x, weight, bias = example(0, 2, 7, 5, 6, 8)
    shortcut = torch.randn(2, 5, 6, 8, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    expected = F.leaky_relu(F.conv2d(x.exp(), weight, bias, padding=1), 0.1) + shortcut
    came = winograd(strips, [x], winograd_weights(weight), bias, 0.1, before=torch.exp, shortcut=shortcut)
    torch.testing.assert_close(came, expected)


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_float32_and_bfloat16_round_little(strips, dtype, error):
    x, weight, bias = example(0, 1, 256, 64, 16, 16)
    weight /= 48  # keeps the size of what comes in
    expected = F.conv2d(x, weight, bias, padding=1)
    came = winograd(strips, [x.to(dtype)], winograd_weights(weight).to(dtype), bias.float())
    assert (came - expected).std() < error * expected.std()
    expected = F.conv2d(F.interpolate(x, scale_factor=2), weight, bias, padding=1)
    came = doubled(strips, [x.to(dtype)], [matrix.to(dtype) for matrix in doubled_weights(weight)], bias.float())
    assert (came - expected).std() < error * expected.std()


def test_a_bfloat16_is_rounded_as_torch_rounds():
    from tnv2.compiled import compiled
    from tnv2.network.fast.transforms import steps

    torch.manual_seed(0)
    numbers = torch.cat([torch.randn(1000), torch.tensor([0.0, -0.0, 1e30, 3.3e38, -3.3e38, 1e-40, torch.inf])])
    pair = torch.stack([numbers, numbers.flip(0)])[None].bfloat16()  # (1, 2, C): two pixels in a row
    zeros, out = np.zeros(len(numbers), np.uint16), np.empty((4, 2, 3, len(numbers)), np.uint16)
    compiled(steps)(pair.view(torch.uint16).numpy(), 0, 0, zeros, out)
    value, across = torch.from_numpy(out).view(torch.bfloat16)[:2, 0, 1]
    torch.testing.assert_close(value, pair[0, 1], rtol=0, atol=0)
    torch.testing.assert_close(across, (pair[0, 1].float() - pair[0, 0].float()).bfloat16(), rtol=0, atol=0)

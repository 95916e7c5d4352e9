"""Convolutions with fewer multiplications equal torch's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tnv2 import convolutions
from tnv2.convolutions import doubled, doubled_weights, winograd, winograd_weights

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


@pytest.mark.usefixtures("working_set")
@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 99), images=st.integers(1, 2), inner=sizes, outer=sizes, height=sizes, width=sizes)
def test_both_equal_the_plain_convolution(seed, images, inner, outer, height, width):
    x, weight, bias = example(seed, images, inner, outer, height, width)
    expected = F.conv2d(F.interpolate(x, scale_factor=2), weight, bias, padding=1)
    torch.testing.assert_close(doubled([x], doubled_weights(weight), bias), expected)
    x, weight, bias = example(seed, images, inner, outer, 2 * height, 2 * width)
    torch.testing.assert_close(winograd([x], winograd_weights(weight), bias), F.conv2d(x, weight, bias, padding=1))


def test_parts_are_joined_by_channel_and_left_alone():
    x, weight, bias = example(0, 2, 7, 5, 6, 8)
    parts, before = x.split([3, 4], 1), x.clone()
    torch.testing.assert_close(winograd(parts, winograd_weights(weight), bias), F.conv2d(x, weight, bias, padding=1))
    twice = F.conv2d(F.interpolate(x, scale_factor=2), weight, bias, padding=1)
    torch.testing.assert_close(doubled(parts, doubled_weights(weight), bias), twice)
    torch.testing.assert_close(x, before, rtol=0, atol=0)


def test_float32_and_bfloat16_round_little():
    x, weight, bias = example(0, 1, 256, 64, 16, 16)
    weight /= 48  # keeps the size of what comes in
    for dtype, error in ((torch.float32, 1e-5), (torch.bfloat16, 0.02)):
        expected = F.conv2d(x, weight, bias, padding=1)
        came = winograd([x.to(dtype)], winograd_weights(weight).to(dtype), bias.to(dtype))
        assert (came - expected).std() < error * expected.std()

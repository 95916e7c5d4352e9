"""The sensor: shadows as long as the sun says, flat ground evenly lit, and pan-sharpening that keeps the colours."""

import numpy as np
import pytest

from tnv2.scenes.reflectance import REFLECTANCE, mix
from tnv2.scenes.sensor import pansharpened, photograph, shadow, sunlight


@pytest.mark.parametrize("degrees", [35, 45, 60])
def test_shadow_is_as_long_as_the_height_over_the_tangent(degrees):
    height = np.zeros((120, 40), np.float32)
    height[20:30, 15:25] = 9  # metres: 30 px
    shaded = shadow(height, np.radians(degrees), np.radians(180))  # sun in the south, so the shadow falls north
    assert not shaded[30:].any()
    height = height[::-1].copy()
    length = shadow(height, np.radians(degrees), np.radians(180))[:90, 20].sum()
    assert length == pytest.approx(30 / np.tan(np.radians(degrees)), abs=1.5)


def test_flat_ground_is_evenly_lit_and_roofs_are_brighter_towards_the_sun():
    flat = sunlight(np.zeros((64, 64), np.float32), np.random.default_rng(0))
    np.testing.assert_allclose(flat, 1, atol=1e-5)
    ramp = np.repeat(np.arange(64, 0, -1, dtype=np.float32)[:, None] * 0.1, 64, axis=1)  # falls to the south
    south, north = (sunlight(height, np.random.default_rng(0))[20:40, 20:40].mean() for height in (ramp, ramp[::-1].copy()))
    assert south > 1 > north


def test_pansharpening_keeps_a_pixels_mean_and_takes_its_detail_from_pan():
    rng = np.random.default_rng(0)
    native = np.full((16, 16, 8), 400, np.uint16)
    pan = rng.integers(300, 500, (64, 64)).astype(np.uint16)
    sharp = pansharpened(native, pan).astype(float)
    assert np.corrcoef(sharp[..., 0].ravel(), pan.ravel())[0, 1] > 0.9
    np.testing.assert_allclose(sharp[8:-8, 8:-8].mean(), 400, rtol=0.02)
    np.testing.assert_array_equal(pansharpened(native, np.full((64, 64), 700, np.uint16)), 400)


def test_a_photograph_is_three_products_of_11_bit_counts():
    reflectance = np.full((64, 48, 8), REFLECTANCE["grass"], np.float32)
    layers = reflectance, np.zeros((64, 48), np.float32), np.full((64, 48), 0.1, np.float32)
    pan, native, mul = photograph(*layers, np.random.default_rng(1))
    assert (pan.shape, native.shape, mul.shape) == ((64, 48), (16, 12, 8), (64, 48, 8))
    for product in (pan, native, mul):
        assert product.dtype == np.uint16
        assert 1 <= product.min() <= product.max() <= 2047
    red, infrared = native[..., 4].mean(), native[..., 6].mean()
    assert infrared > 2 * red, "grass is bright in the near infrared"


def test_reflectances_are_shares_of_light():
    for name, values in REFLECTANCE.items():
        assert len(values) == 8, name
        assert all(0 < value < 1 for value in values), name
    np.testing.assert_allclose(mix("soil", "sand", 0), REFLECTANCE["soil"])
    np.testing.assert_allclose(mix("soil", "sand", 1), REFLECTANCE["sand"])

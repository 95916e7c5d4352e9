"""Inference scales, pads and cuts as published, for tiles of any size, in either precision."""

import numpy as np
import pytest
import torch

from tnv2 import (
    Probabilities,
    TernausNetV2,
    Tile,
    label_instances,
    load_model,
    match,
    predict,
    read_tile,
    sample_tiles,
    score_city,
)
from tnv2.network.inference import Eye, as_input

RNG = np.random.default_rng(0)


def tile(height, width, mul=True):
    rgb = RNG.integers(50, 2048, (height, width, 3), np.uint16)
    return Tile(rgb, RNG.integers(0, 2048, (height, width, 8), np.uint16) if mul else None, "somewhere")


@pytest.fixture(scope="module")
def mini():
    return load_model("mini", device="cpu")


def test_input_is_scaled_as_published():
    t = tile(40, 50)
    x = as_input(t)
    rgb = t.rgb.astype(float)
    for channel, (mean, std) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        low, high = rgb[..., channel].min(), rgb[..., channel].max()
        np.testing.assert_allclose(x[channel], ((rgb[..., channel] - low) / (high - low) - mean) / std, atol=1e-5)
    np.testing.assert_allclose(x[3:], np.moveaxis(t.mul / 2047, 2, 0), atol=1e-6)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(as_input(t, 3), x[:3])


def test_8_and_16_bit_tiles_of_one_picture_are_one_input():
    eight_bit = RNG.integers(0, 256, (40, 40, 3), np.uint8)
    np.testing.assert_allclose(as_input(Tile(eight_bit)), as_input(Tile(eight_bit.astype(np.uint16) * 8)), atol=1e-6)


@pytest.mark.parametrize("value", [0, 700])
def test_constant_bands_become_zero_and_not_nan(mini, value):
    flat = Tile(np.full((64, 64, 3), value, np.uint16), np.zeros((64, 64, 8), np.uint16))
    x = as_input(flat)
    np.testing.assert_allclose(x[:3], -np.array([0.485 / 0.229, 0.456 / 0.224, 0.406 / 0.225])[:, None, None] + 0 * x[:3])
    assert not x[3:].any()
    assert np.isfinite(predict(mini, flat).building).all()


@pytest.mark.parametrize("shape", [(32, 32), (33, 95), (650, 40), (64, 96), (161, 163)])
def test_any_size_from_32_px_gives_maps_of_that_size(mini, shape):
    probabilities = predict(mini, tile(*shape))
    assert probabilities.building.shape == probabilities.border.shape == shape


def test_padding_is_a_reflection_split_evenly_and_cut_exactly(mini):
    t = tile(70, 90)  # to 96 x 96: 13 above, 13 below, 3 left, 3 right
    x = np.pad(as_input(t), [(0, 0), (13, 13), (3, 3)], mode="reflect")
    with torch.inference_mode():
        expected = torch.sigmoid(mini(torch.from_numpy(x)[None]))[0, :, 13:83, 3:93].numpy()
    probabilities = predict(mini, t, precision="float32")
    np.testing.assert_allclose(probabilities.building, expected[0], atol=1e-5)
    np.testing.assert_allclose(probabilities.border, expected[1], atol=1e-5)


def test_precisions_agree(mini):
    t = sample_tiles()[0]
    exact, rough = (predict(mini, t, precision=precision) for precision in ("float32", "bfloat16"))
    difference = np.abs(exact.building - rough.building)
    assert difference.max() > 0
    assert difference.mean() < 0.005
    assert exact.origin["precision"] == "float32"


@pytest.mark.parametrize(("has", "chosen"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_precision_follows_the_hardware_where_the_network_is_wide(mini, monkeypatch, has, chosen):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has, "avx2": True}, raising=False)
    assert Eye.of(TernausNetV2(width=32, num_filters=1).eval(), "auto").dtype == chosen
    assert predict(mini, tile(64, 64)).origin["precision"] == "float32"


def test_rgb_alone_works_with_a_network_that_learnt_to_cope(mini):
    assert isinstance(predict(mini, tile(64, 64, mul=False)), Probabilities)


def test_rgb_alone_warns_with_a_network_that_did_not():
    with pytest.warns(UserWarning, match="'somewhere' has no MUL bands"):
        predict(TernausNetV2(width=2, num_filters=1).eval(), tile(64, 64, mul=False))


def test_a_network_of_three_channels_reads_rgb():
    model, t = TernausNetV2(width=2, num_filters=1, num_input_channels=3).eval(), tile(64, 64)
    with torch.inference_mode():
        expected = torch.sigmoid(model(torch.from_numpy(as_input(t, 3))[None]))[0, 0].numpy()
    np.testing.assert_allclose(predict(model, t, precision="float32").building, expected, atol=1e-5)
    with pytest.raises(ValueError, match="reads 5 channels"):
        predict(TernausNetV2(width=2, num_filters=1, num_input_channels=5).eval(), tile(64, 64))


def test_a_network_in_training_is_refused_and_left_alone():
    model = TernausNetV2(width=2, num_filters=1)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="training mode"):
        predict(model, tile(64, 64))
    predict(model.eval(), tile(64, 64))
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_mul_that_is_no_counts_warns(mini):
    t = tile(64, 64)
    with pytest.warns(UserWarning, match="uint8 up to 255; the network knows 11-bit counts"):
        predict(mini, t.replace(mul=(t.mul // 8).astype(np.uint8)))


def test_small_tiles_and_unknown_precisions_are_refused(mini):
    with pytest.raises(ValueError, match="'somewhere' is 31 x 64 px"):
        predict(mini, tile(31, 64))
    with pytest.raises(ValueError, match="precision is 'float8'"):
        predict(mini, tile(64, 64), precision="float8")


def test_finds_the_buildings_of_real_tiles_it_never_saw(mini, real_tiles):
    matches = [match(t.truth, label_instances(predict(mini, t), mini.thresholds)) for t in real_tiles]
    assert score_city(matches).f1 >= 0.5, matches
    assert sum(m.fp for m, t in zip(matches, real_tiles, strict=True) if not t.truth.any()) <= 2


def test_mul_does_no_harm_on_the_real_crop_that_has_it(mini, shared):
    crop = shared / "data" / "crop_AOI_2_Vegas_img2144"
    footprints = shared / "data" / "AOI_2_Vegas" / "geojson" / "buildings" / "buildings_AOI_2_Vegas_img2144.geojson"
    t = read_tile(*(crop / f"{product}-PanSharpen_AOI_2_Vegas_img2144.tif" for product in ("RGB", "MUL")), footprints)
    with_mul, without = (
        match(t.truth, label_instances(predict(mini, each), mini.thresholds)) for each in (t, t.replace(mul=None))
    )
    assert with_mul.f1 >= 0.5, with_mul
    assert with_mul.f1 >= without.f1 - 0.02, (with_mul, without)


@pytest.mark.parametrize("name", ["mini", "small"])
def test_finds_the_buildings_of_every_style_of_scene(name):
    """Training draws its scenes from seed 10,000 on; the sample tiles are 1 to 4."""
    model = load_model(name, device="cpu")
    for t in sample_tiles():
        for each in (t, t.replace(mul=None)):
            found = match(t.truth, label_instances(predict(model, each), model.thresholds))
            assert found.f1 >= 0.8, (t.name, found)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_gpu_gives_what_the_cpu_gives(mini):
    t = sample_tiles()[0]
    on_gpu = predict(load_model("mini", device="cuda"), t, precision="float32")
    np.testing.assert_allclose(on_gpu.building, predict(mini, t, precision="float32").building, atol=2e-2)

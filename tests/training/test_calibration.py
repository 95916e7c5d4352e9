"""Calibrated networks are as sure as they are right, and draw the same lines."""

import numpy as np
import pytest
import torch

from tnv2 import load_model, predict, render_scene
from tnv2.training import Picture
from tnv2.training.calibration import calibrated, likeliest


def cross_entropy(p, truth):
    p = np.clip(p.astype(float), 1e-7, 1 - 1e-7)
    return -np.mean(np.where(truth, np.log(p), np.log(1 - p)))


@pytest.mark.parametrize("temperature", [0.7, 1, 3])
def test_the_temperature_of_what_was_sharpened_is_found(temperature):
    """Truth drawn with known chances, and the chances' logits multiplied: the factor comes back."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (300, 300))
    truth = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    sharpened = (1 / (1 + np.exp(-logits * temperature))).astype(np.float32)
    assert likeliest([(sharpened, truth)]) == pytest.approx(temperature, rel=0.1)


def test_a_calibrated_network_draws_the_same_lines_and_errs_less():
    model = load_model("mini", device="cpu")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tile = render_scene(31_000, 256, "blocks").tile
    pictures = [Picture(tile, False, "scenes", "", tile.name)]
    better = calibrated(model, pictures)
    was, now = predict(model, tile), predict(better, tile)
    sure = np.abs(was.building - 0.5) > 1e-3
    np.testing.assert_array_equal((now.building > 0.5)[sure], (was.building > 0.5)[sure])
    assert cross_entropy(now.building, tile.truth > 0) < cross_entropy(was.building, tile.truth > 0)
    assert all(tensor.equal(before[name]) for name, tensor in model.state_dict().items())
    assert better.thresholds == model.thresholds
    merged = calibrated(model, [Picture(tile, True, "scenes", "", tile.name)])
    torch.testing.assert_close(merged.final.weight[1], model.final.weight[1])
    assert (merged.final.weight[0] != model.final.weight[0]).any()

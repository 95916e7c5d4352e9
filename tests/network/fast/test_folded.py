"""A folded network gives the network's logits, for as long as the network has these weights."""

import gc
import weakref

import numpy as np
import pytest
import torch

from tnv2 import Probabilities, TernausNetV2, label_instances, load_model, match, predict, sample_tiles, score_city
from tnv2.network.fast.folded import READY, folded
from tnv2.network.inference import as_input


def network(**settings):
    """A network with norms that do something: scales of both signs, means and variances."""
    torch.manual_seed(0)
    model = TernausNetV2(**settings).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "bn" in name and not name.endswith("num_batches_tracked"):
                low = 0.5 if name.endswith("var") else -1
                tensor.uniform_(low, 1.5)
    return model


def logits(model, dtype=torch.float32, shape=(1, 64, 96)):
    """(folded, plain) logits of noise."""
    torch.manual_seed(1)
    images, *size = shape
    x = torch.randn(images, model.settings["num_input_channels"], *size)
    with torch.inference_mode():
        return folded(model, dtype)(x), model(x)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"width": 4, "num_filters": 2},
        {"width": 3, "num_filters": 5, "num_input_channels": 3, "num_classes": 1},
        {"width": 16, "num_filters": 8, "is_deconv": True},
        {"width": 16, "num_filters": 16, "groups": 2},
    ],
    ids=["full", "narrow", "odd", "deconvolution", "groups"],
)
def test_float32_logits_are_the_networks(settings):
    came, expected = logits(network(**settings))
    assert came.dtype == torch.float32
    assert (came - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_batches_are_seen_one_by_one():
    came, expected = logits(network(width=16, num_filters=16), shape=(3, 32, 64))
    assert (came - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_bfloat16_errs_as_little_as_torchs_own():
    model = network()
    came, expected = logits(model, torch.bfloat16)
    torch.manual_seed(1)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        rough = model(torch.randn(1, 11, 64, 96)).float()
    assert 0 < (came - expected).std() < 1.5 * (rough - expected).std()


def test_the_reference_holds_for_folded_networks(reference):
    _, weights, x, expected = reference
    model = TernausNetV2().eval()
    model.load_state_dict(weights, strict=False)
    with torch.inference_mode():
        came = folded(model, torch.float32)(x).numpy()
    assert np.abs(came - expected).max() <= 1e-4 * np.abs(expected).max()


def test_in_place_abn_runs_as_it_is(inplace_abn):
    came, expected = logits(network(width=4, num_filters=2, norm_act=inplace_abn.InPlaceABN))
    torch.testing.assert_close(came, expected)


def test_folding_happens_once_and_again_after_a_change():
    model = network(width=4, num_filters=2)
    assert folded(model, torch.float32) is folded(model, torch.float32)
    for change in (
        lambda: model.conv2.block1.bn1.running_mean.add_(1),
        lambda: model.conv3.block1.convs.bn2.weight.mul_(-2),
        lambda: model.final.bias.fill_(3),
        lambda: model.load_state_dict(network(width=4, num_filters=2).state_dict()),
    ):
        before, _ = logits(model)
        with torch.no_grad():
            change()
        came, expected = logits(model)
        assert not torch.equal(came, before)
        torch.testing.assert_close(came, expected, rtol=1e-4, atol=1e-4)


def test_a_network_is_let_go():
    model = network(width=2, num_filters=1)
    folded(model, torch.float32)
    assert model in READY
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_a_network_keeps_its_keys_and_weights():
    model = network(width=4, num_filters=2)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    logits(model, torch.bfloat16)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)


def plainly(model, tile):
    """Probabilities as the published demo computes them: float32, channels first, nothing folded."""
    x = np.pad(as_input(tile), [(0, 0), (11, 11), (11, 11)], mode="reflect")
    with torch.inference_mode():
        return Probabilities(*torch.sigmoid(model(torch.from_numpy(x)[None]))[0, :, 11:-11, 11:-11].numpy())


def check_maps_and_scores(tiles):
    model = load_model("mini", device="cpu")
    pairs = [(predict(model, tile), plainly(model, tile)) for tile in tiles]
    for ours, theirs in pairs:
        assert max(np.abs(ours.building - theirs.building).max(), np.abs(ours.border - theirs.border).max()) < 0.01
    ours, theirs = (
        score_city(
            [match(tile.truth, label_instances(maps, model.thresholds)) for tile, maps in zip(tiles, some, strict=True)]
        )
        for some in zip(*pairs, strict=True)
    )
    assert abs(ours.f1 - theirs.f1) <= 0.002


def test_maps_and_scores_are_the_published_ways_on_sample_tiles():
    check_maps_and_scores(sample_tiles())


def test_maps_and_scores_are_the_published_ways_on_real_tiles(real_tiles):
    check_maps_and_scores(real_tiles)

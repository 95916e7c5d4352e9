"""The network has the published checkpoint's keys and gives the reference's logits, with either norm."""

import numpy as np
import pytest
import torch

from tnv2 import ABN, TernausNetV2


def published_keys(model):
    return {key: list(value.shape) for key, value in model.state_dict().items() if "num_batches" not in key}


def logits(model, weights, x):
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all(key.endswith("num_batches_tracked") for key in missing)
    with torch.inference_mode():
        return model.eval()(x).numpy()


def test_has_every_published_key(reference):
    assert published_keys(TernausNetV2()) == reference[0]


def test_logits_equal_the_reference(reference):
    _, weights, x, expected = reference
    difference = np.abs(logits(TernausNetV2(), weights, x) - expected).max()
    assert difference <= 1e-4 * np.abs(expected).max()


def test_in_place_abn_gives_the_same(reference, inplace_abn):
    shapes, weights, x, expected = reference
    model = TernausNetV2(norm_act=inplace_abn.InPlaceABN)
    assert published_keys(model) == shapes
    difference = np.abs(logits(model, weights, x.clone()) - expected).max()
    assert difference <= 1e-4 * np.abs(expected).max()


def test_in_place_abn_trains_like_abn(inplace_abn):
    torch.manual_seed(0)
    ours = TernausNetV2(width=4, num_filters=2)
    theirs = TernausNetV2(width=4, num_filters=2, norm_act=inplace_abn.InPlaceABN)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 11, 64, 64)
    for model in (ours, theirs):
        model.train()(x).square().mean().backward()
    ours_gradient, theirs_gradient = (m.conv1.conv1.weight.grad for m in (ours, theirs))
    torch.testing.assert_close(theirs_gradient, ours_gradient, rtol=1e-2, atol=1e-2 * ours_gradient.abs().max().item())


def test_abn_is_batch_norm_with_a_positive_scale_and_a_leak():
    torch.manual_seed(0)
    norm = ABN(3)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([-2.0, 0.0, 0.5]))
        norm.bias.copy_(torch.tensor([0.1, -0.2, 0.3]))
    x = 3 * torch.randn(4, 3, 5, 5) + 1
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
    scale = (norm.weight.abs() + norm.eps).view(1, 3, 1, 1)
    expected = (x - mean) / (variance + norm.eps).sqrt() * scale + norm.bias.view(1, 3, 1, 1)
    expected = torch.where(expected > 0, expected, 0.01 * expected)
    torch.testing.assert_close(norm.train()(x), expected)
    assert norm.num_batches_tracked == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"is_deconv": True},
        {"num_filters": 3},
        {"num_input_channels": 3},
        {"num_classes": 1},
        {"width": 6},
        {"groups": 2},
        {"is_deconv": True, "num_filters": 5, "num_input_channels": 8, "num_classes": 3, "width": 3},
    ],
    ids=str,
)
def test_sizes_can_be_chosen(settings):
    settings = {"width": 4, "num_filters": 2} | settings
    model = TernausNetV2(**settings).eval()
    x = torch.randn(2, settings.get("num_input_channels", 11), 32, 64)
    with torch.inference_mode():
        out = model(x)
    assert out.shape == (2, settings.get("num_classes", 2), 32, 64)
    assert out.std() > 0
    assert {key: model.settings[key] for key in settings} == settings


def test_refuses_sizes_that_do_not_halve_five_times():
    with pytest.raises(ValueError, match=r"\(1, 11, 40, 64\).*multiples of 32"):
        TernausNetV2(width=2, num_filters=1)(torch.zeros(1, 11, 40, 64))


def test_refuses_a_width_of_nothing():
    with pytest.raises(ValueError, match="width is 0"):
        TernausNetV2(width=0)


@pytest.mark.parametrize("is_deconv", [False, True])
def test_groups_read_nothing_of_each_other_and_add_up(is_deconv):
    torch.manual_seed(0)
    model = TernausNetV2(num_filters=3, width=6, is_deconv=is_deconv, groups=3).eval()
    x = torch.randn(1, 11, 64, 32)
    parts = model.parts()
    assert [part.settings["width"] for part in parts] == [2, 2, 2]
    with torch.inference_mode():
        torch.testing.assert_close(model(x), sum(part(x) for part in parts), rtol=1e-4, atol=1e-5)
        first = parts[0](x)
        model.conv1.conv1.weight[2:] = 0
        torch.testing.assert_close(model.parts()[0](x), first, rtol=0, atol=0)


def test_refuses_groups_that_sizes_cannot_be_shared_out_among():
    with pytest.raises(ValueError, match="width 4 and num_filters 3 must be multiples of groups, 2"):
        TernausNetV2(width=4, num_filters=3, groups=2)

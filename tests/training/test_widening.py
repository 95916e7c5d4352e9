"""A wider network says what the narrow one said, and its copies of channels part in training."""

import pytest
import torch

from tnv2 import TernausNetV2
from tnv2.training import Settings, joined, train
from tnv2.training.widening import widened


def network(seed, **sizes):
    """Return a network whose norms have statistics and weights of their own."""
    torch.manual_seed(seed)
    model = TernausNetV2(**sizes).eval()
    for name, tensor in model.state_dict().items():
        if tensor.ndim == 1:
            tensor.copy_(
                torch.rand_like(tensor) + 0.5 if "var" in name or "weight" in name else torch.randn_like(tensor) / 4
            )
    return model


@pytest.fixture(scope="module")
def narrow():
    return network(0, width=2, num_filters=1)


@pytest.mark.parametrize(("width", "num_filters"), [(2, 1), (2, 3), (4, 1), (6, 2)])
def test_it_computes_the_same(narrow, width, num_filters):
    x = torch.rand(1, 11, 64, 64, generator=torch.Generator().manual_seed(1))
    wide = widened(narrow, width, num_filters, noise=0).eval()
    assert (wide.settings["width"], wide.settings["num_filters"]) == (width, num_filters)
    with torch.inference_mode():
        torch.testing.assert_close(wide(x), narrow(x), rtol=1e-4, atol=1e-4)


def test_copies_part(narrow):
    wide = widened(narrow, 2, 2)
    first, second = wide.dec1.conv.weight
    assert not torch.equal(first, second)
    torch.testing.assert_close(first, second, rtol=0.3, atol=0)


def test_what_is_no_multiple_is_refused(narrow):
    for model, sizes in (
        (narrow, (3, 1)),
        (TernausNetV2(width=2, num_filters=2), (2, 1)),
        (TernausNetV2(width=2, num_filters=1, is_deconv=True), (2, 1)),
        (TernausNetV2(width=2, num_filters=2, groups=2), (4, 4)),
    ):
        with pytest.raises(ValueError, match="must be multiples of its own"):
            widened(model, *sizes)


def test_two_joined_say_the_mean_of_two_looks(narrow):
    other = network(1, width=2, num_filters=1)
    x = torch.rand(1, 11, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = (narrow(x) + other(x.flip(3)).flip(3)) / 2
        torch.testing.assert_close(joined(narrow, other)(x), expected, rtol=1e-4, atol=1e-4)


def test_what_differs_is_not_joined(narrow):
    for other in (TernausNetV2(width=2, num_filters=2), joined(narrow, narrow)):
        with pytest.raises(ValueError, match="cannot be joined; these must be the same"):
            joined(narrow, other)
    with pytest.raises(ValueError, match="is_deconv False and groups 1"):
        joined(*[TernausNetV2(width=2, num_filters=1, is_deconv=True)] * 2)


def test_training_goes_on_from_a_narrower_network(narrow, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    before = {name: tensor.clone() for name, tensor in narrow.state_dict().items()}
    model = train(
        Settings(width=4, num_filters=2, steps=1, batch=1, crop=32, scenes=1, rate=1e-9), start=narrow, device="cpu"
    )
    expected = widened(narrow, 4, 2).conv3.block1.convs.conv1.weight
    torch.testing.assert_close(model.conv3.block1.convs.conv1.weight, expected, rtol=1e-3, atol=1e-3)
    assert all(tensor.equal(before[name]) for name, tensor in narrow.state_dict().items())


def test_training_goes_on_from_a_network_with_groups(narrow, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    start = joined(narrow, narrow)
    model = train(
        Settings(width=4, num_filters=2, steps=1, batch=1, crop=32, scenes=1, rate=1e-9), start=start, device="cpu"
    )
    assert model.settings == start.settings
    torch.testing.assert_close(model.dec4.block[1].conv.weight, start.dec4.block[1].conv.weight, rtol=1e-3, atol=1e-3)


def test_a_checkpoint_of_a_network_with_groups_is_no_other_ones(narrow, tmp_path, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    settings = Settings(width=4, num_filters=2, steps=1, batch=1, crop=32, scenes=1)
    train(settings, start=joined(narrow, narrow), device="cpu", checkpoint=tmp_path / "net.checkpoint")
    with pytest.raises(ValueError, match="is of a network with other weights than this one"):
        train(settings, device="cpu", checkpoint=tmp_path / "net.checkpoint")

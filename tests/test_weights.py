"""Weights load from every format that has them, and from nothing else."""

import contextlib
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tnv2 import TernausNetV2, Thresholds, load_model
from tnv2.weights import save_model

NORMS = ("bn1.", "bn2.")


@pytest.fixture
def model():
    torch.manual_seed(0)
    return TernausNetV2(width=4, num_filters=2).eval()


def state(model, counted=True):
    return {key: value for key, value in model.state_dict().items() if counted or "num_batches" not in key}


def published(key):
    """The network's key as the published checkpoint spells it."""
    for norm in NORMS:
        key = key.replace(norm, f"{norm}bn.")
    return f"module.{key}"


def assert_same(loaded, model):
    for key, value in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], value, rtol=0, atol=0)
    x = torch.randn(1, 11, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(loaded(x), model(x))
    assert not loaded.training


@pytest.mark.parametrize("counted", [True, False])
def test_reads_the_published_format(tmp_path, model, counted):
    path = tmp_path / "deepglobe_buildings.pt"
    torch.save({"model": {published(key): value for key, value in state(model, counted).items()}}, path)
    assert_same(load_model(path, device="cpu"), model)


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}])
def test_reads_plain_and_wrapped_state_dicts(tmp_path, model, wrap):
    torch.save(wrap(state(model)), tmp_path / "a.pt")
    assert_same(load_model(tmp_path / "a.pt", device="cpu"), model)


@pytest.mark.parametrize("settings", [{"is_deconv": True}, {"num_input_channels": 3}, {"num_classes": 1, "num_filters": 5}])
def test_sizes_are_read_off_the_tensors(tmp_path, settings):
    model = TernausNetV2(**({"width": 4, "num_filters": 2} | settings))
    save_file(model.state_dict(), tmp_path / "a.safetensors")
    assert load_model(str(tmp_path / "a.safetensors"), device="cpu").settings == model.settings


def test_save_and_load_keep_weights_and_card(tmp_path, model):
    thresholds = Thresholds(0.4, 0.7, 0.3, 35)
    save_model(model, tmp_path / "a.safetensors", thresholds, copes_without_mul=True)
    loaded = load_model(tmp_path / "a.safetensors", device="cpu")
    assert (loaded.thresholds, loaded.copes_without_mul) == (thresholds, True)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], value, rtol=1e-3, atol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_mini_is_in_the_box_and_small():
    model = load_model(device="cpu")
    assert (model.settings["width"], model.settings["num_filters"]) == (8, 4)
    assert model.copes_without_mul
    assert isinstance(model.thresholds, Thresholds)
    assert sum(parameter.numel() for parameter in model.parameters()) == 1_053_602


def test_published_says_what_to_put_where():
    from tnv2.weights import FILES, FOLDER

    if (FOLDER / FILES["published"]).is_file():
        pytest.skip("the published weights are here; the message for their absence cannot be seen")
    with pytest.raises(FileNotFoundError, match=r"Download deepglobe_buildings\.pt .* put it there"):
        load_model("published")


def test_unknown_names_are_refused():
    with pytest.raises(FileNotFoundError, match=r"no weights at maxi.*'mini' or 'published'"):
        load_model("maxi")


def test_another_network_is_refused_with_what_differs(tmp_path):
    torch.save(torch.nn.Linear(3, 4).state_dict(), tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"missing: conv1\.conv1\.weight, .* and \d+ more; unexpected: weight, bias"):
        load_model(tmp_path / "a.pt")


def test_a_missing_and_a_misshapen_tensor_are_named(tmp_path, model):
    tensors = state(model)
    del tensors["dec3.block.1.conv.bias"]
    tensors["center.block.1.conv.bias"] = torch.zeros(3)
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(
        ValueError, match=r"missing: dec3\.block\.1\.conv\.bias; of another shape: center\.block\.1\.conv\.bias"
    ):
        load_model(tmp_path / "a.safetensors")


class Trap:
    def __reduce__(self):
        return (open, ("trapped", "w"))


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, monkeypatch, write):
    monkeypatch.chdir(tmp_path)
    write({"model": Trap()}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt holds more than tensors"):
        load_model(tmp_path / "a.pt")
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
@pytest.mark.parametrize("keep", [0, 7, 100, 0.5, 0.999])
def test_a_file_cut_short_is_refused(tmp_path, model, name, keep):
    path = tmp_path / name
    torch.save(state(model), path) if name == "a.pt" else save_model(model, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(ValueError, match=rf"{name} (is damaged|holds more|is not a whole)"):
        load_model(path)


def test_a_web_page_saved_as_weights_is_refused(tmp_path):
    (tmp_path / "a.pt").write_text("<!DOCTYPE html><html>Sign in</html>")
    with pytest.raises(ValueError, match="no checkpoint at all"):
        load_model(tmp_path / "a.pt")


def test_what_holds_no_tensors_is_refused(tmp_path):
    torch.save([1, 2, 3], tmp_path / "a.pt")
    with pytest.raises(ValueError, match="is not a state dict"):
        load_model(tmp_path / "a.pt")


def test_values_that_are_not_finite_are_refused(tmp_path, model):
    tensors = state(model)
    tensors["final.bias"] = torch.tensor([0.0, float("nan")])
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"not finite in final\.bias"):
        load_model(tmp_path / "a.safetensors")


@pytest.mark.parametrize("card", ["[]", "null", '{"thresholds": {"mask": 7}}', '{"thresholds": {"mast": 0.5}}', "{"])
def test_a_card_that_cannot_be_is_refused(tmp_path, model, card):
    save_file(model.state_dict(), tmp_path / "a.safetensors", metadata={"tnv2": card})
    with pytest.raises(ValueError, match=r"a\.safetensors"):
        load_model(tmp_path / "a.safetensors")


@pytest.mark.parametrize("seed", range(60))
def test_a_checkpoint_with_a_flipped_byte_is_read_or_refused(tmp_path, model, seed):
    path = tmp_path / "a.pt"
    torch.save(state(model), path)
    content, rng = bytearray(path.read_bytes()), np.random.default_rng(seed)
    content[rng.integers(4000)] ^= 1 << rng.integers(8)
    path.write_bytes(content)
    with contextlib.suppress(ValueError):
        load_model(path)


def test_devices_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"device is 'gpu'"):
        load_model("mini", device="gpu")


def test_a_gpu_that_is_not_there_is_said():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU; the message for its absence cannot be seen")
    with pytest.raises(ValueError, match="this torch sees no GPU"):
        load_model("mini", device="cuda")
    assert next(load_model("mini").parameters()).device.type == "cpu"

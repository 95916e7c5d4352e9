"""Weights load from every format that has them, and from nothing else."""

import contextlib
import hashlib
import pickle
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from server import HTML, XML, answer, cut, reset, stall

from tnv2 import TernausNetV2, Thresholds, load_model
from tnv2.network.weights import place_of, save_model

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


@pytest.mark.parametrize(
    "settings", [{"is_deconv": True}, {"num_input_channels": 3}, {"num_classes": 1, "num_filters": 5}, {"groups": 2}]
)
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
    assert (model.settings["width"], model.settings["num_filters"]) == (8, 8)
    assert model.copes_without_mul
    assert isinstance(model.thresholds, Thresholds)
    assert sum(parameter.numel() for parameter in model.parameters()) == 1_299_642


def test_small_is_in_the_box_with_two_groups():
    model = load_model("small", device="cpu")
    assert (model.settings["width"], model.settings["num_filters"], model.settings["groups"]) == (16, 16, 2)
    assert model.copes_without_mul
    assert model.thresholds == load_model(device="cpu").thresholds
    assert place_of("small").stat().st_size <= 9e6


def test_the_first_group_of_small_is_mini():
    """As its card says: of the mean of two networks' logits, mini's half."""
    mini, first = load_model(device="cpu"), load_model("small", device="cpu").parts()[0]
    x = torch.randn(1, 11, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, came = mini(x) / 2, first(x)
    shift = came.mean((0, 2, 3), keepdim=True) - expected.mean((0, 2, 3), keepdim=True)  # both groups share the bias
    torch.testing.assert_close(came - shift, expected, rtol=1e-4, atol=1e-3)


@pytest.fixture
def drive(server, model, tmp_path, monkeypatch):
    """A server that has a small checkpoint where the published one is looked for, and an empty folder for it."""
    torch.save({"model": {published(key): value for key, value in state(model).items()}}, tmp_path / "checkpoint")
    server.files["/file"] = (tmp_path / "checkpoint").read_bytes()
    (tmp_path / "weights").mkdir()
    monkeypatch.setattr("tnv2.network.weights.box", tmp_path.joinpath)
    monkeypatch.setattr("tnv2.network.weights.PUBLISHED_AT", f"{server.url}/file")
    monkeypatch.setattr("tnv2.network.weights.TIMEOUT", 2)
    return server


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_published_is_downloaded_once_with_a_bar(drive, gdown, model, tmp_path, capsys):
    loaded = load_model("published", device="cpu")
    assert_same(loaded, model)
    assert_same(load_model("published", device="cpu"), model)
    assert loaded.origin["sha256"] == hashlib.sha256(drive.files["/file"]).hexdigest()
    assert (tmp_path / "weights" / "deepglobe_buildings.pt").read_bytes() == drive.files["/file"]
    assert names(tmp_path / "weights") == ["deepglobe_buildings.pt"]
    assert len(drive.asked) == 1
    assert "deepglobe_buildings.pt: " in capsys.readouterr().err


def test_published_resumes_after_a_cut(drive, gdown, model):
    drive.faults["/file"] = [cut]
    assert_same(load_model("published", device="cpu"), model)
    (_, first), (_, second) = drive.asked
    assert first is None
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= len(drive.files["/file"]) // 2


def without_ranges(handler, content):
    handler.server.ranges = False
    cut(handler, content)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (cut, "ConnectionError: .*incomplete: received [0-9]+ bytes but the server announced [0-9]+ bytes"),
        (without_ranges, "ConnectionError: Server did not honor the requested byte range"),
        (reset, "ConnectionError: .*(failed after 1 retries|incomplete)"),
        (stall, "ConnectionError: .*failed after 1 retries.*timed out"),
        (answer(XML, 500), "HTTPError: 500"),
        (answer(XML, 404), "HTTPError: 404"),
        (answer(HTML), "a web page or a message that begins '<!DOCTYPE html>.*Sign in to this network"),
        (answer(b"\0" * 5000), "ValueError: what came "),
        (answer(b""), "ValueError: what came "),
    ],
    ids=["cut", "cut without ranges", "reset", "stalled", "500", "404", "page", "zeros", "empty"],
)
def test_after_a_failed_download_nothing_is_left_and_a_later_call_succeeds(
    drive, gdown, model, tmp_path, monkeypatch, fault, why
):
    monkeypatch.setattr("tnv2.network.weights.TIMEOUT", 0.3)
    monkeypatch.setattr("tnv2.network.weights.RETRIES", 1)
    drive.faults["/file"] = [fault] * 3
    told = rf"could not be downloaded \(.*({why}).*Download deepglobe_buildings\.pt \(269 MB\) from .*/file .* put it there"
    with pytest.raises(FileNotFoundError, match=told) as caught:
        load_model("published")
    assert ".part" not in str(caught.value)
    assert "preserved" not in str(caught.value)
    assert names(tmp_path / "weights") == []
    drive.faults.clear()
    monkeypatch.setattr("tnv2.network.weights.TIMEOUT", 2)
    assert_same(load_model("published", device="cpu"), model)


@pytest.mark.parametrize("change", [lambda content: content[: len(content) // 2], lambda content: content[:-1000]])
def test_a_checkpoint_that_is_short_on_the_server_is_never_kept(drive, gdown, tmp_path, change):
    drive.files["/file"] = change(drive.files["/file"])
    with pytest.raises(FileNotFoundError, match=r"what came (is damaged|holds more)"):
        load_model("published")
    assert names(tmp_path / "weights") == []


def test_another_network_is_never_kept(drive, gdown, tmp_path):
    torch.save(torch.nn.Linear(3, 4).state_dict(), tmp_path / "other")
    drive.files["/file"] = (tmp_path / "other").read_bytes()
    with pytest.raises(FileNotFoundError, match="what came does not hold a TernausNetV2"):
        load_model("published")
    assert names(tmp_path / "weights") == []


def test_published_without_gdown_says_what_to_install_and_what_to_put_where(drive, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(FileNotFoundError) as caught:
        load_model("published")
    for part in ("pip install gdown", "269 MB", f"{drive.url}/file", str(tmp_path / "weights"), '"mini"'):
        assert part in str(caught.value)
    assert names(tmp_path / "weights") == []
    assert drive.asked == []


def test_published_put_there_by_hand_is_taken(drive, model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    (tmp_path / "weights" / "deepglobe_buildings.pt").write_bytes(drive.files["/file"])
    assert_same(load_model("published", device="cpu"), model)


def test_an_interrupted_download_leaves_nothing(drive, gdown, tmp_path):
    drive.faults["/file"] = [stall]
    code = (
        "import signal, sys, pathlib; from tnv2.network import weights\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs are born deaf to it
        "weights.box, weights.PUBLISHED_AT = pathlib.Path(sys.argv[1]).joinpath, sys.argv[2]\n"
        "weights.load_model('published')\n"
    )
    command = [sys.executable, "-c", code, tmp_path, f"{drive.url}/file"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert drive.halfway.wait(60)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in error
    assert names(tmp_path / "weights") == []


def test_the_link_is_one_that_gdown_takes_for_google_drive(gdown):
    from gdown.parse_url import parse_url

    from tnv2.network.weights import PUBLISHED_AT

    assert parse_url(url=PUBLISHED_AT)[0] == "1k95VGNZG74Vvu-X-MSpbaHjMDvNEepIi"


def test_unknown_names_are_refused():
    with pytest.raises(FileNotFoundError, match=r"no weights at maxi.*'mini', 'small', 'published'"):
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


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_a_web_page_saved_as_weights_is_refused_and_left_alone(tmp_path, name):
    (tmp_path / name).write_bytes(HTML)
    with pytest.raises(
        ValueError, match=rf"{name} is a web page that begins '<!DOCTYPE.*Delete it, and save the file itself"
    ):
        load_model(tmp_path / name)
    assert (tmp_path / name).read_bytes() == HTML


def test_a_web_page_in_place_of_the_published_weights_is_refused_and_left_alone(drive, tmp_path):
    path = tmp_path / "weights" / "deepglobe_buildings.pt"
    path.write_bytes(HTML)
    with pytest.raises(ValueError, match=r"deepglobe_buildings\.pt is a web page .*is at http.*/file"):
        load_model("published")
    assert path.read_bytes() == HTML
    assert drive.asked == []


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


def hollow(model, path):
    """Tensors of the right shapes that repeat one stored value."""
    torch.save({key: torch.zeros(()).expand(value.shape) for key, value in model.state_dict().items()}, path)


def deflated(model, path):
    """A checkpoint whose zip file is compressed."""
    whole = path.with_suffix(".whole")
    torch.save({key: torch.zeros_like(value) for key, value in model.state_dict().items()}, whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))


def wide(model, path):
    """A first layer whose width means terabytes."""
    save_file({**model.state_dict(), "conv1.conv1.weight": torch.zeros(100_000, 11, 1, 1)}, path)


def endless(model, path):
    """The same, in no bytes at all."""
    save_file({**model.state_dict(), "conv1.conv1.weight": torch.zeros(2**31, 2**31, 0)}, path)


def sparse(model, path):
    torch.save({**model.state_dict(), "final.bias": torch.zeros(2).to_sparse()}, path)


@pytest.mark.parametrize(
    ("write", "name", "message"),
    [
        (hollow, "a.pt", "has [0-9]+ bytes and claims [0-9]+ weights"),
        (deflated, "a.pt", "compressed zip file that unpacks to"),
        (wide, "a.safetensors", "of another shape: conv1"),
        (endless, "a.safetensors", "of another shape: conv1"),
        (sparse, "a.pt", "is not a state dict"),
    ],
)
def test_files_that_claim_more_than_they_hold_are_refused_at_once(tmp_path, write, name, message):
    write(TernausNetV2(width=32, num_filters=2), tmp_path / name)
    start = time.process_time()
    with pytest.raises(ValueError, match=rf"{name} .*{message}"):
        load_model(tmp_path / name)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "card",
    [
        "[" * 100_000,
        '{"thresholds": {"min_area": 1e999}}',
        "[]",
        "null",
        '{"thresholds": {"mask": 7}}',
        '{"thresholds": {"mast": 0.5}}',
        "{",
    ],
)
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

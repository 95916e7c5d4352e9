"""An ONNX file gives `predict`'s maps in ONNX Runtime, says what it is, and is what Deepness reads."""

import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import tnv2
from tnv2.network import METRES, STRIDE, as_input, padded, save_model, sha256, weights_file

DEFAULTS = {"width": 4, "num_filters": 3}


def network(copes=True, **settings):
    """A network with norms that do something: scales of both signs, means and variances."""
    torch.manual_seed(0)
    model = tnv2.TernausNetV2(**(DEFAULTS | settings)).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "bn" in name and not name.endswith("num_batches_tracked"):
                tensor.uniform_(0.5 if name.endswith("var") else -1, 1.5)
    model.copes_without_mul = copes
    return model


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def maps(path, x):
    """What ONNX Runtime makes of (N, C, H, W) bands."""
    return session(path).run(["maps"], {"bands": x})[0]


def told(path):
    """The metadata of a file."""
    return {entry.key: json.loads(entry.value) for entry in onnx.load(path).metadata_props}


def crop(height, width, mul=True):
    tile = tnv2.sample_tiles()[0]
    part = tile.replace(rgb=tile.rgb[:height, :width].copy(), mul=tile.mul[:height, :width].copy(), truth=None)
    return part if mul else part.replace(mul=None)


@pytest.fixture(scope="module")
def mini():
    return tnv2.load_model("mini", device="cpu")


@pytest.fixture(scope="module")
def files(mini, tmp_path_factory):
    """The mini network's file, and its half as large one."""
    folder = tmp_path_factory.mktemp("onnx")
    for half in (False, True):
        tnv2.write_onnx(mini, folder / f"{half}.onnx", half)
    return folder / "False.onnx", folder / "True.onnx"


@pytest.mark.parametrize(("shape", "mul"), [((32, 32), True), ((64, 160), False), ((161, 333), True), ((650, 650), True)])
def test_its_maps_are_predicts(mini, files, shape, mul):
    tile = crop(*shape, mul)
    expected = tnv2.predict(mini, tile, "float32")
    (above, tall), (left, wide) = map(padded, shape)
    around = [(0, 0), (above, tall - above - shape[0]), (left, wide - left - shape[1])]
    x = np.pad(as_input(tile), around, mode="reflect")[None]
    for path, most in zip(files, (1e-4, 2e-3), strict=True):
        came = maps(path, x)[0, :, above : above + shape[0], left : left + shape[1]]
        np.testing.assert_allclose(came, [expected.building, expected.border], rtol=0, atol=most)
    assert expected.building.max() > 0.5


def test_half_the_bytes_lose_nothing_that_the_weights_file_has(mini, files):
    whole, half = files
    assert half.stat().st_size < 0.51 * whole.stat().st_size
    x = as_input(crop(256, 256))[None]
    np.testing.assert_allclose(maps(half, x), maps(whole, x), rtol=0, atol=1e-5)


def test_many_images_at_once_are_each_ones(files):
    x = np.stack([as_input(crop(96, 64)), as_input(crop(192, 64))[:, 96:]])
    np.testing.assert_allclose(maps(files[0], x), np.concatenate([maps(files[0], each[None]) for each in x]), atol=1e-6)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(
    "settings",
    [{}, {"width": 16, "is_deconv": True}, {"num_input_channels": 3, "num_filters": 16}, {"num_filters": 4, "groups": 2}],
)
def test_any_of_our_networks(tmp_path, settings, half):
    model = network(**settings)
    tile = crop(96, 128)
    tnv2.write_onnx(model, tmp_path / "a.onnx", half)
    onnx.checker.check_model(tmp_path / "a.onnx", full_check=True)
    came = maps(tmp_path / "a.onnx", as_input(tile, model.settings["num_input_channels"])[None])[0]
    expected = tnv2.predict(model, tile, "float32")
    np.testing.assert_allclose(came, [expected.building, expected.border], rtol=0, atol=2e-3 if half else 1e-4)
    assert np.ptp(came) > 0.02


def test_the_published_structure_gives_the_logits_of_the_real_package(tmp_path, reference):
    _, weights, x, expected = reference
    model = tnv2.TernausNetV2().eval()
    model.load_state_dict(weights, strict=False)
    tnv2.write_onnx(model, tmp_path / "a.onnx")
    np.testing.assert_allclose(maps(tmp_path / "a.onnx", x.numpy()), 1 / (1 + np.exp(-expected)), rtol=0, atol=1e-4)


def test_it_is_valid_and_free_in_height_width_and_number(files):
    for path in files:
        onnx.checker.check_model(path, full_check=True)
        opened = session(path)
        assert [(each.name, each.shape, each.type) for each in (*opened.get_inputs(), *opened.get_outputs())] == [
            ("bands", ["N", 11, "H", "W"], "tensor(float)"),
            ("maps", ["N", 2, "H", "W"], "tensor(float)"),
        ]


def test_other_sizes_than_multiples_of_32_are_refused_and_not_misread(files):
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.Fail, match="dimensions must match"):
        maps(files[0], np.zeros((1, 11, 64, 80), np.float32))


def test_it_says_what_it_is(mini, files):
    file = onnx.load(files[0])
    assert (file.producer_name, file.opset_import[0].version) == ("tnv2", 17)
    card = told(files[0])["tnv2"]
    assert tnv2.Thresholds(**card["thresholds"]) == mini.thresholds
    assert card["weights"] == {"name": "mini", "sha256": sha256(weights_file("mini"))}
    assert (card["opset"], card["multiple_of"], card["metres"]) == (17, STRIDE, METRES)
    assert (card["maps"], card["copes_without_mul"]) == (["building", "border"], True)


def test_the_scaling_it_tells_is_the_one_that_it_wants(files):
    card, tile = told(files[0])["tnv2"], crop(64, 64)
    low, high = (np.asarray(each, float) for each in tile.scale)
    rgb = (((tile.rgb - low) / (high - low)).clip(0, 1) - card["mean"]) / card["std"]
    assert card["mul"].startswith("counts / 2047,")
    np.testing.assert_allclose(as_input(tile), np.moveaxis(np.dstack([rgb, tile.mul / 2047]), 2, 0), atol=1e-5)


def test_a_path_of_weights_is_told_by_its_name_alone(tmp_path):
    save_model(network(), tmp_path / "own.safetensors")
    tnv2.write_onnx(tmp_path / "own.safetensors", tmp_path / "a.onnx")
    assert told(tmp_path / "a.onnx")["tnv2"]["weights"]["name"] == "own.safetensors"
    tnv2.write_onnx(network(), tmp_path / "a.onnx")
    assert told(tmp_path / "a.onnx")["tnv2"]["weights"] is None


@pytest.mark.parametrize("channels", [3, 11])
def test_deepness_makes_predicts_building_map_of_an_8_bit_picture(tmp_path, mini, channels):
    model = mini if channels == 11 else network(num_input_channels=3)
    tnv2.write_onnx(model, tmp_path / "a.onnx", deepness=True)
    onnx.checker.check_model(tmp_path / "a.onnx", full_check=True)
    rgb = tnv2.stretch(tnv2.sample_tiles()[0].rgb[:640, :640])
    assert [(each.min(), each.max()) for each in np.moveaxis(rgb, 2, 0)] == [(0, 255)] * 3  # as predict scales it, too
    opened = session(tmp_path / "a.onnx")
    [given], [gives] = opened.get_inputs(), opened.get_outputs()
    properties = {key: json.loads(value) for key, value in opened.get_modelmeta().custom_metadata_map.items()}
    assert not any(key.startswith("standardization") for key in properties)  # the plugin would do it once more
    [came] = opened.run(None, {given.name: np.float32(rgb[None] / 255).transpose(0, 3, 1, 2)})
    expected = tnv2.predict(model, tnv2.Tile(rgb), "float32").building
    np.testing.assert_allclose(came[0, 0], expected, rtol=0, atol=1e-4)
    assert given.shape == [1, 3, *[properties["tile_size"]] * 2]  # a number is what it sets its tile size to
    assert gives.shape == [1, 1, *[properties["tile_size"]] * 2]  # one map, of which it thresholds the probability
    assert [properties["class_names"][str(value)] for value in (0, 1)] == ["background", "building"]
    assert properties["model_type"] == "Segmentor"
    assert properties["resolution"] == 100 * METRES  # centimetres
    assert properties["seg_thresh"] == getattr(model, "thresholds", tnv2.Thresholds()).mask
    assert 0 < properties["tiles_overlap"] < 100


def other_norm():
    return tnv2.TernausNetV2(**DEFAULTS, norm_act=torch.nn.BatchNorm2d).eval()


def too_large():
    model = network()
    with torch.no_grad():
        model.final.weight[0] = 1e5
    return model


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (lambda: network(num_input_channels=5), {}, r"reads 5 channels and gives 2 maps.*Build the network"),
        (lambda: network(num_classes=1), {}, r"gives 1 maps"),
        (lambda: network().train(), {}, r"in training mode.*Call model\.eval\(\)"),
        (other_norm, {}, r"norms are BatchNorm2d; write_onnx knows ABN\. Save its weights with .*save_model"),
        (too_large, {"half": True}, r"a weight is 100000; float16 ends at 65504\. Leave half out"),
        (lambda: network(copes=False), {"deepness": True}, r"Deepness feeds RGB alone.*Use load_model\('mini'\)"),
        (lambda: 3, {}, r'model is int; pass load_model\("mini"\)'),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is(tmp_path, model, options, message):
    with pytest.raises(ValueError, match=message):
        tnv2.write_onnx(model(), tmp_path / "new" / "a.onnx", **options)
    assert not list(tmp_path.iterdir())


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.pt ends in '\.pt'; name this kind of file \*\.onnx"):
        tnv2.write_onnx(network(), tmp_path / "a.pt")


def test_without_onnx_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'onnx is not installed.*pip install "tnv2\[page\]"'):
        tnv2.write_onnx(network(), tmp_path / "a.onnx")


def test_a_disk_that_takes_no_more_leaves_what_was_there(tmp_path):
    resource = pytest.importorskip("resource", reason="only POSIX limits how large a process's files may be")
    (tmp_path / "a.onnx").write_text("before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            tnv2.write_onnx(network(), tmp_path / "a.onnx")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    assert (tmp_path / "a.onnx").read_text() == "before"

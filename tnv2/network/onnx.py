"""ONNX: a network as one file for other programs: a page in a browser, QGIS's Deepness plugin, whatever runs ONNX."""

import json
from dataclasses import asdict
from functools import partial, reduce
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..files import PathLike, checked_path, replacing, version
from ..instances import Thresholds
from .fast import affine
from .inference import IMAGENET_MEAN, IMAGENET_STD, METRES, MUL_SCALE, checked_channels
from .ternausnet import ABN, STAGES, DecoderBlock, ResidualBlock, TernausNetV2
from .weights import as_model
from .windows import STRIDE

OPSET, FORMAT = 17, 8  # of 2022: has all that is needed, and what reads ONNX has long caught up with it
SIDE = 640  # pixels of Deepness's tiles, which it wants fixed and square
OVERLAP = 30  # percent of neighbouring ones
END = 2**31 - 1  # of an axis, whatever its length
SEEN = torch.tensor([[[1.0, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])  # which of 3 weights meet a pixel's neighbours
MEAN, STD = ([round(float(value), 6) for value in each] for each in (IMAGENET_MEAN, IMAGENET_STD))


def write_onnx(model: TernausNetV2 | PathLike, path: PathLike, half: bool = False, deepness: bool = False) -> None:
    """Write a network to an ONNX file (opset 17) that needs nothing beside it, whole or not at all.

    Input ``bands`` (N, 11, H, W) or (N, 3, H, W) float32 is what ``tnv2.network.as_input`` gives, for any N and for H and W
    that are multiples of 32: RGB scaled to [0, 1] by each channel's minimum and maximum, less ImageNet's mean, divided by
    its standard deviation, then MUL / 2047, 0 where there is none. Output ``maps`` (N, 2, H, W) float32 are the
    probabilities of building and border, as ``predict`` gives them in float32, before it cuts padding off. Norms are folded
    into the convolutions where they can be. The metadata's entry ``tnv2``, JSON, says all this, and the weights' name and
    SHA-256, the recommended thresholds and the 0.3 m a pixel that the network knows.

    model : what ``load_model`` takes or returns.
    half : store convolution weights in float16, half the file, and compute in float32 all the same. What ``load_model`` read
        from this kit's own files is in float16 there already, so that nothing is lost.
    deepness : write the file for QGIS's plugin Deepness instead: ``bands`` (1, 3, 640, 640) are RGB in [0, 1] alone, what
        comes before the network is in the file, MUL counts as 0, and ``maps`` (1, 1, 640, 640) are building alone. The
        metadata has the plugin's own entries, too: resolution, threshold, class names.

    Raises ValueError for a path that does not end in .onnx, for a network that ``predict`` would refuse, that has norms
    other than ABN or, for Deepness, that was not trained without MUL; ImportError where onnx is not installed.
    """
    path, model = checked_path(path, ".onnx"), as_model(model)
    has_onnx()
    channels = checked_channels(model)
    check_norms(model)
    if deepness and channels > 3 and not getattr(model, "copes_without_mul", False):
        raise ValueError(
            "Deepness feeds RGB alone, and this network was not trained without its MUL bands. Use load_model('mini'), or, "
            "where it was, save it with save_model(..., copes_without_mul=True) and pass that file."
        )
    graph = Graph(half)
    shape: list[int | str] = [1, 3, SIDE, SIDE] if deepness else ["N", channels, "H", "W"]
    bands, maps = (3, ["building"]) if deepness else (channels, ["building", "border"])
    with torch.inference_mode():
        x = graph.standardised("bands") if deepness else "bands"
        answers = [logits(graph, part, x, bands, len(maps)) for part in model.parts()]
        graph("Sigmoid", reduce(partial(graph, "Add"), answers), name="maps")
    metadata = {"tnv2": card(model, bands, maps, deepness)} | (for_deepness(model) if deepness else {})
    with replacing(path) as part:
        part.write_bytes(graph.file(shape, len(maps), metadata))


def logits(graph: "Graph", model: TernausNetV2, x: str, bands: int, maps: int) -> str:
    """Add a network to a graph, which reads its first ``bands`` in ``x``; return the logits of its first ``maps``."""
    x = graph.convolution(model.conv1.get_submodule("conv1"), x, bands=bands)
    skips = [x]
    for stage in STAGES:
        x = graph.pool(x)
        for block in getattr(model, stage):
            x = residual(graph, block, x)
        skips.append(x)
    x = graph.pool(x)
    for decoder in (model.center, model.dec5, model.dec4, model.dec3, model.dec2):
        x = graph("Concat", upsampled(graph, decoder, x), skips.pop(), axis=1)
    x = graph("Relu", graph.convolution(model.dec1.conv, x))
    return graph.convolution(model.final, x, maps=maps)


def residual(graph: "Graph", block: ResidualBlock, x: str) -> str:
    """Add a residual block to a graph; return what becomes of ``x``."""
    first, norm, second = block.convs.children()
    active = graph.norm(block.bn1, x)
    y = graph("LeakyRelu", graph.convolution(first, active, norm), alpha=0.01)
    shortcut = x if block.proj_conv is None else graph.convolution(block.proj_conv, active)
    return graph("Add", graph.convolution(second, y), shortcut)


def upsampled(graph: "Graph", decoder: DecoderBlock, x: str) -> str:
    """Add a decoder block to a graph; return what becomes of ``x``."""
    first, second, third = decoder.block.children()
    if isinstance(first, nn.Upsample):
        x, last = graph.doubled(second.get_submodule("conv"), x), third.get_submodule("conv")
    else:
        x, last = graph("Relu", graph.convolution(first.get_submodule("conv"), x)), second
    return graph("Relu", graph.convolution(last, x))


class Graph:
    """An ONNX graph that grows node by node; what goes through it is known by its name.

    half : keep convolution weights in float16.
    """

    def __init__(self, half: bool) -> None:
        self.half = half
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def __call__(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node of a kind and return the name of what it gives."""
        from onnx import helper

        name = name or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def constant(self, values: torch.Tensor) -> str:
        """Add a constant and return its name."""
        from onnx import numpy_helper

        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values.cpu().contiguous().numpy(), name))
        return name

    def standardised(self, x: str) -> str:
        """Add ImageNet's mean and standard deviation for RGB in [0, 1]."""
        mean, std = (self.constant(torch.from_numpy(each).view(3, 1, 1)) for each in (IMAGENET_MEAN, IMAGENET_STD))
        return self("Div", self("Sub", x, mean), std)

    def convolution(
        self, layer: nn.Module, x: str, norm: nn.Module | None = None, bands: int | None = None, maps: int | None = None
    ) -> str:
        """Add a convolution or deconvolution of the first ``bands`` to the first ``maps``, with a norm folded in."""
        assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        weight, scale = layer.weight.float()[:maps, :bands], None
        bias = None if layer.bias is None else layer.bias.float()[:maps]
        if isinstance(norm, ABN):
            scale, shift = affine(norm)
            bias = shift if bias is None else bias * scale + shift
        inputs = [x, self.weight(weight, scale), *([] if bias is None else [self.constant(bias)])]
        kind = "Conv" if isinstance(layer, nn.Conv2d) else "ConvTranspose"
        return self(kind, *inputs, strides=layer.stride, pads=[*layer.padding, *layer.padding])

    def weight(self, values: torch.Tensor, scale: torch.Tensor | None) -> str:
        """Add a convolution's weight, (K, C, k, k), times a scale (K,), and return its name.

        From float16 it is made when a program reads the file, in float32: the scale would cost it precision.
        """
        factor = None if scale is None else scale.view(-1, 1, 1, 1)
        if not self.half:
            return self.constant(values if factor is None else values * factor)
        if not torch.isfinite(values.half()).all():
            raise ValueError(f"a weight is {values.abs().max():g}; float16 ends at 65504. Leave half out.")
        name = self("Cast", self.constant(values.half()), to=1)  # to float32
        return name if factor is None else self("Mul", name, self.constant(factor))

    def norm(self, norm: nn.Module, x: str) -> str:
        """Add an ABN: norm and leaky ReLU."""
        assert isinstance(norm, ABN)
        terms = (norm.weight.abs() + norm.eps, norm.bias, norm.running_mean, norm.running_var)
        constants = [self.constant(values.float()) for values in terms]
        return self("LeakyRelu", self("BatchNormalization", x, *constants, epsilon=norm.eps), alpha=0.01)

    def pool(self, x: str) -> str:
        """Add a 2x2 max pool."""
        return self("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])

    def doubled(self, layer: nn.Module, x: str) -> str:
        """Add an upsampling to twice the size, by nearest neighbour, a 3x3 convolution of that and a ReLU.

        The four pixels that one becomes see 2x2 different pixels each: four 2x2 convolutions of the small image make them,
        with less than half the products.
        """
        assert isinstance(layer, nn.Conv2d)
        assert layer.bias is not None
        weight, count = layer.weight.float(), layer.out_channels
        corners = [(row, column) for row in (0, 1) for column in (0, 1)]
        if self.half:
            stored = self.weight(weight, None)
            parts = [
                self("MatMul", self("MatMul", self.constant(SEEN[i]), stored), self.constant(SEEN[j].T)) for i, j in corners
            ]
            whole = self("Concat", *parts, axis=0)
        else:
            whole = self.constant(torch.cat([SEEN[i] @ weight @ SEEN[j].T for i, j in corners]))
        y = self("Conv", x, whole, self.constant(layer.bias.float().repeat(4)), pads=[1, 1, 1, 1])  # (N, 4 K, H + 1, W + 1)
        y, axes, parts = self("Relu", y), self.constant(torch.tensor([1, 2, 3])), []
        for n, corner in enumerate(corners):  # the upper and left ones begin a pixel before the lower and right ones
            starts, ends = [n * count, *corner], [(n + 1) * count, *(END if later else -1 for later in corner)]
            parts.append(self("Slice", y, *(self.constant(torch.tensor(each)) for each in (starts, ends)), axes))
        return self("DepthToSpace", self("Concat", *parts, axis=1), blocksize=2)

    def file(self, shape: list[int | str], maps: int, metadata: dict[str, Any]) -> bytes:
        """Return the ONNX file's content; ``shape`` is that of ``bands``, a name where it is free."""
        from onnx import TensorProto, helper

        given = [helper.make_tensor_value_info("bands", TensorProto.FLOAT, shape)]
        gives = [helper.make_tensor_value_info("maps", TensorProto.FLOAT, [shape[0], maps, *shape[2:]])]
        graph = helper.make_graph(self.nodes, "TernausNetV2", given, gives, self.constants)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(
            graph, producer_name="tnv2", producer_version=version(), opset_imports=[opset], ir_version=FORMAT
        )
        helper.set_model_props(model, {key: json.dumps(value) for key, value in metadata.items()})
        return model.SerializeToString()


def card(model: TernausNetV2, bands: int, maps: list[str], deepness: bool) -> dict[str, Any]:
    """Return what a program needs to know of the file."""
    origin = getattr(model, "origin", None)
    before = "by each channel's minimum and maximum over the scene; then less mean, divided by std"
    return {
        "input": f"bands (N, {bands}, H, W) float32: RGB" + ", then MUL 1 to 8" * (bands > 3),
        "rgb": f"scaled to 0..1 {'by 255' if deepness else before}",
        **({} if deepness else {"mean": MEAN, "std": STD}),
        **({"mul": f"counts / {MUL_SCALE:g}, 0 where there is no MUL"} if bands > 3 else {}),
        "output": f"maps (N, {len(maps)}, H, W) float32: probabilities",
        "maps": maps,
        "multiple_of": STRIDE,
        "metres": METRES,
        "opset": OPSET,
        "thresholds": asdict(thresholds(model)),
        "copes_without_mul": bands == 3 or bool(getattr(model, "copes_without_mul", False)),
        "weights": origin and {"name": Path(origin["weights"]).name, "sha256": origin["sha256"]},
    }


def for_deepness(model: TernausNetV2) -> dict[str, Any]:
    """Return the metadata that Deepness and its button "Load default parameters" read."""
    return {
        "model_type": "Segmentor",
        "class_names": {0: "background", 1: "building"},
        "resolution": round(100 * METRES),  # centimetres a pixel
        "tile_size": SIDE,
        "tiles_overlap": OVERLAP,
        "seg_thresh": thresholds(model).mask,
        "seg_small_segment": 0,  # no median filter
    }


def thresholds(model: TernausNetV2) -> Thresholds:
    """Return a network's recommended Thresholds, the published demo's where it names none."""
    return getattr(model, "thresholds", Thresholds())


def check_norms(model: TernausNetV2) -> None:
    """Raise ValueError unless a network's norms are ABN."""
    for norm in (norm for stage in STAGES for block in getattr(model, stage) for norm in (block.bn1, block.convs.bn2)):
        if type(norm) is not ABN:
            raise ValueError(
                f"the network's norms are {type(norm).__name__}; write_onnx knows ABN. Save its weights with "
                "tnv2.network.save_model and pass that file, which is loaded with ABN."
            )


def has_onnx() -> None:
    """Raise ImportError with the remedy unless onnx is there."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ImportError('onnx is not installed; write_onnx needs it. pip install "tnv2[page]".') from error

"""Folded: a network made ready to predict. Same maps, faster."""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.nn import functional as F

from ..ternausnet import ABN, STAGES, ResidualBlock, TernausNetV2
from .convolutions import Step, Strips, doubled, doubled_weights, winograd, winograd_weights

# network: (what its tensors were, what its groups' Foldeds make together)
READY: WeakKeyDictionary[TernausNetV2, tuple[object, Step]] = WeakKeyDictionary()


def folded(model: TernausNetV2, dtype: torch.dtype) -> Step:
    """Return a callable that gives a TernausNetV2's logits in a dtype; made once, and again after its weights
    changed, other than through ``.data``.

    A network with norms of another kind than ABN, or with deconvolutions, runs as it is.
    """
    norms = [norm for stage in STAGES for block in getattr(model, stage) for norm in (block.bn1, block.convs.bn2)]
    if model.settings["is_deconv"] or any(type(norm) is not ABN for norm in norms):
        return lambda x: as_it_is(model, x, dtype)
    state = fingerprint(model, dtype)
    if state is None or model not in READY or READY[model][0] != state:
        with torch.inference_mode():
            parts = [Folded(part, dtype) for part in model.parts()]
            READY[model] = state, lambda x: torch.stack([part(x) for part in parts]).sum(0)
    return READY[model][1]


def as_it_is(model: TernausNetV2, x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a network's logits for ``x``, float32, with its convolutions computed in a dtype."""
    with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
        return model(x.contiguous(memory_format=torch.channels_last)).float()


def fingerprint(model: TernausNetV2, dtype: torch.dtype) -> tuple[torch.dtype, list[tuple[int, int]]] | None:
    """Return what changes whenever a network's tensors are replaced or written to; None where torch does not say."""
    tensors = [*model.parameters(), *model.buffers()]
    if any(tensor.is_inference() for tensor in tensors):
        return None
    return dtype, [(tensor.data_ptr(), tensor._version) for tensor in tensors]


class Folded:
    """A TernausNetV2 in one dtype, whose norms between two convolutions are folded into the first of them.

    On a CPU, 3x3 convolutions of many channels run as matrix products with fewer multiplications (``convolutions``).
    """

    def __init__(self, model: TernausNetV2, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.first = Convolution(model.conv1.get_submodule("conv1"), dtype)
        self.stages = [[Block(block, dtype) for block in getattr(model, stage)] for stage in STAGES]
        decoders = (getattr(model, name).block for name in ("center", "dec5", "dec4", "dec3", "dec2"))
        self.decoders = [
            (Convolution(a.conv, dtype, slope=0.0, doubles=True), Convolution(b.conv, dtype, slope=0.0))
            for _, a, b in decoders
        ]
        self.last, self.final = Convolution(model.dec1.conv, dtype, slope=0.0), Convolution(model.final, dtype)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, num_classes, H, W) float32 of (N, num_input_channels, H, W), multiples of 32 px a side."""
        with Strips() as strips:
            x = self.first(strips, x.to(self.dtype, memory_format=torch.channels_last))
            skips = [x]
            for stage in self.stages:
                x = F.max_pool2d(x, 2)
                for block in stage:
                    x = block(strips, x)
                skips.append(x)
            parts = [F.max_pool2d(x, 2)]
            for first, second in self.decoders:
                parts = [second(strips, first(strips, *parts)), skips.pop()]
            return self.final(strips, self.last(strips, *parts)).float()


class Block:
    """A residual block: norm, 3x3 convolution with the second norm folded in, 3x3 convolution, plus its input."""

    def __init__(self, block: ResidualBlock, dtype: torch.dtype) -> None:
        self.norm = block.bn1  # in float32: it costs little
        part = block.convs.get_submodule
        self.first = Convolution(part("conv1"), dtype, slope=0.01, norm=part("bn2"))
        self.second = Convolution(part("conv2"), dtype)
        self.projection = block.proj_conv and Convolution(block.proj_conv, dtype)

    def __call__(self, strips: Strips, x: torch.Tensor) -> torch.Tensor:
        """Return what becomes of ``x``, which may be overwritten."""
        if self.projection is None:
            return self.second(strips, self.first(strips, x, before=self.norm), shortcut=x)
        active = self.norm(x)
        return self.second(strips, self.first(strips, active), shortcut=self.projection(strips, active))


class Convolution:
    """A 1x1 or 3x3 convolution of the same size in one dtype and a leaky ReLU, 1 for none.

    It may have a norm folded in, whose place is between the two, or an upsampling before it.
    """

    def __init__(
        self, layer: nn.Module, dtype: torch.dtype, slope: float = 1.0, norm: nn.Module | None = None, doubles: bool = False
    ) -> None:
        assert isinstance(layer, nn.Conv2d)
        weight = layer.weight.detach().float()
        bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().float()
        if isinstance(norm, ABN):
            scale, shift = affine(norm)
            weight, bias = weight * scale.view(-1, 1, 1, 1), bias * scale + shift
        self.slope, self.doubles, self.padding = slope, doubles, layer.padding
        self.multiply: Step | None = None
        self.weight: Any  # one tensor, or as many as ``multiply`` takes
        if doubles and is_worth_it(weight, dtype, 64):
            self.multiply, self.bias = doubled, bias
            self.weight = [matrix.to(dtype) for matrix in doubled_weights(weight)]
        elif not doubles and is_worth_it(weight, dtype, 128):
            self.multiply, self.weight, self.bias = winograd, winograd_weights(weight).to(dtype), bias
        else:
            self.weight, self.bias = weight.to(dtype, memory_format=torch.channels_last), bias.to(dtype)

    def __call__(self, strips: Strips, *parts: torch.Tensor, **steps: Any) -> torch.Tensor:
        """Return what becomes of the images (N, C1, H, W), (N, C2, H, W), ... as one; ``steps`` as ``winograd`` has them."""
        if self.multiply:
            return self.multiply(strips, parts, self.weight, self.bias, self.slope, **steps)
        return self.plain(parts, **steps)

    def plain(
        self, parts: Sequence[torch.Tensor], before: Step | None = None, shortcut: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The same by ``conv2d``."""
        x = torch.cat(list(parts), 1) if parts[1:] else parts[0]
        x = F.interpolate(x, scale_factor=2) if self.doubles else x
        x = F.conv2d(before(x) if before else x, self.weight, self.bias, padding=self.padding)
        x = x if self.slope == 1 else F.leaky_relu_(x, self.slope)
        return x if shortcut is None else shortcut.add_(x)


def affine(norm: ABN) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the scale and shift, (C,) float32, of what an ABN does in eval mode before its leaky ReLU."""
    scale = (norm.weight.float().abs() + norm.eps) / (norm.running_var.float() + norm.eps).sqrt()
    return scale, norm.bias.float() - norm.running_mean.float() * scale


def capabilities() -> set[str]:
    """Return what this CPU can do, in torch's words: "avx512_bf16" and "amx_tile" among others where it has them."""
    if hasattr(torch.cpu, "get_capabilities"):
        return {name for name, has in torch.cpu.get_capabilities().items() if has is True}
    older = {"avx512_bf16": torch.cpu._is_avx512_bf16_supported, "amx_tile": torch.cpu._is_amx_tile_supported}
    return {name for name, has in older.items() if has()}


def is_worth_it(weight: torch.Tensor, dtype: torch.dtype, channels: int) -> bool:
    """Whether multiplications are what a (K, C, k, k) convolution costs, rather than moving its values about.

    Measured so for 3x3 ones of many channels on CPUs, except in bfloat16 where matrix units (AMX) multiply faster than
    memory moves.
    """
    units = dtype == torch.bfloat16 and "amx_tile" in capabilities()
    return weight.device.type == "cpu" and not units and weight.shape[2:] == (3, 3) and min(weight.shape[:2]) >= channels

"""TernausNetV2: a U-Net with a WideResNet-38 encoder that maps 11 bands to building and border logits.

Iglovikov, Seferbekov, Buslaev and Shvets, "TernausNetV2: Fully Convolutional Network for Instance Segmentation",
CVPR Workshops 2018. Module names follow the published checkpoint, so its keys fit as they are.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from ..instances import Thresholds

NormAct = Callable[[int], nn.Module]  # from a channel count to norm and activation

STAGES = {"conv2": 3, "conv3": 3, "conv4": 6, "conv5": 3}  # residual blocks a stage


class ABN(nn.BatchNorm2d):
    """Batch norm with scale ``|weight| + eps``, then leaky ReLU 0.01: what ``inplace_abn.InPlaceABN`` computes.

    The absolute value keeps the activation invertible, which the in-place version needs (Rota Bulo et al., CVPR 2018).
    State keys are those of ``nn.BatchNorm2d``.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor
    num_batches_tracked: torch.Tensor
    momentum: float

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = self.weight.abs() + self.eps
        if self.training:
            self.num_batches_tracked += 1
        x = F.batch_norm(x, self.running_mean, self.running_var, scale, self.bias, self.training, self.momentum, self.eps)
        return F.leaky_relu(x, 0.01, inplace=True)


class ResidualBlock(nn.Module):
    """Pre-activation residual block: norm, 3x3 convolution, norm, 3x3 convolution, plus the (projected) input."""

    def __init__(self, in_channels: int, channels: tuple[int, int], norm_act: NormAct, groups: int) -> None:
        super().__init__()
        middle, out_channels = channels
        self.bn1 = norm_act(in_channels)
        self.convs = nn.Sequential()
        self.convs.add_module("conv1", nn.Conv2d(in_channels, middle, 3, padding=1, bias=False, groups=groups))
        self.convs.add_module("bn2", norm_act(middle))
        self.convs.add_module("conv2", nn.Conv2d(middle, out_channels, 3, padding=1, bias=False, groups=groups))
        changes = in_channels != out_channels
        self.proj_conv = nn.Conv2d(in_channels, out_channels, 1, bias=False, groups=groups) if changes else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.proj_conv is not None:
            x = self.bn1(x)
            return self.convs(x) + self.proj_conv(x)
        shortcut = x if isinstance(self.bn1, ABN) else x.clone()  # InPlaceABN overwrites its input
        return self.convs(self.bn1(x)) + shortcut


class ConvRelu(nn.Module):
    """3x3 convolution, then ReLU."""

    def __init__(self, in_channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, groups=groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.conv(x), inplace=True)


class DecoderBlock(nn.Module):
    """Double the resolution: nearest neighbour and two convolutions, or a convolution and a 4x4 deconvolution."""

    def __init__(self, in_channels: int, middle: int, out_channels: int, is_deconv: bool, groups: int) -> None:
        super().__init__()
        first = ConvRelu(in_channels, middle, groups)
        if is_deconv:
            deconvolution = nn.ConvTranspose2d(middle, out_channels, 4, stride=2, padding=1, groups=groups)
            self.block = nn.Sequential(first, deconvolution, nn.ReLU(inplace=True))
        else:
            upsample = nn.Upsample(scale_factor=2, mode="nearest")
            self.block = nn.Sequential(upsample, first, ConvRelu(middle, out_channels, groups))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(x)


class TernausNetV2(nn.Module):
    """The network of the paper; its defaults are the published one (67.2 M parameters).

    Parameters
    ----------
    num_classes : output maps; 2 are building and border.
    num_filters : decoder width; the decoder has 8, 8, 8, 2 and 1 times as many channels.
    is_deconv : upsample by 4x4 deconvolution instead of nearest neighbour.
    num_input_channels : input bands; 11 are RGB and the 8 multispectral ones.
    width : channels of the first convolution; the encoder stages have 2, 4, 8 and (8, 16) times as many.
    norm_act : class of norm + activation, called with a channel count: ``ABN``, or ``inplace_abn.InPlaceABN``.
    groups : parts of all channels, of which none reads another's (grouped convolutions: Krizhevsky, Sutskever and Hinton,
        NIPS 2012), of a half, a third, ... of the width and num_filters; all read all bands, and their logits add up.

    What ``load_model`` gives has ``thresholds``, the recommended ones; ``copes_without_mul``, whether it was trained without
    MUL bands too; and ``origin``, of which file it is.
    """

    thresholds: Thresholds
    copes_without_mul: bool
    origin: dict[str, str]

    def __init__(
        self,
        num_classes: int = 2,
        num_filters: int = 32,
        is_deconv: bool = False,
        num_input_channels: int = 11,
        width: int = 64,
        norm_act: NormAct = ABN,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "num_classes": num_classes,
            "num_filters": num_filters,
            "is_deconv": is_deconv,
            "num_input_channels": num_input_channels,
            "width": width,
            "groups": groups,
        }
        for name, value in self.settings.items():
            if value < 1 and name != "is_deconv":
                raise ValueError(f"{name} is {value}; it must be 1 or more. Leave it out for the published network's value.")
        if width % groups or num_filters % groups:
            raise ValueError(
                f"width {width} and num_filters {num_filters} must be multiples of groups, {groups}. Pass such."
            )
        w, f = width, num_filters
        self.pool = nn.MaxPool2d(2, 2)
        self.conv1 = nn.Sequential()
        self.conv1.add_module("conv1", nn.Conv2d(num_input_channels, w, 3, padding=1, bias=False))
        self.conv2 = residual_stage(STAGES["conv2"], w, (2 * w, 2 * w), norm_act, groups)
        self.conv3 = residual_stage(STAGES["conv3"], 2 * w, (4 * w, 4 * w), norm_act, groups)
        self.conv4 = residual_stage(STAGES["conv4"], 4 * w, (8 * w, 8 * w), norm_act, groups)
        self.conv5 = residual_stage(STAGES["conv5"], 8 * w, (8 * w, 16 * w), norm_act, groups)
        self.center = DecoderBlock(16 * w, 8 * f, 8 * f, is_deconv, groups)
        self.dec5 = DecoderBlock(16 * w + 8 * f, 8 * f, 8 * f, is_deconv, groups)
        self.dec4 = DecoderBlock(8 * w + 8 * f, 8 * f, 8 * f, is_deconv, groups)
        self.dec3 = DecoderBlock(4 * w + 8 * f, 2 * f, 2 * f, is_deconv, groups)
        self.dec2 = DecoderBlock(2 * w + 2 * f, 2 * f, f, is_deconv, groups)
        self.dec1 = ConvRelu(w + f, f, groups)
        self.final = nn.Conv2d(f, num_classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, num_classes, H, W) for ``x`` (N, num_input_channels, H, W); H and W are multiples of 32."""
        if x.shape[2] % 32 or x.shape[3] % 32:
            raise ValueError(
                f"input is {tuple(x.shape)}; height and width must be multiples of 32, because the encoder halves them "
                "five times. Pad the input, or call predict(), which does."
            )
        conv1 = self.conv1(x)  # (N, width, H, W)
        conv2 = self.conv2(self.pool(conv1))  # (N, 2 width, H/2, W/2)
        conv3 = self.conv3(self.pool(conv2))  # (N, 4 width, H/4, W/4)
        conv4 = self.conv4(self.pool(conv3))  # (N, 8 width, H/8, W/8)
        conv5 = self.conv5(self.pool(conv4))  # (N, 16 width, H/16, W/16)
        center = self.center(self.pool(conv5))  # (N, 8 filters, H/16, W/16), by way of H/32
        dec5 = self.dec5(self.beside(center, conv5))  # (N, 8 filters, H/8, W/8)
        dec4 = self.dec4(self.beside(dec5, conv4))  # (N, 8 filters, H/4, W/4)
        dec3 = self.dec3(self.beside(dec4, conv3))  # (N, 2 filters, H/2, W/2)
        dec2 = self.dec2(self.beside(dec3, conv2))  # (N, filters, H, W)
        dec1 = self.dec1(self.beside(dec2, conv1))  # (N, filters, H, W)
        return self.final(dec1)  # (N, num_classes, H, W)

    def beside(self, below: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Return the channels of two images (N, C, H, W), each group's together."""
        if (groups := self.settings["groups"]) == 1:
            return torch.cat([below, skip], 1)
        return torch.cat([each.unflatten(1, (groups, -1)) for each in (below, skip)], 2).flatten(1, 2)

    def parts(self) -> list["TernausNetV2"]:
        """Return the groups as networks, with ABN, of views of this one's tensors, whose logits add up to its own."""
        sizes, groups = self.settings, self.settings["groups"]
        few = {name: sizes[name] // groups for name in ("width", "num_filters")}
        state, found = self.state_dict(), []
        for i, weight in enumerate(state["final.weight"].chunk(groups, dim=1)):
            own = {"final.weight": weight, "final.bias": state["final.bias"] / groups}
            own |= {key: each.chunk(groups)[i] if each.ndim else each for key, each in state.items() if key not in own}
            with torch.device("meta"):
                part = TernausNetV2(**sizes | few | {"groups": 1})
            part.load_state_dict(own, assign=True)
            found.append(part.eval())
        return found


def residual_stage(
    blocks: int, in_channels: int, channels: tuple[int, int], norm_act: NormAct, groups: int
) -> nn.Sequential:
    """Return ``blocks`` residual blocks in a row, named block1, block2, ...; only the first changes the channel count."""
    stage = nn.Sequential()
    for i in range(blocks):
        stage.add_module(f"block{i + 1}", ResidualBlock(in_channels, channels, norm_act, groups))
        in_channels = channels[-1]
    return stage

"""TernausNetV2: a U-Net with a WideResNet-38 encoder that maps 11 bands to building and border logits.

Iglovikov, Seferbekov, Buslaev and Shvets, "TernausNetV2: Fully Convolutional Network for Instance Segmentation",
CVPR Workshops 2018. Module names follow the published checkpoint, so its keys fit as they are.
"""

from collections.abc import Callable

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

    def __init__(self, in_channels: int, channels: tuple[int, int], norm_act: NormAct) -> None:
        super().__init__()
        middle, out_channels = channels
        self.bn1 = norm_act(in_channels)
        self.convs = nn.Sequential()
        self.convs.add_module("conv1", nn.Conv2d(in_channels, middle, 3, padding=1, bias=False))
        self.convs.add_module("bn2", norm_act(middle))
        self.convs.add_module("conv2", nn.Conv2d(middle, out_channels, 3, padding=1, bias=False))
        self.proj_conv = nn.Conv2d(in_channels, out_channels, 1, bias=False) if in_channels != out_channels else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.proj_conv is not None:
            x = self.bn1(x)
            return self.convs(x) + self.proj_conv(x)
        shortcut = x if isinstance(self.bn1, ABN) else x.clone()  # InPlaceABN overwrites its input
        return self.convs(self.bn1(x)) + shortcut


class ConvRelu(nn.Module):
    """3x3 convolution, then ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.conv(x), inplace=True)


class DecoderBlock(nn.Module):
    """Double the resolution: nearest neighbour and two convolutions, or a convolution and a 4x4 deconvolution."""

    def __init__(self, in_channels: int, middle: int, out_channels: int, is_deconv: bool) -> None:
        super().__init__()
        if is_deconv:
            deconvolution = nn.ConvTranspose2d(middle, out_channels, 4, stride=2, padding=1)
            self.block = nn.Sequential(ConvRelu(in_channels, middle), deconvolution, nn.ReLU(inplace=True))
        else:
            upsample = nn.Upsample(scale_factor=2, mode="nearest")
            self.block = nn.Sequential(upsample, ConvRelu(in_channels, middle), ConvRelu(middle, out_channels))

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
    ) -> None:
        super().__init__()
        self.settings = {
            "num_classes": num_classes,
            "num_filters": num_filters,
            "is_deconv": is_deconv,
            "num_input_channels": num_input_channels,
            "width": width,
        }
        for name, value in self.settings.items():
            if value < 1 and name != "is_deconv":
                raise ValueError(f"{name} is {value}; it must be 1 or more. Leave it out for the published network's value.")
        w, f = width, num_filters
        self.pool = nn.MaxPool2d(2, 2)
        self.conv1 = nn.Sequential()
        self.conv1.add_module("conv1", nn.Conv2d(num_input_channels, w, 3, padding=1, bias=False))
        self.conv2 = residual_stage(STAGES["conv2"], w, (2 * w, 2 * w), norm_act)
        self.conv3 = residual_stage(STAGES["conv3"], 2 * w, (4 * w, 4 * w), norm_act)
        self.conv4 = residual_stage(STAGES["conv4"], 4 * w, (8 * w, 8 * w), norm_act)
        self.conv5 = residual_stage(STAGES["conv5"], 8 * w, (8 * w, 16 * w), norm_act)
        self.center = DecoderBlock(16 * w, 8 * f, 8 * f, is_deconv)
        self.dec5 = DecoderBlock(16 * w + 8 * f, 8 * f, 8 * f, is_deconv)
        self.dec4 = DecoderBlock(8 * w + 8 * f, 8 * f, 8 * f, is_deconv)
        self.dec3 = DecoderBlock(4 * w + 8 * f, 2 * f, 2 * f, is_deconv)
        self.dec2 = DecoderBlock(2 * w + 2 * f, 2 * f, f, is_deconv)
        self.dec1 = ConvRelu(w + f, f)
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
        dec5 = self.dec5(torch.cat([center, conv5], 1))  # (N, 8 filters, H/8, W/8)
        dec4 = self.dec4(torch.cat([dec5, conv4], 1))  # (N, 8 filters, H/4, W/4)
        dec3 = self.dec3(torch.cat([dec4, conv3], 1))  # (N, 2 filters, H/2, W/2)
        dec2 = self.dec2(torch.cat([dec3, conv2], 1))  # (N, filters, H, W)
        dec1 = self.dec1(torch.cat([dec2, conv1], 1))  # (N, filters, H, W)
        return self.final(dec1)  # (N, num_classes, H, W)


def residual_stage(blocks: int, in_channels: int, channels: tuple[int, int], norm_act: NormAct) -> nn.Sequential:
    """Return ``blocks`` residual blocks in a row, named block1, block2, ...; only the first changes the channel count."""
    stage = nn.Sequential()
    for i in range(blocks):
        stage.add_module(f"block{i + 1}", ResidualBlock(in_channels, channels, norm_act))
        in_channels = channels[-1]
    return stage

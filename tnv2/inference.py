"""Inference: a tile in, probability maps out, on whatever machine is there."""

import warnings
from dataclasses import asdict

import numpy as np
import torch

from .instances import Probabilities

IMAGENET_MEAN = np.array((0.485, 0.456, 0.406), np.float32)
IMAGENET_STD = np.array((0.229, 0.224, 0.225), np.float32)
MUL_SCALE = np.float32(2047)  # 11-bit counts
STRIDE = 32  # the encoder halves five times
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def as_input(tile, channels=11):
    """Return the tile as the published network wants it: (channels, H, W) float32.

    RGB is scaled to [0, 1] (see ``scaled``), then by ImageNet's mean and standard deviation; MUL stays as scaled. With
    ``channels`` 3, RGB alone.
    """
    image = scaled(tile)[:channels]
    image[:3] = (image[:3] - IMAGENET_MEAN[:, None, None]) / IMAGENET_STD[:, None, None]
    return image


def scaled(tile):
    """Return (11, H, W) float32: RGB by each channel's minimum and maximum over the tile, MUL divided by 2047.

    A constant channel becomes 0, and so do the MUL bands of a tile without them.
    """
    rgb = tile.rgb.astype(np.float32)
    low, high = rgb.min(axis=(0, 1)), rgb.max(axis=(0, 1))
    image = np.zeros((11, *tile.shape), np.float32)
    image[:3] = np.moveaxis((rgb - low) / np.where(high > low, high - low, 1), 2, 0)
    if tile.mul is not None:
        image[3:] = np.moveaxis(tile.mul.astype(np.float32), 2, 0) / MUL_SCALE
    return image


def predict(model, tile, precision="auto"):
    """Return the Probabilities of a tile, two (H, W) float32 maps.

    The tile is padded by reflection (without repeating the edge pixel) to a multiple of 32, split evenly, as published,
    and the padding is cut off again. It runs where the model is.

    precision : "float32", "bfloat16", or "auto": bfloat16 where the hardware computes in it natively.

    Warns where a network that was never trained without MUL is given a tile without, and where MUL is not in the sensor's
    counts. Raises ValueError for a tile smaller than 32 px a side, and for a model in training mode.
    """
    height, width = tile.shape
    if min(height, width) < STRIDE:
        raise ValueError(
            f"tile {tile.name!r} is {height} x {width} px; the network needs {STRIDE} px a side. Pass a larger tile."
        )
    channels = model.settings["num_input_channels"]
    if channels not in (3, 11) or model.settings["num_classes"] != 2:
        raise ValueError(
            f"the model reads {channels} channels and gives {model.settings['num_classes']} maps; predict feeds RGB (3) or "
            "RGB + 8 MUL bands (11) and takes building and border (2). Build the network with these numbers."
        )
    if model.training:
        raise ValueError("the model is in training mode, where a prediction would change it. Call model.eval() first.")
    if tile.mul is not None and channels == 11 and 0 < tile.mul.max() <= 255:
        warnings.warn(
            f"the MUL bands of tile {tile.name!r} are {tile.mul.dtype} up to {tile.mul.max()}; the network knows 11-bit "
            "counts up to 2047. Pass the sensor's counts, or tile.replace(mul=None).",
            stacklevel=2,
        )
    if tile.mul is None and channels == 11 and not getattr(model, "copes_without_mul", False):
        warnings.warn(
            f"tile {tile.name!r} has no MUL bands and this network was not trained without them: expect poor maps. "
            'Pass mul_path to read_tile, or use load_model("mini").',
            stacklevel=2,
        )
    device = next(model.parameters()).device
    dtype = best_precision(device) if precision == "auto" else checked_precision(precision)
    padded, (top, left) = reflect(as_input(tile, channels))
    x = torch.from_numpy(padded)[None].to(device, memory_format=torch.channels_last)  # (1, C, H', W')
    with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        logits = model(x)  # (1, 2, H', W')
    maps = torch.sigmoid(logits[0].float()).cpu().numpy()  # (2, H', W')
    building, border = maps[:, top : top + height, left : left + width]
    return Probabilities(building, border, origin(model, dtype))


def origin(model, dtype):
    """Return what a recipe needs of how maps were made; None for a model that ``load_model`` did not load."""
    if not hasattr(model, "origin"):
        return None
    names = {dtype: name for name, dtype in PRECISIONS.items()}
    return model.origin | {"precision": names[dtype], "thresholds": asdict(model.thresholds)}


def reflect(image):
    """Return a (C, H, W) image padded by reflection to multiples of 32, and how much went on top and left."""
    extra = [-size % STRIDE for size in image.shape[1:]]
    before = [size // 2 for size in extra]
    sides = [(b, e - b) for b, e in zip(before, extra, strict=True)]
    return np.pad(image, [(0, 0), *sides], mode="reflect"), before


def best_precision(device):
    """Return torch.bfloat16 where ``device`` multiplies matrices in it natively, else torch.float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float32
    if device.type != "cpu":
        return torch.float32
    features = (
        torch.backends.cpu.get_cpu_capability(),
        *(name for name, has in torch.cpu.get_capabilities().items() if has is True),
    )
    return torch.bfloat16 if {"avx512_bf16", "amx_bf16", "amx_tile"} & set(features) else torch.float32


def checked_precision(precision):
    """Return the torch dtype of a precision's name."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; it must be 'auto', {' or '.join(map(repr, PRECISIONS))}.")
    return PRECISIONS[precision]

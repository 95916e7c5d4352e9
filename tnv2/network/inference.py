"""Inference: a tile in, probability maps out, on whatever machine is there."""

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch

from ..files import PathLike
from ..instances import Probabilities
from ..tiles import Georeference, Limits, Tile, checked_tile
from .fast import capabilities, folded
from .ternausnet import TernausNetV2
from .weights import as_model
from .windows import STRIDE, blended

Metres = float | str | None  # the width of a pixel: "auto" for what the georeference says, None for whatever

IMAGENET_MEAN = np.array((0.485, 0.456, 0.406), np.float32)
IMAGENET_STD = np.array((0.229, 0.224, 0.225), np.float32)
MUL_SCALE = 2047.0  # 11-bit counts
METRES = 0.3  # a pixel of SpaceNet's tiles
NEAR = 0.2  # of METRES: what differs by less is taken as it is, as SpaceNet's own pixels in degrees are
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
NARROW = 32  # channels of the first convolution, below which bfloat16 moves single pixels by 0.2 to 0.5
BATCH = {"cuda": 8}  # windows, or tiles, that a kind of device looks at together; others at one


def predict(model: TernausNetV2 | PathLike, tile: Tile, precision: str = "auto", metres: Metres = "auto") -> Probabilities:
    """Return the Probabilities of a tile, two (H, W) float32 maps.

    The tile is padded by reflection (without repeating the edge pixel) to a multiple of 32, split evenly, as published,
    and the padding is cut off again. It runs where the model is. A tile of more than 1280 px a side is seen in overlapping
    windows, all scaled by the whole tile's minimum and maximum; a bar shows progress. Where the tile is not valid, both maps
    are 0.

    model : what ``load_model`` takes or returns; a name is loaded anew each time.
    precision : "float32", "bfloat16", or "auto": bfloat16 for a wide network where the hardware computes in it natively.
    metres : the width of a pixel, "auto" for what the georeference says. Where that differs from the 0.3 m that the networks
        know by more than a fifth, the tile is resampled to 0.3 m and the maps are brought back to its pixels. None, or a
        tile without a known place, takes the pixels as they are.

    Warns where a network that was never trained without MUL is given a tile without, and where MUL is not in the sensor's
    counts. Raises ValueError for a tile smaller than 32 px a side, and for a model in training mode.
    """
    checked_tile(tile)
    model = as_model(model)
    eye = Eye.of(model, precision)
    view = View.of(tile, eye, metres)
    view.check(model, eye)
    return view.back(eye.at(view), model, eye.dtype, metres)


def known_shape(shape: tuple[int, int], georeference: Georeference | None, metres: Metres) -> tuple[int, int]:
    """Return the (H, W) of a scene in the pixels that the networks know, its own where these are about as wide.

    metres : as ``predict`` takes it.
    """
    size: tuple[float, float] | None
    if isinstance(metres, str | None):
        if metres not in ("auto", None):
            raise ValueError(f'metres is {metres!r}; pass "auto", None, or the width of a pixel in metres, such as 0.5.')
        size = georeference.pixel_size(shape) if metres and georeference else None
    else:
        if not 0 < metres < np.inf:
            raise ValueError(f"metres is {metres!r}; it is the width of a pixel in metres, more than 0, such as 0.5.")
        size = float(metres), float(metres)
    if size is None or abs(np.sqrt(np.prod(size)) / METRES - 1) <= NEAR:
        return shape
    height, width = (max(1, round(pixels * each / METRES)) for pixels, each in zip(shape, size, strict=True))
    return height, width


def resized(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return an (h, w) or (h, w, C) image as ``shape`` (H, W): averaged where that is smaller, else cubic; bool stays so."""
    import cv2

    if image.shape[:2] == shape:
        return image
    if image.dtype == bool:
        return cv2.resize(image.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    smaller = shape[0] * shape[1] < image.shape[0] * image.shape[1]
    bands = np.moveaxis(np.atleast_3d(image), 2, 0)  # OpenCV takes four channels at most
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    new = [cv2.resize(np.ascontiguousarray(band), shape[::-1], interpolation=how) for band in bands]
    return np.stack(new, axis=2).reshape(*shape, *image.shape[2:])


@dataclass(frozen=True)
class Eye:
    """A network as it predicts: what to call, its input channels, where and in which torch dtype it computes."""

    network: Callable[[torch.Tensor], torch.Tensor]
    channels: int
    device: torch.device
    dtype: torch.dtype

    @classmethod
    def of(cls, model: TernausNetV2, precision: str) -> Self:
        """Return the Eye of a TernausNetV2; raises ValueError for one that cannot predict."""
        channels = checked_channels(model)
        device = next(model.parameters()).device
        narrow = model.settings["width"] < NARROW
        chosen = torch.float32 if narrow else best_precision(device)
        dtype = chosen if precision == "auto" else checked_precision(precision)
        return cls(folded(model, dtype), channels, device, dtype)

    @property
    def batch(self) -> int:
        """How many windows, or tiles, to look at together."""
        return BATCH.get(self.device.type, 1)

    def at(self, view: "View") -> np.ndarray:
        """Return the (2, H, W) float32 maps of a View in its pixels, 0 where it is not valid."""
        rows = blended(
            view.shape, lambda *span: [image[slice(*span)] for image in view.images], self.looking(view.limits), self.batch
        )
        return np.concatenate(list(rows), axis=1)

    def looking(self, limits: Limits) -> Callable[[list[list[np.ndarray]]], np.ndarray]:
        """Return a function from windows, each as ``bands_of`` returns it, to (windows, 2, h, w) float32 maps.

        limits : RGB's values that become 0 and 1. Where a window is not valid, both maps are 0.
        """

        def look(windows: list[list[np.ndarray]]) -> np.ndarray:
            with torch.inference_mode():
                images = [standardised(scaled_bands(window, limits, self.channels, self.device)) for window in windows]
                x = torch.stack(images).permute(0, 3, 1, 2)  # (N, C, h, w), channels last in memory
                maps = torch.sigmoid(self.network(x)).cpu().numpy()
            return maps * np.stack([valid for _, valid, *_ in windows])[:, None]

        return look


@dataclass(frozen=True, eq=False)
class View:
    """A tile as a network sees it: its ``images``, as ``bands_of`` returns them, of ``shape`` (H, W), and RGB's limits."""

    tile: Tile
    shape: tuple[int, int]
    images: list[np.ndarray]
    limits: Limits

    @classmethod
    def of(cls, tile: Tile, eye: Eye, metres: Metres) -> Self:
        """Return the View of a Tile; raises ValueError for what is no tile, and for one too small for the network."""
        checked_tile(tile)
        shape = known_shape(tile.shape, tile.georeference, metres)
        check_size(f"tile {tile.name!r}", shape, shape != tile.shape)
        images = [resized(image, shape) for image in bands_of(tile, eye.channels)]
        return cls(tile, shape, images, tile.scale)

    def check(self, model: TernausNetV2, eye: Eye) -> None:
        """Warn of what the network does not know."""
        name = f"tile {self.tile.name!r}"
        check_bands(eye, model, name, self.tile.mul is not None, stacklevel=4)
        for mul in bands_of(self.tile, eye.channels)[2:]:
            check_counts(name, mul.dtype, mul.max(), stacklevel=4)

    def back(self, maps: np.ndarray, model: TernausNetV2, dtype: torch.dtype, metres: Metres) -> Probabilities:
        """Return (2, H, W) maps of the View as the tile's Probabilities."""
        if self.shape != self.tile.shape:
            maps = np.stack([resized(each, self.tile.shape) for each in maps]).clip(0, 1) * self.tile.valid
        return Probabilities(maps[0], maps[1], origin(model, dtype, metres))


def together(model: TernausNetV2) -> int:
    """Return how many tiles ``predict_many`` looks at together where a network is."""
    return BATCH.get(next(model.parameters()).device.type, 1)


def checked_channels(model: TernausNetV2) -> int:
    """Return how many channels a network reads, 3 or 11; raises ValueError for one that cannot predict."""
    channels = model.settings["num_input_channels"]
    if channels not in (3, 11) or model.settings["num_classes"] != 2:
        raise ValueError(
            f"the model reads {channels} channels and gives {model.settings['num_classes']} maps; predict feeds RGB (3) "
            "or RGB + 8 MUL bands (11) and takes building and border (2). Build the network with these numbers."
        )
    if model.training:
        raise ValueError("the model is in training mode, where a prediction would change it. Call model.eval() first.")
    return channels


def check_size(what: str, shape: tuple[int, int], brought: bool) -> None:
    """Raise ValueError for a scene too small for the network; ``brought`` says that it is in pixels of METRES."""
    if min(shape) < STRIDE:
        of = f" of {METRES} m" * brought
        raise ValueError(
            f"{what} is {shape[0]} x {shape[1]} px{of}; the network needs {STRIDE} px a side. Pass a larger tile."
        )


def check_bands(eye: Eye, model: TernausNetV2, what: str, has_mul: bool, stacklevel: int = 3) -> None:
    """Warn where the MUL bands that a network needs are missing."""
    if not has_mul and eye.channels > 3 and not getattr(model, "copes_without_mul", False):
        warnings.warn(
            f"{what} has no MUL bands and this network was not trained without them: expect poor maps. "
            'Pass mul_path, or use load_model("mini").',
            stacklevel=stacklevel,
        )


def check_counts(what: str, dtype: np.dtype, greatest: float, stacklevel: int = 3) -> None:
    """Warn where MUL's greatest value says that its values are not the sensor's counts."""
    if 0 < greatest <= 255:
        warnings.warn(
            f"the MUL bands of {what} are {dtype} up to {greatest}; the network knows 11-bit counts up to 2047. "
            "Pass the sensor's counts, or no MUL: tile.replace(mul=None).",
            stacklevel=stacklevel,
        )


def as_input(tile: Tile, channels: int = 11) -> np.ndarray:
    """Return the tile as the published network wants it: (channels, H, W) float32.

    RGB is scaled to [0, 1] (see ``scaled``), then by ImageNet's mean and standard deviation; MUL stays as scaled. With
    ``channels`` 3, RGB alone.
    """
    bands = standardised(scaled_bands(bands_of(tile, channels), tile.scale, channels))
    return bands.permute(2, 0, 1).contiguous().numpy()


def scaled(tile: Tile) -> np.ndarray:
    """Return (11, H, W) float32: RGB by each channel's minimum and maximum over the tile, MUL divided by 2047.

    A few pixels far from all others, and those not valid, have no say (``Tile.scale``). A constant channel becomes 0, and so
    do the MUL bands of a tile without them.
    """
    return scaled_bands(bands_of(tile), tile.scale).permute(2, 0, 1).contiguous().numpy()


def bands_of(tile: Tile, channels: int = 11) -> list[np.ndarray]:
    """Return [rgb, valid, mul], or [rgb, valid] for a tile without MUL or a network of 3 channels."""
    return [tile.rgb, tile.valid] if tile.mul is None or channels == 3 else [tile.rgb, tile.valid, tile.mul]


def scaled_bands(
    images: list[np.ndarray], limits: Limits, channels: int = 11, device: torch.device | str = "cpu"
) -> torch.Tensor:
    """Return what ``bands_of`` did as (H, W, channels) float32 on a device, RGB between its ``limits``, MUL over 2047."""
    pixels = images[:1] + images[2:]
    rgb, *mul = (torch.from_numpy(np.require(image, requirements=["C", "W"])).to(device).float() for image in pixels)
    low, high = (torch.tensor(np.asarray(each, np.float32), device=device) for each in limits)
    bands = torch.zeros(*rgb.shape[:2], channels, device=device)
    bands[..., :3] = ((rgb - low) / torch.where(high > low, high - low, 1)).clamp(0, 1)
    if mul:
        bands[..., 3:] = mul[0] / MUL_SCALE
    return bands


def standardised(bands: torch.Tensor) -> torch.Tensor:
    """Return (H, W, C) ``bands`` with RGB scaled by ImageNet's mean and standard deviation, in place."""
    bands[..., :3] -= torch.tensor(IMAGENET_MEAN, device=bands.device)
    bands[..., :3] /= torch.tensor(IMAGENET_STD, device=bands.device)
    return bands


def origin(model: TernausNetV2, dtype: torch.dtype, metres: Metres) -> dict[str, Any] | None:
    """Return what a recipe needs of how maps were made; None for a model that ``load_model`` did not load."""
    if not hasattr(model, "origin"):
        return None
    how = {"precision": str(dtype).removeprefix("torch."), "metres": metres, "thresholds": asdict(model.thresholds)}
    return model.origin | how


def best_precision(device: torch.device) -> torch.dtype:
    """Return torch.bfloat16 where ``device`` multiplies matrices in it natively, else torch.float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float32
    if device.type != "cpu":
        return torch.float32
    return torch.bfloat16 if capabilities() & {"avx512_bf16", "amx_bf16", "amx_tile"} else torch.float32


def checked_precision(precision: str) -> torch.dtype:
    """Return the torch dtype of a precision's name."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; it must be 'auto', {' or '.join(map(repr, PRECISIONS))}.")
    return PRECISIONS[precision]

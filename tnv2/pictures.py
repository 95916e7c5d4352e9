"""Pictures: arrays to uint8 RGB that a person can look at."""

from collections.abc import Sequence

import numpy as np

from .tiles import Tile, checked_tile

# Okabe and Ito's colours without black and grey, told apart by colour-blind readers (jfly.uni-koeln.de/color).
PALETTE = np.array(
    [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)], np.uint8
)
# Which MUL bands are shown as red, green and blue, counted from 0 in file order.
COMPOSITES = {
    "true colour": (4, 2, 1),  # red, green, blue
    "false colour": (6, 4, 2),  # NIR1, red, green: living plants show red
    "red edge": (6, 5, 4),  # NIR1, red edge, red: kinds and health of plants differ
    "coastal": (2, 1, 0),  # green, blue, coastal: what shallow water and haze scatter
}


def stretch(image: np.ndarray, low: float = 2, high: float = 98, valid: np.ndarray | None = None) -> np.ndarray:
    """Return uint8 of the shape of ``image``, each channel from its ``low`` to its ``high`` percentile.

    11-bit counts look black on an 8-bit screen; this is the usual remedy. A constant channel becomes 0. With ``valid``,
    (H, W) bool, only those pixels set the percentiles, and all others become 255: white paper.

    >>> stretch(np.array([[100, 150, 200]], np.uint16), 0, 100)
    array([[  0, 128, 255]], dtype=uint8)
    """
    if not 0 <= low < high <= 100:
        raise ValueError(f"low and high are {low} and {high}; they are percentiles, 0 <= low < high <= 100.")
    image = np.asarray(image, np.float32)
    if valid is None or valid.all() or not valid.any():
        return scaled(image, *np.percentile(image, (low, high), axis=(0, 1), keepdims=True))
    picture = scaled(image, *np.percentile(image[valid], (low, high), axis=0))
    picture[~valid] = 255
    return picture


def scaled(image: np.ndarray, dark: np.ndarray, bright: np.ndarray) -> np.ndarray:
    """Return uint8 of the shape of ``image``: 0 up to ``dark``, 255 from ``bright``, straight between.

    dark, bright : one of each a channel. Where the two are equal, what is above them becomes 255 and the rest 0.
    """
    width = np.maximum(np.subtract(bright, dark), 1e-9).astype(np.float32)
    share = (np.asarray(image, np.float32) - np.float32(dark)) / width
    return np.floor(np.clip(share, 0, 1) * 255 + 0.5).astype(np.uint8)


def true_colour(tile: Tile, low: float = 2, high: float = 98) -> np.ndarray:
    """Return the tile's RGB as (H, W, 3) uint8, stretched."""
    return stretch(checked_tile(tile).rgb, low, high, tile.valid)


def false_colour(tile: Tile, low: float = 2, high: float = 98) -> np.ndarray:
    """Return NIR1, red and green as (H, W, 3) uint8, stretched: living plants red, roofs and roads grey to cyan."""
    mul = checked_tile(tile).mul
    if mul is None:
        raise ValueError(f"tile {tile.name!r} has no MUL bands; false colour needs NIR1. Pass mul_path to read_tile.")
    return composite(mul, "false colour", low, high, tile.valid)


def composite(
    mul: np.ndarray, bands: str | Sequence[int], low: float = 2, high: float = 98, valid: np.ndarray | None = None
) -> np.ndarray:
    """Return three of the eight MUL bands as (H, W, 3) uint8, stretched, white where not ``valid``.

    mul : (H, W, 8); bands : a name in COMPOSITES, or three numbers 0..7 of what is shown as red, green and blue.
    """
    chosen = COMPOSITES.get(bands) if isinstance(bands, str) else tuple(bands)
    if mul.ndim != 3 or chosen is None or len(chosen) != 3 or not all(0 <= band < mul.shape[2] for band in chosen):
        raise ValueError(
            f"bands is {bands!r} and the image {mul.shape}; bands must be one of {', '.join(COMPOSITES)}, or three numbers "
            "of the image's bands, counted from 0. Pass tile.mul and, say, (6, 4, 2)."
        )
    return stretch(mul[..., chosen], low, high, valid)


def normalised_difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return (first - second) / (first + second) as float32, from -1 to 1 for counts; 0 where the sum is 0.

    Of NIR1 and red it is NDVI (Rouse et al. 1974), high for living plants; of green and NIR1 it is NDWI (McFeeters 1996),
    high for open water.

    >>> normalised_difference(np.array([300, 0], np.uint16), np.array([100, 0], np.uint16))
    array([0.5, 0. ], dtype=float32)
    """
    first, second = np.asarray(first, np.float32), np.asarray(second, np.float32)
    total = first + second
    return np.divide(first - second, total, out=np.zeros_like(total), where=total != 0)


def difference_map(difference: np.ndarray) -> np.ndarray:
    """Return an (H, W) map of [-1, 1] as (H, W, 3) uint8 in ColorBrewer's BrBG: brown below 0, white at 0, green above."""
    from matplotlib import colormaps

    return colormaps["BrBG"]((np.asarray(difference) + 1) / 2, bytes=True)[..., :3]


def probability_map(probabilities: np.ndarray) -> np.ndarray:
    """Return an (H, W) map of [0, 1] as (H, W, 3) uint8 in the colours of cividis: dark blue is 0, yellow is 1."""
    from matplotlib import colormaps

    return colormaps["cividis"](np.asarray(probabilities), bytes=True)[..., :3]


def outlines(labels: np.ndarray) -> np.ndarray:
    """Return (H, W) bool: the pixels of instances that have another label, or none, above, below, left or right.

    >>> outlines(np.array([[1, 1, 2], [1, 1, 2], [1, 1, 2]])).astype(int)
    array([[1, 1, 1],
           [1, 1, 1],
           [1, 1, 1]])
    """
    padded = np.pad(labels, 1)
    inner = padded[1:-1, 1:-1]
    neighbours = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
    return (inner > 0) & np.any([inner != other for other in neighbours], axis=0)


def overlay(picture: np.ndarray, labels: np.ndarray, opacity: float = 0.4) -> np.ndarray:
    """Return an (H, W, 3) uint8 picture with each instance tinted and outlined in a colour of its own.

    picture : (H, W, 3) uint8; labels : (H, W) int, 0 for background; opacity : of the tint, 0..1; outlines are opaque.
    """
    came = f"{picture.shape} {picture.dtype}" if isinstance(picture, np.ndarray) else type(picture).__name__
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.shape != (*labels.shape, 3):
        raise ValueError(
            f"picture is {came} and labels {labels.shape}; the picture must be (H, W, 3) uint8 of "
            "the labels' size. Pass true_colour(tile)."
        )
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity is {opacity}; it must be from 0 (clear) to 1 (opaque).")
    colour = PALETTE[(labels - 1) % len(PALETTE)]  # (H, W, 3)
    alpha = np.where(outlines(labels), 1, np.where(labels > 0, opacity, 0))[..., None]
    return np.floor(picture * (1 - alpha) + colour * alpha + 0.5).astype(np.uint8)

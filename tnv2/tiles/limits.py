"""Limits: which values of a channel become 0 and 1, and which few pixels have no say in it.

The rule. A channel is scaled from its least to its greatest value over all valid pixels, as published. But a value is alone
where it is among the greatest ten-thousandth of the pixels and more than LONE times the width of the rest away from the
rest's other end; and so below. It is a hot pixel, a glint, a corner of forgotten no-data. Then the limit is the most extreme
value that is not alone, what lies beyond counts as that, and a UserWarning says so. The rest is what lies between the
0.01 and the 99.99 percentile. Of 438 channels of clean SpaceNet pictures the widest has 1.6 times the width of its rest,
so clean ones stay as they are to the bit. One value that more pixels share is not left out, because it may be what was
seen; where it is as far away, a UserWarning names it.

Pixels that are 0 in every channel, at most a ten-thousandth of all, are left out and named as well where some channel of
the others has a width and begins above BLACK of its greatest value. No sensor sees such a pixel there, and one of them would
move the black point of each channel by another amount, and so the colour of the whole picture.
"""

import warnings
from collections.abc import Iterable

import numpy as np

Limits = tuple[np.ndarray, np.ndarray]  # least and greatest values, (C,) each

FEW = 10_000  # one pixel in so many may be alone
SAMPLE = 50_000  # pixels that are looked at for a value that many share
LONE = 2.0  # times the width of the rest, above which an extreme is alone
BLACK = 0.05  # of a channel's greatest value, above which its others begin where black pixels are none of them


def limits_of(blocks: Iterable[np.ndarray], pixels: int, what: str) -> Limits:
    """Return what becomes 0 and what becomes 1 in each channel, two (C,) arrays; both are 0 where there is no valid pixel.

    blocks : yields (N, C) arrays of valid pixels. pixels : how many there are, about. what : the image, for the warning.
    """
    few, step = max(1, pixels // FEW), max(1, pixels // SAMPLE)
    low = high = np.empty((0, 0))
    samples, blacks = [], 0
    for block in blocks:
        black = block[:, 0] == 0
        black[black] = ~block[black].any(axis=1)
        blacks += int(black.sum())
        lit = block[~black] if black.any() else block
        low = least(np.concatenate([low, lit]) if len(low) else lit, few)
        samples.append(block[::step].copy())  # or the whole block stays
        high = greatest(np.concatenate([high, block]) if len(high) else block, few)
    if not len(high):
        return np.zeros(high.shape[1]), np.zeros(high.shape[1])
    black_too = least(np.concatenate([np.zeros((min(blacks, few + 1), high.shape[1]), high.dtype), low]), few)
    ends = np.stack([black_too.min(axis=0), high.max(axis=0)])
    if not (0 < blacks <= few and len(low) and begins_above_black(low, high)):
        low = black_too
    first, last = low.max(axis=0).astype(float), high.min(axis=0).astype(float)  # of the rest
    reach = LONE * np.where(last > first, last - first, np.inf)
    limits = np.stack([
        np.where(low >= last - reach, low, low.max(axis=0)).min(axis=0),
        np.where(high <= first + reach, high, high.min(axis=0)).max(axis=0),
    ])  # fmt: skip
    if (limits != ends).any():
        warnings.warn(
            f"{what} has values far from all others in at most {few} pixel{'s' * (few > 1)} a channel: {spans(ends)}. They "
            f"are left out, and {spans(limits)} is what is scaled. If they are no-data, say so in the file: "
            "gdal_edit.py -a_nodata VALUE.",
            stacklevel=4,
        )
    warn_of_many(np.concatenate(samples), limits, what)
    return limits[0], limits[1]


def begins_above_black(low: np.ndarray, high: np.ndarray) -> bool:
    """Return whether some channel, whose (N, C) least and greatest values these are, has a width and begins above BLACK."""
    end = high.min(axis=0)
    return bool(((low.min(axis=0) > BLACK * end) & (low.max(axis=0) < end)).any())


def warn_of_many(sample: np.ndarray, limits: np.ndarray, what: str) -> None:
    """Warn of a limit that many of (N, C) values share and that is far from all others."""
    for end, channel in ((end, channel) for ends in limits for end, channel in zip(ends, sample.T, strict=True)):
        rest = channel[channel != end].astype(float)
        if 0 < len(rest) < len(channel) and np.abs(end - rest).max() > (1 + LONE) * np.ptp(rest) > 0:
            share = 1 - len(rest) / len(channel)
            warnings.warn(
                f"{what}: {share:.1%} of the pixels are {end:g} in a channel, all others {rest.min():g} to {rest.max():g}, "
                f"which leaves these little of the scale. If {end:g} is no-data, say so: gdal_edit.py -a_nodata {end:g}.",
                stacklevel=5,
            )
            return


def least(values: np.ndarray, few: int) -> np.ndarray:
    """Return the ``few`` + 1 least of (N, C) values in each channel."""
    return values if len(values) <= few else np.partition(values, few, axis=0)[: few + 1]


def greatest(values: np.ndarray, few: int) -> np.ndarray:
    """Return the ``few`` + 1 greatest of (N, C) values in each channel."""
    return values if len(values) <= few else np.partition(values, -few - 1, axis=0)[-few - 1 :]


def spans(limits: np.ndarray) -> str:
    """Return (2, C) limits in words."""
    return ", ".join(f"{low:g} to {high:g}" for low, high in limits.T)

"""Windows: what is too large for one look is seen in overlapping windows, whose maps are blended into one."""

from collections.abc import Callable, Iterator

import numpy as np

STRIDE = 32  # the network halves five times, so windows start and end at multiples of it
SIZE = 1280  # pixels a side; twice what the network sees around a pixel, and what it looks at, fit into it
OVERLAP = 448  # of neighbouring windows, at least
RAMP = 64  # over which one window's map passes into the next one's, in the middle of the overlap


def spans(length: int) -> list[tuple[int, np.ndarray]]:
    """Return the windows along an axis as a list of (start, weights): how much each of a window's pixels counts.

    length : pixels, a multiple of 32. Starts are multiples of 32, spread evenly. Weights are float32 and sum to 1 at every
    pixel; towards a neighbour, a window's outer (OVERLAP - RAMP) / 2 pixels count nothing, because it sees less around them.
    """
    size = min(SIZE, length)
    count = 1 + -(-(length - size) // (SIZE - OVERLAP))
    starts = STRIDE * np.linspace(0, (length - size) // STRIDE, count).round().astype(int)
    middles = (starts[1:] + starts[:-1] + size) / 2
    steps = [np.ones(length), *(rise(length, middle) for middle in middles), np.zeros(length)]
    return [
        (int(start), (steps[i] - steps[i + 1])[start : start + size].astype(np.float32)) for i, start in enumerate(starts)
    ]


def rise(length: int, middle: float) -> np.ndarray:
    """Return (length,) float64: 0 before ``middle``, 1 after it, and half a cosine wave over RAMP pixels between."""
    way = np.clip((np.arange(length) + 0.5 - middle) / RAMP + 0.5, 0, 1)
    return (1 - np.cos(np.pi * way)) / 2


def blended(
    shape: tuple[int, int],
    read: Callable[[int, int], list[np.ndarray]],
    look: Callable[[list[list[np.ndarray]]], np.ndarray],
    batch: int = 1,
) -> Iterator[np.ndarray]:
    """Yield the maps of a scene of ``shape`` (H, W) from top to bottom, some (2, rows, W) float32 at a time.

    read : called with the first and the last row plus one, returns what the scene has there: a list of (rows, W, C) arrays.
    look : called with at most ``batch`` windows of one size, each a list as ``read`` returns it; returns their maps,
        (windows, 2, h, w) float32.

    The scene is padded by reflection (without repeating the edge pixel) to multiples of 32, split evenly, and the padding is
    cut off the maps again. A bar shows progress where there is more than one window.
    """

    from ..progress import Progress

    (above, tall), (left, wide) = (padded(length) for length in shape)
    rows, columns = mirrored(above, tall, shape[0]), mirrored(left, wide, shape[1])
    downs, acrosses = spans(tall), spans(wide)
    total = np.zeros((2, len(downs[0][1]), wide), np.float32)  # of the rows from ``top`` on
    count = len(downs) * len(acrosses)
    with Progress(total=count, desc="windows", unit="", leave=False, disable=count == 1) as bar:
        for (top, down), (following, _) in zip(downs, [*downs[1:], (tall, None)], strict=True):
            chosen = rows[top : top + len(down)]
            band = read(chosen.min(), chosen.max() + 1)
            for i in range(0, len(acrosses), batch):
                some = acrosses[i : i + batch]
                places = [np.ix_(chosen - chosen.min(), columns[start : start + len(across)]) for start, across in some]
                windows = [[image[place] for image in band] for place in places]
                for (start, across), maps in zip(some, look(windows), strict=True):
                    total[:, :, start : start + len(across)] += maps * (down[:, None] * across)
                bar.update(len(some))
            finished = following - top
            inside = slice(max(above - top, 0), min(above + shape[0] - top, finished))
            yield total[:, inside, left : left + shape[1]].copy()
            total[:, : len(down) - finished] = total[:, finished:].copy()
            total[:, len(down) - finished :] = 0


def padded(length: int) -> tuple[int, int]:
    """Return how much padding goes before ``length`` pixels, and how long they are with all of it.

    >>> padded(650)
    (11, 672)
    """
    return -length % STRIDE // 2, length + -length % STRIDE


def mirrored(before: int, long: int, length: int) -> np.ndarray:
    """Return (long,) int: which of ``length`` pixels stands where, once they are padded by reflection, ``before`` ahead.

    >>> mirrored(2, 7, 4)
    array([2, 1, 0, 1, 2, 3, 2])
    """
    places = np.abs(np.arange(long) - before)
    return np.where(places < length, places, 2 * (length - 1) - places)

"""Noise: probability maps that no network would draw, and edits that nobody would make, for tests that must hold on any."""

import numpy as np
from scipy import ndimage

from tnv2 import Probabilities


def noise_maps(seed, height, width, grain):
    """Return Probabilities of two smoothed noises, each stretched from 0 to 1; ``grain`` is how many px are alike."""
    rng = np.random.default_rng(seed)
    maps = ndimage.gaussian_filter(rng.random((2, height, width)), (0, grain, grain))
    maps -= maps.min(axis=(1, 2), keepdims=True)
    maps /= np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-9)
    return Probabilities(*maps)


def noise_line(rng, shape, count):
    """Return [[row, column], ...] of ``count`` pixels that are not far from each other."""
    middle, reach = rng.integers(0, shape), max(2, min(shape) // 3)
    return np.clip(middle + rng.integers(-reach, reach + 1, (count, 2)), 0, np.subtract(shape, 1)).tolist()


def noise_edits(seed, labels, count):
    """Return ``count`` edits of all kinds, most of which begin on a building of (H, W) labels."""
    rng, found = np.random.default_rng(seed), []
    on = np.argwhere(labels) if labels.any() else np.argwhere(labels == 0)
    for _ in range(count):
        places = rng.choice(on, 2).tolist() if rng.random() < 0.9 else rng.integers(0, labels.shape, (2, 2)).tolist()
        kind = str(rng.choice(["delete", "merge", "split", "add"], p=[0.15, 0.25, 0.4, 0.2]))
        at = {
            "delete": places[:1],
            "merge": places,
            "split": places if rng.random() < 0.3 else noise_line(rng, labels.shape, rng.integers(2, 9)),
            "add": noise_line(rng, labels.shape, rng.integers(3, 9)),
        }
        found.append({"kind": kind, "at": at[kind]})
    return found

"""Noise: probability maps that no network would draw, for tests that must hold on any."""

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

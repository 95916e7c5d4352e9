"""Colours: bands as other days, sensors and makers of pictures would give them, by chance, a batch at a time."""

import numpy as np
import torch
from torch.nn import functional as F

AIR = (0.55, 0.62, 0.72)  # red, green and blue of haze


def recoloured(bands: torch.Tensor, rng: np.random.Generator, variety: float) -> torch.Tensor:
    """Return (N, 11, H, W) bands in [0, 1] with other contrast, tint, haze, gamma, saturation, sharpness and noise.

    variety : how strong the changes are, 1 for strong; with 0 only MUL's gain changes. All are drawn from ``rng`` for each
    crop by itself, and computed where ``bands`` are.
    """
    n = len(bands)

    def column(values: np.ndarray) -> torch.Tensor:
        """Return (N,) or (N, C) numbers as (N, 1 or C, 1, 1)."""
        return torch.from_numpy(np.asarray(values, np.float32)).to(bands.device).reshape(n, -1, 1, 1)

    def sometimes(chance: float, values: np.ndarray, otherwise: float) -> np.ndarray:
        return np.where(rng.random(n) < chance, values, otherwise)

    rgb, mul = bands[:, :3], bands[:, 3:]
    high = sometimes(0.5, 2 ** (variety * rng.uniform(-0.7, 1, n)), 1)[:, None]
    low = variety * (rng.uniform(-0.08, 0.08, (n, 1)) + sometimes(0.5, rng.uniform(-0.2, 0.1, (3, n)), 0).T)
    gain = rng.normal(1, 0.08 * variety, (n, 3)) / (high - low)
    rgb = ((rgb - column(low)) * column(gain)).clamp(0, 1)
    rgb = rgb.clamp(min=1e-6) ** column(np.exp(rng.normal(0, 0.25 * variety, n)))
    haze = column(sometimes(0.2, rng.uniform(0, 0.3 * variety, n), 0))
    rgb = rgb + haze * (rgb.new_tensor(AIR)[:, None, None] - rgb)
    grey = rgb.mean(dim=1, keepdim=True)
    rgb = grey + column(sometimes(0.1 * variety, rng.uniform(0, 1, n), 1)) * (rgb - grey)
    there = mul.flatten(1).any(dim=1)
    gain = np.exp(rng.normal(0, 0.15, (n, 1))) * rng.normal(1, 0.05, (n, 8))
    mul = (mul * column(gain) + column(rng.normal(0, 0.01, (n, 8)))).clamp(0, 1) * there.reshape(n, 1, 1, 1)
    bands = torch.cat([rgb, mul], dim=1)
    sigmas, noises = rng.uniform(0.3, 1.2, n), rng.uniform(0.005, 0.04, n)
    for i in np.flatnonzero(rng.random(n) < 0.25 * variety):
        seen = 11 if there[i] else 3
        bands[i, :seen] = blur(bands[i, :seen], sigmas[i])
    chance = torch.Generator(bands.device).manual_seed(int(rng.integers(2**62)))
    for i in np.flatnonzero(rng.random(n) < 0.3 * variety):
        bands[i, :3] += noises[i] * torch.randn(bands[i, :3].shape, generator=chance, device=bands.device)
    return bands


def blur(bands: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return (C, H, W) bands under a Gaussian of ``sigma`` up to 1.2 px, over 7 px each way; edges are mirrored."""
    away = torch.arange(-3, 4, device=bands.device)
    weights = torch.exp(-(away**2) / (2 * sigma**2))
    weights = weights / weights.sum()
    x = F.pad(bands[:, None], (3, 3, 3, 3), mode="reflect")
    return F.conv2d(F.conv2d(x, weights.reshape(1, 1, 1, 7)), weights.reshape(1, 1, 7, 1))[:, 0]

"""Crops: pieces of tiles with their targets, turned, scaled and recoloured by chance, in batches for training."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from ..network import IMAGENET_MEAN, IMAGENET_STD
from .settings import Settings

Example = tuple[np.ndarray, np.ndarray]  # image and targets


class Crops:
    """Batches of augmented crops, half of them or so from real tiles; batch ``i`` is always the same.

    real, scenes : lists of (image, targets): (H, W, 11) float16 bands in [0, 1], RGB before MUL, and (H, W, 3) uint8
        building, border and where the border is known, each 0 or 255. One of the lists may be empty.
    settings : ``batch``, ``crop``, ``real``, ``without_mul``, ``variety`` and ``seed`` as ``training.Settings`` has them.
    """

    def __init__(self, real: Sequence[Example], scenes: Sequence[Example], settings: Settings) -> None:
        self.real, self.scenes, self.settings = real, scenes, settings

    def batch(self, index: int) -> tuple[torch.Tensor, ...]:
        """Return float32 (N, 11, crop, crop) inputs, (N, 2, crop, crop) targets and where they are known, 0 or 1."""
        rng = np.random.default_rng((self.settings.seed, index))
        pairs = [self.crop(rng) for _ in range(self.settings.batch)]
        return tuple(torch.from_numpy(np.stack(arrays)) for arrays in zip(*pairs, strict=True))

    def crop(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return one (11, crop, crop) input, its (2, crop, crop) targets in [0, 1] and where they are known, 0 or 1."""
        settings = self.settings
        from_real = self.real and (not self.scenes or rng.random() < settings.real)
        pool = self.real if from_real else self.scenes
        image, targets = pool[int(rng.integers(len(pool)))]
        with_mul = rng.random() >= settings.without_mul
        image, targets = warped(image if with_mul else image[..., :3], targets, settings.crop, rng, settings.variety)
        bands = np.zeros((settings.crop, settings.crop, 11), np.float32)
        bands[..., : image.shape[2]] = recoloured(image, rng, settings.variety)
        bands[..., :3] = (bands[..., :3] - IMAGENET_MEAN) / IMAGENET_STD
        building, border, known = np.moveaxis(targets, 2, 0).astype(np.float32) / 255
        known = np.stack([np.ones_like(known), known == 1]).astype(np.float32)
        return np.ascontiguousarray(np.moveaxis(bands, 2, 0)), np.stack([building, border]), known


def warped(
    image: np.ndarray, targets: np.ndarray, size: int, rng: np.random.Generator, variety: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return a random ``size`` x ``size`` crop of both, turned, mirrored and scaled by up to 1.45 ** variety."""
    height, width = targets.shape[:2]
    scale = 1.45 ** (variety * rng.uniform(-1, 1))
    turn = rng.integers(4) * np.pi / 2 + (rng.uniform(-np.pi / 4, np.pi / 4) if rng.random() < 0.5 * variety else 0)
    mirror = rng.choice((-1, 1))
    cos, sin = np.cos(turn) / scale, np.sin(turn) / scale
    to_source = np.array([(cos * mirror, -sin), (sin * mirror, cos)])
    reach = min(size / scale / 2, height / 2, width / 2)
    centre = np.array([rng.uniform(reach, width - reach), rng.uniform(reach, height - reach)])
    matrix = np.column_stack([to_source, centre - to_source @ (size / 2, size / 2)])
    # Read the part that is needed only, and at most four channels at a time, as OpenCV can.
    corners = np.array([(0, 0, 1), (size, 0, 1), (0, size, 1), (size, size, 1)]) @ matrix.T
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 2, 0)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 2
    matrix[:, 2] -= (left, top)
    flags, mirror_edge = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REFLECT_101

    def warp(part: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(np.ascontiguousarray(part), matrix, (size, size), flags=flags, borderMode=mirror_edge)

    image, targets = image[top:bottom, left:right].astype(np.float32), targets[top:bottom, left:right]
    parts = [warp(image[..., first:last]) for first, last in ((0, 3), (3, 7), (7, 11)) if first < image.shape[2]]
    return np.concatenate(parts, axis=2), warp(targets)


def recoloured(image: np.ndarray, rng: np.random.Generator, variety: float) -> np.ndarray:
    """Return the bands with other contrast, tint, gamma, sharpness and noise, as other days and sensors would give."""
    rgb, mul = image[..., :3], image[..., 3:]
    low, high = variety * rng.uniform(-0.08, 0.08), rng.choice((1, 2 ** (variety * rng.uniform(-1, 1))))
    gain = (rng.normal(1, 0.08 * variety, 3) / (high - low)).astype(np.float32)
    rgb = cv2.pow(np.clip((rgb - np.float32(low)) * gain, 0, 1.2), np.exp(rng.normal(0, 0.25 * variety)))
    if mul.any():
        gain, offset = np.exp(rng.normal(0, 0.15)) * rng.normal(1, 0.05, 8), rng.normal(0, 0.01, 8)
        mul = np.clip(mul * gain.astype(np.float32) + offset.astype(np.float32), 0, 1)
    if rng.random() < 0.1 * variety:
        grey = rgb.mean(axis=2, keepdims=True)
        rgb = grey + np.float32(rng.uniform(0, 1)) * (rgb - grey)
    image = np.concatenate([rgb, mul], axis=2)
    if rng.random() < 0.25 * variety:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.2))
    if rng.random() < 0.3 * variety:
        image[..., :3] += np.float32(rng.uniform(0.005, 0.04)) * rng.standard_normal(rgb.shape, np.float32)
    return image

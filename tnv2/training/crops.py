"""Crops: pieces of pictures with their targets, turned, scaled and recoloured by chance, in batches, on the device."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from ..network import IMAGENET_MEAN, IMAGENET_STD
from .colours import recoloured
from .examples import Example, Source, guessed_mul
from .settings import Settings

AROUND = 10  # px of ground that go with a building where it is pasted, more than half the way to its border's reach
LARGEST = 1.6  # the most that a crop is scaled by, up or down, at variety 1
LOOKS = 0.4  # how often a crop takes the look of another picture, at variety 1


class Crops:
    """Batches of augmented crops from several sources, in proportion to their weights; batch ``i`` is always the same.

    sources : where crops come from. guess : (8, 10) weights of ``mul_guess`` for the pictures without MUL; None leaves it 0.
    settings : ``batch``, ``crop``, ``without_mul``, ``variety`` and ``seed`` as ``training.Settings`` has them.
    device : where pictures lie and crops are made.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        settings: Settings,
        guess: torch.Tensor | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.settings, self.device = settings, torch.device(device)
        self.sources = [
            Source(each.name, [Example(*(tensor.to(device) for tensor in one)) for one in each.examples], each.weight)
            for each in sources
        ]
        self.guess = None if guess is None else guess.to(device)
        areas = [np.array([one.targets[0].numel() for one in each.examples], float) for each in self.sources]
        self.often = [area / area.sum() for area in areas]
        self.looks = [[look_of(one.image) for one in each.examples] for each in self.sources]
        weights = np.array([each.weight for each in self.sources])
        self.weights = weights / weights.sum()

    def batch(self, index: int) -> tuple[torch.Tensor, ...]:
        """Return float32 (N, 11, crop, crop) inputs, (N, 2, crop, crop) targets and where they are known, 0 or 1."""
        settings, rng = self.settings, np.random.default_rng((self.settings.seed, index))
        bands, targets = (torch.stack(part) for part in zip(*(self.pasted(rng) for _ in range(settings.batch)), strict=True))
        bands = recoloured(bands, rng, settings.variety)
        mean, std = (torch.from_numpy(each).to(bands)[:, None, None] for each in (IMAGENET_MEAN, IMAGENET_STD))
        bands[:, :3] = (bands[:, :3] - mean) / std
        known = torch.stack([torch.ones_like(targets[:, 2]), (targets[:, 2] > 0.999).float()], dim=1)
        return bands, targets[:, :2], known

    def pasted(self, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a crop, as ``crop`` does, now and then with buildings of another one among its own."""
        image, targets = self.crop(rng)
        if rng.random() < self.settings.pasted:
            other, others = self.crop(rng)
            region = torch.from_numpy(groups_with_room(targets[0].cpu().numpy(), others[0].cpu().numpy(), rng)).to(
                image.device
            )
            with_mul = image[3:].any() and other[3:].any()
            image, targets = torch.where(region, other, image), torch.where(region, others, targets)
            image[3:] *= with_mul  # of both crops or of none
        return image, targets

    def crop(self, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return one (11, crop, crop) crop of bands and the (3, crop, crop) of its targets, all in [0, 1]."""
        settings = self.settings
        which, index = self.some(rng)
        one = self.sources[which].examples[index]
        with_mul = rng.random() >= settings.without_mul
        image = one.image if with_mul else one.image[:3]
        image, targets = warped(image, one.targets, settings.crop, rng, settings.variety)
        if rng.random() < LOOKS * settings.variety:
            other, number = self.some(rng)
            (mean, std), (new_mean, new_std) = self.looks[which][index], self.looks[other][number]
            image[:3] = ((image[:3] - mean) / std * new_std + new_mean).clamp(0, 1)
        if len(image) == 3:
            mul = image.new_zeros(8, *image.shape[1:])
            if with_mul and self.guess is not None:
                mul = guessed_mul(self.guess, image)
            image = torch.cat([image, mul])
        return image, targets

    def some(self, rng: np.random.Generator) -> tuple[int, int]:
        """Return the number of a source, drawn by its weight, and of one of its examples, drawn by its area."""
        which = rng.choice(len(self.sources), p=self.weights)
        return which, rng.choice(len(self.often[which]), p=self.often[which])


def look_of(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation of the red, green and blue of (C, H, W) bands, (3, 1, 1) each.

    Given those of another picture it looks like that (Reinhard et al., "Color Transfer between Images", IEEE CG&A 2001; they
    do it in another colour space).
    """
    rgb = image[:3].float()
    return rgb.mean(dim=(1, 2), keepdim=True), rgb.std(dim=(1, 2), keepdim=True).clamp(min=1e-2)


def groups_with_room(mine: np.ndarray, others: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (H, W) bool: half of the groups of buildings on one map, with the ground around them, that fit onto another.

    mine, others : (H, W) shares of building. A group is of buildings so near that there may be a border between them, so
    none is torn. It fits where it leaves the other map's buildings and the ground around them alone. Simple copy-paste
    (Ghiasi et al., CVPR 2021), with what a building casts its shadow on.
    """
    near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * AROUND + 1, 2 * AROUND + 1))
    taken, region = (cv2.dilate((building > 0.01).astype(np.uint8), near) for building in (mine, others))
    count, groups = cv2.connectedComponents(region)
    chosen = rng.random(count) < 0.5
    chosen[np.unique(groups[taken > 0])] = chosen[0] = False
    return chosen[groups]


def warped(
    image: torch.Tensor, targets: torch.Tensor, size: int, rng: np.random.Generator, variety: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a random ``size`` x ``size`` crop of both, float32, turned, mirrored and scaled by up to LARGEST ** variety.

    image : (C, H, W). targets : (3, H, W) uint8, of which 255 becomes 1. Beyond a picture's edges both go on mirrored.
    """
    height, width = targets.shape[1:]
    scale = LARGEST ** (variety * (rng.uniform(-0.5, 0.5) + rng.uniform(-0.5, 0.5)))
    turn = rng.integers(4) * math.pi / 2 + (rng.uniform(-math.pi / 4, math.pi / 4) if rng.random() < 0.5 * variety else 0)
    mirror = rng.choice((-1, 1))
    cos, sin = math.cos(turn) / scale, math.sin(turn) / scale
    to_source = np.array([(cos * mirror, -sin), (sin * mirror, cos)])
    reach = min(size / scale / 2, height / 2, width / 2)
    centre = np.array([rng.uniform(reach, width - reach), rng.uniform(reach, height - reach)]) - 0.5
    # Read the part that is needed only.
    half = np.abs(to_source).sum(axis=1) * size / 2
    left, top = np.maximum(np.floor(centre - half).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(centre + half).astype(int) + 2, (width, height))
    extent = np.array([right - left - 1, bottom - top - 1])
    theta = np.column_stack([to_source * (size - 1), 2 * (centre - (left, top)) - extent]) / extent[:, None]
    steps = torch.linspace(-1, 1, size, device=image.device)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    grid = torch.stack([theta[i, 0] * x + theta[i, 1] * y + theta[i, 2] for i in (0, 1)], dim=2)[None]

    def warp(part: torch.Tensor) -> torch.Tensor:
        window = part[None, :, top:bottom, left:right].float()
        return F.grid_sample(window, grid, padding_mode="reflection", align_corners=True)[0]

    return warp(image), warp(targets) / 255

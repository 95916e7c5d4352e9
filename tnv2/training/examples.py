"""Examples: labelled tiles and pictures as the tensors that crops are cut from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from ..files import PathLike, expanded
from ..network import scaled
from ..progress import Progress
from ..scenes import render_layout
from ..tiles import Tile
from .targets import border_target

# Rows of a picture above which its mask is complete; below, it misses many buildings.
LABELLED_ROWS = {"AOI_2_Vegas_img4215": 480}


class Example(NamedTuple):
    """A labelled picture: (C, H, W) float16 bands in [0, 1], C 3 or 11, RGB before MUL; and (3, H, W) uint8, 0 or 255:
    building, border, and whether the border is known."""

    image: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True, eq=False)
class Source:
    """Examples of one kind, and how often crops are cut from them beside those of other sources.

    Within a source a picture is drawn as often as it is large.
    """

    name: str
    examples: Sequence[Example]
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.examples or not self.weight > 0:
            raise ValueError(
                f"source {self.name!r} has {len(self.examples)} examples and weight {self.weight}; both are above 0. "
                "Leave it out, or give it some."
            )


def example(tile: Tile, merged: bool) -> Example:
    """Return the Example of a labelled tile; in ``merged`` labels touching buildings are one, so the border is unknown."""
    truth = np.asarray(tile.truth)
    targets = np.stack([truth > 0, border_target(truth), np.full(truth.shape, not merged)])
    bands = scaled(tile)[: 3 if tile.mul is None else 11]
    return Example(torch.from_numpy(bands).half(), torch.from_numpy(targets.astype(np.uint8) * 255))


def features(rgb: torch.Tensor) -> torch.Tensor:
    """Return (..., 10, H, W): what MUL is guessed from, of (..., 3, H, W) RGB in [0, 1]."""
    r, g, b = rgb.unbind(-3)
    return torch.stack([torch.ones_like(r), r, g, b, r * r, g * g, b * b, r * g, r * b, g * b], dim=-3)


def mul_guess(tiles: Iterable[Tile]) -> torch.Tensor:
    """Return (8, 10) weights that guess MUL in [0, 1] from the ``features`` of RGB, fitted by least squares on tiles.

    Real pictures for training have no MUL. Without a guess, MUL bands would tell the network that it sees a scene.
    """
    bands = [torch.from_numpy(scaled(tile)) for tile in tiles]  # (11, H, W)
    x = torch.cat([features(each[:3]).flatten(1)[:, ::97] for each in bands], dim=1).T
    y = torch.cat([each[3:].flatten(1)[:, ::97] for each in bands], dim=1).T
    return torch.linalg.lstsq(x, y).solution.T.contiguous()


def guessed_mul(guess: torch.Tensor, rgb: torch.Tensor) -> torch.Tensor:
    """Return the (8, H, W) MUL in [0, 1] that a ``mul_guess`` gives for (3, H, W) RGB in [0, 1]."""
    return torch.einsum("bf,fhw->bhw", guess, features(rgb)).clamp(0, 1)


def picture_tiles(folder: PathLike) -> list[Tile]:
    """Return Tiles of 8-bit pictures ``NAME.png`` with ``NAME_mask.png`` beside them, building where green is over 150.

    Instances are the mask's connected parts, so buildings that touch are one.
    """
    tiles = []
    for mask_path in sorted(expanded(folder).glob("*_mask.png")):
        name = mask_path.stem.removesuffix("_mask")
        rows = slice(LABELLED_ROWS.get(name))
        picture = read_picture(mask_path.with_name(f"{name}.png"))[rows]
        mask = read_picture(mask_path)[rows, :, 1] > 150
        truth = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[1]
        tiles.append(Tile(np.ascontiguousarray(picture[..., ::-1]), None, name, None, truth))
    if not tiles:
        raise FileNotFoundError(f"{folder} holds no NAME_mask.png with NAME.png beside it. Pass the folder that does.")
    return tiles


def layout_tiles(folder: PathLike, count: int, seed: int = 0) -> list[Tile]:
    """Return Tiles drawn by chance over ``count`` layouts of a folder: PNG masks at 0.3 m a pixel, 0 around buildings.

    Where the masks have touching buildings as one, so have the tiles.
    """
    paths = sorted(expanded(folder).glob("*.png"))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no .png masks. Pass the folder that does.")
    chosen = np.random.default_rng(seed).choice(len(paths), min(count, len(paths)), replace=False)
    masks = (read_picture(paths[i])[..., 0] > 0 for i in chosen)
    return [render_layout(seed + i, mask) for i, mask in enumerate(Progress(masks, "layouts", len(chosen)))]


def read_picture(path: Path) -> np.ndarray:
    """Return an (H, W, 3) uint8 picture in OpenCV's order: blue, green, red."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(
            f"{path} is missing or no picture; each NAME_mask.png needs its NAME.png. Remove one or add the other."
        )
    return picture

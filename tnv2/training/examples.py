"""Examples: labelled tiles and pictures as the arrays that crops are cut from."""

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np

from ..files import PathLike, expanded
from ..network import scaled
from ..tiles import Tile
from .targets import border_target, known_border

# Rows of a picture above which its mask is complete; below, it misses many buildings.
LABELLED_ROWS = {"AOI_2_Vegas_img4215": 480}


def example(tile: Tile, merged: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return (H, W, 11) float16 bands in [0, 1] and (H, W, 3) uint8 building, border and known border, 0 or 255."""
    truth = np.asarray(tile.truth)
    targets = np.stack([truth > 0, border_target(truth), known_border(truth, merged)], axis=2)
    return np.moveaxis(scaled(tile), 0, 2).astype(np.float16), targets.astype(np.uint8) * 255


def guessed_mul(scenes: Iterable[Tile]) -> Callable[[Tile], np.ndarray]:
    """Return a function that guesses a tile's (H, W, 8) MUL counts from its RGB, fitted by least squares on scenes.

    Real pictures for training have no MUL. Without a guess, MUL bands would tell the network that it sees a scene.
    """

    def features(tile: Tile) -> np.ndarray:
        r, g, b = scaled(tile)[:3].reshape(3, -1)
        return np.stack([np.ones_like(r), r, g, b, r * r, g * g, b * b, r * g, r * b, g * b], axis=1)  # (H W, 10)

    known = [(features(tile)[::97], np.asarray(tile.mul).reshape(-1, 8)[::97]) for tile in scenes]
    x, y = (np.concatenate(part).astype(np.float32) for part in zip(*known, strict=True))
    weights = np.linalg.lstsq(x, y, rcond=None)[0]
    return lambda tile: np.clip(features(tile) @ weights, 0, 2047).astype(np.uint16).reshape(*tile.shape, 8)


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


def read_picture(path: Path) -> np.ndarray:
    """Return an (H, W, 3) uint8 picture in OpenCV's order: blue, green, red."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(
            f"{path} is missing or no picture; each NAME_mask.png needs its NAME.png. Remove one or add the other."
        )
    return picture

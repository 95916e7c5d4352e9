"""Contents: what a tuner shows of a tile and its maps, as traits of the browser's."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from ..instances import Maps, Probabilities, read_probabilities
from ..pictures import false_colour, true_colour
from ..tiles import Tile, checked_tile

Picture = Tile | np.ndarray | None


def paired(
    tiles: Picture | Sequence[Picture], maps: Maps | Sequence[Maps]
) -> tuple[tuple[Tile, ...], tuple[Probabilities, ...]]:
    """Return tiles and their Probabilities, of one tile as of several; raise ValueError where they do not fit.

    tiles : a Tile, an image as ``tile_of`` takes it, or None; or a list of these. maps : as ``read_probabilities`` takes
        them, as many as there are tiles.
    """
    if not isinstance(tiles, list | tuple):
        tile, probabilities = fitted(tiles, maps)
        return (tile,), (probabilities,)
    if not isinstance(maps, list | tuple) or len(maps) != len(tiles) or not tiles:
        came = f"a list of {len(maps)}" if isinstance(maps, list | tuple) else f"one {type(maps).__name__}"
        raise ValueError(
            f"maps are {came} and tiles a list of {len(tiles)}; of several tiles each needs its maps, in the same order. "
            "Pass [predict(model, tile) for tile in tiles]."
        )
    pairs = []
    for place, (tile, each) in enumerate(zip(tiles, maps, strict=True)):
        try:
            pairs.append(fitted(tile, each))
        except ValueError as error:
            raise ValueError(f"of tile {place} (counted from 0): {error}") from error
    return tuple(tile for tile, _ in pairs), tuple(probabilities for _, probabilities in pairs)


def fitted(tile: Any, maps: Any) -> tuple[Tile, Probabilities]:
    """Return a tile and the Probabilities of its size; raise ValueError for other sizes."""
    if tile is not None and not isinstance(tile, np.ndarray):
        checked_tile(tile)
    probabilities = read_probabilities(maps)
    tile = tile if isinstance(tile, Tile) else tile_of(tile, probabilities)
    if probabilities.building.shape != tile.shape:
        raise ValueError(
            f"probabilities are {probabilities.building.shape} px and the tile {tile.shape}; both must be of one size. "
            "Pass predict(model, tile), or the picture that the maps are of."
        )
    return tile, probabilities


def content_of(tile: Tile, probabilities: Probabilities) -> dict[str, Any]:
    """Return the traits that the view reads of one tile, arrays as bytes."""
    building, *border = probabilities.quantised()
    pictures = {"tile": true_colour(tile).tobytes()}
    if tile.mul is not None:
        pictures["false colour"] = false_colour(tile).tobytes()
    return {
        "_name": tile.name,
        "_shape": list(tile.shape),
        "_pictures": pictures,
        "_building": building.tobytes(),
        "_border": border[0].tobytes() if border else b"",
        "_truth": b"" if tile.truth is None else tile.truth.tobytes(),
        "_pixel_area": tile.georeference and tile.georeference.pixel_area(tile.shape),
    }


def tile_of(picture: np.ndarray | None, probabilities: Probabilities) -> Tile:
    """Return the Tile of an image of 8 or 16 bits, grey or in colours, with alpha perhaps; of the building map for None.

    Its name and place are the maps' file's, where that is known. Raises ValueError for any other array.
    """
    origin = probabilities.origin or {}
    image = probabilities.quantised()[0] if picture is None else picture
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
        image = np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    if image.ndim == 3 and image.shape[2] == 4:
        image = image[..., :3]
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"tile is {image.shape} {image.dtype}; pass a Tile, an image of (H, W) or (H, W, 3) in 8 or 16 bits, or None. "
            "Scale real numbers: (255 * image).astype(np.uint8)."
        )
    name = PurePath((origin.get("maps") or {}).get("maps", "maps")).stem
    return Tile(np.ascontiguousarray(image), name=name, georeference=origin.get("place"))

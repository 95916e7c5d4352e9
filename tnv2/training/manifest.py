"""Manifest: a folder of labelled pictures of any kind, as a table beside them describes it."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..files import PathLike, expanded
from ..network import METRES, resized
from ..tiles import Tile, read_image

COLUMNS = ("file", "split", "dataset", "place", "metres_per_px", "labels", "label_kind", "notes")
KINDS = ("instances", "merged")


@dataclass(frozen=True, eq=False)
class Picture:
    """A labelled picture at 0.3 m a pixel.

    tile : with truth. merged : whether touching buildings are one in it. dataset, place : as the manifest has them.
    of : the satellite's tile that it shows, such as "Las Vegas img1042"; pictures of one tile belong on one side of a split.
    """

    tile: Tile
    merged: bool
    dataset: str
    place: str
    of: str


def read_manifest(folder: PathLike, split: str = "train") -> list[Picture]:
    """Return the Pictures of one split that ``MANIFEST.csv`` in a folder lists.

    Its columns: ``file`` and ``labels``, paths from the folder, of a picture of 3 bands, 8 or 16 bits, and of a one-band
    picture of labels, which may have another size; ``split``; ``dataset`` and ``place``, to group by; ``metres_per_px`` of
    the picture; ``label_kind``: "instances", a number a building, or "merged", other than 0 where buildings are;
    ``notes``, in which, or in the file's name, "img" and a number say which satellite tile a picture shows.

    Raises FileNotFoundError where there is no such table or a file of it is missing, and ValueError for one that lacks
    columns, has no row of the split, or says what cannot be.
    """
    table = expanded(folder) / "MANIFEST.csv"
    if not table.is_file():
        raise FileNotFoundError(f"{table} does not exist. Pass a folder with a MANIFEST.csv, which lists its pictures.")
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if missing := [column for column in COLUMNS if column not in (rows[0] if rows else {})]:
        raise ValueError(
            f"{table} lacks {', '.join(missing)} in its first line, or has no other. Its columns are {COLUMNS}."
        )
    chosen = [row for row in rows if row["split"] == split]
    if not chosen:
        there = ", ".join(sorted({repr(row["split"]) for row in rows}))
        raise ValueError(f"{table} has no row of split {split!r}, but of {there}. Pass one of these.")
    return [picture(expanded(folder), row) for row in chosen]


def picture(folder: Path, row: dict[str, str]) -> Picture:
    """Return the Picture of one row of a manifest."""
    file, kind = row["file"], row["label_kind"]
    try:
        scale = float(row["metres_per_px"]) / METRES
    except ValueError:
        scale = 0.0
    if kind not in KINDS or not 0.1 <= scale <= 10:
        raise ValueError(
            f"{file} is listed with labels {kind!r} and {row['metres_per_px']!r} m a pixel; it must be one of {KINDS} and a "
            f"number from {METRES / 10:g} to {METRES * 10:g}. Mend its row."
        )
    seen, labels = read_image(folder / file, 3, "RGB"), read_image(folder / row["labels"], 1, "labels").pixels[..., 0]
    height, width = (round(side * scale) for side in seen.valid.shape)
    rgb, valid = (resized(each, (height, width)) for each in (seen.pixels, seen.valid))
    truth = at_size(labels, (width, height), kind == "merged")
    of = shown_tile(row["place"], f"{Path(file).stem} {row['notes']}")
    tile = Tile(rgb, None, Path(file).stem, truth=truth, valid=valid)
    return Picture(tile, kind == "merged", row["dataset"], row["place"], of)


def shown_tile(place: str, name: str) -> str:
    """Return the satellite tile that a picture shows, by its place and the number in its name or notes.

    >>> shown_tile("Las Vegas", "crop_7, lies in tile img2144")
    'Las Vegas img2144'
    """
    number = re.search(r"img\d+", name)
    return f"{place} {number[0] if number else name.split()[0]}"


def at_size(labels: np.ndarray, size: tuple[int, int], merged: bool) -> np.ndarray:
    """Return (H, W) int32 instance labels of ``size`` (W, H); of merged ones, the connected parts of what is not 0."""
    if not merged:
        return cv2.resize(labels.astype(np.uint16), size, interpolation=cv2.INTER_NEAREST).astype(np.int32)
    share = cv2.resize((labels > 0).astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return cv2.connectedComponents((share > 0.5).astype(np.uint8), connectivity=4)[1]


def set_aside(pictures: Iterable[Picture], every: int = 5) -> tuple[list[Picture], list[Picture]]:
    """Return the pictures to train on, and those to choose by: every fifth tile of each dataset and place, by its name.

    All pictures of a tile are on one side. A place with two tiles or fewer in a dataset gives none.
    """
    groups, pictures = defaultdict(set), list(pictures)
    for each in pictures:
        groups[each.dataset, each.place].add(each.of)
    aside = {tile for tiles in groups.values() for tile in sorted(tiles)[every // 2 :: every]}
    return [each for each in pictures if each.of not in aside], [each for each in pictures if each.of in aside]

"""Challenge: the CSV in which SpaceNet and DeepGlobe hand out footprints and take in proposals."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ..files import PathLike, checked_path, expanded, replacing
from ..instances import Probabilities
from ..tiles import Rings, csv_buildings, rasterise, unreadable
from .outlines import outlines
from .vectors import checked_labels, checked_probabilities, means, numbered

COLUMNS = ("ImageId", "BuildingId", "PolygonWKT_Pix", "Confidence")


def write_challenge_csv(
    labels: Mapping[str, np.ndarray], path: PathLike, probabilities: Mapping[str, Probabilities] | None = None
) -> None:
    """Write the instances of several tiles as the challenge's CSV: ImageId, BuildingId, PolygonWKT_Pix, Confidence.

    labels : {image id: (H, W) whole numbers, 0 for background}, "AOI_2_Vegas_img2144" for an image id; a tile's ``name``.
    probabilities : {image id: Probabilities}; an instance's mean building probability is its Confidence, 1 without.

    Polygons follow the pixels' edges, in pixels from the upper left corner. An instance in several parts is one row with a
    MULTIPOLYGON. A tile without instances has one row, BuildingId -1 and POLYGON EMPTY, so that its absence can be scored.
    Raises ValueError for what is no such mapping and for a path that does not end in .csv.
    """
    path = checked_path(path, ".csv")
    for what, given in (("labels", labels), ("probabilities", probabilities or {})):
        if not isinstance(given, Mapping) or not all(isinstance(name, str) and name for name in given):
            raise ValueError(f"{what} are {type(given).__name__}; pass one entry a tile, {{tile.name: {what}}}.")
    if probabilities is not None and (missing := [name for name in labels if name not in probabilities]):
        raise ValueError(f"probabilities lack {', '.join(missing)}; pass them for every tile, or leave them out.")
    rows = [row for name in labels for row in challenge_rows(name, labels[name], (probabilities or {}).get(name))]
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])


def challenge_rows(name: str, labels: np.ndarray, probabilities: Probabilities | None) -> list[tuple[str, int, str, float]]:
    """Return the rows of one tile."""
    from shapely import to_wkt

    try:
        labels = checked_labels(labels)
        checked_probabilities(probabilities, labels.shape)
    except ValueError as error:
        raise ValueError(f"tile {name!r}: {error}") from None
    numbers, index = numbered(labels)
    if not len(numbers):
        return [(name, -1, "POLYGON EMPTY", 1)]
    texts = to_wkt(outlines(index), trim=True)
    confidence = [1] * len(numbers) if probabilities is None else means(index, probabilities).round(6).tolist()
    return [(name, *row) for row in zip(numbers.tolist(), texts, confidence, strict=True)]


def read_challenge_csv(path: PathLike, shape: tuple[int, int] = (650, 650)) -> "LabelsOfTiles":
    """Return {image id: (H, W) int32 labels} of a challenge CSV, of footprints or of proposals, for tiles of ``shape``.

    Labels count the rows of a tile from 1. A pixel belongs to a building if its centre does; smaller buildings are drawn
    last, and those without a pixel get no label. A tile whose only row is POLYGON EMPTY is all 0. A third coordinate is
    dropped. Labels are drawn when they are asked for: those of a whole city would fill the memory of a laptop.

    Raises FileNotFoundError for a missing file and ValueError for one that is no such CSV.
    """
    path = expanded(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist. Pass a CSV with ImageId and PolygonWKT_Pix.")
    with unreadable(path):
        return LabelsOfTiles(path, csv_buildings(path), shape)


class LabelsOfTiles(Mapping[str, np.ndarray]):
    """{image id: (H, W) int32 labels}, drawn anew each time from {image id: [[ring, ...], ...]} of the file ``path``."""

    def __init__(self, path: Path, buildings: dict[str, list[Rings]], shape: tuple[int, int]) -> None:
        self.path, self.buildings, self.shape = path, buildings, shape

    def __getitem__(self, name: str) -> np.ndarray:
        rings = self.buildings[name]
        with unreadable(self.path):
            return rasterise(rings, self.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.buildings)

    def __len__(self) -> int:
        return len(self.buildings)

    def __repr__(self) -> str:
        return f"LabelsOfTiles({str(self.path)!r}, {len(self)} tiles of {self.shape[0]} x {self.shape[1]} px)"

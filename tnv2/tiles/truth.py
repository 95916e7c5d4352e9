"""Truth: the buildings that people drew, as a label image."""

from collections.abc import Sequence
from math import ceil, floor
from typing import Any

import numpy as np

from ..files import PathLike
from .footprints import FAR, Rings, closed, read_footprints, unreadable
from .georeference import Georeference
from .rasters import Window

COVERS, SLACK = 16, 2**20  # times, and pixels more, that footprints' boxes may cover their tile; real ones hardly overlap
LEAST = 256  # pixels that a footprint counts as at least, as it may have to be drawn by itself
STEPS = 2**26  # of footprints' corners times the rows of pixels that they reach over; GDAL does 50 million in a second
NUDGE = 1e-6, 1e-9  # pixels right and down of the middle where centres lie, so that one on a wall is on one side of it
EDGE = 0.01  # pixels that an outline must reach into a tile, so that a neighbour's, rounded, does not


def truth_of(
    path: PathLike, georeference: Georeference | None, name: str, shape: tuple[int, int], window: Window | None = None
) -> np.ndarray:
    """Return (H, W) int32 labels of the footprints of a tile: ``read_footprints`` and ``rasterise`` in one.

    window : of the tile, for its labels alone; then none may be there.

    They are all 0 where the footprints that lie on the tile cover the centre of no pixel. Raises ValueError where there are
    footprints and the outline of none lies on the tile.
    """
    buildings = read_footprints(path, georeference, name)
    if window is not None:
        rows, columns = window
        shape = rows.stop - rows.start, columns.stop - columns.start
        buildings = [[ring - (columns.start, rows.start) for ring in rings] for rings in buildings]
    with unreadable(path):
        truth = rasterise(buildings, shape)
    if window is None and buildings and not truth.any() and not any(meets(rings, shape) for rings in buildings):
        raise ValueError(
            f"{path} has {len(buildings)} footprints and none lies on {name}. Pass the file of the same image number; "
            "positions are in degrees or in the coordinate system that the file names, or in pixels for a tile without "
            "georeference."
        )
    return truth


def meets(rings: Rings, shape: tuple[int, int]) -> bool:
    """Return whether a building's outline lies on an (H, W) tile, if only a little."""
    from shapely import box, intersects, linearrings

    tile = box(EDGE, EDGE, shape[1] - EDGE, shape[0] - EDGE)
    return any(intersects(linearrings(closed(ring)), tile) for ring in rings)


def rasterise(buildings: Sequence[Rings], shape: tuple[int, int]) -> np.ndarray:
    """Return (H, W) int32 labels 1..N for N buildings given as lists of rings in pixels.

    A pixel belongs to a building if its centre does, by GDAL. Smaller buildings are drawn last, so that none hides under a
    larger. Buildings without a pixel, outside the tile or thinner than one, get no label.

    Raises ValueError for positions that are not finite or very far away, and for buildings that cover the tile many times
    over or have millions of corners, which would take minutes.

    >>> rasterise([[np.array([[1, 0], [4, 0], [4, 2], [1, 2]])]], (3, 5))
    array([[0, 1, 1, 1, 0],
           [0, 1, 1, 1, 0],
           [0, 0, 0, 0, 0]], dtype=int32)
    """
    solid = [[ring for ring in rings if len(ring) > 2] for rings in buildings]
    windows = {label: window for label, rings in enumerate(solid, 1) if (window := window_of(rings, shape))}
    check_work({label: solid[label - 1] for label in windows}, windows, shape)
    shapes = {label: [closed(ring).tolist() for ring in solid[label - 1]] for label in windows}
    covers = drawn([(polygon, 1) for polygon in shapes.values()], np.s_[0 : shape[0], 0 : shape[1]], adding=True)
    sizes = {
        label: drawn([(shapes[label], 1)], window).sum() if covers[window].max() > 1 else 0  # nothing is under or over it
        for label, window in windows.items()
    }
    order = sorted(sizes, key=sizes.__getitem__, reverse=True)
    labels = drawn([(shapes[label], label) for label in order], np.s_[0 : shape[0], 0 : shape[1]])
    kept = np.bincount(labels.ravel(), minlength=len(buildings) + 1)[1:] > 0
    return np.append(0, np.cumsum(kept)).astype(np.int32)[labels]


def window_of(rings: Rings, shape: tuple[int, int]) -> tuple[slice, slice] | None:
    """Return the rows and columns of an (H, W) tile that a building's box covers, None where it covers none."""
    if not rings:
        return None
    corners = np.concatenate(rings)
    left, top, right, bottom = sides = *corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()
    if not all(-FAR <= side <= FAR for side in sides):
        raise ValueError(
            f"a footprint has positions that are not finite, or more than {FAR:.0e} pixels away; those in metres need a "
            "file that names their coordinate system"
        )
    rows = slice(max(floor(top), 0), min(ceil(bottom), shape[0]))
    columns = slice(max(floor(left), 0), min(ceil(right), shape[1]))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def check_work(buildings: dict[int, Rings], windows: dict[int, tuple[slice, slice]], shape: tuple[int, int]) -> None:
    """Raise ValueError for buildings that it would take minutes to draw."""
    heights = np.array([rows.stop - rows.start for rows, _ in windows.values()], float)
    widths = np.array([columns.stop - columns.start for _, columns in windows.values()])
    if (heights * widths + LEAST).sum() > COVERS * shape[0] * shape[1] + SLACK:
        raise ValueError(f"footprints cover the tile of {shape} px more than {COVERS} times; real ones hardly overlap")
    if (steps := heights @ [sum(map(len, rings)) for rings in buildings.values()]) > STEPS:
        raise ValueError(f"footprints have corners times rows of pixels that they reach over: {steps:.0f}; {STEPS} can be")


def drawn(shapes: list[tuple[list[Any], int]], window: tuple[slice, slice], adding: bool = False) -> np.ndarray:
    """Return (h, w) int32 values of a window's pixels whose centres are inside polygons: the last one's, or their sum.

    shapes : [(coordinates of a GeoJSON Polygon, value), ...]; GDAL fills all its rings by the even-odd rule.
    """
    from rasterio import Affine
    from rasterio.enums import MergeAlg
    from rasterio.features import rasterize

    rows, columns = window
    return rasterize(
        [({"type": "Polygon", "coordinates": rings}, value) for rings, value in shapes],
        (rows.stop - rows.start, columns.stop - columns.start),
        transform=Affine.translation(columns.start + NUDGE[0], rows.start + NUDGE[1]),
        merge_alg=MergeAlg.add if adding else MergeAlg.replace,
        dtype="int32",
    )

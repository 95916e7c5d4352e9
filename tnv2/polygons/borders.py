"""Borders: lines that have one instance, or background, on either side all the way, and the polygons between them.

A border runs from one meeting of several to the next, or around. Each is made once, and what is done to it counts for the
polygons on its two sides, so that neighbours share their wall exactly. Positions are column and row.
"""

import numpy as np

from .outlines import gathered


def borders(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (M,) shapely LineStrings and the (M, 2) instances, 0 for background, on either side of each."""
    import shapely

    pieces = np.concatenate([straights(index), straights(index.T)[..., ::-1]])
    merged = shapely.line_merge(shapely.multilinestrings(np.asarray(shapely.linestrings(pieces))))
    lines = shapely.get_parts(merged)
    points, line = shapely.get_coordinates(lines, return_index=True)
    first = np.searchsorted(line, np.arange(len(lines)))
    start, end = points[first].astype(int), points[first + 1].astype(int)
    column, row = np.minimum(start, end).T
    level = start[:, 1] == end[:, 1]
    padded = np.pad(index, 1)
    beyond = np.where(level, padded[row, column + 1], padded[row + 1, column])  # above a level line, left of an upright one
    return lines, np.stack([padded[row + 1, column + 1], beyond], axis=1)


def straights(index: np.ndarray) -> np.ndarray:
    """Return (K, 2, 2) column, row of the ends of level lines between different pixels, as long as nothing branches off.

    >>> straights(np.array([[1, 1, 2]])).tolist()
    [[[0, 0], [2, 0]], [[2, 0], [3, 0]], [[0, 1], [2, 1]], [[2, 1], [3, 1]]]
    """
    padded = np.pad(index, 1)
    level = padded[:-1, 1:-1] != padded[1:, 1:-1]  # (H+1, W)
    upright = padded[:, :-1] != padded[:, 1:]  # (H+2, W+1)
    corner = upright[:-1] | upright[1:]  # (H+1, W+1)
    starts = np.argwhere(level & corner[:, :-1])
    ends = np.argwhere(level & corner[:, 1:])
    return np.stack([starts, np.add(ends, (0, 1))], axis=1)[..., ::-1]


def polygons(lines: np.ndarray, sides: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return (N,) polygons of the instances 1..N of ``index`` from lines and the (M, 2) instances on either side of each.

    What the lines of one instance enclose is part of it, or a pocket of something else: a point inside each tells which.
    """
    import shapely

    line, side = np.nonzero(sides)
    order = np.argsort(sides[line, side], kind="stable")
    count = index.max()
    ends = np.searchsorted(sides[line, side][order], np.arange(2, count + 1))
    walls = [shapely.polygonize(lines[own]) for own in np.split(line[order], ends)] if count else []
    faces, owner = shapely.get_parts(np.array(walls, object), return_index=True)
    place = np.floor(shapely.get_coordinates(shapely.point_on_surface(faces))).astype(int)
    column, row = np.clip(place, 0, np.subtract(index.shape[::-1], 1)).T  # a wall may stand a little outside the image
    own = index[row, column] == owner + 1
    return gathered(faces[own], owner[own], count)

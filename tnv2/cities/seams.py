"""Seams: buildings that the border between two tiles cuts in two, made whole.

The rule. Two tiles are adjacent where they are in one CRS, their pixel grids are parallel, and a side of one lies within
half a pixel of a side of the other. Two instances on either side of such a seam are one building where their walls on it
share any length, so that a corner alone joins nothing; and so are all that hang together by such pairs. The building's
polygon is the union of its parts, those of later tiles moved onto the earlier tile's side where the two sides are not
quite the same. Two houses that touch where the seam runs become one: nothing in the polygons tells them from one house
that was cut.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..tiles import Georeference

if TYPE_CHECKING:
    import pandas
    from shapely.geometry.base import BaseGeometry

    from .sheets import Sheet

Part = tuple[int, int]  # of a building: the tile's place in a list, the instance's label
Node = TypeVar("Node", bound=Any)

ABUT = 0.5  # pixels between the sides of tiles that are adjacent, at most
ON = 1e-3  # pixels: what is nearer to a side is on it, and what shares more of it shares a wall
GRID = 2.0**-10  # of a pixel: what positions are rounded to in a union


@dataclass(frozen=True)
class Seam:
    """A side that two tiles share, in the pixels of the first.

    first, second : the tiles' places in a list. axis : 0 where a column is the side, 1 where a row is.
    edge : that column or row. facing : the column or row of the second tile's side, within half a pixel of it.
    """

    first: int
    second: int
    axis: int
    edge: float
    facing: float


Seams = dict[tuple[int, int], Seam]  # {(first, second): Seam}


def find_seams(sheets: Sequence["Sheet"]) -> list[Seam]:
    """Return the Seams of what has a ``georeference``, all in one CRS, and a ``shape``, from north to south."""
    import shapely

    corners = [sheet.georeference.to_world(corners_of(sheet.shape)) for sheet in sheets]
    outlines = np.asarray(shapely.polygons(np.array(corners).reshape(-1, 4, 2)))
    reach = ABUT * max((np.linalg.norm(sheet.georeference.matrix[:2, :2], axis=0).max() for sheet in sheets), default=0)
    near = shapely.STRtree(outlines).query(outlines, predicate="dwithin", distance=1.01 * reach).T.tolist()
    found = [seam_between(sheets, first, second) for first, second in near if first < second]
    return sorted(filter(None, found), key=lambda seam: tuple(corners[seam.first][0] * (1, -1))[::-1])


def corners_of(shape: tuple[int, int]) -> np.ndarray:
    """Return (4, 2) column, row of the corners of (H, W)."""
    height, width = shape
    return np.array([(0, 0), (width, 0), (width, height), (0, height)], float)


def seam_between(sheets: Sequence["Sheet"], first: int, second: int) -> Seam | None:
    """Return the Seam of two sheets, None where they are not adjacent."""
    a, b = sheets[first], sheets[second]
    corners = a.georeference.to_pixels(b.georeference.to_world(corners_of(b.shape)))
    low, high, size = corners.min(axis=0), corners.max(axis=0), a.shape[::-1]
    if np.minimum(corners - low, high - corners).max() > ABUT:
        return None  # one is turned against the other
    for axis in (0, 1):
        along = min(high[1 - axis], size[1 - axis]) - max(low[1 - axis], 0)
        for edge, facing in ((size[axis], low[axis]), (0, high[axis])):
            if along > ABUT and abs(edge - facing) <= ABUT:
                return Seam(first, second, axis, float(edge), float(facing))
    return None


def walls(geometry: np.ndarray, georeference: Georeference, seam: Seam, facing: float) -> np.ndarray:
    """Return (N,) polygons in the pixels of a seam's first tile, ``facing`` moved to the seam, and their walls on it."""
    import shapely

    moved = moved_to(geometry, georeference, seam, facing)
    low, high = shapely.total_bounds(moved)[[1 - seam.axis, 3 - seam.axis]]
    ends = np.array([(seam.edge, low), (seam.edge, high)])[:, :: 1 - 2 * seam.axis]
    return shapely.intersection(shapely.boundary(moved), shapely.linestrings(ends))


def moved_to(geometry: Any, georeference: Georeference, seam: Seam, facing: float) -> Any:
    """Return geometry in the pixels of a seam's first tile, by its ``georeference``, with ``facing`` moved onto the seam."""
    import shapely

    def move(points: np.ndarray) -> np.ndarray:
        points = georeference.to_pixels(points)
        points[np.abs(points[:, seam.axis] - facing) < ON, seam.axis] = seam.edge
        return points

    return shapely.transform(geometry, move)


def cut_pairs(
    first: "pandas.DataFrame", second: "pandas.DataFrame", georeference: Georeference, seam: Seam
) -> list[tuple[int, int]]:
    """Return the pairs of labels, one of each frame, of what a Seam cut; frames are indexed by label."""
    import shapely

    if first.empty or second.empty:
        return []
    a = walls(first["geometry"].to_numpy(), georeference, seam, seam.edge)
    b = walls(second["geometry"].to_numpy(), georeference, seam, seam.facing)
    i, j = shapely.STRtree(a).query(b, predicate="intersects")[::-1]
    cut = shapely.length(shapely.intersection(a[i], b[j])) > ON
    return list(zip(first.index[i[cut]].tolist(), second.index[j[cut]].tolist(), strict=True))


def hang_together(pairs: Iterable[tuple[Node, Node]]) -> list[list[Node]]:
    """Return sorted lists of what hangs together by pairs, by union and find.

    >>> hang_together([(1, 2), (3, 4), (2, 5)])
    [[1, 2, 5], [3, 4]]
    """
    parent: dict[Node, Node] = {}

    def root(node: Node) -> Node:
        while parent.setdefault(node, node) != node:
            parent[node] = node = parent[parent[node]]
        return node

    for a, b in pairs:
        parent[max(root(a), root(b))] = min(root(a), root(b))
    groups: dict[Node, list[Node]] = {}
    for node in sorted(parent):
        groups.setdefault(root(node), []).append(node)
    return sorted(groups.values())


def union(parts: dict[Part, "BaseGeometry"], sheets: Sequence["Sheet"], seams: Seams) -> "BaseGeometry":
    """Return the union of ``parts``, {(place in ``sheets``, label): geometry}, as a geometry on the ground.

    seams : {(first, second): Seam}. Corners that lie on a straight line are left out, as those on a seam do.
    """
    import shapely

    places = sorted({place for place, _ in parts})
    for first, second in combinations(places, 2):
        if seam := seams.get((first, second)):
            where = sheets[first].georeference
            for part in [part for part in parts if part[0] == second]:
                moved = moved_to(parts[part], where, seam, seam.facing)
                parts = parts | {part: shapely.transform(moved, where.to_world)}
    where = sheets[places[0]].georeference
    pixels = shapely.transform(list(parts.values()), where.to_pixels)
    return shapely.transform(shapely.simplify(shapely.union_all(pixels, grid_size=GRID), 0), where.to_world)

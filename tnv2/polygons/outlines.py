"""Outlines: the instances of a label image as polygons along pixel edges, exact or with corners left out.

The outlines are first cut into *borders*: lines that have one instance, or background, on either side all the way, from one
meeting of several to the next, or around. Each is made once and simplified once, and the polygons on its two sides are
built from it, so that neighbours share their wall exactly. Positions are column and row; (0, 0) is the upper left corner.
"""

import numpy as np

STRAY = 0.02  # the share of its area that an instance may win or lose by simplifying
SHRINK = 0.8  # what is left of an instance's tolerance where it does
FINE = 1 / 16  # tolerances under this share of a pixel leave no corner out


def outlines(index: np.ndarray, tolerance: float = 0.0, metric: np.ndarray | None = None) -> np.ndarray:
    """Return (N,) shapely Polygons and MultiPolygons, all valid, of the instances 1..N of (H, W) ``index``.

    tolerance : how far an outline may move, in units of ``metric``; at 0 outlines are the edges of the pixels. Otherwise
        corners are left out (Douglas-Peucker), and less of them where an instance would win or lose more than 2 % of its
        area, lose a part or a hole, or run into another.
    metric : (2, 2) matrix that takes a (column, row) vector to the units of ``tolerance``; None for pixels.

    >>> from shapely import normalize  # to start each ring at the same corner everywhere
    >>> normalize(outlines(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]]))).tolist()
    [<POLYGON ((0 0, 0 3, 3 3, 3 0, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))>]
    """
    import shapely

    lines, sides = borders(index)
    exact = polygons(lines, sides, index)
    if not tolerance:
        return exact
    metric = np.eye(2) if metric is None else metric
    floor = FINE * np.linalg.norm(metric, axis=0).min()
    measured = shapely.transform(lines, lambda points: points @ metric.T)
    tolerances = np.full(len(exact) + 1, float(tolerance))
    tolerances[0] = np.inf  # background takes what its instances allow
    while True:
        simple = shapely.simplify(measured, tolerances[sides].min(axis=1))
        simple = shapely.transform(simple, lambda points: np.rint(points @ np.linalg.inv(metric).T))
        found = polygons(simple, sides, index)
        spoilt = np.flatnonzero(changed(found, exact, simple, sides)) + 1
        if not spoilt.size:
            return found
        tolerances[spoilt] *= SHRINK
        tolerances[tolerances < floor] = 0


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
    instance = sides[line, side]
    walls = [shapely.polygonize(lines[line[instance == number]]) for number in range(1, index.max() + 1)]
    faces, owner = shapely.get_parts(np.array(walls, object), return_index=True)
    column, row = np.floor(shapely.get_coordinates(shapely.point_on_surface(faces))).astype(int).T
    own = index[row, column] == owner + 1
    found = np.full(len(walls), shapely.MultiPolygon())
    shapely.multipolygons(faces[own], indices=owner[own], out=found)
    return np.where(shapely.get_num_geometries(found) == 1, shapely.get_geometry(found, 0), found)


def changed(found: np.ndarray, exact: np.ndarray, lines: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Return (N,) bool: whose simplified polygon is not valid, leaves lines over, is too large or small, or overlaps."""
    import shapely

    count = len(exact)
    length = shapely.length(lines)
    around = sum(np.bincount(side, length, count + 1)[1:] for side in sides.T)
    whole = shapely.is_valid(found) & np.isclose(shapely.length(found), around)
    spoilt = ~whole | (np.abs(shapely.area(found) / shapely.area(exact) - 1) > STRAY)
    sound = np.flatnonzero(whole)
    a, b = sound[shapely.STRtree(found[sound]).query(found[sound], predicate="intersects")]
    a, b = a[a < b], b[a < b]
    spoilt[np.stack([a, b])[:, ~shapely.touches(found[a], found[b])]] = True
    return spoilt

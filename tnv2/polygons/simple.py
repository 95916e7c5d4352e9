"""Simple outlines: corners of the pixels' edges left out, as long as each instance stays what it is."""

import numpy as np

from .borders import borders, polygons

STRAY = 0.02  # the share of its area that an instance may win or lose by simplifying
SHRINK = 0.8  # what is left of an instance's tolerance where it does
FINE = 1 / 16  # tolerances under this share of a pixel leave no corner out


def simplified(index: np.ndarray, tolerance: float, metric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) shapely polygons, all valid, of the instances 1..N of (H, W) ``index``, and (N,) text, how each is drawn.

    tolerance : how far an outline may move, in units of ``metric``. Corners are left out (Douglas-Peucker), and less of
        them where an instance would win or lose more than 2 % of its area, lose a part or a hole, or run into another.
    metric : (2, 2) matrix that takes a (column, row) vector to the units of ``tolerance``.

    An instance is "simple", or "pixels" where it allows nothing. Positions are column and row.
    """
    lines, sides = borders(index)
    _, tolerances, found = simple_lines(index, lines, sides, tolerance, metric)
    return found, np.where(tolerances[1:] > 0, "simple", "pixels")


def simple_lines(
    index: np.ndarray, lines: np.ndarray, sides: np.ndarray, tolerance: float, metric: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (M,) simplified borders, (N + 1,) what each instance allows, background first, and the (N,) polygons."""
    import shapely

    floor = FINE * np.linalg.norm(metric, axis=0).min()
    measured = shapely.transform(lines, lambda points: points @ metric.T)
    pixels = np.bincount(index.ravel())[1:]
    tolerances = np.full(len(pixels) + 1, float(tolerance))
    tolerances[0] = np.inf  # background takes what its instances allow
    while True:
        simple = shapely.simplify(measured, tolerances[sides].min(axis=1))
        simple = shapely.transform(simple, lambda points: np.rint(points @ np.linalg.inv(metric).T))
        found = polygons(simple, sides, index)
        spoilt = np.flatnonzero(broken(found, simple, sides) | (np.abs(shapely.area(found) / pixels - 1) > STRAY)) + 1
        if not spoilt.size:
            return simple, tolerances, found
        tolerances[spoilt] *= SHRINK
        tolerances[tolerances < floor] = 0


def broken(found: np.ndarray, lines: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Return (N,) bool: which polygons are not valid, leave lines over, or share ground with another."""
    import shapely

    length = shapely.length(lines)
    around = sum(np.bincount(side, length, len(found) + 1)[1:] for side in sides.T)
    bad = ~(shapely.is_valid(found) & np.isclose(shapely.length(found), around))
    sound = np.flatnonzero(~bad)
    a, b = sound[shapely.STRtree(found[sound]).query(found[sound], predicate="intersects")]
    a, b = a[a < b], b[a < b]
    bad[np.stack([a, b])[:, ~shapely.touches(found[a], found[b])]] = True
    return bad

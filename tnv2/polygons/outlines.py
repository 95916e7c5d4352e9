"""Outlines: the instances of a label image as polygons along pixel edges."""

from itertools import chain

import numpy as np


def outlines(index: np.ndarray) -> np.ndarray:
    """Return (N,) shapely Polygons and MultiPolygons of the instances 1..N of (H, W) ``index``, along the pixels' edges.

    All are valid. Positions are column and row; (0, 0) is the upper left corner. Pixels that share an edge are one part,
    pixels that share a corner alone are not.

    >>> from shapely import normalize  # to start each ring at the same corner everywhere
    >>> normalize(outlines(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]]))).tolist()
    [<POLYGON ((0 0, 0 3, 3 3, 3 0, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))>]
    """
    import shapely
    from rasterio.features import shapes

    index = index.astype(np.int32, copy=False)
    if not index.any():  # GDAL is asked for at least one
        return np.zeros(0, object)
    found = list(shapes(index, mask=index > 0, connectivity=4))
    rings = [geometry["coordinates"] for geometry, _ in found]
    ends = np.cumsum([0, *(len(ring) for part in rings for ring in part)])
    parts = np.cumsum([0, *map(len, rings)])
    points = np.array(list(chain.from_iterable(chain.from_iterable(rings))))
    owner = np.array([value for _, value in found], int) - 1
    return gathered(shapely.from_ragged_array(shapely.GeometryType.POLYGON, points, (ends, parts)), owner, index.max())


def gathered(parts: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """Return (count,) geometries: of (K,) ``parts`` those whose ``owner`` is the place, several as a MultiPolygon."""
    import shapely

    order = np.argsort(owner, kind="stable")
    found = np.full(count, shapely.MultiPolygon())
    shapely.multipolygons(parts[order], indices=owner[order], out=found)
    return np.where(shapely.get_num_geometries(found) == 1, shapely.get_geometry(found, 0), found)

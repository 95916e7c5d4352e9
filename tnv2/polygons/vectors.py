"""Vectors: a label image as a table of polygons on the ground, one row an instance."""

import warnings
from collections.abc import Collection
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..instances import Probabilities
from ..tiles import Georeference, Tile, checked_tile
from .outlines import outlines
from .simple import simplified
from .squares import squared

if TYPE_CHECKING:
    import geopandas
    from pyproj import CRS

COLUMNS = ["label", "pixels", "area_m2", "building", "neighbours", "outline", "geometry"]
OUTLINES = ("pixels", "simple", "square")
DISTANCE = 1.5  # pixels by which outlines may move, where nothing else is said
PIXELS = Georeference((1, 0, 0, 0, 1, 0))  # of a tile without one


def to_geodataframe(
    labels: np.ndarray,
    tile: Tile,
    probabilities: Probabilities | None = None,
    simplify: float = 0.0,
    outline: str | None = None,
    by_hand: Collection[int] | None = None,
) -> "geopandas.GeoDataFrame":
    """Return a GeoDataFrame with one row an instance of ``labels``, in rising order of labels.

    labels : (H, W) whole numbers, 0 where no building is, on the pixels of ``tile``.
    tile : the Tile they were found on. Positions are in its CRS. Without a georeference they are column and row, without a
        known CRS in the units of its transform; then ``crs`` is None, and a UserWarning says so.
    probabilities : the Probabilities they were made from, for the column ``building``.
    simplify : how far an outline may move, in metres on the ground; at 0 one and a half pixels where ``outline`` is "simple"
        or "square", 0.45 m on SpaceNet's tiles.
    outline : "pixels" follows the edges of the pixels and rasterises to the same labels. "simple" leaves corners out
        (Douglas-Peucker), and less of them where an instance would win or lose more than 2 % of its area or run into
        another. "square" turns walls that lie nearly along or across their building to do so quite, and keeps the simple
        outline where the building is round or where the IoU with its pixels would be below 0.9. Walls that two share stay
        shared. None is "simple" where ``simplify`` is above 0, else "pixels".
    by_hand : the labels that a hand made or changed, as ``edited(...).by_hand`` has them, for a column ``by_hand``.

    The columns are the same for every tile: ``label``; ``pixels``, how many it has; ``area_m2`` of the geometry in square
    metres on the WGS 84 ellipsoid, NaN where the tile's place on it is not known; ``building``, the mean building
    probability of its pixels, NaN without ``probabilities``; ``neighbours``, a tuple of the labels that share a pixel's
    edge or corner with it; where ``outline`` is given ``outline``, how the row is drawn in the end; where ``by_hand`` is
    given ``by_hand``, True or False; ``geometry``, a valid Polygon with holes, or a MultiPolygon of parts that share no
    edge.

    Raises ValueError for labels that are not whole or not of the tile's shape, for a CRS that PROJ does not know, for an
    ``outline`` of another name, and for a ``simplify`` below 0, with "pixels", or on a tile whose metres are not known.

    >>> from tnv2 import Tile
    >>> tile = Tile(np.zeros((2, 4, 3), np.uint8), georeference=Georeference((0.5, 0, 0, 0, -0.5, 1), "EPSG:32630"))
    >>> frame = to_geodataframe(np.array([[1, 1, 0, 7], [1, 1, 0, 0]]), tile)
    >>> frame[["label", "pixels", "neighbours"]].values.tolist()
    [[1, 4, ()], [7, 1, ()]]
    >>> frame.bounds.values.tolist()  # west, south, east, north
    [[0.0, 0.0, 1.0, 1.0], [1.5, 0.5, 2.0, 1.0]]
    """
    import geopandas
    import pandas
    import shapely

    labels, crs = checked_labels(labels, checked_tile(tile).shape), known_crs(tile.georeference)
    checked_probabilities(probabilities, labels.shape)
    drawn = outline or ("simple" if simplify else "pixels")
    metric = metric_of(tile)
    checked_outline(drawn, simplify, tile, metric)
    if metric is None:
        warnings.warn(placeless(tile), stacklevel=2)
    numbers, index = numbered(labels)
    shapes, kinds = outlined(index, drawn, simplify, np.eye(2) if metric is None else metric)
    geometry = shapely.orient_polygons(shapely.transform(shapes, (tile.georeference or PIXELS).to_world))
    frame = {
        "label": numbers,
        "pixels": np.bincount(index.ravel(), minlength=1)[1:],
        "area_m2": areas(geopandas.GeoSeries(geometry, crs=crs)),
        "building": means(index, probabilities),
        "neighbours": pandas.Series(neighbours(index, numbers), dtype=object),
        "outline": pandas.array(kinds, dtype="string"),
    }
    columns = [column for column in COLUMNS if outline or column != "outline"]
    if by_hand is not None:
        frame["by_hand"] = np.isin(numbers, checked_numbers(by_hand, numbers))
        columns.insert(-1, "by_hand")
    return geopandas.GeoDataFrame(frame, geometry=geometry, crs=crs)[columns]


def outlined(index: np.ndarray, outline: str, tolerance: float, metric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) polygons in pixels of the instances 1..N, and (N,) text, how each is drawn; see ``to_geodataframe``."""
    if outline == "pixels":
        shapes = outlines(index)
        return shapes, np.full(len(shapes), outline)
    draw = simplified if outline == "simple" else squared
    return draw(index, tolerance or DISTANCE * abs(np.linalg.det(metric)) ** 0.5, metric)


def checked_labels(labels: np.ndarray, shape: tuple[int, int] | None = None) -> np.ndarray:
    """Return ``labels`` as an array; raises ValueError unless (H, W) whole numbers from 0, of ``shape`` if given."""
    labels = np.asarray(labels)
    shaped = labels.ndim == 2 and labels.size and shape in (None, labels.shape)
    if not shaped or labels.dtype.kind not in "iu" or not 0 <= labels.min() <= labels.max() < 2**31:
        raise ValueError(
            f"labels are {labels.shape} {labels.dtype}; they must be {shape or '(H, W)'} whole numbers, 0 for background "
            "and one positive number an instance. Pass what label_instances returned for this tile, or its truth."
        )
    return labels


def checked_probabilities(probabilities: Probabilities | None, shape: tuple[int, int]) -> None:
    """Raise ValueError unless ``probabilities`` are None or of ``shape``."""
    if probabilities is not None and probabilities.building.shape != shape:
        raise ValueError(
            f"probabilities are {probabilities.building.shape} and labels {shape}; both must be of one shape. "
            "Pass those that predict returned for this tile."
        )


def checked_numbers(by_hand: Collection[int], numbers: np.ndarray) -> np.ndarray:
    """Return labels that a hand made as an array; raises ValueError for one that is not among ``numbers``, those in use."""
    hand = np.array(list(by_hand), dtype=int)
    if other := np.setdiff1d(hand, numbers).tolist():
        raise ValueError(f"by_hand has {other[:5]}, which are no labels here. Pass labels and by_hand of one tnv2.edited.")
    return hand


def checked_outline(outline: str, simplify: float, tile: Tile, metric: np.ndarray | None) -> None:
    """Raise ValueError for an outline of another name, and for a distance that is none, is not used, or has no metres."""
    if outline not in OUTLINES:
        raise ValueError(f"outline is {outline!r}; it must be {', '.join(map(repr, OUTLINES))}, or left out.")
    if not 0 <= simplify < np.inf or (simplify and (metric is None or outline == "pixels")):
        crs = tile.georeference.crs[:80] if tile.georeference and tile.georeference.crs else None
        raise ValueError(
            f"simplify is {simplify}, outline {outline!r} and the tile's CRS {crs}; simplify is a distance in metres, 0 or "
            'more, for outlines that are "simple" or "square", on a tile whose CRS is known and has a place on the Earth. '
            "Leave it out."
        )


def metric_of(tile: Tile) -> np.ndarray | None:
    """Return the (2, 2) matrix that takes column, row to metres, None where a tile's place on the Earth is not known."""
    metric = tile.georeference.ground(tile.shape) if tile.georeference else None
    return None if metric is None or not np.isfinite(metric).all() or not np.linalg.det(metric) else metric


def known_crs(georeference: Georeference | None) -> "CRS | None":
    """Return the pyproj CRS of a Georeference; None where there is none. Raises ValueError where PROJ does not know it."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    if georeference is None or not georeference.crs:
        return None
    try:
        return CRS.from_user_input(georeference.crs)
    except CRSError as error:
        raise ValueError(
            f'crs is {georeference.crs!r}, which PROJ does not know. Pass a code such as "EPSG:4326".'
        ) from error


def on_earth(crs: "CRS | None") -> bool:
    """Return whether PROJ finds a way from a CRS to longitude and latitude; from that of a building site it does not."""
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    if crs is None:
        return False
    try:
        Transformer.from_crs(crs, "EPSG:4326")
    except ProjError:
        return False
    return True


def placeless(tile: Tile) -> str:
    """Return the warning for a tile that has no georeference, or one without a CRS that has a place on the Earth."""
    lacks, units = "georeference", "pixels, column and row"
    if tile.georeference:
        units = "units of its transform"
        lacks = f"place on the Earth by its CRS {tile.georeference.crs[:80]!r}" if tile.georeference.crs else "CRS"
    return (
        f"tile {tile.name!r} has no {lacks}: positions are in {units}, and areas in square metres are not known. "
        'Give it one: tile.replace(georeference=Georeference(transform, "EPSG:4326")).'
    )


def numbered(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) int32 labels in use, rising, and (H, W) int32 the place of each pixel's in them, from 1; 0 is background.

    >>> numbers, index = numbered(np.array([[7, 0, 3]]))
    >>> numbers.tolist(), index.tolist()
    ([3, 7], [[2, 0, 1]])
    """
    labels = labels.astype(np.int32, copy=False)
    if labels.max() > 2 * labels.size:  # a table of all numbers up to it would be larger than the image
        numbers, index = np.unique(np.append(0, labels), return_inverse=True)
        return numbers[1:], index[1:].reshape(labels.shape).astype(np.int32)
    used = np.zeros(labels.max() + 1, bool)
    used[labels.ravel()] = True
    used[0] = False
    return np.flatnonzero(used).astype(np.int32), np.cumsum(used, dtype=np.int32)[labels]


def means(index: np.ndarray, probabilities: Probabilities | None) -> np.ndarray:
    """Return (N,) float64 mean building probabilities of the instances 1..N, NaN where ``probabilities`` are None."""
    if probabilities is None:
        return np.full(index.max(), np.nan)
    return np.bincount(index.ravel(), probabilities.building.ravel())[1:] / np.bincount(index.ravel())[1:]


def neighbours(index: np.ndarray, numbers: np.ndarray) -> list[tuple[int, ...]]:
    """Return for each instance 1..N a tuple of those that share a pixel's edge or corner with it, by their ``numbers``.

    >>> neighbours(np.array([[1, 1, 0], [2, 0, 3]]), np.array([10, 20, 30]))
    [(20, 30), (10,), (10,)]
    """
    sides = [(index[:, :-1], index[:, 1:]), (index[:-1], index[1:])]
    corners = [(index[:-1, :-1], index[1:, 1:]), (index[:-1, 1:], index[1:, :-1])]
    count = len(numbers) + 1
    codes = [np.zeros(0, np.int64)]  # a pair as one number: arrays of numbers sort fast, arrays of pairs do not
    for a, b in sides + corners:
        met = (a != b) & (a > 0) & (b > 0)
        codes.append(np.unique(np.minimum(a[met], b[met]) * np.int64(count) + np.maximum(a[met], b[met])))
    lower, upper = np.divmod(np.unique(np.concatenate(codes)), count)
    found: list[list[int]] = [[] for _ in numbers]
    for a, b in sorted(
        [*zip(lower.tolist(), upper.tolist(), strict=True), *zip(upper.tolist(), lower.tolist(), strict=True)]
    ):
        found[a - 1].append(int(numbers[b - 1]))
    return [tuple(row) for row in found]


def areas(geometry: "geopandas.GeoSeries") -> np.ndarray:
    """Return (N,) square metres on the WGS 84 ellipsoid of a GeoSeries of polygons, NaN where its CRS has no place on it."""
    import shapely
    from pyproj import Geod

    if not on_earth(geometry.crs):
        return np.full(len(geometry), np.nan)
    geod = Geod(ellps="WGS84")
    parts, owner = shapely.get_parts(geometry.to_crs("EPSG:4326").values, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    ends = np.searchsorted(ring, np.arange(len(rings) + 1)).tolist()
    x, y = np.ascontiguousarray(points.T)
    found = np.array([abs(geod.polygon_area_perimeter(x[i:j], y[i:j])[0]) for i, j in pairwise(ends)])
    outer = np.diff(part, prepend=-1) > 0  # the first ring of each part; what the others enclose is no part of it
    return np.bincount(owner[part], np.where(outer, found, -found), len(geometry)).astype(float)

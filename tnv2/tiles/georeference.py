"""Georeference: where pixels are on the ground."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from rasterio import DatasetReader
    from rasterio.crs import CRS

MOST, LEAST = 1e12, 1e-24  # of a transform's numbers, and of a pixel's area in their units: no place on Earth needs more


@dataclass(frozen=True)
class Georeference:
    """Where a tile's pixels are on the ground.

    transform : (a, b, c, d, e, f) with x = a * column + b * row + c and y = d * column + e * row + f, where column and
        row count from the upper left *corner* of the upper left pixel, whose centre is (0.5, 0.5).
    crs : coordinate reference system of x and y as "EPSG:4326"; "" where the file does not say.
    """

    transform: tuple[float, ...]
    crs: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.crs, str):
            raise ValueError(f'crs is {self.crs!r}; it must be text such as "EPSG:4326", or "" where it is unknown.')
        object.__setattr__(self, "transform", tuple(float(value) for value in self.transform))
        swapped = len(self.transform) == 6 and self.transform[2] == self.transform[4] == 0
        if swapped and self.transform[0] and self.transform[1]:
            raise ValueError(
                f"transform is {self.transform}, which is GDAL's order (left, pixel width, 0, top, 0, -pixel height); "
                "here it is (pixel width, 0, left, 0, -pixel height, top), as rasterio's Affine has it."
            )
        sane = len(self.transform) == 6 and (np.abs(self.transform) <= MOST).all()
        if not sane or abs(self.transform[0] * self.transform[4] - self.transform[1] * self.transform[3]) < LEAST:
            raise ValueError(
                f"transform is {self.transform}; it must be six finite numbers (a, b, c, d, e, f) up to {MOST:.0e} that do "
                "not squash the tile to a line. For a north-up tile: (pixel width, 0, left, 0, -pixel height, top)."
            )

    @property
    def matrix(self) -> np.ndarray:
        """The transform as a 3x3 matrix that takes (column, row, 1) to (x, y, 1)."""
        return np.array([self.transform[:3], self.transform[3:], (0, 0, 1)])

    def to_world(self, pixels: "ArrayLike") -> np.ndarray:
        """Return (N, 2) x, y of (N, 2) column, row."""
        return affine(self.matrix, pixels)

    def to_pixels(self, world: "ArrayLike") -> np.ndarray:
        """Return (N, 2) column, row of (N, 2) x, y."""
        return affine(np.linalg.inv(self.matrix), world)

    def moved(self, columns: float, rows: float) -> "Georeference":
        """Return the Georeference of a window that begins some columns and rows further."""
        (x, y), matrix = self.to_world([(columns, rows)])[0], self.matrix
        return Georeference((*matrix[0, :2], x, *matrix[1, :2], y), self.crs)

    def ground(self, shape: tuple[int, int]) -> np.ndarray | None:
        """Return the (2, 2) matrix that takes a (column, row) vector to metres east and north, at the middle of (H, W).

        On the WGS 84 ellipsoid; None where the CRS is unknown, to the file or to PROJ.
        """
        from pyproj import Geod, Transformer
        from pyproj.exceptions import ProjError

        if not self.crs:
            return None
        try:
            to_degrees = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
        except ProjError:
            return None
        middle = np.array(shape[::-1]) / 2
        points = self.to_world(middle + np.array([(0, 0), (1, 0), (0, 1)]))
        (x, *others), (y, *levels) = to_degrees.transform(*points.T)
        azimuth, _, metres = Geod(ellps="WGS84").inv([x, x], [y, y], others, levels)
        return metres * np.array([np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))])

    def pixel_size(self, shape: tuple[int, int]) -> tuple[float, float] | None:
        """Return the metres from row to row and from column to column at the middle of (H, W); None as ``ground``."""
        ground = self.ground(shape)
        return None if ground is None else tuple(np.linalg.norm(ground, axis=0)[::-1].tolist())

    def pixel_area(self, shape: tuple[int, int]) -> float | None:
        """Return a pixel's area in square metres at the middle of a tile of ``shape`` (H, W); None as ``ground``."""
        ground = self.ground(shape)
        return None if ground is None else float(abs(np.linalg.det(ground)))


def place_of(dataset: "DatasetReader") -> Georeference | None:
    """Return the Georeference of a file that rasterio has open, None where it has none.

    Its ``crs`` is the authority's code, or else the whole definition as well-known text.
    """
    from rasterio.transform import from_gcps

    points, crs = dataset.gcps
    if not dataset.transform.is_identity:
        return Georeference(tuple(dataset.transform)[:6], crs_text(dataset.crs))
    if not points:
        return None
    found = Georeference(tuple(from_gcps(points))[:6], crs_text(crs))
    away = found.to_pixels([(point.x, point.y) for point in points]) - [(point.col, point.row) for point in points]
    warnings.warn(
        f"{dataset.name} has no transform but {len(points)} ground control points; the one that fits them best leaves them "
        f"{np.hypot(*away.T).max():.2g} pixels away at most.",
        stacklevel=2,
    )
    return found


def crs_text(crs: "CRS | None") -> str:
    """Return what a Georeference says of a rasterio CRS, "" for none and, with a warning, for one that PROJ cannot place."""
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    if not crs:
        return ""
    code = crs.to_authority(confidence_threshold=100)
    text = ":".join(code) if code else crs.to_wkt()
    try:
        Transformer.from_crs(text, "EPSG:4326")
    except ProjError:
        warnings.warn(
            f"the coordinate system {text[:80]!r} has no known place on the Earth: positions stay in its units.",
            stacklevel=2,
        )
        return ""
    return text


def placed(georeference: Georeference | None) -> dict[str, Any]:
    """Return rasterio's options for a new file in a place; raises ValueError for a CRS that GDAL does not know."""
    from rasterio import Affine
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    if georeference is None:
        return {}
    try:
        crs = CRS.from_user_input(georeference.crs) if georeference.crs else None
    except CRSError as error:
        raise ValueError(
            f'crs is {georeference.crs!r}, which GDAL does not know. Pass a code such as "EPSG:32611", or well-known text.'
        ) from error
    return {"transform": Affine(*georeference.transform), "crs": crs}


def affine(matrix: np.ndarray, points: "ArrayLike") -> np.ndarray:
    """Return (N, 2) points moved by a 3x3 matrix."""
    return np.asarray(points, float) @ matrix[:2, :2].T + matrix[:2, 2]

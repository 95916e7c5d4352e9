"""Georeference: where pixels are on the ground."""

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from tifffile import TiffPage

MOST, LEAST = 1e12, 1e-24  # of a transform's numbers, and of a pixel's area in their units: no place on Earth needs more


@dataclass(frozen=True)
class Georeference:
    """Where a tile's pixels are on the ground.

    transform : (a, b, c, d, e, f) with x = a * column + b * row + c and y = d * column + e * row + f, where column and
        row count from the upper left *corner* of the upper left pixel, whose centre is (0.5, 0.5).
    crs : coordinate reference system of x and y as "EPSG:4326"; "" where the file does not say.
    """

    transform: tuple
    crs: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.crs, str):
            raise ValueError(f'crs is {self.crs!r}; it must be text such as "EPSG:4326", or "" where it is unknown.')
        object.__setattr__(self, "transform", tuple(float(value) for value in self.transform))
        sane = len(self.transform) == 6 and (np.abs(self.transform) <= MOST).all()
        if not sane or abs(np.linalg.det(self.matrix[:2, :2])) < LEAST:
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

    def pixel_area(self, shape: tuple[int, int]) -> float | None:
        """Return a pixel's area in square metres at the middle of a tile of ``shape`` (H, W); None as ``ground``."""
        ground = self.ground(shape)
        return None if ground is None else float(abs(np.linalg.det(ground)))


def read_georeference(page: "TiffPage") -> Georeference | None:
    """Return the Georeference of a tifffile page from its GeoTIFF tags (OGC 19-008), or None where it has none."""
    tags = {tag.name: np.ravel(tag.value) for tag in page.tags if tag.name.startswith("Model")}
    keys = page.geotiff_tags or {}
    if "ModelTransformationTag" in tags:
        a, b, _, c, d, e, _, f = tags["ModelTransformationTag"][:8]
    elif "ModelPixelScaleTag" in tags and "ModelTiepointTag" in tags:
        column, row, _, x, y, _ = tags["ModelTiepointTag"][:6]
        width, height = tags["ModelPixelScaleTag"][:2]
        a, b, c, d, e, f = width, 0, x - column * width, 0, -height, y + row * height
    else:
        return None
    if int(keys.get("GTRasterTypeGeoKey", 1)) == 2:  # PixelIsPoint: the tie point is a pixel's centre
        c, f = c - (a + b) / 2, f - (d + e) / 2
    code = int(keys.get("ProjectedCSTypeGeoKey", keys.get("GeographicTypeGeoKey", 32767)))
    return Georeference((a, b, c, d, e, f), f"EPSG:{code}" if code < 32767 else "")


def geotiff_tags(georeference: Georeference | None) -> list[tuple[Any, ...]]:
    """Return the GeoTIFF tags of a Georeference as tifffile's ``extratags``, [] for None: what read_georeference reads.

    Raises ValueError for a CRS that is neither geographic nor projected, or has no code that GeoTIFF can hold.
    """
    if georeference is None:
        return []
    a, b, c, d, e, f = georeference.transform
    if b == d == 0 and a > 0 > e:
        place = [(33550, "d", 3, (a, -e, 0.0), True), (33922, "d", 6, (0.0, 0.0, 0.0, c, f, 0.0), True)]
    else:
        place = [(34264, "d", 16, (a, b, 0.0, c, d, e, 0.0, f, *[0.0] * 7, 1.0), True)]
    keys = [(1025, 0, 1, 1), *crs_keys(georeference.crs)]  # a pixel is an area
    directory = (1, 1, 0, len(keys), *(number for key in sorted(keys) for number in key))
    return [*place, (34735, "H", len(directory), directory, True)]


def crs_keys(crs: str) -> list[tuple[int, int, int, int]]:
    """Return the GeoKeys of a CRS, none for "".

    >>> crs_keys("EPSG:32611")
    [(1024, 0, 1, 1), (3072, 0, 1, 32611)]
    """
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    if not crs:
        return []
    with suppress(CRSError):
        known = CRS.from_user_input(crs)
        code = known.to_epsg() or 0
        if 1024 <= code < 32767 and known.is_geographic:
            return [(1024, 0, 1, 2), (2048, 0, 1, code)]
        if 1024 <= code < 32767 and known.is_projected:
            return [(1024, 0, 1, 1), (3072, 0, 1, code)]
    raise ValueError(f'crs is {crs!r}; a GeoTIFF needs a geographic or projected one of EPSG\'s, such as "EPSG:32611".')


def affine(matrix: np.ndarray, points: "ArrayLike") -> np.ndarray:
    """Return (N, 2) points moved by a 3x3 matrix."""
    return np.asarray(points, float) @ matrix[:2, :2].T + matrix[:2, 2]

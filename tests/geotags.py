"""GeoTIFF tags: files of any layout with a place, written by tifffile, and where rasterio says that a file lies."""

import warnings
from contextlib import suppress
from typing import Any

import rasterio

from tnv2 import Georeference


def place_in(path):
    """Return the Georeference of a file as rasterio has it, None for a file without."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            if file.transform.is_identity:
                return None
            return Georeference(tuple(file.transform)[:6], f"EPSG:{file.crs.to_epsg()}" if file.crs else "")


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

"""GeoTIFF tags: files of any layout with a place, written by tifffile, and where rasterio says that a file lies."""

import warnings

import rasterio
from pyproj import CRS

from tnv2 import Georeference


def place_in(path):
    """Return the Georeference of a file as rasterio has it, None for a file without."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            if file.transform.is_identity:
                return None
            return Georeference(tuple(file.transform)[:6], f"EPSG:{file.crs.to_epsg()}" if file.crs else "")


def geotiff_tags(georeference):
    """Return the GeoTIFF tags of a Georeference with an EPSG code as tifffile's ``extratags``, [] for None."""
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


def crs_keys(crs):
    """Return the GeoKeys of a CRS, none for ""."""
    if not crs:
        return []
    known = CRS.from_user_input(crs)
    code = known.to_epsg()
    return [(1024, 0, 1, 2), (2048, 0, 1, code)] if known.is_geographic else [(1024, 0, 1, 1), (3072, 0, 1, code)]

"""xarray: images as labelled arrays that know their place, and back, through rioxarray (pip install "tnv2[xarray]")."""

from typing import TYPE_CHECKING

import numpy as np

from .georeference import Georeference, crs_text, placed
from .rasters import Image

if TYPE_CHECKING:
    import xarray

NAMES = {3: ("red", "green", "blue")}


def to_array(image: np.ndarray, valid: np.ndarray, georeference: Georeference | None) -> "xarray.DataArray":
    """Return an (H, W) or (H, W, C) image as a DataArray of y, x or band, y, x, with its place.

    Where it is not ``valid`` it is NaN, as xarray has it, and then float32.
    """
    import xarray

    has_rio()
    values = image if valid.all() else np.where(valid.reshape(*valid.shape, *[1] * (image.ndim - 2)), image, np.nan)
    values = values if valid.all() else values.astype(np.float32)
    if image.ndim == 2:
        array = xarray.DataArray(values, dims=("y", "x"))
    else:
        bands = NAMES.get(image.shape[2], tuple(range(1, image.shape[2] + 1)))
        array = xarray.DataArray(np.moveaxis(values, 2, 0), dims=("band", "y", "x"), coords={"band": list(bands)})
    place = placed(georeference)
    if georeference is not None:
        array = array.rio.write_transform(place["transform"])
        array = array.rio.write_crs(place["crs"]) if place["crs"] else array
        if georeference.transform[1] == georeference.transform[3] == 0:  # north is up, so that x and y are one line each
            a, _, c, _, e, f = georeference.transform
            array = array.assign_coords(
                x=c + a * (np.arange(image.shape[1]) + 0.5), y=f + e * (np.arange(image.shape[0]) + 0.5)
            )
    return array if valid.all() else array.rio.write_nodata(np.nan)


def from_array(array: "xarray.DataArray", bands: int) -> Image:
    """Return the Image of a DataArray of y, x and ``bands`` bands, whatever their order, as rioxarray reads files.

    Raises ValueError for anything else.
    """
    import xarray

    has_rio()
    if not isinstance(array, xarray.DataArray) or array.ndim != 3:
        came = f"{type(array).__name__} of {getattr(array, 'dims', '')}"
        raise ValueError(f"the array is {came}; pass a DataArray of y, x and band, as rioxarray.open_rasterio returns.")
    down, across = array.rio.y_dim, array.rio.x_dim
    (band,) = (dim for dim in array.dims if dim not in (down, across))
    if array.sizes[band] != bands:
        raise ValueError(
            f"the array has {array.sizes[band]} along {band!r}; {bands} bands are needed. Choose them with isel."
        )
    pixels = np.ascontiguousarray(array.transpose(down, across, band).to_numpy())
    valid = np.ones(pixels.shape[:2], bool)
    if (nodata := array.rio.nodata) is not None and not np.isnan(nodata):
        valid = (pixels != nodata).any(axis=2)
    if pixels.dtype not in (np.uint8, np.uint16):
        pixels = pixels.astype(np.float32)
        valid &= np.isfinite(pixels).all(axis=2)
    return Image(np.where(valid[..., None], pixels, pixels.dtype.type(0)), valid, place_in(array))


def place_in(array: "xarray.DataArray") -> Georeference | None:
    """Return the Georeference of a DataArray that rioxarray knows the place of; None without one."""
    if not hasattr(array, "rio") or not {"x", "y"} <= set(array.dims):
        return None
    crs, transform = array.rio.crs, array.rio.transform()
    return None if transform.is_identity else Georeference(tuple(transform)[:6], crs_text(crs))


def has_rio() -> None:
    """Raise ImportError with the remedy unless rioxarray is there."""
    try:
        import rioxarray  # noqa: F401
    except ImportError as error:
        raise ImportError('rioxarray is not installed; xarray needs it for places. pip install "tnv2[xarray]".') from error

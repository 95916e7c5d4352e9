"""Tiles: what a satellite saw of one place, where that is, and the footprints somebody drew on it."""

import numbers
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from ..files import PathLike, checked_name, expanded
from .georeference import Georeference
from .grids import OnGrid
from .limits import Limits, limits_of
from .rasters import Bands, Raster, Window, source
from .truth import truth_of
from .xarrays import from_array, to_array

if TYPE_CHECKING:
    import xarray

BANDS = ("coastal", "blue", "green", "yellow", "red", "red edge", "NIR1", "NIR2")  # WorldView-3 MUL, in file order

IMAGE_ID = re.compile(r"(AOI_\d+_[A-Za-z]+)_(?:.*_)?(img\d+)$")


@dataclass(frozen=True)
class TileFiles:
    """The files of one tile, as ``find_tiles`` saw them; absent ones are None.

    rgb, mul, footprints : paths; those of bands may be on a server, "https://...". bands, window : what of them is read, as
    ``read_tile`` takes it.
    """

    name: str
    rgb: Path | str
    mul: Path | str | None = None
    footprints: Path | None = None
    bands: tuple[int, ...] | None = None
    window: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        checked_name(self.name)

    def read(self) -> "Tile":
        """Return the Tile."""
        return read_tile(self.rgb, self.mul, self.footprints, self.bands, self.window)


@dataclass(frozen=True, eq=False)
class Tile:
    """One place seen by the satellite.

    rgb : (H, W, 3) uint8, uint16 or float32, red, green, blue, as the file has them (11-bit counts in uint16).
    mul : (H, W, 8) in the same dtypes, the WorldView-3 bands on the grid of ``rgb``; None without them.
    name : for titles and file names, "AOI_2_Vegas_img2144".
    georeference : where the tile lies; None if unknown.
    truth : (H, W) int32 instance labels, 0 where no building is; None without footprints.
    files : the TileFiles it was read from; None for a tile made of arrays.
    valid : (H, W) bool, False where nothing was seen: there ``rgb`` and ``mul`` become 0 and ``truth`` background, nothing
        is found and nothing counts. Left out, all pixels are valid.
    limits : what of RGB becomes 0 and 1, two (3,) arrays, for a window of a scene; left out, the tile's own ``scale``.

    Raises ValueError for wrong shapes or dtypes, and for values that are not finite.
    """

    rgb: np.ndarray
    mul: np.ndarray | None = None
    name: str = ""
    georeference: Georeference | None = None
    truth: np.ndarray | None = None
    files: TileFiles | None = None
    valid: np.ndarray = cast(np.ndarray, None)
    limits: Limits | None = None

    def __post_init__(self) -> None:
        checked_image("rgb", self.rgb, 3)
        valid = np.asarray(True if self.valid is None else self.valid)
        valid = np.broadcast_to(valid, self.shape) if valid.ndim == 0 else valid
        if valid.shape != self.shape or valid.dtype != bool:
            raise ValueError(f"valid is {valid.shape} {valid.dtype}; pass {self.shape} bool, False where there is no data.")
        object.__setattr__(self, "valid", valid)
        if self.limits is not None and [np.shape(each) for each in self.limits] != [(3,), (3,)]:
            raise ValueError(f"limits are {self.limits!r}; they are the values of RGB that become 0 and 1, two (3,) arrays.")
        if self.limits is not None:
            object.__setattr__(self, "limits", tuple(np.asarray(each) for each in self.limits))
        if self.mul is not None:
            checked_image("mul", self.mul, 8)
            if self.mul.shape[:2] != self.rgb.shape[:2]:
                raise ValueError(
                    f"mul is {self.mul.shape[:2]} and rgb {self.rgb.shape[:2]} px; "
                    "a Tile holds both on one grid. Read files with read_tile, which resamples native MUL."
                )
        if self.truth is not None:
            truth = np.asarray(self.truth)
            if (
                truth.shape != self.rgb.shape[:2]
                or truth.dtype.kind not in "iu"
                or not 0 <= truth.min() <= truth.max() < 2**31
            ):
                raise ValueError(
                    f"truth is {truth.shape} {truth.dtype}; it must be an {self.rgb.shape[:2]} array of whole labels, "
                    "0 for background and one positive number a building."
                )
            object.__setattr__(self, "truth", truth.astype(np.int32))
        if not valid.all():
            for name in ("rgb", "mul", "truth"):
                if (image := getattr(self, name)) is not None:
                    there = valid.reshape(*valid.shape, *[1] * (image.ndim - 2))
                    object.__setattr__(self, name, np.where(there, image, image.dtype.type(0)))

    @classmethod
    def from_xarray(cls, rgb: "xarray.DataArray", mul: "xarray.DataArray | None" = None, name: str = "") -> Self:
        """Return the Tile of DataArrays of y, x and band, 3 bands and 8, as ``rioxarray.open_rasterio`` returns them.

        Their place and no-data come along. Raises ValueError for anything else, ImportError without rioxarray.
        """
        seen = from_array(rgb, 3)
        bands = None if mul is None else from_array(mul, 8).pixels
        return cls(seen.pixels, bands, name, seen.georeference, valid=seen.valid)

    def to_xarray(self, image: np.ndarray | None = None) -> "xarray.DataArray":
        """Return an image on the tile's pixels as a DataArray with its place and no-data; ``rgb`` if left out.

        image : (H, W) or (H, W, C), labels or a probability map say. Where the tile is not valid it is NaN.
        Raises ValueError for an image of another size, ImportError without rioxarray.
        """
        image = self.rgb if image is None else np.asarray(image)
        if image.shape[:2] != self.shape or image.ndim not in (2, 3):
            raise ValueError(f"image is {image.shape}; it must be {self.shape}, or with bands on the last axis.")
        return to_array(image, self.valid, self.georeference)

    def pixels(self, square_metres: float) -> int:
        """Return how many whole pixels an area takes, for ``Thresholds(min_area=tile.pixels(12))``.

        Raises ValueError for a tile whose place, and so the size of its pixels, is not known.
        """
        area = self.georeference and self.georeference.pixel_area(self.shape)
        if not area:
            raise ValueError(f"tile {self.name!r} has no known place, so its pixels have no known size. Pass pixels.")
        return round(square_metres / area)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.rgb.shape[:2]

    @property
    def scale(self) -> Limits:
        """What of RGB becomes 0 and 1 for the network, two (3,) arrays: ``limits``, or else the valid pixels' own.

        These leave out lone extremes, with a warning; ``tnv2/tiles/limits.py`` has the rule.
        """
        return self.limits or limits_of([self.rgb[self.valid]], self.valid.size, f"tile {self.name!r}")

    def replace(self, **changes: Any) -> Self:
        """Return a copy with other fields, ``tile.replace(mul=None)``. Another ``rgb`` has limits of its own."""
        if "rgb" in changes:
            changes = {"limits": None} | ({"valid": None} if self.valid.all() else {}) | changes
        return replace(self, **changes)

    def __repr__(self) -> str:
        buildings = "no footprints" if self.truth is None else f"{len(np.unique(self.truth[self.truth > 0]))} footprints"
        bands = "RGB" if self.mul is None else "RGB + 8 bands"
        return f"Tile({self.name!r}, {self.shape[0]} x {self.shape[1]} px, {bands} {self.rgb.dtype}, {buildings})"


def checked_tile(tile: object) -> Tile:
    """Return a Tile; raises ValueError for anything else."""
    if not isinstance(tile, Tile):
        raise ValueError(f"tile is {type(tile).__name__}; pass a Tile: read_tile(path) of a file, Tile(rgb) of an array.")
    return tile


def read_tile(
    rgb_path: PathLike, mul_path: PathLike | None = None, footprints_path: PathLike | None = None, bands: Bands = None,
    window: tuple[int, int, int, int] | None = None,
) -> Tile:  # fmt: skip
    """Return the Tile of an RGB file, its 8-band file and its footprints (GeoJSON or the challenge CSV).

    Native MUL is resampled onto the RGB grid, by georeference where both files have one. Footprints become ``truth``, one
    label a footprint; where two overlap, the smaller is on top. The files' no-data, masks and alpha become ``valid``.

    rgb_path, mul_path : GeoTIFF, PNG, JPEG or JPEG 2000, with a world file perhaps. Of a file on a server, "https://...",
        "s3://..." or GDAL's "/vsicurl/..." and "/vsis3/...", only what is needed is fetched.
    bands : the numbers of red, green and blue in the RGB file, counted from 1. Left out, the colours that the file names, or
        the only three it has.
    window : (row, column, height, width) in pixels of the RGB file, to read that alone; None for the whole file.

    Raises FileNotFoundError for a missing file and ValueError for one that cannot be what it is passed as.
    """
    rgb_path = source(rgb_path)
    mul = truth = None
    with Raster(rgb_path, 3, "RGB-PanSharpen or PS-RGB", bands) as fine:
        span = within(window, fine.shape, str(rgb_path))
        rgb, valid, georeference = fine.read(span)
        if mul_path is not None:
            with Raster(mul_path, 8, "MUL or MUL-PanSharpen") as raster:
                mul, _ = OnGrid(raster, fine).read(span)
    name = image_id(rgb_path)
    if footprints_path is not None:
        truth = truth_of(footprints_path, fine.georeference, name, fine.shape, span)
    footprints = expanded(footprints_path) if footprints_path else None
    files = TileFiles(
        name, rgb_path, source(mul_path) if mul_path else None, footprints, tuple(bands) if bands else None, window
    )
    return Tile(rgb, mul, name, georeference, truth, files, valid)


def within(window: tuple[int, int, int, int] | None, shape: tuple[int, int], what: str) -> Window | None:
    """Return a (row, column, height, width) as slices, None for None; raises ValueError where it is not in (H, W)."""
    if window is None:
        return None
    whole = len(window) == 4 and all(isinstance(number, numbers.Integral) for number in window)
    if not whole or min(window[:2]) < 0 or min(window[2:]) < 1 or any(window[i] + window[i + 2] > shape[i] for i in (0, 1)):
        raise ValueError(
            f"window is {window!r} and {what} has {shape[0]} x {shape[1]} px; it must be (row, column, height, width) in "
            "whole pixels of the file, inside it."
        )
    row, column, height, width = map(int, window)
    return slice(row, row + height), slice(column, column + width)


def image_id(path: PathLike) -> str:
    """Return SpaceNet's ImageId for a file.

    >>> image_id("SN2_buildings_train_AOI_2_Vegas_PS-RGB_img2144.tif")
    'AOI_2_Vegas_img2144'
    """
    stem = Path(path).stem
    match = IMAGE_ID.search(stem)
    return "_".join(match.groups()) if match else stem


def checked_image(what: str, array: np.ndarray, bands: int) -> None:
    """Raise ValueError unless ``array`` is an (H, W, bands) image of a dtype and of values that the kit can show."""
    if not isinstance(array, np.ndarray) or array.ndim != 3 or array.shape[2] != bands or 0 in array.shape:
        came = getattr(array, "shape", type(array).__name__)
        raise ValueError(f"{what} is {came}; it must be (H, W, {bands}). Move the bands to the last axis.")
    if array.dtype not in (np.uint8, np.uint16, np.float32):
        raise ValueError(
            f"{what} is {array.dtype}; it must be uint8, uint16 or float32. "
            "Convert an array with astype, a file with gdal_translate -ot UInt16."
        )
    if array.dtype == np.float32 and not np.isfinite(array).all():
        count = np.count_nonzero(~np.isfinite(array))
        raise ValueError(f"{what} has {count} NaN or infinite values; all must be finite. Fill no-data with 0.")

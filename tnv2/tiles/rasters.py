"""Rasters: image files, read whole or in windows, and the GeoTIFF files that the kit writes. GDAL does both."""

import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from ..files import PathLike, disk_told, expanded, replacing
from .georeference import Georeference, place_of, placed
from .limits import Limits, limits_of

if TYPE_CHECKING:
    from rasterio import DatasetReader

Window = tuple[slice, slice]  # rows and columns
Bands = Sequence[int] | None  # numbers of a file's bands, counted from 1

DRIVERS = ["GTiff", "PNG", "JPEG", "JP2OpenJPEG"]  # none that runs code, or reads files that a file names
SETTINGS = {
    "GDAL_PAM_ENABLED": "NO",  # no sidecars of GDAL's own
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",  # a folder may hold a million files
    "GDAL_CACHEMAX": 64,  # MB
}
ON_SERVERS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no sidecar is asked for
    "GDAL_HTTP_CONNECTTIMEOUT": 10,  # seconds
    "GDAL_HTTP_TIMEOUT": 60,
    "GDAL_HTTP_MAX_RETRY": 2,
}
REMOTE = re.compile(r"(?P<server>https?://)|/vsi(curl|s3|gs|az)/|(?P<bucket>s3|gs|az)://")
COLOURS = ("red", "green", "blue")
LARGEST = 1 << 28  # bytes of an image in memory: 8 bands of 4096 x 4096 px in 16 bits, 9400 x 9400 px of 8-bit RGB
LONGEST = 32_766  # pixels of a side; OpenCV counts in 16 bits
STEP = 256  # rows that are read at a time, or as many as a piece of the file has
MOST = 1 << 29  # bytes of one strip or tile: more cannot be read piece by piece within a laptop's memory


@contextmanager
def gdal(remote: bool = False) -> Iterator[None]:
    """GDAL as the kit wants it: with SETTINGS, and without its warnings of files that have no place."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    with rasterio.Env(**SETTINGS | (ON_SERVERS if remote else {})), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def source(path: PathLike) -> Path | str:
    """Return a local path, ``~`` expanded, or the text that names a file on a server.

    >>> source("https://example.org/city.tif")
    'https://example.org/city.tif'
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"path is {type(path).__name__}; pass the path of a file, or its address on a server.")
    return str(path) if REMOTE.match(str(path)) else expanded(path)


class Image(NamedTuple):
    """What was read: (H, W, bands) ``pixels``, 0 where not ``valid``, (H, W) bool, and the Georeference or None."""

    pixels: np.ndarray
    valid: np.ndarray
    georeference: Georeference | None


class Raster:
    """An open GeoTIFF, PNG, JPEG or JPEG 2000 file, of which any part can be read.

    path : of a file, or of one on a server, of which only what is asked for is fetched: "https://...", "s3://...", or what
        GDAL calls /vsicurl/ and /vsis3/.
    bands : how many are wanted. chosen : their numbers in the file, from 1; if left out, all but alpha, and of a file of 3
        or 4 that names its colours red, green and blue. Bands may also be a TIFF's pages, one each. A palette is expanded.

    shape : (H, W). dtype : of what is read: uint8 and uint16 as they are, all others as float32. count : how many bands or
    pages the file has, alpha left out; names, scales : of these bands, or of the first page, "" and (1, 0) by default, the
    offset last; numbers are read as they are stored. georeference : None where the file has none. Pixels are not valid where
    the file's no-data, mask or alpha says so for every band, and where a band is NaN or infinite; they are read as 0.

    Raises FileNotFoundError for a missing file, and ValueError for one that is no such image, has other bands, complex
    numbers, or pieces too large for memory. Use it in a ``with`` statement, which closes it.
    """

    def __init__(self, path: PathLike, bands: int, product: str, chosen: Bands = None) -> None:
        self.path = source(path)
        if isinstance(self.path, Path) and not self.path.is_file():
            raise FileNotFoundError(f"{path} does not exist. Pass the path of a {product} GeoTIFF.")
        here = "Tiles are GeoTIFF files; this one is damaged, cut short or of another format. Fetch it again."
        there = "Check its address and the connection; what is there must be a GeoTIFF, whole, on a server that sends parts."
        self._opened = ExitStack()
        try:
            with self._told(here if isinstance(self.path, Path) else there):
                self._open(bands)
            self._choose(bands, product, chosen)
            self._check()
        except ValueError:
            self.close()
            raise

    def _open(self, bands: int) -> None:
        from rasterio.enums import MaskFlags
        from rasterio.io import DatasetReader  # rasterio.open takes one driver at most

        def opened(name: str) -> DatasetReader:
            return self._opened.enter_context(DatasetReader(name, driver=DRIVERS, sharing=False))

        remote = REMOTE.match(str(self.path))
        text = str(self.path)
        if remote and remote["server"]:
            text = "/vsicurl/" + text
        elif remote and remote["bucket"]:
            text = "/vsi" + text.replace("://", "/", 1)
        whole = opened(text)
        self._parts = [whole]
        if whole.count == 1 < bands and len(whole.subdatasets) >= bands:  # of a TIFF, its pages
            self._parts = [opened(page) for page in whole.subdatasets[:bands]]
        first = self._parts[0]
        self.shape, self.georeference = first.shape, place_of(first)
        self._kinds = [kind.name for part in self._parts for kind in part.colorinterp]
        self.names = [name or "" for name, kind in zip(first.descriptions, self._kinds, strict=False) if kind != "alpha"]
        self.count = max(len(self.names), len(whole.subdatasets))
        self.scales = list(zip(first.scales, first.offsets, strict=True))
        self._free = all(flags == [MaskFlags.all_valid] for flags in first.mask_flag_enums)
        self._palette = palette(first) if self._kinds == ["palette"] and bands == 3 else None
        self._tall, wide = first.block_shapes[0]
        self._piece = self._tall * wide * first.count * np.dtype(first.dtypes[0]).itemsize

    def _choose(self, bands: int, product: str, chosen: Bands) -> None:
        """Settle which bands of the file are read."""
        kinds, self.bands = self._kinds, bands
        if chosen is not None:
            self._palette = None
        if self._palette is not None:
            self._chosen = [1]
            return
        plain = [number for number, kind in enumerate(kinds, 1) if kind != "alpha"]
        named = [number for colour in COLOURS for number in plain if kinds[number - 1] == colour]
        if chosen is not None:
            plain = list(chosen)
            if len(plain) != bands or not all(number in range(1, len(kinds) + 1) for number in plain):
                raise ValueError(
                    f"bands is {chosen!r} and {self.path} has {len(kinds)} bands; bands are {bands} numbers of the file's, "
                    "counted from 1. Pass (1, 2, 3), say, for red, green and blue."
                )
        elif bands == len(named) == 3 and len(plain) <= 4:
            plain = named
        elif len(plain) != bands:
            remedies = {
                3: f"Pass bands=(1, 2, 3), the numbers of red, green and blue; the file calls them {', '.join(kinds[:9])}."
                if len(plain) > 3
                else "Pass a file with red, green and blue, or with a palette.",
                8: "Pass that file, or leave mul_path out to use RGB alone.",
            }
            raise ValueError(
                f"{self.path} has {len(plain)} band{'s' if len(plain) > 1 else ''}; SpaceNet's {product} has {bands}. "
                + remedies.get(bands, "Keep one band alone.")
            )
        self._chosen = plain

    def _check(self) -> None:
        alike = all((part.shape, part.dtypes[0]) == (self.shape, self._parts[0].dtypes[0]) for part in self._parts)
        if not alike:
            raise ValueError(f"{self.path} has pages of several sizes or dtypes. Keep one page a band, all alike.")
        kind = np.dtype(self._parts[0].dtypes[0])
        if kind.kind not in "uif":
            raise ValueError(f"{self.path} is {kind}; real numbers are needed. Convert it with gdal_translate -ot Float32.")
        self.dtype = kind if kind in (np.uint8, np.uint16) else np.dtype(np.float32)
        if self._piece > MOST:
            raise ValueError(
                f"{self.path} is made of pieces of {self._piece >> 20} MB; {MOST >> 20} MB is the most that can be read. "
                "Rewrite it with gdal_translate -co TILED=YES -co COMPRESS=DEFLATE -co BIGTIFF=IF_SAFER."
            )

    @contextmanager
    def _told(self, remedy: str) -> Iterator[None]:
        """Raise ValueError in the kit's words for what GDAL says inside."""
        from rasterio._err import CPLE_BaseError  # what GDAL says where rasterio does not wrap it
        from rasterio.errors import RasterioError

        try:
            with gdal(isinstance(self.path, str)):
                yield
        except (RasterioError, CPLE_BaseError, OSError, ValueError, SystemError, MemoryError) as error:
            told = " ".join(str(error.__cause__ or error).replace(f"'{self.path}'", "it").split())[:300]
            raise ValueError(f"{self.path} cannot be read as an image ({type(error).__name__}: {told}). {remedy}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._opened.close()

    def read(self, window: Window | None = None) -> Image:
        """Return the Image of a window, or of all; raises ValueError for one too large for memory, before that is taken."""
        rows, columns = window or whole(self.shape)
        stored = np.dtype(self._parts[0].dtypes[0]).itemsize  # of a number, which may be read as a shorter one
        check_size(str(self.path), rows, columns, self.bands * max(stored, self.dtype.itemsize), self._piece)
        pixels, valid = self.part(rows, columns)
        where = self.georeference and self.georeference.moved(columns.start, rows.start)
        return Image(np.ascontiguousarray(pixels), valid, where)

    def part(self, rows: slice, columns: slice, shape: tuple[int, int] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the (h, w, bands) pixels of some rows and columns, and (h, w) bool, which are valid.

        shape : (H, W) of the grid that rows and columns count, if not the file's own. Where that is coarser, a pixel is the
        mean of what it covers, else it is interpolated (cubic). Raises ValueError for a damaged file.
        """
        from rasterio.enums import Resampling
        from rasterio.windows import Window

        height, width = rows.stop - rows.start, columns.stop - columns.start
        down, across = np.divide(self.shape, shape or self.shape).tolist()
        window = Window(columns.start * across, rows.start * down, width * across, height * down)
        finer = down * across < 1
        options = {
            "window": window, "out_shape": (1 if len(self._parts) > 1 else len(self._chosen), height, width),
            "resampling": Resampling.cubic if finer else Resampling.average,
        }  # fmt: skip
        with self._told(f"It is damaged or cut short, at rows {rows.start} to {rows.stop} or so. Fetch it again."):
            chosen = self._chosen if len(self._parts) == 1 else [1]
            planes = [part.read(chosen, **options) for part in self._parts]
            masks = [] if self._free else [part.read_masks(chosen, **options) for part in self._parts]
        pixels = np.moveaxis(planes[0] if len(planes) == 1 else np.concatenate(planes), 0, 2)
        valid = np.broadcast_to(True, pixels.shape[:2])
        if masks:
            valid = np.concatenate(masks).max(axis=0) > 0
        if self._palette is not None:
            colours = self._palette[pixels[..., 0]]
            pixels, valid = colours[..., :3], valid & (colours[..., 3] > 0)
        with np.errstate(over="ignore"):  # what float32 cannot hold is not valid
            pixels = pixels.astype(self.dtype, copy=False)
        if self.dtype == np.float32:
            valid = valid & np.isfinite(pixels).all(axis=2)
        if not valid.all():
            pixels = np.where(valid[..., None], pixels, self.dtype.type(0))
        return pixels, valid

    def limits(self) -> Limits:
        """Return what becomes 0 and 1 in each band, two (bands,) arrays, as limits.py tells; one pass over the file."""
        step = -(-STEP // self._tall) * self._tall  # whole pieces
        spans = (slice(first, min(first + step, self.shape[0])) for first in range(0, self.shape[0], step))
        blocks = (pixels[valid] for pixels, valid in (self.part(rows, slice(0, self.shape[1])) for rows in spans))
        return limits_of(blocks, self.shape[0] * self.shape[1], str(self.path))


def whole(shape: tuple[int, int]) -> Window:
    """Return the Window that is all of (H, W)."""
    return slice(0, shape[0]), slice(0, shape[1])


def check_size(what: str, rows: slice, columns: slice, pixel: int, least: int = 0) -> None:
    """Raise ValueError where a part of an image, ``pixel`` bytes a pixel and at least ``least``, is too large for memory."""
    height, width = rows.stop - rows.start, columns.stop - columns.start
    size = max(height * width * pixel, least)
    if size > LARGEST or max(height, width) > LONGEST:
        raise ValueError(
            f"{what}: {height} x {width} px, {size >> 20} MB in memory; a tile has at most {LONGEST} px a side and "
            f"{LARGEST >> 20} MB. Pass a window of it, or map it with map_scene."
        )


def palette(dataset: "DatasetReader") -> np.ndarray:
    """Return the (N, 4) uint8 red, green, blue and alpha of a file's palette, an entry a value that its pixels can have."""
    entries = dataset.colormap(1)
    colours = np.zeros((1 << 8 * np.dtype(dataset.dtypes[0]).itemsize, 4), np.uint8)
    colours[list(entries)] = list(entries.values())
    return colours


def read_image(path: PathLike, bands: int, product: str, chosen: Bands = None, window: Window | None = None) -> Image:
    """Return the Image of a file; raises as Raster does."""
    with Raster(path, bands, product, chosen) as raster:
        return raster.read(window)


def write_geotiff(path: Path, bands: np.ndarray, georeference: Georeference | None, overviews: str = "") -> None:
    """Write (H, W, C) counts or (H, W) labels as a GeoTIFF in the place of a Georeference, none where it is None."""
    bands = bands.reshape(*bands.shape[:2], -1)
    write_rows(path, [bands], bands.shape[:2], bands.dtype, [""] * bands.shape[2], georeference, overviews)


def write_rows(
    path: Path, rows: Iterable[np.ndarray], shape: tuple[int, int], dtype: np.dtype, names: Sequence[str],
    georeference: Georeference | None, overviews: str = "",
) -> None:  # fmt: skip
    """Write an image of ``shape`` (H, W) that comes in rows from top to bottom as a tiled, deflated GeoTIFF, whole or not.

    rows : yields (rows, W, C). names : of the C bands, "" for none. overviews : "average", or "nearest" for labels, makes it
    cloud-optimised (COG) with smaller copies; "" none. Raises ValueError for an unknown CRS, OSError for a full disk.
    """
    import rasterio
    from rasterio._err import CPLE_BaseError
    from rasterio.shutil import copy

    options = {
        "driver": "GTiff", "height": shape[0], "width": shape[1], "count": len(names), "dtype": dtype, "interleave": "pixel",
        "compress": "deflate", "zlevel": 1 if overviews else 9, "predictor": 2, "tiled": True, "blockxsize": 256,
        "blockysize": 256, "photometric": "minisblack", "bigtiff": "if_safer",
    }  # fmt: skip
    with replacing(path) as part, disk_told(part, CPLE_BaseError), gdal():
        plain = part.with_name(f"plain.{part.name}") if overviews else part
        with rasterio.open(plain, "w", **options, **placed(georeference)) as file:
            top = 0
            for some in rows:
                file.write(np.moveaxis(some, 2, 0), window=((top, top + len(some)), (0, shape[1])))
                top += len(some)
            file.descriptions = names
        if overviews:
            copy(plain, part, driver="COG", compress="deflate", level=6, predictor="yes", blocksize=256,
                 overview_resampling=overviews, bigtiff="if_safer")  # fmt: skip

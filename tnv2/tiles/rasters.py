"""Rasters: image files, read whole or some rows at a time, and the GeoTIFF files that the kit writes. GDAL does both."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol, Self

import numpy as np

from ..files import PathLike, replacing
from .georeference import Georeference, affine, place_of, placed
from .grids import LARGEST, LONGEST, resampled, to_mul_grid

DRIVERS = ["GTiff", "PNG", "JPEG", "JP2OpenJPEG"]  # none that runs code, asks a server, or reads files that a file names
SETTINGS = {
    "GDAL_PAM_ENABLED": "NO",  # no sidecars of GDAL's own
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",  # a folder may hold a million files
    "GDAL_CACHEMAX": 64,  # MB
}
BLOCK = 8192  # columns that OpenCV resamples at a time; it counts in 16 bits
STEP = 256  # rows that are read at a time, or as many as a piece of the file has
MOST = 1 << 29  # bytes of one strip or tile: more cannot be read piece by piece within a laptop's memory


@contextmanager
def gdal() -> Iterator[None]:
    """GDAL as the kit wants it: with SETTINGS, and without its warnings of files that have no place."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    with rasterio.Env(**SETTINGS), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


class Rows(Protocol):
    """What gives rows ``first`` to ``last``, the last one excluded, as (rows, W, bands)."""

    def rows(self, first: int, last: int) -> np.ndarray: ...


class Raster:
    """An open GeoTIFF, PNG, JPEG or JPEG 2000 file, of which any rows can be read.

    shape : (H, W). bands, dtype : of what is read. georeference : None where the file has none. Bands may also be a TIFF's
    pages, one each.

    Raises FileNotFoundError for a missing file, and ValueError for one that is no such image, has other bands or another
    dtype than uint8, uint16 and float32, or pieces too large for memory. Use it in a ``with`` statement, which closes it.
    """

    def __init__(self, path: PathLike, bands: int, product: str) -> None:
        self.path = Path(path).expanduser()
        if not self.path.is_file():
            raise FileNotFoundError(f"{path} does not exist. Pass the path of a {product} GeoTIFF.")
        self._opened = ExitStack()
        try:
            with self._told("Tiles are GeoTIFF files; this one is damaged, cut short or of another format. Fetch it again."):
                self._open(bands)
            self._check(bands, product)
        except ValueError:
            self.close()
            raise

    def _open(self, bands: int) -> None:
        from rasterio.io import DatasetReader  # rasterio.open takes one driver at most

        def opened(name: str) -> DatasetReader:
            return self._opened.enter_context(DatasetReader(name, driver=DRIVERS, sharing=False))

        whole = opened(str(self.path))
        self._parts = [whole]
        if whole.count == 1 < bands and len(whole.subdatasets) >= bands:  # of a TIFF, its pages
            self._parts = [opened(page) for page in whole.subdatasets[:bands]]
        first = self._parts[0]
        self.shape, self.dtype = first.shape, np.dtype(first.dtypes[0])
        self.bands, self.georeference = sum(part.count for part in self._parts), place_of(first)
        self._tall, wide = first.block_shapes[0]
        self._piece = self._tall * wide * first.count * self.dtype.itemsize

    def _check(self, bands: int, product: str) -> None:
        alike = all((part.shape, part.dtypes[0]) == (self.shape, self.dtype) for part in self._parts)
        if not alike:
            raise ValueError(f"{self.path} has pages of several sizes or dtypes. Keep one page a band, all alike.")
        if self.bands != bands:
            raise ValueError(
                f"{self.path} has {self.bands} band{'s' if self.bands > 1 else ''}; SpaceNet's {product} has {bands}. "
                + (
                    "Pass that file, or leave mul_path out to use RGB alone."
                    if bands == 8
                    else f"Keep {'red, green and blue' if bands == 3 else 'one band'} alone."
                )
            )
        if self.dtype not in (np.uint8, np.uint16, np.float32):
            raise ValueError(
                f"{self.path} is {self.dtype}; it must be uint8, uint16 or float32. "
                "Convert it with gdal_translate -ot UInt16."
            )
        if self._piece > MOST:
            raise ValueError(
                f"{self.path} is made of pieces of {self._piece >> 20} MB; {MOST >> 20} MB is the most that can be read. "
                "Rewrite it with gdal_translate -co TILED=YES -co COMPRESS=DEFLATE -co BIGTIFF=IF_SAFER."
            )

    @contextmanager
    def _told(self, remedy: str) -> Iterator[None]:
        """Raise ValueError in the kit's words for what GDAL says inside."""
        from rasterio.errors import RasterioError

        try:
            with gdal():
                yield
        except (RasterioError, OSError, ValueError, SystemError, MemoryError) as error:
            told = " ".join(str(error.__cause__ or error).replace(f"'{self.path}'", "it").split())[:300]
            raise ValueError(f"{self.path} cannot be read as an image ({type(error).__name__}: {told}). {remedy}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._opened.close()

    def whole(self) -> np.ndarray:
        """Return the image, (H, W, bands); raises ValueError for one that takes too much memory, before it is taken."""
        height, width = self.shape
        size = max(height * width * self.bands * self.dtype.itemsize, self._piece)
        if size > LARGEST or max(self.shape) > LONGEST:
            raise ValueError(
                f"{self.path} declares {height} x {width} px, {size >> 20} MB in memory; a tile has at most {LONGEST} px a "
                f"side and {LARGEST >> 20} MB. Cut it into tiles, with gdal_retile.py for instance."
            )
        return np.ascontiguousarray(self.rows(0, height))

    def rows(self, first: int, last: int) -> np.ndarray:
        """Return rows ``first`` to ``last``, the last one excluded, as (rows, W, bands).

        Raises ValueError for a damaged file and for values that are not finite.
        """
        window = (first, last), (0, self.shape[1])
        with self._told(f"It is damaged or cut short, at rows {first} to {last} or so. Fetch it again."):
            planes = [part.read(window=window) for part in self._parts]
        image = np.moveaxis(planes[0] if len(planes) == 1 else np.concatenate(planes), 0, 2)
        if image.dtype == np.float32 and not np.isfinite(image).all():
            count = np.count_nonzero(~np.isfinite(image))
            raise ValueError(
                f"{self.path} has {count} NaN or infinite values at rows {first} to {last}. Fill no-data with 0."
            )
        return image

    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Return each band's least and greatest value over the whole file, two (bands,) arrays; one pass over the file."""
        extremes, step = [], -(-STEP // self._tall) * self._tall  # whole pieces
        for first in range(0, self.shape[0], step):
            rows = self.rows(first, min(first + step, self.shape[0]))
            extremes.append((rows.min(axis=(0, 1)), rows.max(axis=(0, 1))))
        lows, highs = zip(*extremes, strict=True)
        return np.min(lows, axis=0), np.max(highs, axis=0)


def read_image(path: PathLike, bands: int, product: str) -> tuple[np.ndarray, Georeference | None]:
    """Return the (H, W, bands) array of an image file and its Georeference, or None; raises as Raster does."""
    with Raster(path, bands, product) as raster:
        return raster.whole(), raster.georeference


def on_same_grid(mul: Raster, rgb: Raster) -> Rows:
    """Return what reads the rows of a MUL Raster on the grid of an RGB one, itself where that is its own grid.

    Raises ValueError where the two are not of one place.
    """
    to_mul = to_mul_grid(mul.shape, mul.georeference, rgb.shape, rgb.georeference, f"{mul.path} and {rgb.path}")
    same = mul.shape == rgb.shape and np.allclose(to_mul, np.eye(3), atol=0.05)
    return mul if same else Resampled(mul, rgb.shape, to_mul)


class Resampled:
    """The rows of a native MUL Raster on an RGB grid of ``shape`` (H, W), bilinear, where ``to_mul_grid`` says it lies."""

    def __init__(self, mul: Raster, shape: tuple[int, int], to_mul: np.ndarray) -> None:
        self._mul, self.shape, self._to_mul = mul, shape, to_mul

    def rows(self, first: int, last: int) -> np.ndarray:
        """Return rows ``first`` to ``last``, the last one excluded, as (rows, W, 8)."""
        width = self.shape[1]
        corners = affine(self._to_mul, [(x, y) for x in (0, width) for y in (first, last)])
        top = int(np.clip(np.floor(corners[:, 1].min()) - 2, 0, self._mul.shape[0] - 1))  # two rows for the interpolation
        bottom = int(np.clip(np.ceil(corners[:, 1].max()) + 2, top + 1, self._mul.shape[0]))
        native = self._mul.rows(top, bottom)
        blocks = [
            resampled(native, shift(0, -top) @ self._to_mul @ shift(left, first), (last - first, min(BLOCK, width - left)))
            for left in range(0, width, BLOCK)
        ]
        return np.concatenate(blocks, axis=1)


def shift(columns: float, rows: float) -> np.ndarray:
    """Return the 3x3 matrix that moves (column, row, 1)."""
    return np.array([[1, 0, columns], [0, 1, rows], [0, 0, 1]], float)


def write_geotiff(path: Path, bands: np.ndarray, georeference: Georeference | None) -> None:
    """Write (H, W, C) counts or (H, W) labels as a GeoTIFF in the place of a Georeference, none where it is None."""
    bands = bands.reshape(*bands.shape[:2], -1)
    write_rows(path, [bands], bands.shape[:2], bands.dtype, [""] * bands.shape[2], georeference)


def write_rows(
    path: Path, rows: Iterable[np.ndarray], shape: tuple[int, int], dtype: np.dtype, names: Sequence[str],
    georeference: Georeference | None,
) -> None:  # fmt: skip
    """Write an image of ``shape`` (H, W) that comes in rows from top to bottom as a tiled, deflated GeoTIFF, whole or not.

    rows : yields (rows, W, C). names : of the C bands, "" for none. Raises ValueError for a CRS that GDAL does not know.
    """
    import rasterio

    options = {
        "driver": "GTiff", "height": shape[0], "width": shape[1], "count": len(names), "dtype": dtype, "interleave": "pixel",
        "compress": "deflate", "zlevel": 9, "predictor": 2, "tiled": True, "blockxsize": 256, "blockysize": 256,
        "photometric": "minisblack", "bigtiff": "if_safer",
    }  # fmt: skip
    with replacing(path) as part, gdal(), rasterio.open(part, "w", **options, **placed(georeference)) as file:
        top = 0
        for some in rows:
            file.write(np.moveaxis(some, 2, 0), window=((top, top + len(some)), (0, shape[1])))
            top += len(some)
        file.descriptions = names

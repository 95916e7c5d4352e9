"""Rasters: image files too large for memory, read some rows at a time, and the GeoTIFF files that the kit writes."""

from pathlib import Path
from typing import Protocol, Self

import numpy as np

from ..files import PathLike, replacing
from .georeference import Georeference, affine, geotiff_tags, read_georeference
from .grids import resampled, to_mul_grid

BLOCK = 8192  # columns that OpenCV resamples at a time; it counts in 16 bits
MOST = 1 << 29  # bytes of one strip or tile: more cannot be read piece by piece within a laptop's memory


class Rows(Protocol):
    """What gives rows ``first`` to ``last``, the last one excluded, as (rows, W, bands)."""

    def rows(self, first: int, last: int) -> np.ndarray: ...


class Raster:
    """An open TIFF file of which any rows can be read: tiled or in strips, compressed or not, bands together or apart.

    shape : (H, W). bands, dtype : of what is read. georeference : None where the file has none.

    Raises FileNotFoundError for a missing file, and ValueError for one that is no TIFF, has other bands or another dtype
    than uint8, uint16 and float32, or is one compressed piece. Use it in a ``with`` statement, which closes it.
    """

    def __init__(self, path: PathLike, bands: int, product: str) -> None:
        import tifffile

        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"{path} does not exist. Pass the path of a {product} GeoTIFF.")
        try:
            self._file = tifffile.TiffFile(self.path)
            self._page = self._file.pages.first
            self.georeference = read_georeference(self._page)
        except Exception as error:  # tifffile raises whatever the damage leads to
            raise ValueError(
                f"{path} cannot be read as a TIFF ({type(error).__name__}: {error}). Pass a GeoTIFF, or fetch it again."
            ) from error
        page = self._page
        self.shape, self.bands, self.dtype = (page.imagelength, page.imagewidth), page.samplesperpixel, np.dtype(page.dtype)
        try:
            self._check(bands, product)
        except ValueError:
            self.close()
            raise

    def _check(self, bands: int, product: str) -> None:
        page = self._page
        if self.bands != bands or page.imagedepth != 1:
            raise ValueError(f"{self.path} has {self.bands} bands; SpaceNet's {product} has {bands}. Pass that file.")
        if self.dtype not in (np.uint8, np.uint16, np.float32):
            raise ValueError(
                f"{self.path} is {self.dtype}; it must be uint8, uint16 or float32. "
                "Convert it with gdal_translate -ot UInt16."
            )
        self._apart = page.planarconfig == 2 and bands > 1
        tall, wide = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
        self._piece = min(tall, self.shape[0]), min(wide, self.shape[1])
        size = self._piece[0] * self._piece[1] * self.dtype.itemsize * (1 if self._apart else bands)
        if not page.is_contiguous and size > MOST:
            raise ValueError(
                f"{self.path} is compressed in pieces of {size >> 20} MB; {MOST >> 20} MB is the most that can be read. "
                "Rewrite it with gdal_translate -co TILED=YES -co COMPRESS=DEFLATE -co BIGTIFF=IF_SAFER."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def rows(self, first: int, last: int) -> np.ndarray:
        """Return rows ``first`` to ``last``, the last one excluded, as (rows, W, bands).

        Raises ValueError for a damaged file and for values that are not finite.
        """
        try:
            read = self._plain if self._page.is_contiguous else self._decoded
            image = read(first, last)
        except Exception as error:  # tifffile and its codecs raise whatever the damage leads to
            raise ValueError(
                f"{self.path} cannot be read at rows {first} to {last} ({type(error).__name__}: {error}). "
                "It is damaged or cut short; fetch it again."
            ) from error
        if image.dtype == np.float32 and not np.isfinite(image).all():
            raise ValueError(f"{self.path} has NaN or infinite values at rows {first} to {last}. Fill no-data with 0.")
        return image

    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Return each band's least and greatest value over the whole file, two (bands,) arrays; one pass over the file."""
        extremes, step = [], -(-256 // self._piece[0]) * self._piece[0]  # whole pieces
        for first in range(0, self.shape[0], step):
            rows = self.rows(first, min(first + step, self.shape[0]))
            extremes.append((rows.min(axis=(0, 1)), rows.max(axis=(0, 1))))
        lows, highs = zip(*extremes, strict=True)
        return np.min(lows, axis=0), np.max(highs, axis=0)

    def _plain(self, first: int, last: int) -> np.ndarray:
        """Return rows of a file whose values lie one after another, without touching the others."""
        (height, width), bands = self.shape, 1 if self._apart else self.bands
        row = width * bands * self.dtype.itemsize
        planes = []
        for plane in range(self.bands // bands):
            self._file.filehandle.seek(self._page.dataoffsets[0] + (plane * height + first) * row)
            came = self._file.filehandle.read((last - first) * row)
            planes.append(np.frombuffer(came, self._file.byteorder + self.dtype.char).reshape(last - first, width, bands))
        return np.concatenate(planes, axis=2).astype(self.dtype, copy=False)

    def _decoded(self, first: int, last: int) -> np.ndarray:
        """Return rows from the pieces, tiles or strips, that hold them."""
        (height, width), (tall, wide) = self.shape, self._piece
        down, across = -(-height // tall), -(-width // wide)
        numbers = [
            (plane * down + j) * across + i
            for plane in range(self.bands if self._apart else 1)
            for j in range(first // tall, -(-last // tall))
            for i in range(across)
        ]
        image = np.zeros((last - first, width, self.bands), self.dtype)
        page = self._page
        stored = [page.dataoffsets[number] for number in numbers], [page.databytecounts[number] for number in numbers]
        for data, number in self._file.filehandle.read_segments(*stored, indices=numbers, length=len(numbers)):
            if data is None:  # a piece without data is background
                continue
            decoded, (plane, _, y, x, _), _ = page.decode(data, number, jpegtables=page.jpegtables)
            piece = np.asarray(decoded)[0, max(first - y, 0) : last - y, : width - x]
            y = max(y - first, 0)
            image[y : y + piece.shape[0], x : x + piece.shape[1], plane : plane + piece.shape[2]] = piece
        return image


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
    """Write (H, W, C) counts or (H, W) labels as a deflated TIFF with the tags of a Georeference, none where it is None."""
    import tifffile

    tags = geotiff_tags(georeference)
    with replacing(path) as part:
        tifffile.imwrite(
            part, bands, photometric="minisblack", planarconfig="contig" if bands.ndim == 3 else None, metadata=None,
            software="tnv2", extratags=tags, predictor=True, compression="deflate", compressionargs={"level": 9},
        )  # fmt: skip

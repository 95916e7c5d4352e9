"""Rasters: image files that are too large for memory, read and written some rows at a time."""

from pathlib import Path

import numpy as np

from .files import checked_path, replacing
from .georeference import affine, geotiff_tags, read_georeference
from .grids import resampled, to_mul_grid
from .instances import eight_bit

BLOCK = 8192  # columns that OpenCV resamples at a time; it counts in 16 bits
SIDE = 256  # of the written files' tiles, pixels
MOST = 1 << 29  # bytes of one strip or tile: more cannot be read piece by piece within a laptop's memory
NAMES = "".join(
    f'<Item name="DESCRIPTION" sample="{i}" role="description">{name}</Item>'
    for i, name in enumerate(("building", "border"))
)  # of the bands, where GDAL and QGIS look for them


class Raster:
    """An open TIFF file of which any rows can be read: tiled or in strips, compressed or not, bands together or apart.

    shape : (H, W). bands, dtype : of what is read. georeference : None where the file has none.

    Raises FileNotFoundError for a missing file, and ValueError for one that is no TIFF, has other bands or another dtype
    than uint8, uint16 and float32, or is one compressed piece. Use it in a ``with`` statement, which closes it.
    """

    def __init__(self, path, bands, product):
        import tifffile

        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"{path} does not exist. Pass the path of a {product} GeoTIFF.")
        try:
            self._file = tifffile.TiffFile(self.path)
            self._page = self._file.pages[0]
            self.georeference = read_georeference(self._page)
        except Exception as error:  # tifffile raises whatever the damage leads to
            raise ValueError(
                f"{path} cannot be read as a TIFF ({type(error).__name__}: {error}). Pass a GeoTIFF, or fetch it again."
            ) from error
        page = self._page
        self.shape, self.bands, self.dtype = (page.imagelength, page.imagewidth), page.samplesperpixel, page.dtype
        try:
            self._check(bands, product)
        except ValueError:
            self.close()
            raise

    def _check(self, bands, product):
        page = self._page
        if self.bands != bands or page.imagedepth != 1:
            raise ValueError(f"{self.path} has {self.bands} bands; SpaceNet's {product} has {bands}. Pass that file.")
        if self.dtype not in (np.uint8, np.uint16, np.float32):
            raise ValueError(
                f"{self.path} is {self.dtype}; it must be uint8, uint16 or float32. "
                "Convert it with gdal_translate -ot UInt16."
            )
        self._apart = page.planarconfig == 2 and bands > 1
        self._piece = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
        self._piece = tuple(min(piece, size) for piece, size in zip(self._piece, self.shape, strict=True))
        size = np.prod(self._piece) * self.dtype.itemsize * (1 if self._apart else bands)
        if not page.is_contiguous and size > MOST:
            raise ValueError(
                f"{self.path} is compressed in pieces of {size >> 20} MB; {MOST >> 20} MB is the most that can be read. "
                "Rewrite it with gdal_translate -co TILED=YES -co COMPRESS=DEFLATE -co BIGTIFF=IF_SAFER."
            )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        """Close the file."""
        self._file.close()

    def rows(self, first, last):
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

    def limits(self):
        """Return each band's least and greatest value over the whole file, two (bands,) arrays; one pass over the file."""
        extremes, step = [], -(-SIDE // self._piece[0]) * self._piece[0]  # whole pieces
        for first in range(0, self.shape[0], step):
            rows = self.rows(first, min(first + step, self.shape[0]))
            extremes.append((rows.min(axis=(0, 1)), rows.max(axis=(0, 1))))
        lows, highs = zip(*extremes, strict=True)
        return np.min(lows, axis=0), np.max(highs, axis=0)

    def _plain(self, first, last):
        """Return rows of a file whose values lie one after another, without touching the others."""
        (height, width), bands = self.shape, 1 if self._apart else self.bands
        row = width * bands * self.dtype.itemsize
        planes = []
        for plane in range(self.bands // bands):
            self._file.filehandle.seek(self._page.dataoffsets[0] + (plane * height + first) * row)
            came = self._file.filehandle.read((last - first) * row)
            planes.append(np.frombuffer(came, self._file.byteorder + self.dtype.char).reshape(last - first, width, bands))
        return np.concatenate(planes, axis=2).astype(self.dtype, copy=False)

    def _decoded(self, first, last):
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
            piece, (plane, _, y, x, _), _ = page.decode(data, number, jpegtables=page.jpegtables)
            piece = piece[0, max(first - y, 0) : last - y, : width - x]
            y = max(y - first, 0)
            image[y : y + piece.shape[0], x : x + piece.shape[1], plane : plane + piece.shape[2]] = piece
        return image


def on_same_grid(mul, rgb):
    """Return what reads the rows of a MUL Raster on the grid of an RGB one, itself where that is its own grid.

    Raises ValueError where the two are not of one place.
    """
    to_mul = to_mul_grid(mul.shape, mul.georeference, rgb.shape, rgb.georeference, f"{mul.path} and {rgb.path}")
    same = mul.shape == rgb.shape and np.allclose(to_mul, np.eye(3), atol=0.05)
    return mul if same else Resampled(mul, rgb.shape, to_mul)


class Resampled:
    """The rows of a native MUL Raster on an RGB grid of ``shape`` (H, W), bilinear, where ``to_mul_grid`` says it lies."""

    def __init__(self, mul, shape, to_mul):
        self._mul, self.shape, self._to_mul = mul, shape, to_mul

    def rows(self, first, last):
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


def shift(columns, rows):
    """Return the 3x3 matrix that moves (column, row, 1)."""
    return np.array([[1, 0, columns], [0, 1, rows], [0, 0, 1]], float)


def write_maps(path, maps, shape, georeference):
    """Write building and border maps as a tiled, deflated GeoTIFF of two uint8 bands, ``round(255 * p)``.

    maps : yields (2, rows, W) float32 from top to bottom, together (2, H, W). shape : (H, W). georeference : None for a
    plain TIFF. Written whole or not at all. Raises ValueError for a CRS without an EPSG code and for a path that does not
    end in .tif or .tiff.
    """
    import tifffile

    path, tags = checked_path(path, ".tif", ".tiff"), geotiff_tags(georeference)
    names = f"<GDALMetadata>{NAMES}</GDALMetadata>"
    with replacing(path) as part:
        tifffile.imwrite(
            part, pieces(maps, shape[1]), shape=(*shape, 2), dtype=np.uint8, tile=(SIDE, SIDE), photometric="minisblack",
            planarconfig="contig", compression="deflate", predictor=True, bigtiff=2 * np.prod(shape) >= 1 << 32,
            metadata=None, software="tnv2", extratags=[*tags, (42112, "s", 0, names, True)],
        )  # fmt: skip


def pieces(maps, width):
    """Yield (256, 256, 2) uint8 tiles, row by row, of maps that arrive as (2, rows, W) float32; 0 beyond the edges."""
    waiting = np.zeros((0, width, 2), np.uint8)
    for some in maps:
        waiting = np.concatenate([waiting, np.moveaxis(np.stack(eight_bit(*some)), 0, 2)])
        whole = len(waiting) // SIDE * SIDE
        yield from squares(waiting[:whole])
        waiting = waiting[whole:]
    yield from squares(waiting)


def squares(image):
    """Yield (256, 256, C) squares of an (H, W, C) image, row by row, padded with 0."""
    image = np.pad(image, [(0, -image.shape[0] % SIDE), (0, -image.shape[1] % SIDE), (0, 0)])
    for top in range(0, image.shape[0], SIDE):
        for left in range(0, image.shape[1], SIDE):
            yield np.ascontiguousarray(image[top : top + SIDE, left : left + SIDE])

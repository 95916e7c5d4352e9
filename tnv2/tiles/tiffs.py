"""TIFF files of strangers: what is decoded, and what is refused before it takes memory."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .georeference import Georeference, read_georeference

if TYPE_CHECKING:
    from tifffile import TiffPage

LARGEST = 1 << 28  # bytes of an image in memory: 8 bands of 4096 x 4096 px in 16 bits, 9400 x 9400 px of 8-bit RGB
LONGEST = 32_766  # pixels of a side; OpenCV counts in 16 bits
PAGES = 64  # that are looked at for an image with a page a band: its bands, overviews and masks

# TIFF's numbers of what unpacks to the declared size and no further. Pictures in the file's pieces, such as JPEG, declare
# sizes of their own: some hundred bytes of them can take gigabytes and minutes.
CODECS = (1, 5, 8, 32946, 32773, 50000)  # none, LZW, deflate, deflate, PackBits, Zstandard


class UnfitError(ValueError):
    """A TIFF is whole, perhaps, and too large or of a codec that the kit does not take."""


def decoded(path: Path, bands: int) -> tuple[np.ndarray, Georeference | None]:
    """Return the image of a TIFF as its file has it, (H, W), (H, W, C) or (C, H, W), and its Georeference or None.

    An image is the first page, or all pages of the first one's shape where that has one band of ``bands``. Raises
    UnfitError before pixels are read, and whatever else the damage leads to.
    """
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        pages = [page]
        if page.samplesperpixel == 1 < bands:
            some = islice(file.pages, PAGES)  # of a chain that may lead in a circle
            alike = [other for other in some if (other.shape, other.dtype) == (page.shape, page.dtype)]
            pages = [other for other in alike if isinstance(other, tifffile.TiffPage)]
        for other in pages:
            check_codec(other)
            check_size(other, len(pages))
        arrays = [other.asarray() for other in pages]
        return arrays[0] if len(arrays) == 1 else np.stack(arrays), read_georeference(page)


def check_codec(page: "TiffPage") -> None:
    """Raise UnfitError unless the pieces of a tifffile page unpack to the size that the page declares, or less."""
    if page.compression not in CODECS:
        raise UnfitError(
            f"is compressed with {getattr(page.compression, 'name', page.compression)}; the kit reads TIFF files without "
            "compression and with LZW, deflate, PackBits or Zstandard. Rewrite it with gdal_translate -co COMPRESS=DEFLATE."
        )


def check_size(page: "TiffPage", pages: int = 1) -> None:
    """Raise UnfitError where a tifffile page, one of ``pages`` of an image, takes too much memory, padding included."""
    height, width = page.imagelength, page.imagewidth
    piece = (page.tilelength, page.tilewidth) if page.is_tiled else (1, width)
    rows, columns = (-(-size // max(1, step)) * step for size, step in zip((height, width), piece, strict=True))
    depth = max(1, page.imagedepth) * max(1, page.tiledepth)
    size = rows * columns * depth * page.samplesperpixel * max(1, np.dtype(page.dtype).itemsize) * pages
    if size > LARGEST or max(height, width) > LONGEST:
        raise UnfitError(
            f"declares {height} x {width} px, {size >> 20} MB in memory; a tile has at most {LONGEST} px a side and "
            f"{LARGEST >> 20} MB. Cut it into tiles, with gdal_retile.py for instance."
        )

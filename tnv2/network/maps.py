"""Maps: what a network says of a scene of any size, from file to file."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ..files import PathLike, checked_path, replacing
from ..instances import eight_bit
from ..tiles import Georeference, Raster, Rows, geotiff_tags, on_same_grid
from .inference import Eye, check_bands, check_counts
from .ternausnet import TernausNetV2
from .windows import blended

SIDE = 256  # of the written files' tiles, pixels
NAMES = "".join(
    f'<Item name="DESCRIPTION" sample="{i}" role="description">{name}</Item>'
    for i, name in enumerate(("building", "border"))
)  # of the bands, where GDAL and QGIS look for them


def predict_file(
    model: TernausNetV2, rgb_path: PathLike, out_path: PathLike, mul_path: PathLike | None = None, precision: str = "auto"
) -> None:
    """Write the maps of a scene of any size to a GeoTIFF of two uint8 bands, ``round(255 * p)``: building and border.

    The files are read and written some rows at a time, so that memory grows with a scene's width alone: 20,000 px of RGB
    take less than 3 GB. Windows, scaling and warnings are as in ``predict``, the georeference is the RGB file's, native MUL
    is resampled as in ``read_tile``, and the file is written whole or not at all. ``Probabilities.from_quantised`` takes its
    bands, or a crop of them.

    rgb_path, mul_path : TIFF files, tiled or in strips, of 3 and 8 bands.

    Raises FileNotFoundError for a missing file, and ValueError for one that cannot be what it is passed as, for a path to
    write to that does not end in .tif or .tiff or that is also read, and for a model in training mode.
    """
    out_path, paths = checked_path(out_path, ".tif", ".tiff"), [Path(path) for path in (rgb_path, mul_path) if path]
    if out_path.resolve() in [path.resolve() for path in paths]:
        raise ValueError(f"{out_path} would be overwritten by its own maps. Pass another path to write to.")
    eye = Eye.of(model, precision)
    with ExitStack() as opened:
        rgb = opened.enter_context(Raster(rgb_path, 3, "RGB-PanSharpen or PS-RGB"))
        check_bands(eye, model, str(rgb_path), rgb.shape, mul_path is not None)
        rasters: list[Rows] = [rgb]
        if mul_path is not None and eye.channels > 3:
            mul = opened.enter_context(Raster(mul_path, 8, "MUL or MUL-PanSharpen"))
            rasters.append(on_same_grid(mul, rgb))
            check_counts(str(mul_path), mul.dtype, mul.limits()[1].max())
        maps = blended(rgb.shape, lambda *span: [each.rows(*span) for each in rasters], eye.looking(rgb.limits()), eye.batch)
        write_maps(out_path, maps, rgb.shape, rgb.georeference)


def write_maps(
    path: PathLike, maps: Iterable[np.ndarray], shape: tuple[int, int], georeference: Georeference | None
) -> None:
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
            planarconfig="contig", compression="deflate", predictor=True, bigtiff=2 * shape[0] * shape[1] >= 1 << 32,
            metadata=None, software="tnv2", extratags=[*tags, (42112, "s", 0, names, True)],
        )  # fmt: skip


def pieces(maps: Iterable[np.ndarray], width: int) -> Iterator[np.ndarray]:
    """Yield (256, 256, 2) uint8 tiles, row by row, of maps that arrive as (2, rows, W) float32; 0 beyond the edges."""
    waiting = np.zeros((0, width, 2), np.uint8)
    for some in maps:
        waiting = np.concatenate([waiting, np.moveaxis(eight_bit(some), 0, 2)])
        whole = len(waiting) // SIDE * SIDE
        yield from squares(waiting[:whole])
        waiting = waiting[whole:]
    yield from squares(waiting)


def squares(image: np.ndarray) -> Iterator[np.ndarray]:
    """Yield (256, 256, C) squares of an (H, W, C) image, row by row, padded with 0."""
    image = np.pad(image, [(0, -image.shape[0] % SIDE), (0, -image.shape[1] % SIDE), (0, 0)])
    for top in range(0, image.shape[0], SIDE):
        for left in range(0, image.shape[1], SIDE):
            yield np.ascontiguousarray(image[top : top + SIDE, left : left + SIDE])

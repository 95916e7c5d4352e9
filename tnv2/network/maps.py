"""Maps: what a network says of a scene of any size, from file to file."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ..files import PathLike, checked_path
from ..instances import eight_bit
from ..tiles import Raster, Rows, on_same_grid, write_rows
from .inference import Eye, check_bands, check_counts
from .ternausnet import TernausNetV2
from .windows import blended


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
        rows = (np.moveaxis(eight_bit(some), 0, 2) for some in maps)
        write_rows(out_path, rows, rgb.shape, np.dtype(np.uint8), ("building", "border"), rgb.georeference)

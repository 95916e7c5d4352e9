"""Maps: what a network says of a scene of any size, from file to file."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..files import PathLike, checked_path
from ..instances import eight_bit
from ..tiles import Bands, OnGrid, Raster, Scaled, source, write_rows
from .inference import Eye, Metres, check_bands, check_counts, check_size, known_shape
from .ternausnet import TernausNetV2
from .weights import as_model
from .windows import blended

NAMES = ("building", "border")
ROWS = 256  # of maps that are brought back to a file's own pixels at a time


def predict_file(
    model: TernausNetV2 | PathLike, rgb_path: PathLike, out_path: PathLike, mul_path: PathLike | None = None,
    precision: str = "auto", metres: Metres = "auto", bands: Bands = None,
) -> None:  # fmt: skip
    """Write the maps of a scene of any size to a GeoTIFF of two uint8 bands, ``round(255 * p)``: building and border.

    The files are read and written some rows at a time, so that memory grows with a scene's width alone: 20,000 px of RGB
    take less than 3 GB. Windows, scaling, metres and warnings are as in ``predict``, the georeference is the RGB file's,
    native MUL is resampled as in ``read_tile``, and the file, cloud-optimised with overviews, is written whole or not at
    all. ``Probabilities.from_quantised`` takes its bands, or a crop of them.

    rgb_path, mul_path, bands : as ``read_tile`` takes them.

    Raises FileNotFoundError for a missing file, and ValueError for one that cannot be what it is passed as, for a path to
    write to that does not end in .tif or .tiff or that is also read, and for a model in training mode.
    """
    out_path, paths = checked_path(out_path, ".tif", ".tiff"), [source(path) for path in (rgb_path, mul_path) if path]
    if out_path.resolve() in [path.resolve() for path in paths if isinstance(path, Path)]:
        raise ValueError(f"{out_path} would be overwritten by its own maps. Pass another path to write to.")
    model = as_model(model)
    eye = Eye.of(model, precision)
    with ExitStack() as opened:
        file = opened.enter_context(Raster(rgb_path, 3, "RGB-PanSharpen or PS-RGB", bands))
        shape = known_shape(file.shape, file.georeference, metres)
        rgb = file if shape == file.shape else Scaled(file, shape)
        check_size(str(rgb_path), shape, shape != file.shape)
        check_bands(eye, model, str(rgb_path), mul_path is not None)
        mul: OnGrid | None = None
        if mul_path is not None and eye.channels > 3:
            raster = opened.enter_context(Raster(mul_path, 8, "MUL or MUL-PanSharpen"))
            mul = OnGrid(raster, rgb)
            check_counts(str(mul_path), raster.dtype, raster.limits()[1].max())

        def read(first: int, last: int) -> list[np.ndarray]:
            span = slice(first, last), slice(0, shape[1])
            return [*rgb.part(*span), *([mul.part(*span)[0]] if mul else [])]

        maps = blended(shape, read, eye.looking(file.limits()), eye.batch)
        rows = (np.moveaxis(eight_bit(some), 0, 2) for some in maps)
        if rgb is file:
            write_rows(out_path, rows, shape, np.dtype(np.uint8), NAMES, file.georeference, "average")
            return
        out_path.parent.mkdir(parents=True, exist_ok=True)
        folder = opened.enter_context(TemporaryDirectory(prefix=f".{out_path.name}.", dir=out_path.parent))
        write_rows(Path(folder, "maps.tif"), rows, shape, np.dtype(np.uint8), NAMES, None)
        found = opened.enter_context(Raster(Path(folder, "maps.tif"), 2, "maps"))
        height, width = file.shape
        spans = ((slice(top, min(top + ROWS, height)), slice(0, width)) for top in range(0, height, ROWS))
        back = (found.part(*span, file.shape)[0] * file.part(*span)[1][..., None] for span in spans)
        write_rows(out_path, back, file.shape, np.dtype(np.uint8), NAMES, file.georeference, "average")

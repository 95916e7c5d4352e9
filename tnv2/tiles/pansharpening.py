"""Pan-sharpening: eight coarse bands and one fine panchromatic one become a tile of fine bands."""

import cv2
import numpy as np

from ..files import PathLike
from .grids import OnGrid
from .rasters import Raster
from .tiles import Tile, image_id
from .truth import truth_of


def read_sharpened(mul_path: PathLike, pan_path: PathLike, footprints_path: PathLike | None = None) -> Tile:
    """Return the Tile of a native MUL file and the PAN file of the same place, for tiles without pan-sharpened products.

    RGB is bands 5, 3 and 2. The detail is put in by smoothing filter-based intensity modulation (Liu, International Journal
    of Remote Sensing 21(18), 2000), which is not the vendor's way: colours agree, edges look a little different.

    Raises FileNotFoundError and ValueError as ``read_tile`` does.
    """
    with Raster(mul_path, 8, "MUL") as native, Raster(pan_path, 1, "PAN") as fine:
        if fine.shape[0] <= native.shape[0] or fine.shape[1] <= native.shape[1]:
            raise ValueError(
                f"{pan_path} is {fine.shape} px and {mul_path} {native.shape}; PAN is the finer one. "
                "Pass MUL first and PAN second."
            )
        pan, valid, georeference = fine.read()
        enlarged, known = OnGrid(native, fine).read()
        mul = sharpened(enlarged, pan[..., 0], native.shape)
    name = image_id(pan_path)
    truth = None if footprints_path is None else truth_of(footprints_path, georeference, name, mul.shape[:2])
    rgb = np.ascontiguousarray(mul[..., [4, 2, 1]])
    return Tile(rgb, mul, name, georeference, truth, valid=valid & known)


def sharpened(mul: np.ndarray, pan: np.ndarray, native_shape: tuple[int, int]) -> np.ndarray:
    """Return (H, W, 8) bands, each times what (H, W) PAN has more than its own mean at the native resolution.

    ``sensor.pansharpened`` does the same for scenes, whose grids fit exactly; real ones are 162 to 650 px.
    """
    pan = pan.astype(np.float32)
    coarse = cv2.resize(pan, native_shape[::-1], interpolation=cv2.INTER_AREA)
    detail = pan / np.maximum(cv2.resize(coarse, pan.shape[::-1], interpolation=cv2.INTER_CUBIC), 1)
    most = np.iinfo(mul.dtype).max if mul.dtype.kind == "u" else np.inf
    fine = np.empty_like(mul)
    for band in range(mul.shape[2]):  # one at a time, for the memory's sake
        with np.errstate(over="ignore", invalid="ignore"):  # of numbers that no sensor gives; a Tile takes no infinite ones
            found = np.round(mul[..., band] * detail)
            fine[..., band] = np.clip(np.where(np.isnan(found), 0, found), 0, most)
    return fine

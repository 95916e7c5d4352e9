"""Grids: bands on other pixels than those they were measured in: MUL on those of RGB, RGB on those that a network knows."""

import numpy as np

from .georeference import Georeference, affine
from .rasters import Raster, Window, check_size, whole

BLOCK = 8192  # columns that OpenCV resamples at a time; it counts in 16 bits


class OnGrid:
    """The bands of a MUL Raster on the grid of an RGB one, bilinear where they are not its own.

    Raises ValueError where the two are not of one place.
    """

    def __init__(self, mul: Raster, rgb: "Raster | Scaled") -> None:
        self._mul, self.path, self.shape = mul, mul.path, rgb.shape
        self._what, self._to_mul = f"{mul.path} on the pixels of {rgb.path}", to_mul_grid(mul, rgb)
        self._same = mul.shape == rgb.shape and np.allclose(self._to_mul, np.eye(3), atol=0.05)

    def read(self, window: Window | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return ``part`` of a window, or of all; raises ValueError for one too large for memory."""
        rows, columns = window or whole(self.shape)
        check_size(self._what, rows, columns, self._mul.bands * self._mul.dtype.itemsize)
        return self.part(rows, columns)

    def part(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return (h, w, 8) pixels, 0 where not valid, and (h, w) bool of some rows and columns of the RGB grid."""
        if self._same:
            return self._mul.part(rows, columns)
        corners = affine(self._to_mul, [(x, y) for x in (columns.start, columns.stop) for y in (rows.start, rows.stop)])
        needed = (corners.min(axis=0) - 2, corners.max(axis=0) + 2)  # two pixels for the interpolation
        left, top = np.clip(np.floor(needed[0]), 0, np.array(self._mul.shape[::-1]) - 1).astype(int)
        right, bottom = np.clip(np.ceil(needed[1]), (left + 1, top + 1), self._mul.shape[::-1]).astype(int)
        part = slice(top, bottom), slice(left, right)
        check_size(str(self._mul.path), *part, self._mul.bands * self._mul.dtype.itemsize)
        native, valid = self._mul.part(*part)

        def moved(image: np.ndarray) -> np.ndarray:
            blocks = []
            for start in range(columns.start, columns.stop, BLOCK):
                to_part = shift(-left, -top) @ self._to_mul @ shift(start, rows.start)
                shape = rows.stop - rows.start, min(BLOCK, columns.stop - start)
                blocks.append(resampled(image, to_part, shape))
            return np.concatenate(blocks, axis=1)

        if valid.all():
            return moved(native), np.broadcast_to(True, (rows.stop - rows.start, columns.stop - columns.start))
        whole_pixels = moved(valid[..., None].astype(np.float32))[..., 0] > 0.99
        return np.where(whole_pixels[..., None], moved(native), native.dtype.type(0)), whole_pixels


class Scaled:
    """A Raster on a grid of another ``shape`` (H, W) over the same place: averaged where that is coarser, else cubic."""

    def __init__(self, raster: Raster, shape: tuple[int, int]) -> None:
        self._raster, self.shape, self.path = raster, shape, raster.path
        where = raster.georeference
        self.georeference = where and scaled_place(where, raster.shape, shape)

    def part(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return (h, w, bands) pixels, 0 where not valid, and (h, w) bool of some rows and columns of this grid."""
        return self._raster.part(rows, columns, self.shape)


def scaled_place(where: Georeference, shape: tuple[int, int], new_shape: tuple[int, int]) -> Georeference:
    """Return the Georeference of (H, W) pixels in ``where`` once they are as many as ``new_shape``."""
    ratio = np.divide(shape, new_shape)[::-1]
    matrix = where.matrix @ np.diag([*ratio, 1])
    return Georeference((*matrix[0], *matrix[1]), where.crs)


def shift(columns: float, rows: float) -> np.ndarray:
    """Return the 3x3 matrix that moves (column, row, 1)."""
    return np.array([[1, 0, columns], [0, 1, rows], [0, 0, 1]], float)


def to_mul_grid(mul: Raster, rgb: Raster | Scaled) -> np.ndarray:
    """Return the 3x3 matrix that takes (column, row, 1) of an RGB Raster's grid to the MUL's.

    Raises ValueError where the two are not of one place.
    """
    files, where, mul_where = f"{mul.path} and {rgb.path}", rgb.georeference, mul.georeference
    if not (where and mul_where):
        scale = np.diag([mul.shape[1] / rgb.shape[1], mul.shape[0] / rgb.shape[0], 1])
        if abs(scale[0, 0] / scale[1, 1] - 1) > 0.05:
            raise ValueError(
                f"{files} are {mul.shape} and {rgb.shape} px; without a georeference in both, their proportions "
                "must agree. Pass the MUL file of the same tile, or leave mul_path out to use RGB alone."
            )
        return scale
    if where.crs and mul_where.crs and where.crs != mul_where.crs:
        raise ValueError(
            f"{files} are in {mul_where.crs} and {where.crs}; both must be in one coordinate system. "
            "Reproject one, or leave mul_path out to use RGB alone."
        )
    to_mul = np.linalg.inv(mul_where.matrix) @ where.matrix
    corners = affine(to_mul, [(0, 0), (rgb.shape[1], 0), (0, rgb.shape[0]), rgb.shape[::-1]])
    extent = np.array([corners.min(axis=0), corners.max(axis=0)])
    beyond = np.abs(extent - [(0, 0), mul.shape[::-1]]).max()
    if not beyond <= 2:  # native MUL has 162.5 pixels, rounded to 162 or 163
        raise ValueError(
            f"{files} show different places: their corners are {beyond:.0f} MUL pixels apart, at most 2 are rounding. "
            "Pass the MUL file with the same image number, or leave mul_path out to use RGB alone."
        )
    return to_mul


def resampled(image: np.ndarray, to_image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return (h, w, C) bands on a grid of ``shape`` (H, W), bilinear; ``to_image`` takes its (column, row, 1) to theirs."""
    import cv2

    centre = shift(0.5, 0.5)  # OpenCV counts from the centre of the first pixel
    matrix = (np.linalg.inv(centre) @ to_image @ centre)[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    bands = [
        cv2.warpAffine(
            np.ascontiguousarray(image[..., i]), matrix, shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        for i in range(image.shape[2])
    ]
    return np.stack(bands, axis=2)

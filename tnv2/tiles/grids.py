"""Grids: the MUL bands on the pixels of RGB, whichever pixels they were measured in."""

import numpy as np

from .georeference import Georeference, affine

LARGEST = 1 << 28  # bytes of an image in memory: 8 bands of 4096 x 4096 px in 16 bits, 9400 x 9400 px of 8-bit RGB
LONGEST = 32_766  # pixels of a side; OpenCV counts in 16 bits


def on_grid(
    mul: np.ndarray,
    mul_georeference: Georeference | None,
    shape: tuple[int, int],
    georeference: Georeference | None,
    files: str,
) -> np.ndarray:
    """Return the MUL bands on an RGB grid of ``shape`` (H, W), bilinear; ``files`` names both for a message."""
    to_mul = to_mul_grid(mul.shape[:2], mul_georeference, shape, georeference, files)
    size = shape[0] * shape[1] * mul.shape[2] * mul.itemsize
    if size > LARGEST:
        raise ValueError(
            f"{files}: the MUL bands of {mul.shape[:2]} px take {size >> 20} MB on a grid of {tuple(shape)} px; at most "
            f"{LARGEST >> 20} MB can be. Cut the tile in pieces, or leave mul_path out to use RGB alone."
        )
    return resampled(mul, to_mul, shape)


def to_mul_grid(
    mul_shape: tuple[int, int],
    mul_georeference: Georeference | None,
    shape: tuple[int, int],
    georeference: Georeference | None,
    files: str,
) -> np.ndarray:
    """Return the 3x3 matrix that takes (column, row, 1) of an RGB grid of ``shape`` to the MUL's; ``files`` names both.

    Raises ValueError where the two are not of one place.
    """
    if not (georeference and mul_georeference):
        scale = np.diag([mul_shape[1] / shape[1], mul_shape[0] / shape[0], 1])
        if abs(scale[0, 0] / scale[1, 1] - 1) > 0.05:
            raise ValueError(
                f"{files} are {tuple(mul_shape)} and {tuple(shape)} px; without a georeference in both, their proportions "
                "must agree. Pass the MUL file of the same tile, or leave mul_path out to use RGB alone."
            )
        return scale
    if georeference.crs and mul_georeference.crs and georeference.crs != mul_georeference.crs:
        raise ValueError(
            f"{files} are in {mul_georeference.crs} and {georeference.crs}; both must be in one coordinate system. "
            "Reproject one, or leave mul_path out to use RGB alone."
        )
    to_mul = np.linalg.inv(mul_georeference.matrix) @ georeference.matrix
    corners = affine(to_mul, [(0, 0), (shape[1], 0), (0, shape[0]), shape[::-1]])
    extent = np.array([corners.min(axis=0), corners.max(axis=0)])
    beyond = np.abs(extent - [(0, 0), mul_shape[::-1]]).max()
    if not beyond <= 2:  # native MUL has 162.5 pixels, rounded to 162 or 163
        raise ValueError(
            f"{files} show different places: their corners are {beyond:.0f} MUL pixels apart, at most 2 are rounding. "
            "Pass the MUL file with the same image number, or leave mul_path out to use RGB alone."
        )
    return to_mul


def resampled(mul: np.ndarray, to_mul: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the (h, w, C) bands on a grid of ``shape`` (H, W), bilinear, where ``to_mul_grid`` says they are."""
    import cv2

    if mul.shape[:2] == tuple(shape) and np.allclose(to_mul, np.eye(3), atol=0.05):
        return mul
    centre = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # OpenCV counts from the centre of the first pixel
    to_mul = (np.linalg.inv(centre) @ to_mul @ centre)[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    bands = [
        cv2.warpAffine(np.ascontiguousarray(mul[..., i]), to_mul, shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
        for i in range(mul.shape[2])
    ]
    return np.stack(bands, axis=2)

"""Sensor: what a WorldView-3 makes of lit ground, and how panchromatic detail is put back into its eight bands.

Lengths are in pixels of 0.3 m unless said; bands are coastal, blue, green, yellow, red, red edge, NIR1, NIR2.
"""

from collections.abc import Callable

import cv2
import numpy as np

METRES = 0.3  # a pixel of PAN and of the pan-sharpened products
NATIVE = 4  # PAN pixels across one pixel of the native MUL, 1.2 m

# Counts = path + gain * reflectance * light: set so that scenes span what real tiles of Las Vegas and Shanghai show.
PATH_COUNTS = np.array((230, 230, 215, 145, 105, 100, 75, 50), np.float32)
GAIN_COUNTS = np.array((700, 1000, 1500, 1450, 1500, 1500, 1600, 1200), np.float32)
SKYLIGHT = np.array((0.42, 0.38, 0.32, 0.27, 0.23, 0.20, 0.17, 0.15), np.float32)  # of the sun's light: shadows are blue
PAN_SHARES = np.array((0, 0.15, 0.22, 0.17, 0.22, 0.16, 0.08, 0), np.float32)  # of each band in PAN, 450 to 800 nm


def photograph(
    reflectance: np.ndarray, height: np.ndarray, roughness: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return PAN, native MUL and pan-sharpened MUL of a ground under a sun drawn by chance: uint16, 11-bit counts.

    reflectance : (H, W, 8), height : (H, W) in metres, roughness : (H, W) texture contrast; H and W multiples of 4.
    PAN is (H, W), native MUL (H/4, W/4, 8), pan-sharpened MUL (H, W, 8).
    """
    light = sunlight(height, rng)[..., None] + SKYLIGHT * rng.uniform(0.7, 1.2)
    texture = 1 + roughness * np.clip(octaves(rng, height.shape), -2.5, 2.5)
    radiance = GAIN_COUNTS * rng.uniform(0.75, 1.15) * reflectance * light.astype(np.float32) * texture[..., None]
    counts = PATH_COUNTS * rng.uniform(0.8, 1.2) + 0.93 * radiance + 0.07 * per_band(blur, radiance, 40)  # haze spreads
    pan = blur(counts @ PAN_SHARES, rng.uniform(0.5, 0.9))
    pan += rng.uniform(0.6, 1.8) * (pan - blur(pan, 1.2))  # the vendor's sharpening: edges overshoot, as in real tiles
    pan = digitised(pan, rng)
    native = digitised(per_band(shrink, per_band(blur, counts, 1.5)), rng)
    return pan, native, pansharpened(native, pan)


def digitised(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return counts with shot and read-out noise, as 11-bit uint16."""
    noise = rng.standard_normal(counts.shape, np.float32) * np.sqrt(4 + 0.02 * np.maximum(counts, 0))
    return np.clip(np.round(counts + noise), 1, 2047).astype(np.uint16)


def pansharpened(native: np.ndarray, pan: np.ndarray) -> np.ndarray:
    """Return the (H, W, 8) uint16 bands at PAN's resolution: each times what PAN has more than its own 1.2 m mean.

    Smoothing filter-based intensity modulation: Liu, International Journal of Remote Sensing 21(18), 2000.
    """
    pan = pan.astype(np.float32)
    detail = pan / np.maximum(enlarge(shrink(blur(pan, 1.5))), 1)
    return np.clip(np.round(per_band(enlarge, native.astype(np.float32)) * detail[..., None]), 1, 2047).astype(np.uint16)


def sunlight(height: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (H, W) float32: direct light on each pixel, 1 on flat ground in the sun, for a sun drawn by chance."""
    elevation, azimuth = np.radians(rng.uniform(32, 68)), np.radians(rng.uniform(100, 250))
    sun = np.array([np.sin(azimuth), -np.cos(azimuth)]) * np.cos(elevation)  # towards the sun: columns, rows
    slope_y, slope_x = np.gradient(blur(height, 0.6), METRES)
    steep = np.hypot(slope_x, slope_y) > 1.5  # a wall's foot is no roof slope
    slope_x[steep] = slope_y[steep] = 0
    facing = (np.sin(elevation) - slope_x * sun[0] - slope_y * sun[1]) / np.sqrt(1 + slope_x**2 + slope_y**2)
    lit = 1 - blur(shadow(height, elevation, azimuth), 0.5)
    return (np.clip(facing, 0, None) * lit / np.sin(elevation)).astype(np.float32)


def shadow(height: np.ndarray, elevation: float, azimuth: float) -> np.ndarray:
    """Return (H, W) float32: 1 where something towards the sun, angles in radians, is high enough to hide it."""
    fall = np.tan(elevation) * METRES  # metres a pixel
    shaded = np.zeros(height.shape, np.float32)
    for step in range(1, int(height.max(initial=0) / fall) + 2):
        dx, dy = -np.sin(azimuth) * step, np.cos(azimuth) * step  # away from the sun
        moved = cv2.warpAffine(height, np.array([(1, 0, dx), (0, 1, dy)], np.float32), height.shape[::-1])
        shaded[moved - fall * step > height + 0.1] = 1
    return shaded


def octaves(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return (H, W) float32 noise of unit variance: the sum of fine, middle and coarse grain."""
    total = np.zeros(shape, np.float32)
    for grain, weight in ((1, 0.5), (3, 0.45), (9, 0.45), (29, 0.4), (120, 0.4)):
        coarse = rng.standard_normal((shape[0] // grain + 2, shape[1] // grain + 2), np.float32)
        total += weight * cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC if grain > 1 else cv2.INTER_NEAREST)
    return total


def per_band(change: Callable[..., np.ndarray], bands: np.ndarray, *arguments: float) -> np.ndarray:
    """Return (H, W, C) with ``change`` done to each band; OpenCV's own limit is four."""
    return np.stack([change(np.ascontiguousarray(band), *arguments) for band in np.moveaxis(bands, 2, 0)], axis=2)


def blur(band: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(band, (0, 0), sigma)


def shrink(band: np.ndarray) -> np.ndarray:
    return cv2.resize(band, None, fx=1 / NATIVE, fy=1 / NATIVE, interpolation=cv2.INTER_AREA)


def enlarge(band: np.ndarray) -> np.ndarray:
    return cv2.resize(band, None, fx=NATIVE, fy=NATIVE, interpolation=cv2.INTER_CUBIC)

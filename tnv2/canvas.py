"""Canvas: ground, buildings, trees and cars drawn in three layers, then photographed by a WorldView-3 under a sun.

The layers are reflectance in eight bands, height in metres and texture. Lengths are in pixels of 0.3 m unless said.
"""

import cv2
import numpy as np
from shapely import Polygon, union_all
from skimage.draw import polygon

METRES = 0.3  # a pixel

# Reflectance in the WorldView-3 bands coastal .. NIR2: round figures after the ECOSTRESS spectral library (Meerdink et
# al., 2019) and, for roofs and roads, Herold et al., "Spectrometry for urban area remote sensing" (2004).
REFLECTANCE = {
    "asphalt": (0.06, 0.07, 0.08, 0.09, 0.10, 0.11, 0.12, 0.13),
    "concrete": (0.20, 0.24, 0.28, 0.30, 0.31, 0.33, 0.34, 0.35),
    "paint": (0.40, 0.50, 0.55, 0.57, 0.58, 0.58, 0.58, 0.57),
    "soil": (0.10, 0.13, 0.18, 0.23, 0.27, 0.31, 0.35, 0.38),
    "sand": (0.17, 0.22, 0.29, 0.34, 0.38, 0.41, 0.44, 0.46),
    "grass": (0.03, 0.04, 0.09, 0.07, 0.05, 0.25, 0.45, 0.48),
    "tree": (0.02, 0.03, 0.06, 0.04, 0.03, 0.17, 0.38, 0.42),
    "pool": (0.22, 0.32, 0.32, 0.13, 0.06, 0.03, 0.02, 0.01),
    "clay tile": (0.06, 0.07, 0.10, 0.17, 0.24, 0.28, 0.31, 0.33),
    "tan tile": (0.12, 0.15, 0.21, 0.27, 0.31, 0.34, 0.37, 0.39),
    "grey shingle": (0.09, 0.10, 0.11, 0.12, 0.12, 0.13, 0.14, 0.14),
    "brown shingle": (0.06, 0.07, 0.09, 0.12, 0.14, 0.16, 0.19, 0.21),
    "gravel": (0.16, 0.19, 0.22, 0.24, 0.25, 0.26, 0.27, 0.28),
    "membrane": (0.35, 0.48, 0.54, 0.56, 0.56, 0.56, 0.55, 0.53),
    "metal": (0.26, 0.29, 0.31, 0.32, 0.33, 0.34, 0.35, 0.35),
    "green court": (0.05, 0.07, 0.14, 0.09, 0.07, 0.10, 0.16, 0.18),
    "blue court": (0.09, 0.17, 0.15, 0.09, 0.08, 0.12, 0.18, 0.20),
    "red court": (0.06, 0.06, 0.08, 0.14, 0.20, 0.24, 0.27, 0.29),
}

# Counts = path + gain * radiance, bands coastal .. NIR2: set so that the counts span what a real Vegas tile shows.
PATH_COUNTS = np.array((190, 205, 200, 125, 105, 105, 75, 45), np.float32)
GAIN_COUNTS = np.array((700, 1150, 1700, 1400, 1500, 1500, 1600, 1000), np.float32)


class Canvas:
    """The ground, drawn in a frame turned by the street direction, then photographed from above."""

    def __init__(self, rng, size):
        self.rng, self.size = rng, size
        self.angle = rng.choice([0, 0, 0, rng.uniform(-np.pi / 4, np.pi / 4)])
        self.reflectance = np.empty((size, size, 8), np.float32)
        self.height = np.zeros((size, size), np.float32)  # metres
        self.roughness = np.full((size, size), 0.10, np.float32)  # texture contrast
        self.footprints = []
        self.built = np.zeros((size, size), bool)
        dry = rng.uniform(0, 1)
        self.ground = mix("soil", "sand", dry) if rng.random() < 0.7 else mix("soil", "grass", rng.uniform(0.3, 0.9))
        self.reflectance[:] = self.ground * rng.uniform(0.7, 1.1)

    # Geometry: a box is (x, y, half width, half height) in street coordinates, x along the street.

    def corners(self, box, turn=0.0):
        """Return the (4, 2) corners of a box as column, row."""
        x, y, half_width, half_height = box
        cos, sin = np.cos(turn), np.sin(turn)
        offsets = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (half_width, half_height)
        return self.to_pixels((x, y) + offsets @ np.array([(cos, sin), (-sin, cos)]))

    def to_pixels(self, points):
        """Return street coordinates as column, row."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.asarray(points) @ np.array([(cos, sin), (-sin, cos)]) + self.size / 2

    def to_street(self, rows, columns):
        """Return the street coordinates x, y of pixel centres."""
        points = np.stack([columns + 0.5, rows + 0.5], axis=-1) - self.size / 2
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.moveaxis(points @ np.array([(cos, -sin), (sin, cos)]), -1, 0)

    def inside(self, ring):
        """Return rows, columns of the pixels whose centres are inside a ring."""
        return polygon(ring[:, 1] - 0.5, ring[:, 0] - 0.5, (self.size, self.size))

    # Paint

    def fill(self, ring, reflectance, roughness=0.06):
        """Paint flat ground, under the buildings that stand there."""
        rows, columns = self.inside(ring)
        ground = ~self.built[rows, columns]
        self.reflectance[rows[ground], columns[ground]] = reflectance
        self.roughness[rows[ground], columns[ground]] = roughness

    def building(self, boxes, roof, wall, slope, gabled=False):
        """Draw one building, the union of boxes that overlap: hipped, gabled, or flat where the slope is 0.

        Height is the wall's, in metres, plus slope times the distance to the eaves; the highest of the boxes counts.
        """
        union = union_all([Polygon(self.corners(box)).buffer(1e-3, join_style="mitre") for box in boxes])
        if union.geom_type != "Polygon":
            raise ValueError(f"boxes {boxes} make a {union.geom_type}; the boxes of one building must overlap.")
        ring = np.array(union.exterior.coords)[:-1]
        rows, columns = self.inside(ring)
        if len(rows) < 12 or self.built[rows, columns].any():
            return
        x, y = self.to_street(rows, columns)
        top = np.full(len(rows), wall, np.float32)
        for cx, cy, half_width, half_height in boxes:
            to_sides = half_height - np.abs(y - cy)
            to_ends = half_width - np.abs(x - cx)
            if gabled:
                to_eaves = (
                    np.where(to_ends >= 0, to_sides, 0) if half_width > half_height else np.where(to_sides >= 0, to_ends, 0)
                )
            else:
                to_eaves = np.minimum(to_sides, to_ends)
            top = np.maximum(top, wall + slope * METRES * np.maximum(to_eaves, 0))
        tint = np.linspace(*self.rng.normal(1, 0.06, 2), 8) * self.rng.lognormal(0, 0.18)
        self.reflectance[rows, columns] = np.asarray(roof) * tint
        self.roughness[rows, columns] = 0.05
        self.height[rows, columns] = top
        self.built[rows, columns] = True
        self.footprints.append(ring)

    def tree(self, x, y, radius, roof_too=False):
        """Draw a crown, a dome as high as it is wide, cut off at roofs unless it may hang over them."""
        column, row = self.to_pixels((x, y))
        edges = np.array((row - radius, row + radius + 1, column - radius, column + radius + 1))
        top, bottom, left, right = np.clip(edges, 0, self.size).astype(int)
        rows, columns = np.mgrid[top:bottom, left:right]
        if not rows.size:
            return
        away = np.hypot(rows - row, columns - column) / radius + self.rng.normal(0, 0.12, rows.shape)
        crown = (away < 1) & (roof_too | ~self.built[rows, columns])
        at = rows[crown], columns[crown]
        green = np.asarray(REFLECTANCE["tree"]) * self.rng.lognormal(0, 0.25) * self.rng.normal(1, 0.05, 8)
        self.reflectance[at] = green
        self.roughness[at] = 0.30
        dome = np.sqrt(np.maximum(0.05, 1 - away[crown] ** 2)) * radius * METRES * 1.6
        self.height[at] = np.maximum(self.height[at], dome.astype(np.float32))

    def car(self, x, y, turn=0.0):
        """Draw a car of 4.5 x 1.9 m."""
        paint = self.rng.choice([0.04, 0.08, 0.2, 0.45, 0.6]) * np.linspace(*self.rng.uniform(0.7, 1.3, 2), 8)
        ring = self.corners((x, y, 7.5, 3), turn)
        pixels = self.inside(ring)
        if len(pixels[0]) and not self.built[pixels].any():
            self.reflectance[pixels] = paint
            self.height[pixels] = 1.4

    # Light

    def photograph(self):
        """Return (size, size, 8) uint16 counts: sun, sky, shadow, texture, sensor blur and noise."""
        rng = self.rng
        elevation, azimuth = np.radians(rng.uniform(32, 65)), np.radians(rng.uniform(100, 250))
        sun = np.array([np.sin(azimuth), -np.cos(azimuth)]) * np.cos(elevation)  # towards the sun: columns, rows
        slope_y, slope_x = np.gradient(cv2.GaussianBlur(self.height, (0, 0), 0.6), METRES)
        steep = np.hypot(slope_x, slope_y) > 1.5  # a wall's foot is no roof slope
        slope_x[steep] = slope_y[steep] = 0
        facing = (np.sin(elevation) - slope_x * sun[0] - slope_y * sun[1]) / np.sqrt(1 + slope_x**2 + slope_y**2)
        direct = np.clip(facing, 0, None) * (1 - cv2.GaussianBlur(self.shadow(elevation, azimuth), (0, 0), 0.5))
        light = (direct / np.sin(elevation) + rng.uniform(0.10, 0.22))[..., None].astype(np.float32)
        texture = 1 + self.roughness * np.clip(octaves(rng, self.size), -2.5, 2.5)
        radiance = self.reflectance * light * texture[..., None]
        counts = PATH_COUNTS * rng.uniform(0.8, 1.2) + GAIN_COUNTS * rng.uniform(0.75, 1.15) * radiance
        counts = cv2.GaussianBlur(counts, (0, 0), rng.uniform(0.45, 0.8))
        counts += rng.normal(0, 1, counts.shape).astype(np.float32) * (2 + 0.012 * counts)
        return np.clip(np.round(counts), 0, 2047).astype(np.uint16)

    def shadow(self, elevation, azimuth):
        """Return (size, size) float32: 1 where something towards the sun is high enough to hide it."""
        fall = np.tan(elevation) * METRES  # metres a pixel
        shaded = np.zeros((self.size, self.size), np.float32)
        for step in range(1, int(self.height.max(initial=0) / fall) + 2):
            dx, dy = -np.sin(azimuth) * step, np.cos(azimuth) * step  # away from the sun
            moved = cv2.warpAffine(self.height, np.float32([(1, 0, dx), (0, 1, dy)]), (self.size, self.size))
            shaded[moved - fall * step > self.height + 0.1] = 1
        return shaded


def mix(first, second, part):
    """Return a reflectance between two materials; ``part`` of the second."""
    return (1 - part) * np.asarray(REFLECTANCE[first]) + part * np.asarray(REFLECTANCE[second])


def octaves(rng, size):
    """Return (size, size) float32 noise of unit variance: the sum of fine, middle and coarse grain."""
    total = np.zeros((size, size), np.float32)
    for grain, weight in ((1, 0.5), (4, 0.6), (24, 0.5), (120, 0.4)):
        coarse = rng.normal(0, 1, (size // grain + 2, size // grain + 2)).astype(np.float32)
        total += weight * cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC if grain > 1 else cv2.INTER_NEAREST)
    return total

"""Canvas: ground, buildings, trees and cars, drawn in three layers: reflectance in eight bands, height, texture.

Lengths are in pixels of 0.3 m, heights in metres. A box is (x, y, half width, half height) in street coordinates, x along
the street, origin in the middle of the canvas.
"""

from collections.abc import Sequence

import numpy as np
from shapely import Polygon, union_all
from skimage.draw import polygon

from .reflectance import REFLECTANCE, mix
from .sensor import METRES

Box = tuple[float, float, float, float] | np.ndarray  # middle and half sizes, in street coordinates


class Canvas:
    """The ground, drawn in a frame turned by the street direction.

    reflectance : (size, size, 8), height : (size, size) in metres, roughness : (size, size) texture contrast.
    footprints : one (N, 2) ring of column, row a building, in the order drawn.
    """

    def __init__(self, rng: np.random.Generator, size: int, ground: np.ndarray) -> None:
        self.rng, self.size = rng, size
        self.angle = rng.choice([0, 0, rng.uniform(-np.pi / 4, np.pi / 4)])
        self.ground = np.asarray(ground)
        self.reflectance = np.full((size, size, 8), ground, np.float32)
        self.height = np.zeros((size, size), np.float32)
        self.roughness = np.full((size, size), 0.10, np.float32)
        self.footprints: list[np.ndarray] = []
        self.built = np.zeros((size, size), bool)

    # Geometry

    def corners(self, box: Box, turn: float = 0.0) -> np.ndarray:
        """Return the (4, 2) corners of a box as column, row."""
        x, y, half_width, half_height = box
        cos, sin = np.cos(turn), np.sin(turn)
        offsets = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (half_width, half_height)
        return self.to_pixels((x, y) + offsets @ np.array([(cos, sin), (-sin, cos)]))

    def to_pixels(self, points: np.ndarray | tuple[float, float]) -> np.ndarray:
        """Return street coordinates as column, row."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.asarray(points) @ np.array([(cos, sin), (-sin, cos)]) + self.size / 2

    def to_street(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the street coordinates x, y of pixel centres."""
        points = np.stack([columns + 0.5, rows + 0.5], axis=-1) - self.size / 2
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.moveaxis(points @ np.array([(cos, -sin), (sin, cos)]), -1, 0)

    def inside(self, ring: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return rows, columns of the pixels whose centres are inside a ring."""
        return polygon(ring[:, 1] - 0.5, ring[:, 0] - 0.5, (self.size, self.size))

    def sees(self, box: Box, margin: float = 60) -> bool:
        """Return whether a box, or what it casts a shadow on, can lie on the canvas."""
        low, high = self.corners(box).min(axis=0), self.corners(box).max(axis=0)
        return bool((high > -margin).all() and (low < self.size + margin).all())

    # Flat ground

    def fill(self, ring: np.ndarray, reflectance: np.ndarray, roughness: float) -> None:
        """Paint flat ground, under the buildings that stand there."""
        rows, columns = self.inside(ring)
        ground = ~self.built[rows, columns]
        self.reflectance[rows[ground], columns[ground]] = reflectance
        self.roughness[rows[ground], columns[ground]] = roughness

    def paint(self, box: Box, material: str | np.ndarray, bright: float = 1.0, roughness: float = 0.06) -> None:
        """Paint a box of ground with a material, a name or eight reflectances, times ``bright``."""
        known = REFLECTANCE[material] if isinstance(material, str) else material
        self.fill(self.corners(box), np.asarray(known) * bright, roughness)

    def blob(self, box: Box, material: str, bright: float = 1.0, roughness: float = 0.06) -> None:
        """Paint a round patch with a winding edge, about as large as a box: a pond, a bunker, a bare spot."""
        x, y, half_width, half_height = box
        angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        radius = 1 + sum(self.rng.normal(0, 0.25 / k) * np.cos(k * angles + self.rng.uniform(0, 6)) for k in (2, 3, 5))
        points = np.stack([x + half_width * radius * np.cos(angles), y + half_height * radius * np.sin(angles)], axis=1)
        self.fill(self.to_pixels(points), np.asarray(REFLECTANCE[material]) * bright, roughness)

    def wall(self, box: Box, material: str, height: float = 1.8) -> None:
        """Draw a garden wall or fence: too thin for a footprint, high enough for a shadow."""
        rows, columns = self.inside(self.corners(box))
        free = ~self.built[rows, columns]
        self.reflectance[rows[free], columns[free]] = REFLECTANCE[material]
        self.height[rows[free], columns[free]] = height

    # Buildings

    def building(self, boxes: Sequence[Box], roof: str, wall: float, slope: float = 0.0, ridge: str = "hip") -> bool:
        """Draw one building, the union of boxes that overlap; return whether there was room for it.

        roof : a material. wall : height of the eaves. slope : rise of the roof, metres a metre, 0 for flat.
        ridge : "hip" slopes to four sides; "x" and "y" are gables with the ridge that way; "long" along the longer side.
        """
        union = union_all([Polygon(self.corners(box)).buffer(1e-3, join_style="mitre") for box in boxes])
        if not isinstance(union, Polygon):
            raise ValueError(f"boxes {boxes} make a {union.geom_type}; the boxes of one building must overlap.")
        ring = np.array(union.exterior.coords)[:-1]
        rows, columns = self.inside(ring)
        if len(rows) < 12 or self.built[rows, columns].any():
            return False
        x, y = self.to_street(rows, columns)
        self.cover(rows, columns, roof, np.max([wall + slope * METRES * rise(x, y, box, ridge) for box in boxes], axis=0))
        self.footprints.append(ring)
        return True

    def cover(self, rows: np.ndarray, columns: np.ndarray, roof: str, height: np.ndarray | float) -> None:
        """Put a roof of a material, of a tint of its own, over the pixels of one building."""
        tint = np.linspace(self.rng.normal(1, 0.06), self.rng.normal(1, 0.06), 8) * self.rng.lognormal(0, 0.16)
        self.reflectance[rows, columns] = np.asarray(REFLECTANCE[roof]) * tint
        self.roughness[rows, columns] = self.rng.uniform(0.03, 0.08)
        self.height[rows, columns] = height
        self.built[rows, columns] = True

    def on_roof(self, box: Box, bright: float = 1.0, material: str | None = None, height: float = 0.0) -> None:
        """Change what of a box is roof: its brightness or material, and how far it stands out."""
        rows, columns = self.inside(self.corners(box))
        roof = self.built[rows, columns]
        at = rows[roof], columns[roof]
        self.reflectance[at] = (self.reflectance[at] if material is None else np.asarray(REFLECTANCE[material])) * bright
        self.height[at] += height

    # Trees and cars

    def tree(self, x: float, y: float, radius: float, roof_too: bool = False) -> None:
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
        green = mix("tree", "dry grass", self.rng.uniform(0, 0.3)) * self.rng.lognormal(0, 0.25)
        self.reflectance[at] = green * self.rng.normal(1, 0.05, 8)
        self.roughness[at] = 0.30
        dome = np.sqrt(np.maximum(0.05, 1 - away[crown] ** 2)) * radius * METRES * 1.6
        self.height[at] = np.maximum(self.height[at], dome.astype(np.float32))

    def car(self, x: float, y: float, turn: float = 0.0, size: tuple[float, float, float] = (4.5, 1.9, 1.4)) -> None:
        """Draw a car, or a lorry of another ``size``: length, width and height in metres."""
        length, width, height = size
        shade, ends = self.rng.choice([0.04, 0.08, 0.2, 0.45, 0.6]), self.rng.uniform(0.7, 1.3, 2)
        paint = shade * np.linspace(ends[0], ends[1], 8)
        pixels = self.inside(self.corners((x, y, length / METRES / 2, width / METRES / 2), turn))
        if len(pixels[0]) and not self.built[pixels].any():
            self.reflectance[pixels] = paint
            self.height[pixels] = height


def rise(x: np.ndarray, y: np.ndarray, box: Box, ridge: str) -> np.ndarray:
    """Return how far from the eaves points are, in pixels along the fall of a box's roof; 0 outside the box."""
    cx, cy, half_width, half_height = box
    to_ends, to_sides = half_width - np.abs(x - cx), half_height - np.abs(y - cy)
    if ridge == "long":
        ridge = "x" if half_width > half_height else "y"
    distance = {"x": to_sides, "y": to_ends, "hip": np.minimum(to_sides, to_ends)}[ridge]
    return np.where(np.minimum(to_sides, to_ends) >= 0, distance, 0).astype(np.float32)

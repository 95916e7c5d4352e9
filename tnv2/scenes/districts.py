"""Districts: streets, and blocks between them filled with what a style of city has, drawn on a Canvas by chance."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .canvas import Box
from .lots import HOUSE_ROOFS, Lots
from .reflectance import mix


@dataclass(frozen=True)
class Style:
    """How a style of city is laid out: lengths in px drawn between two bounds, and what fills its blocks, by share."""

    road: tuple[float, float]
    depth: tuple[float, float]  # of half a block, from street to the next
    length: tuple[float, float]  # of a block
    grounds: tuple[tuple[str, str], ...]  # pairs of materials that mix
    blocks: dict[str, float]
    surface: str = "asphalt"


STYLES = {
    "suburb": Style(
        (24, 40), (85, 140), (350, 800), (("soil", "sand"), ("soil", "sand"), ("soil", "grass")),
        {"houses": 0.57, "rows": 0.18, "park": 0.13, "bare": 0.05, "yards": 0.07},
    ),
    "blocks": Style(
        (24, 44), (90, 140), (220, 460), (("concrete", "soil"), ("dry grass", "soil")),
        {"perimeter": 0.66, "rows": 0.08, "park": 0.12, "bare": 0.06, "yards": 0.08},
    ),
    "industrial": Style(
        (28, 48), (95, 170), (350, 800), (("soil", "sand"), ("soil", "dry grass"), ("soil", "grass")),
        {"halls": 0.44, "towers": 0.24, "park": 0.13, "bare": 0.09, "yards": 0.10},
    ),
    "desert": Style(
        (22, 46), (60, 105), (260, 560), (("soil", "sand"), ("red soil", "sand")),
        {"compounds": 0.74, "park": 0.06, "bare": 0.11, "yards": 0.09},
        surface="ground",
    ),
}  # fmt: skip


class District(Lots):
    """A canvas that lays out a district of a style: a grid of streets, and blocks with what stands on them."""

    def __init__(self, rng: np.random.Generator, size: int, style: str) -> None:
        self.style = STYLES[style]
        first, second = rng.choice(self.style.grounds)
        super().__init__(rng, size, mix(first, second, rng.uniform(0, 1)) * rng.uniform(0.7, 1.1))
        reach = 0.75 * size + 60
        road, depth, length = (rng.uniform(*bounds) for bounds in (self.style.road, self.style.depth, self.style.length))
        rows = np.arange(-reach - rng.uniform(0, 2 * depth), reach + 2 * depth, 2 * depth + road)
        columns = np.arange(-reach - rng.uniform(0, length), reach + length, length)
        kinds, shares = zip(*self.style.blocks.items(), strict=True)
        for top in rows + road / 2:
            for left, right in zip(columns[:-1] + road / 2 + 8, columns[1:] - road / 2 - 8, strict=True):
                if self.sees(((left + right) / 2, top + depth, (right - left) / 2, depth)):
                    getattr(self, rng.choice(kinds, p=shares))(left, right, top, top + 2 * depth)
        for y in rows:
            self.road((0, y, 2 * reach, road / 2), along=True)
        for x in columns:
            self.road((x, 0, road / 2, 2 * reach), along=False)

    def road(self, box: Box, along: bool) -> None:
        """Draw a road: kerbs, a dashed line, cars, trees along it; or a track where the style has no asphalt."""
        rng, (x, y, half_width, half_height) = self.rng, box
        paved = self.style.surface != "ground"
        if paved:
            self.paint(np.add(box, (0, 0, 0, 6) if along else (0, 0, 6, 0)), "concrete", rng.uniform(0.7, 1))
            self.paint(box, "asphalt", rng.uniform(0.7, 1.5), 0.04)
        else:
            self.paint(box, self.ground, rng.uniform(0.95, 1.15), 0.12)
        length, half_road = (half_width, half_height) if along else (half_height, half_width)
        for t in np.arange(-length, length, 24):
            if paved:
                self.paint((x + t, y, 5, 0.7) if along else (x, y + t, 0.7, 5), "paint", 1, 0.02)
            if rng.random() < (0.08 if paved else 0.03):
                lane = rng.choice((-0.5, 0.5)) * half_road
                self.car(*((x + t, y + lane) if along else (x + lane, y + t)), 0 if along else np.pi / 2)
            if rng.random() < 0.08:
                verge = rng.choice((-1, 1)) * (half_road + 14)
                self.tree(*((x + t, y + verge) if along else (x + verge, y + t)), rng.uniform(5, 13))

    # Blocks from left to right and top to bottom, in street coordinates

    def houses(self, left: float, right: float, top: float, bottom: float) -> None:
        """Fill a block with detached houses on both streets, sometimes so close that their eaves nearly meet."""
        for kerb, side in ((top, 1), (bottom, -1)):
            rng = self.rng
            roof, same_roof = rng.choice(HOUSE_ROOFS), rng.random() < 0.6
            gap = rng.choice((0.2, 0.8, 1.5, 3, 7, 12))  # half of what is between two walls
            for x, half in self.lots(left, right, 48, 85):
                self.house(x, half, kerb, side, (bottom - top) / 2, gap, roof if same_roof else rng.choice(HOUSE_ROOFS))

    def lots(self, left: float, right: float, narrow: float, wide: float) -> list[tuple[float, float]]:
        """Return (middle, half width) of the equal lots that a side of a block is cut into."""
        count = max(1, int((right - left) / self.rng.uniform(narrow, wide)))
        half = (right - left) / count / 2
        return [(left + (2 * i + 1) * half, half) for i in range(count)]

    def rows(self, left: float, right: float, top: float, bottom: float) -> None:
        """Fill a block with rows of two to six houses under one roof, behind car parks with carports.

        A row is one footprint, as SpaceNet's annotators drew such rows; the next one may be a step away.
        """
        roof = self.rng.choice(HOUSE_ROOFS[:6])
        for kerb, side in ((top, 1), (bottom, -1)):
            for x, half in self.lots(left, right, 110, 260):
                self.row(x, half, kerb, side, (bottom - top) / 2, roof)

    def perimeter(self, left: float, right: float, top: float, bottom: float) -> None:
        """Fill a block with houses that touch wall to wall along its four streets, around a courtyard."""
        rng, deep = self.rng, self.rng.uniform(16, 23)  # half of a house's depth
        x, y, half_width, half_height = (left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2
        court = half_width - 2 * deep, half_height - 2 * deep
        self.paint((x, y, half_width, half_height), "concrete", rng.uniform(0.4, 0.9), 0.10)
        self.paint((x, y, *court), rng.choice(("grass", "soil", "concrete")), 0.8, 0.15)
        eaves, slope = rng.uniform(9, 18), rng.choice((0, 0.4, 0.7))
        for side, street in ((1, top + 4), (-1, bottom - 4)):
            plots = self.uneven(left + 4, right - 4)
            for i, (middle, half) in enumerate(plots):
                at_corner = i in (0, len(plots) - 1)
                self.town_house((middle, street + side * deep, half, deep), (0, side), eaves, slope, not at_corner)
        for side, street in ((1, left + 4), (-1, right - 4)):
            for middle, half in self.uneven(top + 4.1 + 2 * deep, bottom - 4.1 - 2 * deep):
                self.town_house((street + side * deep, middle, deep, half), (side, 0), eaves, slope)
        for _ in range(rng.poisson(5)):
            self.tree(x + rng.uniform(-1, 1) * court[0], y + rng.uniform(-1, 1) * court[1], rng.uniform(6, 16))

    def uneven(self, start: float, end: float) -> list[tuple[float, float]]:
        """Return (middle, half width) of lots of uneven width, side by side without a gap."""
        count = max(1, round((end - start) / self.rng.uniform(36, 62)))
        edges = start + (end - start) * np.cumsum([0, *self.rng.dirichlet([12] * count)])
        return [((a + b) / 2, (b - a) / 2) for a, b in pairwise(edges)]

    def halls(self, left: float, right: float, top: float, bottom: float) -> None:
        """Fill a block with halls, loading yards and car parks."""
        for kerb, side in ((top, 1), (bottom, -1)):
            depth = (bottom - top) / 2
            for x, half in self.lots(left, right, 110, 280):
                rng = self.rng
                surface = "asphalt" if rng.random() < 0.7 else "concrete"
                self.paint((x, kerb + side * depth / 2, half - 2, depth / 2 - 2), surface, rng.uniform(0.8, 1.6))
                self.hall(x, kerb + side * 0.62 * depth, half * rng.uniform(0.35, 0.85), depth * rng.uniform(0.15, 0.32))
                self.car_park(x, half - 12, kerb + side * 0.14 * depth, 0.1 * depth)
                for _ in range(rng.poisson(1.5)):
                    at = x + rng.uniform(-0.9, 0.9) * half, kerb + side * rng.uniform(0.22, 0.3) * depth
                    self.car(*at, 0, (14, 2.6, 3.5))
                for _ in range(rng.poisson(3)):
                    at = x + rng.uniform(-1, 1) * half, kerb + side * rng.choice((0.03, 0.97)) * depth
                    self.tree(*at, rng.uniform(4, 10))

    def towers(self, left: float, right: float, top: float, bottom: float) -> None:
        """Fill a block with towers on lawns, whose shadows fall across the next."""
        rng, middle, half_height = self.rng, (top + bottom) / 2, (bottom - top) / 2
        lawn = rng.choice(("grass", "concrete", "dry grass"))
        self.paint(((left + right) / 2, middle, (right - left) / 2, half_height), lawn, 0.9, 0.12)
        for x, half in self.lots(left, right, 100, 180):
            half_width, half_depth = np.minimum(rng.uniform(24, 55, 2), (0.8 * half, 0.45 * half_height))
            self.tower(x, middle + rng.uniform(-0.3, 0.3) * half_height, half_width, half_depth)
            self.car_park(x, half - 10, top + 0.12 * half_height, 0.08 * half_height)
            for _ in range(rng.poisson(8)):
                at = x + rng.uniform(-1, 1) * half, middle + rng.uniform(-0.95, 0.95) * half_height
                self.tree(*at, rng.uniform(5, 14))

    def compounds(self, left: float, right: float, top: float, bottom: float) -> None:
        """Fill a block with walled compounds: low rooms of the ground's own colour, some under metal sheets."""
        for kerb, side in ((top, 1), (bottom, -1)):
            for x, half in self.lots(left, right, 60, 115):
                self.compound(x, half, kerb, side, (bottom - top) / 2)

    def park(self, left: float, right: float, top: float, bottom: float) -> None:
        """Fill a block with lawn, paths, water, sand and sports grounds: as straight as roofs, but flat and shadowless."""
        rng = self.rng
        x, y, half_width, half_height = (left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2
        self.paint((x, y, half_width, half_height), mix("grass", "dry grass", rng.choice((0, rng.uniform(0, 1)))), 0.9, 0.10)
        if rng.random() < 0.6:
            self.courts(left, right, top, bottom)
        else:
            for material, radius in (("water", 45), ("sand", 18), ("sand", 18), ("sand", 14), ("soil", 30), ("tree", 12)):
                at = x + rng.uniform(-0.9, 0.9) * half_width, y + rng.uniform(-0.8, 0.8) * half_height
                if rng.random() < 0.6:
                    self.blob((*at, radius * rng.uniform(0.6, 1.8), radius * rng.uniform(0.5, 1)), material)
        self.paint((x, y + rng.uniform(-0.8, 0.8) * half_height, half_width, 3), rng.choice(("sand", "concrete")))
        for _ in range(rng.poisson(14)):
            self.tree(x + rng.uniform(-1, 1) * half_width, y + rng.uniform(-1, 1) * half_height, rng.uniform(4, 13))

    def courts(self, left: float, right: float, top: float, bottom: float) -> None:
        """Draw courts and pitches with white lines on paved strips."""
        rng, y = self.rng, (top + bottom) / 2
        half_court, half_length = rng.choice(((18, 39), (26, 50), (90, 0.42 * (bottom - top))))
        half_length = min(half_length, 0.42 * (bottom - top))
        colour = rng.choice(("green court", "blue court", "red court", "turf", "turf", "grass"))
        around = rng.choice(("green court", "red court", "concrete", "sand", "asphalt", "soil"))
        for x in np.arange(left + half_court + 16, right - half_court - 12, 2 * half_court + rng.uniform(20, 45)):
            if rng.random() < 0.85:
                self.paint((x, y, half_court + 12, half_length + 8), around, rng.uniform(0.8, 1.2), 0.03)
                self.paint((x, y, half_court + 1, half_length + 1), "paint", 1, 0.02)
                self.paint((x, y, half_court, half_length), colour, rng.uniform(0.8, 1.1), 0.03)
                self.paint((x, y, half_court, 0.6), "paint", 1, 0.02)

    def yards(self, left: float, right: float, top: float, bottom: float) -> None:
        """Fill a block with paved yards side by side, as pale and straight as roofs; some have bays with cars."""
        rng, depth = self.rng, (bottom - top) / 2
        for kerb, side in ((top, 1), (bottom, -1)):
            for x, half in self.lots(left, right, 60, 220):
                surface = rng.choice(("concrete", "concrete", "sand", "asphalt"))
                box = x, kerb + side * depth / 2, half - rng.uniform(1, 8), depth / 2 - rng.uniform(1, 8)
                self.paint(box, surface, rng.uniform(0.8, 1.5), 0.06)
                for share in (0.2, 0.5, 0.8) if rng.random() < 0.5 else ():
                    self.car_park(x, half - 10, kerb + side * share * depth, 0.1 * depth)
                for _ in range(rng.poisson(1)):
                    self.car(
                        x + rng.uniform(-0.8, 0.8) * half, kerb + side * rng.uniform(0.1, 0.9) * depth, rng.uniform(0, np.pi)
                    )

    def bare(self, left: float, right: float, top: float, bottom: float) -> None:
        """Fill a block with bare ground: tracks, heaps, shrubs; as bright as roofs, without their edges."""
        rng = self.rng
        x, y, half_width, half_height = (left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2
        self.paint((x, y, half_width, half_height), self.ground, rng.uniform(0.9, 1.4), 0.15)
        for _ in range(rng.poisson(3)):
            at = x + rng.uniform(-0.9, 0.9) * half_width, y + rng.uniform(-0.8, 0.8) * half_height
            box = (*at, rng.uniform(10, 60), rng.uniform(8, 40))
            self.blob(box, rng.choice(("soil", "sand", "asphalt", "dry grass")), rng.uniform(0.8, 1.2), 0.12)
        for _ in range(rng.poisson(12)):
            self.tree(x + rng.uniform(-1, 1) * half_width, y + rng.uniform(-1, 1) * half_height, rng.uniform(2, 7))

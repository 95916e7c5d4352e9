"""Lots: what stands on one plot of land, from a house with its garden to a hall, drawn on a Canvas by chance."""

import numpy as np

from .canvas import Box, Canvas
from .reflectance import mix

HOUSE_ROOFS = ("clay tile",) * 3 + ("tan tile",) * 3 + ("grey shingle",) * 2 + ("brown shingle", "gravel", "membrane")
HALL_ROOFS = ("membrane", "membrane", "gravel", "gravel", "metal", "zinc", "tan tile", "grey shingle")
TOWN_ROOFS = ("zinc", "zinc", "slate", "clay tile", "clay tile", "brown shingle", "gravel")
DESERT_ROOFS = ("mud",) * 6 + ("soil", "gravel", "rust", "metal", "membrane")


class Lots(Canvas):
    """A canvas that draws a lot at a time: ``x`` and ``half`` its middle and half width along the street, ``kerb`` the
    street's edge, ``side`` 1 or -1 where the lot lies beyond it, ``depth`` how far it reaches."""

    def house(self, x: float, half: float, kerb: float, side: int, depth: float, gap: float, roof: str) -> None:
        """Draw a lot: a house of one to three boxes, driveway, garden walls, perhaps a pool, a patio, a shed, trees."""
        rng = self.rng
        yard = mix("grass", "soil", rng.uniform(0, 1)) if rng.random() < 0.5 else self.ground * rng.uniform(0.8, 1.3)
        self.paint((x, kerb + side * depth / 2, half - 1, depth / 2), yard, 1, 0.12)
        if rng.random() < 0.06:
            return
        half_width = max(10, half - gap) * (rng.uniform(0.82, 1) if gap > 2 else 1)
        half_depth = np.clip(depth * rng.uniform(0.17, 0.27), 12, 40)
        front = rng.uniform(14, 26)
        y = kerb + side * (front + half_depth)
        boxes = [(x, y, half_width, half_depth)]
        garage = rng.choice((-1, 1)) * (half_width - min(11, half_width / 2))
        if rng.random() < 0.75:
            boxes.append((x + garage, y - side * half_depth, min(11, half_width / 2), rng.uniform(6, 13)))
        if rng.random() < 0.5:
            wing = rng.uniform(0.25, 0.55) * half_width
            boxes.append((x + rng.choice((-1, 1)) * (half_width - wing), y + side * half_depth, wing, rng.uniform(6, 16)))
        self.paint((x + garage, kerb + side * (front + 4) / 2, 9, (front + 6) / 2), "concrete", rng.uniform(0.7, 1.1))
        if rng.random() < 0.5:
            self.car(x + garage, kerb + side * front * 0.4, np.pi / 2)
        slope = 0 if rng.random() < 0.15 else rng.uniform(0.25, 0.6)
        self.building(boxes, roof, rng.uniform(2.6, 5.5), slope, rng.choice(("hip", "hip", "long")))
        if rng.random() < 0.12:
            self.on_roof((x + rng.uniform(-0.4, 0.4) * half_width, y, rng.uniform(5, 12), 5), material="solar panel")
        self.garden(x, half, kerb + side * (front + 2 * half_depth), kerb + side * depth, side)

    def garden(self, x: float, half: float, near: float, far: float, side: int) -> None:
        """Draw what is behind a house: a wall, patio, pool, shed, trees."""
        rng, middle, space = self.rng, (near + far) / 2, max(8, abs(far - near)) / 2
        if rng.random() < 0.6:
            material = rng.choice(("concrete", "tan tile", "soil"))
            self.wall((x, far - side, half, 0.7), material)
            self.wall((x + half, middle, 0.7, space), material)
        if rng.random() < 0.4:
            self.paint((x, near + side * 0.4 * space, 0.6 * half, 0.4 * space), "concrete", rng.uniform(0.6, 1.2))
        if rng.random() < 0.3:
            self.blob((x + rng.uniform(-0.4, 0.4) * half, middle, rng.uniform(6, 14), rng.uniform(5, 9)), "pool", 1, 0.03)
        if rng.random() < 0.2:
            box = (x + rng.choice((-1, 1)) * (half - 9), far - side * 10, rng.uniform(4, 8), rng.uniform(4, 8))
            self.building([box], rng.choice(HALL_ROOFS), 2.3, rng.choice((0, 0.3)))
        for _ in range(rng.poisson(rng.choice((2, 5)))):
            at = x + rng.uniform(-1, 1) * half, near + side * rng.uniform(-1, 2) * space
            self.tree(*at, rng.uniform(4, 14), rng.random() < 0.3)

    def row(self, x: float, half: float, kerb: float, side: int, depth: float, roof: str) -> None:
        """Draw one staggered row of houses, its car park and its trees."""
        rng, parking = self.rng, 0.42 * depth
        self.paint((x, kerb + side * depth / 2, half, depth / 2), mix("grass", "soil", rng.uniform(0, 0.8)), 1, 0.12)
        self.paint((x, kerb + side * parking / 2, half, parking / 2), "asphalt", rng.uniform(0.8, 1.5), 0.04)
        units, half_depth = rng.integers(2, 7), rng.uniform(0.18, 0.23) * depth
        unit = min(half - rng.choice((0.3, 1, 2, 6)), 24 * units) / units
        left, middle = x - unit * units, kerb + side * 0.72 * depth
        boxes = [(left + (2 * i + 1) * unit, middle + rng.uniform(-4, 4), 1.005 * unit, half_depth) for i in range(units)]
        self.building(boxes, roof, rng.uniform(4.5, 7), rng.uniform(0.25, 0.5), rng.choice(("x", "y", "hip")))
        for _ in range(rng.integers(0, 3)):
            at = x + rng.uniform(-0.6, 0.6) * half, kerb + side * rng.uniform(0.3, 0.8) * parking
            port = rng.choice(("metal", "membrane", "gravel"))
            self.building([(*at, rng.uniform(0.2, 0.5) * half, rng.uniform(7, 9))], port, 2.6)
        self.car_park(x, half - 6, kerb + side * 0.5 * parking, 0.2 * parking)
        for _ in range(rng.poisson(4)):
            at = x + rng.uniform(-1, 1) * half, kerb + side * rng.choice((0.45, 0.55, 0.97)) * depth
            self.tree(*at, rng.uniform(5, 13), True)

    def town_house(self, box: Box, inward: tuple[int, int], eaves: float, slope: float, may_have_wing: bool = True) -> None:
        """Draw a house of a closed street front, some with a wing into the courtyard; a few lots are empty.

        inward : (dx, dy), the unit step from the street into the court.
        """
        rng = self.rng
        if rng.random() < 0.04:
            return
        step, half = np.array(inward), np.array(box[2:])
        across = np.abs(step)
        shallow = half * (1 - across * rng.uniform(0, 0.18))  # the street front stays in line
        middle = np.array(box[:2]) - step * (half - shallow)
        boxes, roof = [(*middle, *shallow)], rng.choice(TOWN_ROOFS)
        wing = (*(middle + step * shallow), *(shallow * np.where(across, 1, rng.uniform(0.3, 0.5))))
        height, slope = eaves + rng.normal(0, 1.5), 0 if roof == "gravel" else slope
        ridge = "x" if step[1] else "y"
        winged = may_have_wing and rng.random() < 0.35 and self.building([*boxes, wing], roof, height, slope, ridge)
        if winged or self.building(boxes, roof, height, slope, ridge):
            for _ in range(rng.poisson(2)):  # chimneys, dormers, skylights
                self.on_roof((*(middle + rng.uniform(-0.8, 0.8, 2) * shallow), 2, 2), rng.choice((0.5, 1.4)), height=1.5)

    def hall(self, x: float, y: float, half_width: float, half_depth: float) -> None:
        """Draw a large roof of one to four boxes in several shades, with skylights and machines on it."""
        rng, eaves = self.rng, self.rng.uniform(4.5, 14)
        boxes = [(x, y, half_width, half_depth)]
        for _ in range(rng.integers(0, 4)):
            dx, dy = rng.uniform(-0.8, 0.8) * half_width, rng.choice((-1, 1)) * half_depth
            boxes.append((x + dx, y + dy, rng.uniform(0.15, 0.4) * half_width, rng.uniform(0.2, 0.5) * half_depth))
        if not self.building(boxes, rng.choice(HALL_ROOFS), eaves, rng.choice((0, 0, 0.12)), "long"):
            return
        for box in boxes[rng.integers(0, 2) :]:
            if rng.random() < 0.5:
                self.on_roof(box, rng.uniform(0.7, 1.3), height=rng.choice((0, 1.5)))
        if rng.random() < 0.3:  # skylights or the steps of a saw-tooth roof
            for dx in np.arange(-half_width + 8, half_width - 6, rng.uniform(14, 30)):
                self.on_roof((x + dx, y, 1.5, 0.8 * half_depth), rng.choice((0.7, 1.4)))
        for _ in range(rng.poisson(6)):
            at = x + rng.uniform(-0.85, 0.85) * half_width, y + rng.uniform(-0.85, 0.85) * half_depth
            box = (*at, rng.uniform(2, 7), rng.uniform(2, 5))
            self.on_roof(box, rng.choice((0.5, 0.7, 1.3)), height=rng.uniform(0.5, 2))

    def tower(self, x: float, y: float, half_width: float, half_depth: float) -> None:
        """Draw a high flat roof with a parapet and a lift house."""
        rng, boxes = self.rng, [(x, y, half_width, half_depth)]
        if rng.random() < 0.5:
            boxes.append((x, y, half_width * rng.uniform(0.4, 0.8), half_depth + rng.uniform(5, 15)))
        if self.building(boxes, rng.choice(("gravel", "membrane", "zinc", "concrete")), rng.uniform(18, 60)):
            self.on_roof((x, y, half_width - 3, half_depth - 3), rng.uniform(0.6, 0.95), height=-1)
            self.on_roof((x, y, 0.3 * half_width, 0.4 * half_depth), rng.choice((0.7, 1.3)), height=4)

    def compound(self, x: float, half: float, kerb: float, side: int, depth: float) -> None:
        """Draw a wall around bare ground and two to seven low rooms, most of them along it, some sharing a wall."""
        rng, middle = self.rng, kerb + side * depth / 2
        self.paint((x, middle, half, depth / 2), self.ground, rng.uniform(0.85, 1.15), 0.14)
        for _ in range(rng.integers(2, 8)):
            room = rng.permutation((rng.uniform(7, 24), rng.uniform(6, 14)))
            space = np.maximum((half, depth / 2) - room - 1.5, 0)
            at_wall = rng.random(2) < (0.6, 0.7)
            offset = np.where(at_wall, rng.choice((-1, 1), 2), rng.uniform(-0.9, 0.9, 2)) * space
            self.building([(x + offset[0], middle + offset[1], *room)], rng.choice(DESERT_ROOFS), rng.uniform(2.6, 3.6))
        for box in ((x, kerb + side, half, 0.8), (x + half, middle, 0.8, depth / 2), (x - half, middle, 0.8, depth / 2)):
            if rng.random() < 0.85:
                self.wall(box, "mud", 2.0)
        for _ in range(rng.poisson(0.8)):
            self.tree(x + rng.uniform(-0.9, 0.9) * half, middle + rng.uniform(-0.45, 0.45) * depth, rng.uniform(5, 13))
        if rng.random() < 0.15:
            self.car(x, middle, rng.uniform(0, np.pi))

    def car_park(self, x: float, half: float, y: float, half_depth: float) -> None:
        """Draw rows of bays, some with cars."""
        for bay in np.arange(x - half, x + half, 9):
            self.paint((bay, y, 0.4, min(9, half_depth)), "paint", 1, 0.02)
            if self.rng.random() < 0.45:
                self.car(bay + 4.5, y, np.pi / 2)

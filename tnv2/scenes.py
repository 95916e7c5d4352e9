"""Synthetic tiles: streets of houses, rows and halls, planned by chance and drawn on a Canvas, with exact footprints."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .canvas import REFLECTANCE, Canvas, mix
from .footprints import rasterise
from .tiles import Georeference, Tile

STYLES = ("suburb", "terraces", "commercial")
SAMPLES = {1: "terraces", 2: "suburb"}  # seed: style of the tiles in sample_data
HOUSE_ROOFS = ("clay tile",) * 2 + ("tan tile",) * 2 + ("grey shingle", "brown shingle", "gravel", "membrane")
HALL_ROOFS = ("membrane", "membrane", "gravel", "metal", "tan tile", "grey shingle")


@dataclass(frozen=True, eq=False)
class Scene:
    """A rendered tile and the polygons it was drawn from: ``footprints[i]`` is one (N, 2) ring of column, row."""

    tile: Tile
    footprints: list

    def save(self, folder):
        """Write RGB-PanSharpen, MUL-PanSharpen and footprints under ``folder``, named and laid out as SpaceNet 2's."""
        folder, name, where = Path(folder), self.tile.name, self.tile.georeference
        for product, bands in (("RGB-PanSharpen", self.tile.rgb), ("MUL-PanSharpen", self.tile.mul)):
            write_geotiff(folder / product / f"{product}_{name}.tif", bands, where)
        rings = [where.to_world(np.vstack([ring, ring[:1]])).tolist() for ring in self.footprints]
        features = [
            {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}} for ring in rings
        ]
        path = folder / "geojson" / "buildings" / f"buildings_{name}.geojson"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}) + "\n", encoding="utf-8")


def render_scene(seed, size=650, style=None):
    """Return the Scene of a seed: ``size`` x ``size`` px, RGB + 8 bands of 11-bit counts in uint16, exact truth.

    style : "suburb" (detached houses, pools, driveways), "terraces" (rows of houses under one roof, carports) or
        "commercial" (large flat roofs, car parks, sports courts); None draws one by the seed.

    The same seed, size and style give the same pixels. Scenes lie on the equator west of Africa, at sea, where 2.7e-6
    degrees are 0.30 m both ways.
    """
    if style is not None and style not in STYLES:
        raise ValueError(f"style is {style!r}; it must be one of {', '.join(STYLES)}, or None to draw one by the seed.")
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed!r}; it must be a whole number from 0, below 2**32.")
    if size < 32:
        raise ValueError(f"size is {size}; a scene is at least 32 px wide, about 10 m. Pass 650 for a SpaceNet tile.")
    rng = np.random.default_rng(seed)
    style = style or STYLES[rng.integers(len(STYLES))]
    plan = Plan(rng, size)
    plan.street_plan(style)
    mul = plan.photograph()
    rgb = np.ascontiguousarray(mul[..., [4, 2, 1]])  # red, green, blue
    georeference = Georeference((2.7e-6, 0, -20 + 0.01 * (seed % 2500), 0, -2.7e-6, 0), "EPSG:4326")
    truth = rasterise([[ring] for ring in plan.footprints], (size, size))
    return Scene(Tile(rgb, mul, f"AOI_0_Synthetic_img{seed}", georeference, truth), plan.footprints)


def write_samples(folder):
    """Write the tiles of ``sample_data/``: a district of terraces and a suburb; training draws other seeds."""
    for seed, style in SAMPLES.items():
        render_scene(seed, style=style).save(Path(folder) / "AOI_0_Synthetic")


def write_geotiff(path, bands, georeference):
    """Write (H, W, C) counts as a deflated GeoTIFF, north up, in EPSG:4326."""
    import tifffile

    a, _, c, _, e, f = georeference.transform
    geokeys = (1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 1, 2048, 0, 1, 4326)  # geographic, pixel is area, WGS 84
    tags = [
        (33550, "d", 3, (a, -e, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, c, f, 0.0), True),
        (34735, "H", 16, geokeys, True),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    options = {"photometric": "minisblack", "planarconfig": "contig", "metadata": None, "software": "tnv2.scenes"}
    tifffile.imwrite(
        part, bands, **options, compression="deflate", compressionargs={"level": 9}, predictor=True, extratags=tags
    )
    os.replace(part, path)


class Plan(Canvas):
    """A canvas that lays out a district: streets, and lots with what stands on them."""

    def street_plan(self, style):
        """Cover the canvas with streets along x and across, and the blocks between them with lots."""
        rng, reach = self.rng, 0.75 * self.size + 60
        road = rng.uniform(24, 40)
        depth = rng.uniform(*{"suburb": (85, 140), "terraces": (110, 150), "commercial": (140, 260)}[style])
        pitch = 2 * depth + road
        roads, y = [], -reach - rng.uniform(0, pitch)
        block = rng.uniform(350, 800)
        cross = np.arange(-reach - rng.uniform(0, block), reach + block, block)
        while y < reach + pitch:
            for left, right in zip(cross[:-1] + road / 2 + 8, cross[1:] - road / 2 - 8, strict=True):
                for side in (-1, 1):
                    self.frontage(style, left, right, y + side * road / 2, side, depth)
            roads.append(y)
            y += pitch
        for y in roads:
            self.road((0, y, 2 * reach, road / 2), along=True)
        for x in cross:
            self.road((x, 0, road / 2, 2 * reach), along=False)

    def road(self, box, along):
        """Draw a road: kerbs, asphalt, a dashed line, cars, trees along it."""
        rng, (x, y, half_width, half_height) = self.rng, box
        grey = np.asarray(REFLECTANCE["asphalt"]) * rng.uniform(0.7, 1.5)
        kerb = np.add(box, (0, 0, 0, 6) if along else (0, 0, 6, 0))
        self.fill(self.corners(kerb), np.asarray(REFLECTANCE["concrete"]) * rng.uniform(0.7, 1))
        self.fill(self.corners(box), grey, 0.04)
        length, half_road = (half_width, half_height) if along else (half_height, half_width)
        for t in np.arange(-length, length, 24):
            dash = (x + t, y, 5, 0.7) if along else (x, y + t, 0.7, 5)
            self.fill(self.corners(dash), REFLECTANCE["paint"], 0.02)
            if rng.random() < 0.06:
                lane = rng.choice((-0.5, 0.5)) * half_road
                self.car(*((x + t, y + lane) if along else (x + lane, y + t)), 0 if along else np.pi / 2)
            if rng.random() < 0.08:
                verge = rng.choice((-1, 1)) * (half_road + 14)
                self.tree(*((x + t, y + verge) if along else (x + verge, y + t)), rng.uniform(5, 13))

    def frontage(self, style, left, right, kerb, side, depth):
        """Fill one side of a street, from ``left`` to ``right``, with lots of ``depth`` behind ``kerb``."""
        rng = self.rng
        widths = {"suburb": (48, 85), "terraces": (110, 260), "commercial": (150, 380)}[style]
        width, roof = rng.uniform(*widths), np.asarray(REFLECTANCE[rng.choice(HOUSE_ROOFS)])
        same_roof, gap = rng.random() < 0.6, rng.choice((0.2, 0.8, 1.5, 3, 7, 12))  # half of what is between two walls
        lots = max(1, int((right - left) / width))
        for i in range(lots):
            x = left + (i + 0.5) * (right - left) / lots
            half = (right - left) / lots / 2
            if style == "commercial":
                self.parcel(x, half, kerb, side, depth)
            elif style == "terraces":
                self.terrace(x, half, kerb, side, depth, roof)
            else:
                self.lot(x, half, kerb, side, depth, gap, roof if same_roof else REFLECTANCE[rng.choice(HOUSE_ROOFS)])

    def lot(self, x, half, kerb, side, depth, gap, roof):
        """Draw a lot: a house of one to three boxes, a driveway, perhaps a pool, a lawn, a patio, a shed and trees."""
        rng = self.rng
        yard = mix("grass", "soil", rng.uniform(0, 1)) if rng.random() < 0.5 else self.ground * rng.uniform(0.8, 1.3)
        self.fill(self.corners((x, kerb + side * depth / 2, half - 1, depth / 2)), yard, 0.12)
        if rng.random() < 0.08:
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
        drive = np.asarray(REFLECTANCE["concrete"]) * rng.uniform(0.7, 1.1)
        self.fill(self.corners((x + garage, kerb + side * (front + 4) / 2, 9, (front + 6) / 2)), drive)
        if rng.random() < 0.5:
            self.car(x + garage, kerb + side * front * 0.4, np.pi / 2)
        flat = rng.random() < 0.15
        self.building(boxes, roof, rng.uniform(2.6, 5.5), 0 if flat else rng.uniform(0.25, 0.6), rng.random() < 0.35)
        back = kerb + side * (front + 2 * half_depth + 0.5 * max(8, depth - front - 2 * half_depth))
        if rng.random() < 0.3:
            self.fill(
                self.corners((x, back, 0.6 * half, 0.15 * depth)),
                np.asarray(REFLECTANCE["concrete"]) * rng.uniform(0.6, 1.2),
            )
        if rng.random() < 0.3:
            self.fill(
                self.corners((x + rng.uniform(-0.4, 0.4) * half, back, rng.uniform(6, 14), rng.uniform(5, 9))),
                REFLECTANCE["pool"],
                0.03,
            )
        if rng.random() < 0.15:
            shed = (x + rng.choice((-1, 1)) * (half - 9), kerb + side * (depth - 10), rng.uniform(4, 7), rng.uniform(4, 7))
            self.building([shed], REFLECTANCE[rng.choice(HALL_ROOFS)], 2.3, rng.choice((0, 0.3)))
        for _ in range(rng.poisson(rng.choice((2, 5)))):
            self.tree(
                x + rng.uniform(-1, 1) * half,
                kerb + side * rng.uniform(0.05, 1) * depth,
                rng.uniform(4, 14),
                rng.random() < 0.3,
            )

    def terrace(self, x, half, kerb, side, depth, roof):
        """Draw a row of two to six houses under one roof, staggered; a car park with carports before it, trees behind.

        The row is one footprint, as SpaceNet's annotators drew such rows; the next one may be a step away.
        """
        rng = self.rng
        self.fill(
            self.corners((x, kerb + side * depth / 2, half, depth / 2)), mix("grass", "soil", rng.uniform(0, 0.8)), 0.12
        )
        parking = 0.42 * depth
        grey = np.asarray(REFLECTANCE["asphalt"]) * rng.uniform(0.8, 1.5)
        self.fill(self.corners((x, kerb + side * parking / 2, half, parking / 2)), grey, 0.04)
        units, half_depth = rng.integers(2, 7), rng.uniform(0.18, 0.23) * depth
        half_row = min(half - rng.choice((1, 2, 6)), 24 * units)
        unit = half_row / units
        middle = kerb + side * 0.72 * depth
        boxes = [
            (x - half_row + (2 * i + 1) * unit, middle + rng.uniform(-4, 4), 1.02 * unit, half_depth) for i in range(units)
        ]
        self.building(boxes, roof, rng.uniform(4.5, 7), rng.uniform(0.25, 0.5), rng.random() < 0.7)
        for _ in range(rng.integers(0, 3)):
            port = REFLECTANCE[rng.choice(("metal", "membrane", "gravel"))]
            at = x + rng.uniform(-0.6, 0.6) * half, kerb + side * rng.uniform(0.3, 0.8) * parking
            self.building([(*at, rng.uniform(0.2, 0.5) * half, rng.uniform(7, 9))], port, 2.6, 0)
        self.car_park(x, half - 6, kerb + side * 0.5 * parking, 0.2 * parking)
        for _ in range(rng.poisson(3)):
            self.tree(
                x + rng.uniform(-1, 1) * half, kerb + side * rng.choice((0.45, 0.97)) * depth, rng.uniform(5, 13), True
            )

    def parcel(self, x, half, kerb, side, depth):
        """Draw a car park with a hall, or sports courts, or bare ground: three things that look alike from above."""
        rng, middle = self.rng, kerb + side * depth / 2
        kind = rng.choice(("hall", "hall", "hall", "courts", "bare"))
        if kind == "bare":
            self.fill(self.corners((x, middle, half - 4, depth / 2 - 4)), self.ground * rng.uniform(0.9, 1.4), 0.15)
        elif kind == "courts":
            self.courts(x, half, middle, depth)
        else:
            self.fill(
                self.corners((x, middle, half - 2, depth / 2 - 2)),
                np.asarray(REFLECTANCE["asphalt"]) * rng.uniform(0.8, 1.7),
            )
            self.hall(x, middle + side * depth * 0.12, half * rng.uniform(0.35, 0.8), depth * rng.uniform(0.15, 0.32))
            self.car_park(x, half - 12, kerb + side * 0.14 * depth, 0.1 * depth)
        for _ in range(rng.poisson(4)):
            self.tree(x + rng.uniform(-1, 1) * half, kerb + side * rng.choice((0.03, 0.97)) * depth, rng.uniform(4, 10))

    def hall(self, x, y, half_width, half_depth):
        """Draw a large flat roof of one to three boxes with a parapet's line and machines on top."""
        rng, wall = self.rng, self.rng.uniform(4.5, 14)
        boxes = [(x, y, half_width, half_depth)]
        for _ in range(rng.integers(0, 3)):
            dx, dy = rng.uniform(-0.8, 0.8) * half_width, rng.choice((-1, 1)) * half_depth
            boxes.append((x + dx, y + dy, rng.uniform(0.15, 0.4) * half_width, rng.uniform(0.2, 0.5) * half_depth))
        drawn = len(self.footprints)
        self.building(boxes, REFLECTANCE[rng.choice(HALL_ROOFS)], wall, 0)
        if len(self.footprints) == drawn:
            return
        for _ in range(rng.poisson(6)):
            at = x + rng.uniform(-0.85, 0.85) * half_width, y + rng.uniform(-0.85, 0.85) * half_depth
            pixels = self.inside(self.corners((*at, rng.uniform(2, 7), rng.uniform(2, 5))))
            self.reflectance[pixels] *= rng.choice((0.5, 0.7, 1.3))
            self.height[pixels] = wall + rng.uniform(0.5, 2)

    def courts(self, x, half, middle, depth):
        """Draw sports courts with white lines: as straight as roofs, but flat and without a shadow."""
        rng = self.rng
        colour = REFLECTANCE[rng.choice(("green court", "blue court", "red court"))]
        self.fill(self.corners((x, middle, half - 6, depth / 2 - 8)), mix("grass", "soil", rng.uniform(0, 1)), 0.12)
        for cx in np.arange(x - half + 45, x + half - 40, 75):
            self.fill(
                self.corners((cx, middle, 32, min(60, depth / 2 - 14))),
                np.asarray(REFLECTANCE[rng.choice(("green court", "red court"))]),
                0.03,
            )
            self.fill(self.corners((cx, middle, 19, min(40, depth / 2 - 20))), REFLECTANCE["paint"], 0.02)
            self.fill(self.corners((cx, middle, 18, min(39, depth / 2 - 21))), colour, 0.03)
            self.fill(self.corners((cx, middle, 18, 0.6)), REFLECTANCE["paint"], 0.02)

    def car_park(self, x, half, y, half_depth):
        """Draw rows of bays, some with cars."""
        for bay in np.arange(x - half, x + half, 9):
            self.fill(self.corners((bay, y, 0.4, min(9, half_depth))), REFLECTANCE["paint"], 0.02)
            if self.rng.random() < 0.45:
                self.car(bay + 4.5, y, np.pi / 2)

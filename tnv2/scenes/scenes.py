"""Scenes: synthetic tiles of four styles of city, with exact footprints, in SpaceNet's products and names."""

import json
from dataclasses import dataclass

import numpy as np
import shapely

from ..files import PathLike, checked_name, expanded, write_text
from ..tiles import Georeference, Tile, rasterise, write_geotiff
from .districts import STYLES, District
from .sensor import NATIVE, photograph

SAMPLES = {1: "blocks", 2: "suburb", 3: "desert", 4: "industrial"}  # seed: style of the tiles in sample_data


@dataclass(frozen=True, eq=False)
class Scene:
    """A rendered tile and what it was made from.

    footprints : ``footprints[i]`` is one (N, 2) ring of column, row.
    native_mul : (ceil(H/4), ceil(W/4), 8) uint16, the eight bands at 1.2 m before pan-sharpening.
    """

    tile: Tile
    footprints: list[np.ndarray]
    native_mul: np.ndarray

    def save(self, folder: PathLike) -> None:
        """Write RGB-PanSharpen, MUL-PanSharpen, MUL and footprints under ``folder``, named and laid out as SpaceNet 2's."""
        folder, name, (where, mul) = expanded(folder), checked_name(self.tile.name), self.place_and_bands()
        a, _, c, _, e, f = where.transform
        coarse = Georeference((NATIVE * a, 0, c, 0, NATIVE * e, f), where.crs)
        products = {
            "RGB-PanSharpen": (self.tile.rgb, where),
            "MUL-PanSharpen": (mul, where),
            "MUL": (self.native_mul, coarse),
        }
        for product, (bands, grid) in products.items():
            write_geotiff(folder / product / f"{product}_{name}.tif", bands, grid)
        rings = [where.to_world(np.vstack([ring, ring[:1]])).tolist() for ring in self.footprints]
        polygons = [{"type": "Polygon", "coordinates": [ring]} for ring in rings]
        features = [{"type": "Feature", "properties": {}, "geometry": polygon} for polygon in polygons]
        text = json.dumps({"type": "FeatureCollection", "features": features})
        write_text(folder / "geojson" / "buildings" / f"buildings_{name}.geojson", text + "\n")

    def place_and_bands(self) -> tuple[Georeference, np.ndarray]:
        """Return the tile's Georeference and (H, W, 8) MUL; raises ValueError for a tile that lacks one."""
        if self.tile.georeference is None or self.tile.mul is None:
            raise ValueError(f"{self.tile} lacks a georeference or MUL; a scene has both. Pass what render_scene gives.")
        return self.tile.georeference, self.tile.mul

    def cut(self, size: int) -> list["Scene"]:
        """Return Scenes of the ``size`` x ``size`` px squares that fit in, row by row, named img1, img2 ... as their place.

        SpaceNet cuts its cities so: the squares' georeferences abut, and footprints end at the sides. ``size`` is a multiple
        of 4, a native pixel of MUL.
        """
        height, width = self.tile.shape
        most = min(height, width)
        if size < NATIVE or size % NATIVE or size > most:
            raise ValueError(f"size is {size}; it must be a multiple of {NATIVE}, up to the scene's {most} px.")
        corners = [(top, left) for top in range(0, height - size + 1, size) for left in range(0, width - size + 1, size)]
        return [self.square(f"AOI_0_Synthetic_img{number}", *corner, size) for number, corner in enumerate(corners, 1)]

    def square(self, name: str, top: int, left: int, size: int) -> "Scene":
        """Return the Scene of ``size`` x ``size`` px from row ``top`` and column ``left``."""
        whole, mul = self.place_and_bands()
        coarse = [slice(start // NATIVE, (start + size) // NATIVE) for start in (top, left)]
        rows, columns = slice(top, top + size), slice(left, left + size)
        a, b, _, d, e, _ = whole.transform
        [(c, f)] = whole.to_world([(left, top)])
        where = Georeference((a, b, c, d, e, f), whole.crs)
        frame = shapely.box(left, top, left + size, top + size)
        parts = shapely.get_parts(shapely.intersection([shapely.Polygon(ring) for ring in self.footprints], frame))
        polygons = [part for part in parts if part.geom_type == "Polygon" and not part.is_empty]
        rings = [np.array(polygon.exterior.coords[:-1]) - (left, top) for polygon in polygons]
        rgb, mul = (np.ascontiguousarray(array[rows, columns]) for array in (self.tile.rgb, mul))
        truth = rasterise([[ring] for ring in rings], (size, size))
        return Scene(Tile(rgb, mul, name, where, truth), rings, np.ascontiguousarray(self.native_mul[tuple(coarse)]))


def render_scene(seed: int, size: int = 650, style: str | None = None) -> Scene:
    """Return the Scene of a seed: ``size`` x ``size`` px, RGB + 8 bands of 11-bit counts in uint16, exact truth.

    style : "suburb" (detached houses and rows, pools, driveways), "blocks" (houses wall to wall around courtyards),
        "industrial" (halls, towers, courts, bare ground) or "desert" (low-contrast compounds); None draws one by the seed.

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
    style = style or list(STYLES)[rng.integers(len(STYLES))]
    whole = NATIVE * -(-size // NATIVE)  # a native pixel is never cut
    district = District(rng, whole, style)
    _, native, mul = photograph(district.reflectance, district.height, district.roughness, rng)
    mul = np.ascontiguousarray(mul[:size, :size])
    rgb = np.ascontiguousarray(mul[..., [4, 2, 1]])  # red, green, blue
    georeference = Georeference((2.7e-6, 0, -20 + 0.01 * (seed % 2500), 0, -2.7e-6, 0), "EPSG:4326")
    inside = [ring for ring in district.footprints if (ring.min(axis=0) < size).all() and (ring.max(axis=0) > 0).all()]
    truth = rasterise([[ring] for ring in inside], (size, size))
    return Scene(Tile(rgb, mul, f"AOI_0_Synthetic_img{seed}", georeference, truth), inside, native)


def write_samples(folder: PathLike) -> None:
    """Write the tiles of ``sample_data/``: one of each style; training draws other seeds."""
    for seed, style in SAMPLES.items():
        render_scene(seed, style=style).save(expanded(folder) / "AOI_0_Synthetic")

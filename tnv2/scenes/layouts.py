"""Layouts: synthetic tiles over footprints that are given, with much between them that could be taken for a roof."""

import cv2
import numpy as np

from ..tiles import Georeference, Tile
from .districts import STYLES
from .lots import DESERT_ROOFS, HALL_ROOFS, HOUSE_ROOFS, TOWN_ROOFS, Lots
from .reflectance import REFLECTANCE, mix
from .sensor import METRES, NATIVE, photograph

ROOFS = {"suburb": HOUSE_ROOFS, "blocks": TOWN_ROOFS, "industrial": HALL_ROOFS, "desert": DESERT_ROOFS}
LARGE = 5000  # px, 450 square metres: from there a roof is flat, with things on it
PALE = ("concrete", "concrete", "membrane", "tan tile", "gravel", "sand")  # what yards and car parks shine with
FLAT = {"pool": 9.0, "yard": 9.0, "court": 2.0, "lot": 2.0, "car park": 2.5}  # how many a tile of 650 px is offered


def render_layout(seed: int, layout: np.ndarray, style: str | None = None) -> Tile:
    """Return a Tile with roofs where a layout has buildings: RGB + 8 bands of 11-bit counts in uint16, the layout as truth.

    layout : (H, W) at 0.3 m a pixel: bool, of which 4-connected parts are buildings, or int labels, 0 where none is.
    style : of roofs and ground, as ``render_scene`` has them; None draws one by the seed.

    Between the buildings lie gardens and streets by how wide the gaps are, and where there is room sports courts, pools, car
    parks, bare lots and pale yards: flat, and as straight and bright as roofs. The same arguments give the same pixels.
    """
    layout = np.asarray(layout)
    if layout.ndim != 2 or layout.dtype.kind not in "biu" or min(layout.shape) < 32:
        raise ValueError(
            f"layout is {layout.dtype} of shape {layout.shape}; it must be (H, W) bool or int labels, 32 px a side or more. "
            "Rasterise footprints at 0.3 m a pixel."
        )
    if style is not None and style not in STYLES:
        raise ValueError(f"style is {style!r}; it must be one of {', '.join(STYLES)}, or None to draw one by the seed.")
    rng = np.random.default_rng((seed, 1))  # not the chance of render_scene
    style = style or list(STYLES)[rng.integers(len(STYLES))]
    labels = cv2.connectedComponents(layout.view(np.uint8), connectivity=4)[1] if layout.dtype == bool else layout
    height, width = labels.shape
    whole = NATIVE * -(-max(labels.shape) // NATIVE)
    square = np.zeros((whole, whole), np.int32)
    square[:height, :width] = labels
    built = Layout(rng, square, style)
    _, _, mul = photograph(built.reflectance, built.height, built.roughness, rng)
    mul = np.ascontiguousarray(mul[:height, :width])
    where = Georeference((2.7e-6, 0, -20 + 0.01 * (seed % 2500), 0, -2.7e-6, 0), "EPSG:4326")
    rgb = np.ascontiguousarray(mul[..., [4, 2, 1]])  # red, green, blue
    return Tile(rgb, mul, f"AOI_0_Synthetic_img{seed}", where, labels.astype(np.int32))


class Layout(Lots):
    """A canvas with the buildings of (size, size) labels, and with what a style has between them."""

    def __init__(self, rng: np.random.Generator, labels: np.ndarray, style: str) -> None:
        first, second = rng.choice(STYLES[style].grounds)
        super().__init__(rng, len(labels), mix(first, second, rng.uniform(0, 1)) * rng.uniform(0.7, 1.1))
        self.style, self.labels, self.built = style, labels, labels > 0
        self.away: np.ndarray = np.full(labels.shape, float(len(labels)))  # from the next building, in px
        if self.built.any():
            self.away = cv2.distanceTransform((~self.built).astype(np.uint8), cv2.DIST_L2, 5)
        self.angle = self.direction()
        self.yards()
        self.streets()
        for kind, often in FLAT.items():
            for _ in range(rng.poisson(often * (len(labels) / 650) ** 2)):
                getattr(self, kind.replace(" ", "_") + "_here")()
        self.roofs()
        self.trees()

    def direction(self) -> float:
        """Return the turn of the streets, in radians: of the largest building's walls, or by chance."""
        areas = np.bincount(self.labels.ravel())[1:]
        if not areas.any():
            return self.rng.uniform(-np.pi / 4, np.pi / 4)
        rows, columns = np.nonzero(self.labels == areas.argmax() + 1)
        turn = cv2.minAreaRect(np.stack([columns, rows], axis=1).astype(np.float32))[2]
        return float(np.radians(turn))

    def somewhere(self, where: np.ndarray, count: int) -> list[tuple[float, float]]:
        """Return the street coordinates of ``count`` pixels of an (H, W) mask by chance; none of an empty one."""
        rows, columns = np.nonzero(where)
        chosen = self.rng.integers(rows.size, size=count) if rows.size else np.zeros(0, int)
        x, y = self.to_street(rows[chosen], columns[chosen])
        return list(zip(x.tolist(), y.tolist(), strict=True))

    def place(self, half_width: float, half_height: float) -> list[tuple[float, float]]:
        """Return the street coordinates of one place, by chance, where such a box has room; none where there is none."""
        return self.somewhere(self.away > float(np.hypot(half_width, half_height)) + 2, 1)

    # What is flat

    def yards(self) -> None:
        """Paint the ground around each building: grass, bare or paved."""
        from skimage.segmentation import expand_labels

        rng, most = self.rng, int(self.labels.max())
        owners = expand_labels(self.labels, rng.uniform(18, 45))
        kinds = [
            mix("grass", "soil", rng.uniform(0, 1)),
            self.ground,
            np.asarray(REFLECTANCE["concrete"]),
            mix("soil", "sand", 0.5),
        ]
        colours = np.array([kinds[i] for i in rng.choice(4, most + 1, p=(0.35, 0.3, 0.2, 0.15))]) * rng.uniform(
            0.7, 1.3, (most + 1, 1)
        )
        paved = (owners > 0) & ~self.built
        self.reflectance[paved] = colours[owners[paved]]
        self.roughness[paved] = 0.12

    def streets(self) -> None:
        """Pave the lanes between buildings, kerbs along them, with cars; wide open ground stays as it is."""
        rng, near = self.rng, self.rng.uniform(20, 30)
        wide = cv2.dilate((self.away > 65).astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (111, 111))) > 0
        for edge, material, roughness in ((near, "concrete", 0.06), (near + 5, "asphalt", 0.04)):
            lane = (self.away > edge) & ~wide
            if STYLES[self.style].surface == "ground":
                material = "sand"
            self.reflectance[lane] = np.asarray(REFLECTANCE[material]) * rng.uniform(0.7, 1.3)
            self.roughness[lane] = roughness
        for at in self.somewhere(lane, rng.poisson(lane.sum() / 3000)):
            self.car(*at, rng.choice((0, np.pi / 2)))

    def pool_here(self) -> None:
        size = self.rng.uniform(5, 14), self.rng.uniform(4, 9)
        for at in self.place(0.8 * size[0], 0.8 * size[1]):
            self.paint((*at, size[0] + 6, size[1] + 6), self.rng.choice(PALE), self.rng.uniform(0.7, 1.1))
            if self.rng.random() < 0.5:
                self.blob((*at, *size), "pool", 1, 0.03)
            else:
                self.paint((*at, *size), "pool", self.rng.uniform(0.7, 1.1), 0.03)

    def yard_here(self) -> None:
        size = self.rng.uniform(8, 45), self.rng.uniform(6, 25)
        for at in self.place(0.7 * size[0], 0.7 * size[1]):
            self.paint((*at, *size), self.rng.choice(PALE), self.rng.uniform(0.6, 1.2), self.rng.uniform(0.03, 0.1))

    def court_here(self) -> None:
        rng = self.rng
        half, length = rng.choice(((18, 39), (14, 24), (26, 50), (60, 90)))
        for x, y in self.place(half, length):
            around = rng.choice(("green court", "red court", "concrete", "sand", "asphalt", "soil", "grass"))
            colour = rng.choice(("green court", "blue court", "red court", "concrete", "turf", "grass", "asphalt"))
            self.paint((x, y, half + 10, length + 8), around, rng.uniform(0.8, 1.2), 0.03)
            self.paint((x, y, half + 1, length + 1), "paint", 1, 0.02)
            self.paint((x, y, half, length), colour, rng.uniform(0.8, 1.2), 0.03)
            self.paint((x, y, half, 0.6), "paint", 1, 0.02)

    def lot_here(self) -> None:
        rng, half_width, half_height = self.rng, *self.rng.uniform(20, 90, 2)
        for at in self.place(half_width, half_height):
            first, second = rng.choice((("soil", "sand"), ("red soil", "sand"), ("soil", "dry grass")))
            earth = mix(first, second, rng.uniform(0, 1))
            self.paint((*at, half_width, half_height), earth, rng.uniform(0.8, 1.4), 0.12)

    def car_park_here(self) -> None:
        rng, half, rows = self.rng, self.rng.uniform(25, 110), int(self.rng.integers(1, 5))
        for x, y in self.place(half, 12 * rows):
            surface = rng.choice(("asphalt", "asphalt", "concrete"))
            self.paint((x, y, half + 6, 22 * rows + 8), surface, rng.uniform(0.7, 1.8), 0.04)
            for row in range(rows):
                self.car_park(x, half, y + 44 * (row - (rows - 1) / 2), 9)

    # What stands

    def roofs(self) -> None:
        """Cover the buildings: small ones by hips or flat, large ones flat with shades and machines on them."""
        from skimage.measure import regionprops

        rng, roofs = self.rng, ROOFS[self.style]
        often = rng.choice(roofs)  # a development has one roof
        for part in regionprops(self.labels):
            inside = np.pad(part.image, 1)
            rows, columns = np.nonzero(part.image)
            depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L1, 3)[1:-1, 1:-1][rows, columns]
            rows, columns = rows + part.bbox[0], columns + part.bbox[1]
            large = rows.size > LARGE
            roof = rng.choice(HALL_ROOFS if large else roofs) if large or rng.random() < 0.5 else often
            slope = 0.0 if large or rng.random() < 0.25 else rng.uniform(0.2, 0.6)
            eaves = rng.uniform(4.5, 14) if large else rng.uniform(2.3, 3.2) if rows.size < 400 else rng.uniform(2.6, 6)
            self.cover(rows, columns, roof, eaves + slope * METRES * depth)
            for _ in range(rng.poisson(rows.size / 1200) if large else rng.poisson(0.4)):
                at = rng.integers(rows.size)
                x, y = self.to_street(rows[at], columns[at])
                box = (float(x), float(y), rng.uniform(2, 14 if large else 4), rng.uniform(2, 8 if large else 3))
                self.on_roof(box, rng.choice((0.6, 0.8, 1.25)), height=rng.choice((0, rng.uniform(0.5, 2))))

    def trees(self) -> None:
        """Plant trees, most of them near buildings, some hanging over them."""
        rng, many = self.rng, self.rng.choice((15, 60, 120)) * (self.size / 650) ** 2
        for at in self.somewhere((self.away > 2) & (self.away < 45), rng.poisson(many)):
            self.tree(*at, rng.uniform(3, 13), rng.random() < 0.3)

"""BandViewer: a tile's bands as colours, and what two of its pixels say in all bands."""

import threading
from collections.abc import Iterable
from operator import index
from typing import Any

import numpy as np
import traitlets

from ..pictures import COMPOSITES, PALETTE, difference_map, normalised_difference, scaled
from ..tiles import BANDS, Tile, checked_image, checked_tile
from .controls import Choice, Stretch
from .stills import Still, png
from .views import STYLE, binned, joined

# WorldView-3's bands, from and to in nm.
RANGES = ((400, 450), (450, 510), (510, 580), (585, 625), (630, 690), (705, 745), (770, 895), (860, 1040))
CENTRES = {name: sum(limits) / 2 for name, limits in zip(BANDS, RANGES, strict=True)}
NAMED = {name: tuple(BANDS[band] for band in three) for name, three in COMPOSITES.items()}
INDICES = {"NDVI": ("NIR1", "red"), "NDWI": ("green", "NIR1")}
MEANINGS = {"NDVI": "NDVI, high for living plants", "NDWI": "NDWI, high for open water"}
ANY, NO_INDEX = "any three", "none"
NOTE = "This tile has no MUL bands: RGB alone has one composite, no NDVI or NDWI, and three points a spectrum."
TAILS = (0.1, 99.9)  # a histogram leaves out the rest, or a few glints would squeeze it to the left
RED, GREEN, BLUE = (f"rgb{tuple(PALETTE[i].tolist())}" for i in (5, 2, 4))  # of lines; colour-blind readers tell them apart


class BandViewer(Still):
    """Any three bands as red, green and blue, NDVI and NDWI, a stretch with its histogram, and the spectra of two pixels.

    tile : Tile; without MUL bands, only what RGB can show is offered.
    native_mul : (h, w, 8), h about H / 4: the bands of the same place before pan-sharpening, in the counts of ``tile.mul``;
        shown beside it, at the same size and with the same stretch. ``tifffile.imread`` reads them from a MUL file.

    A click on a picture chooses a pixel, the next click a second one; then the older of the two is replaced. By keyboard:
    Tab to the picture, arrow keys move the newest pixel (with Shift by ten), Enter starts another.

    The controls are read, set and observed through ``.value``: ``composite`` ("true colour", "false colour", "red edge",
    "coastal", "any three"), the bands shown as ``red``, ``green`` and ``blue`` ("coastal" ... "NIR2"), ``index`` ("none",
    "NDVI", "NDWI") and ``stretch`` (low and high percentile). Beside them there are

    ``picture`` : (H, W, 3) uint8, as shown; ``native_picture`` : the same of ``native_mul``, or None;
    ``limits`` : (2, 3), the counts that become 0 and 255 in red, green and blue; None while an index is shown;
    ``bands``, ``wavelengths`` : the names of the tile's bands in file order, and (B,) their centres in nm;
    ``pixels`` : a list of at most two (row, column), may be set; ``spectra`` : (N, B), their counts.
    """

    _renews = ("_pngs", "_marks")
    _esm = joined("dom.js", "chart.js", "picture.js", "viewer.js")
    _css = STYLE

    _composite = traitlets.Unicode().tag(sync=True)
    _red = traitlets.Unicode().tag(sync=True)
    _green = traitlets.Unicode().tag(sync=True)
    _blue = traitlets.Unicode().tag(sync=True)
    _index = traitlets.Unicode().tag(sync=True)
    _stretch: traitlets.List[float] = traitlets.List().tag(sync=True)
    _held: traitlets.List[str] = traitlets.List().tag(sync=True)
    _choices = traitlets.Dict().tag(sync=True)
    _name = traitlets.Unicode().tag(sync=True)
    _shape: traitlets.List[int] = traitlets.List().tag(sync=True)
    _titles: traitlets.List[str] = traitlets.List().tag(sync=True)
    _pngs: traitlets.List[bytes] = traitlets.List().tag(sync=True)
    _shows = traitlets.Unicode().tag(sync=True)
    _note = traitlets.Unicode().tag(sync=True)
    _marks: traitlets.List[list[int]] = traitlets.List().tag(sync=True)
    _histogram = traitlets.Dict().tag(sync=True)
    _spectrum = traitlets.Dict().tag(sync=True)

    def __init__(self, tile: Tile, native_mul: np.ndarray | None = None) -> None:
        checked_tile(tile)
        if native_mul is not None:
            checked_native(native_mul, tile)
        self._tile, self._native = tile, native_mul
        self._image = tile.rgb if tile.mul is None else tile.mul  # (H, W, B)
        self.bands = ("red", "green", "blue") if tile.mul is None else BANDS
        self.wavelengths = np.array([CENTRES[name] for name in self.bands])
        self.limits: np.ndarray | None = None
        self._pixels: list[tuple[int, int]] = []
        self._newest = -1
        self._lock, self._settling = threading.RLock(), False  # the browser's messages arrive in a thread of their own
        self._make_controls()
        super().__init__(
            _choices={name: {"text": c.text, "help": c.purpose, "options": c.pairs} for name, c in self._choosers.items()},
            _name=tile.name,
            _shape=list(tile.shape),
            _titles=self._titled(),
            _note=NOTE if tile.mul is None else "",
        )
        for name, control in self._controls.items():
            self._tie(name, control)
        self.on_msg(self._asked)
        self._draw()
        self._plot_spectra()

    def _tie(self, name: str, control: Choice | Stretch) -> None:
        """Hold a control and the trait that the browser sees of it equal, and draw where they change."""

        def out(change: traitlets.Bunch) -> None:
            setattr(self, f"_{name}", list(change.new) if isinstance(control, Stretch) else change.new)

        def back(change: traitlets.Bunch) -> None:
            control.value = tuple(change.new) if isinstance(control, Stretch) else change.new

        out(traitlets.Bunch(new=control.value))
        control.observe(out, "value")
        self.observe(back, f"_{name}")
        control.observe(self._changed, "value")

    @property
    def pixels(self) -> list[tuple[int, int]]:
        """The chosen pixels, at most two, as (row, column); the marks on the picture number them 1 and 2."""
        return list(self._pixels)

    @pixels.setter
    def pixels(self, pixels: Iterable[tuple[int, int]]) -> None:
        pixels = checked_pixels(pixels, self._tile.shape)
        with self._lock:
            self._pixels, self._newest = pixels, len(pixels) - 1
            self._plot_spectra()

    @property
    def spectra(self) -> np.ndarray:
        """(N, B) counts of the N chosen pixels in the tile's B bands, in file order."""
        rows, columns = np.array(self._pixels, int).reshape(-1, 2).T
        return self._image[rows, columns]

    def _make_controls(self) -> None:
        full = self._tile.mul is not None
        options = [(f"{name}, {centre:.0f} nm", name) for name, centre in CENTRES.items() if name in self.bands]
        named = [*NAMED, ANY] if full else ["true colour"]
        self.composite = Choice(named, "true colour", "composite", "named choices of three bands")
        self.red, self.green, self.blue = self._chosen = tuple(
            Choice(options, name, f"as {name}", f"the band that is shown as {name}") for name in ("red", "green", "blue")
        )
        indices = [NO_INDEX, *INDICES] if full else [NO_INDEX]
        self.index = Choice(indices, NO_INDEX, "index", "a map of two bands, from -1 to 1")
        self.stretch = Stretch(value=(2, 98))
        three = zip(("red", "green", "blue"), self._chosen, strict=True)
        self._choosers = {"composite": self.composite, **dict(three), "index": self.index}
        for chooser in self._choosers.values():
            chooser.disabled = not full
        self._controls: dict[str, Choice | Stretch] = {**self._choosers, "stretch": self.stretch}

    def _titled(self) -> list[str]:
        """Return what stands over the picture, or over each of the two."""
        where, height = self._tile.georeference, self._tile.shape[0]
        ground = where.ground(self._tile.shape) if where else None
        size = None if ground is None else np.linalg.norm(ground[:, 1])  # from row to row
        if self._native is None:
            return [""]
        ratio = height / len(self._native)
        native = f"native, {ratio * size:.2g} m" if size else f"native, {ratio:.2g} times as wide pixels"
        return [native, f"pan-sharpened, {size:.2g} m" if size else "pan-sharpened"]

    def _changed(self, change: traitlets.Bunch) -> None:
        """Draw once, after the composite and its three bands agree."""
        with self._lock:
            if self._settling:
                return
            self._settling = True
            try:
                if change.owner is self.composite and change.new in NAMED and self._tile.mul is not None:
                    self.red.value, self.green.value, self.blue.value = NAMED[change.new]
                elif change.owner in self._chosen:
                    self.composite.value = next((name for name, three in NAMED.items() if three == self._three()), ANY)
                self._draw()
            finally:
                self._settling = False

    def _three(self) -> tuple[str, ...]:
        return tuple(control.value for control in self._chosen)

    def _draw(self) -> None:
        has_index = self.index.value != NO_INDEX
        self.stretch.disabled = has_index  # an index has its own colours, from -1 to 1
        if self._tile.mul is not None:
            for control in (self.composite, *self._chosen):
                control.disabled = has_index
        images = [self._image] if self._native is None else [self._image, self._native]
        with self.hold_sync():
            pictures = self._differences(images) if has_index else self._composites(images)
            self.picture, self.native_picture = [*pictures, None][:2]
            self._shows = self.index.value if has_index else f"{self.composite.value}: {', '.join(self._three())}"
            self._pngs = [png(picture) for picture in reversed(pictures)]
            self._held = [name for name, control in self._controls.items() if control.disabled]

    def _composites(self, images: list[np.ndarray]) -> list[np.ndarray]:
        """Return three bands of each image as a picture, all between the limits of the first; draw its histogram."""
        three = self._three()
        images = [image[..., [self.bands.index(name) for name in three]] for image in images]
        seen = self._tile.valid if self._tile.valid.any() else ~self._tile.valid
        marks = np.percentile(images[0][seen], (*self.stretch.value, *TAILS), axis=0)
        limits = self.limits = marks[:2]
        span, lines = (float(marks.min()), float(marks.max())), []
        for i, colour in enumerate((RED, GREEN, BLUE)):
            dark, bright = limits[:, i].tolist()
            lines.append(
                binned(images[0][seen][..., i], span, f"{three[i]}, {dark:.4g} to {bright:.4g}", colour, (dark, bright))
            )
        self._histogram = drawing("histogram", self._unit(), "pixels", lines, steps=True)
        return [self._on_paper(scaled(image, *limits)) for image in images]

    def _differences(self, images: list[np.ndarray]) -> list[np.ndarray]:
        """Return the index of each image as a picture; draw its histogram over the colour bar."""
        name, (first, second) = self.index.value, INDICES[self.index.value]
        maps = [normalised_difference(image[..., BANDS.index(first)], image[..., BANDS.index(second)]) for image in images]
        line = binned(maps[0][self._tile.valid], (-1, 1), f"({first} - {second}) / ({first} + {second})", "currentColor")
        bar = [f"rgb{tuple(colour)}" for colour in difference_map(np.linspace(-1, 1, 65)[None])[0].tolist()]
        self._histogram = drawing("histogram", MEANINGS[name], "pixels", [line], steps=True, bar=bar)
        self.limits = None
        return [self._on_paper(difference_map(each)) for each in maps]

    def _on_paper(self, picture: np.ndarray) -> np.ndarray:
        """Return a picture that is white where the tile is not valid, itself where it is not on the tile's grid."""
        here = picture.shape[:2] == self._tile.shape and not self._tile.valid.all()
        return np.where(self._tile.valid[..., None], picture, np.uint8(255)) if here else picture

    def _plot_spectra(self) -> None:
        lines = [
            {"x": self.wavelengths.tolist(), "y": counts, "label": f"{i + 1}: row {row}, column {column}",
             "colour": (BLUE, RED)[i], "dashed": i == 1, "names": self.bands}
            for i, ((row, column), counts) in enumerate(zip(self._pixels, self.spectra.tolist(), strict=True))
        ]  # fmt: skip
        hint = "" if lines else "Click the picture to see a pixel in all bands; click again to compare."
        with self.hold_sync():
            self._spectrum = drawing("spectrum", "wavelength, nm", self._unit(), lines, span=[400, 1000], hint=hint)
            self._marks = [list(pixel) for pixel in self._pixels]

    def seen(self) -> tuple[np.ndarray, list[str]]:
        """Return the picture, the pan-sharpened one of two, and what it shows."""
        stretch = "" if self.limits is None else f", {self.stretch.value[0]:g} to {self.stretch.value[1]:g} %"
        chosen = [f"pixel {i + 1}: row {row}, column {column}" for i, (row, column) in enumerate(self._pixels)]
        return np.asarray(self.picture), [self._shows + stretch, *chosen]

    def _unit(self) -> str:
        return "value" if self._image.dtype == np.float32 else "counts"

    def _asked(self, viewer: "BandViewer", content: dict[str, Any], buffers: list[memoryview]) -> None:
        """Choose the pixel that was clicked, or move the newest one by a key's step."""
        with self._lock:
            moved = "step" in content and not content["fresh"] and self._pixels
            slot = self._newest if moved else (self._newest + 1) % 2
            self._pixels[slot : slot + 1] = [tuple(content.get("pixel") or self._beside(content["step"]))]
            self._newest = slot
            self._plot_spectra()

    def _beside(self, step: list[int]) -> list[int]:
        start = self._pixels[self._newest] if self._pixels else np.array(self._tile.shape) // 2
        return np.clip(np.add(start, step), 0, np.array(self._tile.shape) - 1).tolist()


def drawing(title: str, x: str, y: str, lines: list[dict[str, Any]], **rest: Any) -> dict[str, Any]:
    """Return what chart.js draws: dicts with "x", "y", "label" and "colour"; title, x and y are texts."""
    return {"title": title, "x": x, "y": y, "lines": lines, **rest}


def checked_pixels(pixels: Iterable[tuple[int, int]], shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Return at most two (row, column) within ``shape`` as a list of pairs of int; raise ValueError for anything else."""
    try:
        pairs = [(index(row), index(column)) for row, column in pixels]
    except (TypeError, ValueError):
        pairs = None
    if pairs is None or len(pairs) > 2 or not all(0 <= r < shape[0] and 0 <= c < shape[1] for r, c in pairs):
        raise ValueError(
            f"pixels is {pixels!r}; it must be a list of at most two (row, column) in whole numbers, rows 0 to "
            f"{shape[0] - 1} and columns 0 to {shape[1] - 1}. Pass [(10, 20), (30, 40)], say, or [] for none."
        )
    return pairs


def checked_native(native_mul: np.ndarray, tile: Tile) -> None:
    """Raise ValueError unless ``native_mul`` can be the coarser original of ``tile.mul``."""
    if tile.mul is None:
        raise ValueError(
            f"native_mul came with tile {tile.name!r}, which has no MUL bands to compare it with. Read the tile with its "
            "MUL-PanSharpen file, or leave native_mul out."
        )
    checked_image("native_mul", native_mul, 8)
    ratios = np.divide(tile.shape, native_mul.shape[:2])
    if ratios.min() <= 1 or abs(ratios[0] / ratios[1] - 1) > 0.05:
        raise ValueError(
            f"native_mul is {native_mul.shape[:2]} px and the tile {tile.shape}; native MUL is coarser and of the same "
            "proportions, as (163, 163) is to (650, 650). Pass the MUL file of the same tile, not MUL-PanSharpen."
        )
    if (native_mul.dtype == np.uint8) != (tile.mul.dtype == np.uint8):
        raise ValueError(
            f"native_mul is {native_mul.dtype} and the tile's MUL {tile.mul.dtype}; one stretch fits both only where they "
            "hold the same counts. Pass both as 11-bit files, or both as 8-bit ones."
        )

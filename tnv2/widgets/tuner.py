"""Widgets: state in Python, views in the browser that only render."""

from dataclasses import asdict
from pathlib import PurePath

import anywidget
import numpy as np
import traitlets

from ..files import PathLike, expanded, write_text
from ..instances import Maps, Match, Probabilities, Recipe, Thresholds, label_instances, match, read_probabilities
from ..pictures import PALETTE, false_colour, probability_map, true_colour
from ..tiles import Tile, checked_tile
from .handouts import SCRIPT, handout
from .views import source

PRACTICE = Thresholds(mask=0.3, seed=0.8, border=0.8)  # of a first-place solution on the same network
THRESHOLDS = ("mask", "seed", "border", "min_area", "distance")


class ThresholdTuner(anywidget.AnyWidget):
    """Sliders that move buildings at display speed: the browser thresholds, floods, scores and draws by itself.

    tile : Tile, the picture under the instances; with ``truth``, the score is shown beside them. Or any 8- or 16-bit image,
        (H, W) or (H, W, 3), or None, for the building map in grey; ``tile`` is the Tile made of it.
    probabilities : Probabilities of the tile's size, rounded to 8 bits for the browser, and for ``labels`` too; or any
        network's maps as ``read_probabilities`` takes them. Without a border map its slider gives way to ``distance``.
    thresholds : Thresholds to start from; if left out, those of the network's model card, or else the published demo's.

    ``mask``, ``seed``, ``border``, ``distance``, ``min_area``, ``show``, ``under``, ``opacity``, ``outlines`` and ``things``
    ("buildings", or what else is counted) are traits: read, set or link them like those of any ipywidget. ``best`` may be
    set to the Thresholds of a search; a button goes there.
    """

    _esm = SCRIPT
    _css = source("tuner.css")

    mask = traitlets.Float(0.5, min=0, max=1).tag(sync=True)
    seed = traitlets.Float(0.5, min=0, max=1).tag(sync=True)
    border = traitlets.Float(0.5, min=0, max=1).tag(sync=True)
    distance = traitlets.Float(0, min=0).tag(sync=True)
    min_area = traitlets.Int(20, min=0).tag(sync=True)
    show = traitlets.Enum(["instances", "errors", "seeds", "nothing"], "instances").tag(sync=True)
    under = traitlets.Enum(["tile", "false colour", "building map", "border map"], "tile").tag(sync=True)
    opacity = traitlets.Float(0.4, min=0, max=1).tag(sync=True)
    outlines = traitlets.Bool(True).tag(sync=True)
    things = traitlets.Unicode("buildings").tag(sync=True)

    _name = traitlets.Unicode().tag(sync=True)
    _shape: traitlets.List[int] = traitlets.List().tag(sync=True)
    _presets = traitlets.Dict().tag(sync=True)
    _palette: traitlets.List[list[int]] = traitlets.List().tag(sync=True)
    _heat = traitlets.Bytes().tag(sync=True)
    _pictures = traitlets.Dict().tag(sync=True)
    _building = traitlets.Bytes().tag(sync=True)
    _border = traitlets.Bytes().tag(sync=True)
    _truth = traitlets.Bytes().tag(sync=True)
    _pixel_area = traitlets.Float(None, allow_none=True).tag(sync=True)

    def __init__(self, tile: Tile | np.ndarray | None, probabilities: Maps, thresholds: Thresholds | None = None) -> None:
        if tile is not None and not isinstance(tile, np.ndarray):
            checked_tile(tile)
        probabilities = read_probabilities(probabilities)
        tile = tile if isinstance(tile, Tile) else tile_of(tile, probabilities)
        if probabilities.building.shape != tile.shape:
            raise ValueError(
                f"probabilities are {probabilities.building.shape} px and the tile {tile.shape}; both must be of one size. "
                "Pass predict(model, tile), or the picture that the maps are of."
            )
        if not isinstance(thresholds, Thresholds | None):
            raise ValueError(f"thresholds are {thresholds!r}; pass Thresholds(mask=0.5), or leave them out.")
        building, *border = probabilities.quantised()
        self.tile, self.probabilities = tile, probabilities.rounded()
        card = probabilities.card if "thresholds" in (probabilities.origin or {}) else None
        start = thresholds or card or Thresholds()
        presets = {"demo": Thresholds(), "practice": PRACTICE, "card": card, "reset": start}
        pictures = {"tile": true_colour(tile).tobytes()}
        if tile.mul is not None:
            pictures["false colour"] = false_colour(tile).tobytes()
        super().__init__(
            **asdict(start),
            _name=tile.name,
            _shape=list(tile.shape),
            _presets={name: asdict(preset) for name, preset in presets.items() if preset},
            _palette=PALETTE.tolist(),
            _heat=probability_map(np.arange(256) / 255).tobytes(),
            _pictures=pictures,
            _building=building.tobytes(),
            _border=border[0].tobytes() if border else b"",
            _truth=b"" if tile.truth is None else tile.truth.tobytes(),
            _pixel_area=tile.georeference and tile.georeference.pixel_area(tile.shape),
        )

    @property
    def thresholds(self) -> Thresholds:
        """The Thresholds that the sliders stand at; set it to move them."""
        return Thresholds(*(getattr(self, name) for name in THRESHOLDS))

    @thresholds.setter
    def thresholds(self, thresholds: Thresholds) -> None:
        with self.hold_sync():
            for name, value in asdict(thresholds).items():
                setattr(self, name, value)

    @property
    def best(self) -> Thresholds | None:
        """The Thresholds behind the button *best*, or None; set it after a search."""
        return Thresholds(**self._presets["best"]) if "best" in self._presets else None

    @best.setter
    def best(self, thresholds: Thresholds) -> None:
        self._presets = self._presets | {"best": asdict(thresholds)}

    @property
    def labels(self) -> np.ndarray:
        """(H, W) int32 labels of the buildings at the present thresholds, the ones on the screen."""
        return label_instances(self.probabilities, self.thresholds)

    @property
    def match(self) -> Match | None:
        """The Match of ``labels`` with the tile's footprints; None for a tile without."""
        return None if self.tile.truth is None else match(self.tile.truth, self.labels)

    @property
    def recipe(self) -> Recipe:
        """The Recipe of ``labels``: keep it with ``.save(path)``, or print it as Python code."""
        return Recipe.of(self.tile, self.probabilities, self.thresholds)

    def save_handout(self, path: PathLike) -> None:
        """Write the tuner as it stands to one HTML file that opens from disk, with the same controls and scores."""
        state = {name: getattr(self, name) for name in ThresholdTuner.class_own_traits(sync=True)}
        write_text(expanded(path), handout(state))


def tile_of(picture: np.ndarray | None, probabilities: Probabilities) -> Tile:
    """Return the Tile of an image of 8 or 16 bits, grey or in colours, with alpha perhaps; of the building map for None.

    Its name and place are the maps' file's, where that is known. Raises ValueError for any other array.
    """
    origin = probabilities.origin or {}
    image = probabilities.quantised()[0] if picture is None else picture
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
        image = np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    if image.ndim == 3 and image.shape[2] == 4:
        image = image[..., :3]
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"tile is {image.shape} {image.dtype}; pass a Tile, an image of (H, W) or (H, W, 3) in 8 or 16 bits, or None. "
            "Scale real numbers: (255 * image).astype(np.uint8)."
        )
    name = PurePath((origin.get("maps") or {}).get("maps", "maps")).stem
    return Tile(np.ascontiguousarray(image), name=name, georeference=origin.get("place"))

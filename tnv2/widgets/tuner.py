"""Widgets: state in Python, views in the browser that only render."""

from dataclasses import asdict
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from ..files import PathLike, expanded, write_text
from ..instances import (
    Edit,
    Edited,
    Maps,
    Match,
    Probabilities,
    Recipe,
    Thresholds,
    checked_edits,
    edited,
    label_instances,
    match,
    read_probabilities,
)
from ..pictures import PALETTE, false_colour, overlay, probability_map, true_colour
from ..tiles import Tile, checked_tile
from .handouts import SCRIPT, handout
from .stills import Still
from .views import source

if TYPE_CHECKING:
    import geopandas

PRACTICE = Thresholds(mask=0.3, seed=0.8, border=0.8)  # of a first-place solution on the same network
THRESHOLDS = ("mask", "seed", "border", "min_area", "distance")


class ThresholdTuner(Still):
    """Sliders that move buildings at display speed: the browser thresholds, floods, scores and draws by itself.

    tile : Tile, the picture under the instances; with ``truth``, the score is shown beside them. Or any 8- or 16-bit image,
        (H, W) or (H, W, 3), or None, for the building map in grey; ``tile`` is the Tile made of it.
    probabilities : Probabilities of the tile's size, rounded to 8 bits for the browser, and for ``labels`` too; or any
        network's maps as ``read_probabilities`` takes them. Without a border map its slider gives way to ``distance``.
    thresholds : Thresholds to start from; if left out, those of the network's model card, or else the published demo's.

    ``mask``, ``seed``, ``border``, ``distance``, ``min_area``, ``show``, ``under``, ``opacity``, ``outlines`` and ``things``
    ("buildings", or what else is counted) are traits: read, set or link them like those of any ipywidget. ``best``,
    ``precise`` and ``complete`` may be set to the Thresholds of a search; a button goes to each.

    ``edits`` is a trait, too: what was mended by hand, a list of dicts such as {"kind": "delete", "at": [[12, 40]]}, which
    ``tnv2.edited`` explains. Set it as a whole; a list that is changed in place is not seen.
    """

    _renews = (*THRESHOLDS, "opacity", "edits")
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
    edits: traitlets.List[Edit] = traitlets.List().tag(sync=True)

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
        return self._preset("best")

    @best.setter
    def best(self, thresholds: Thresholds) -> None:
        self._presets = self._presets | {"best": asdict(thresholds)}

    @traitlets.validate("edits")
    def _checked_edits(self, proposal: dict[str, Any]) -> list[Edit]:
        return checked_edits(proposal["value"], self._shape or None)

    @property
    def edited(self) -> Edited:
        """The Edited at the present thresholds: ``labels``, which of them are ``by_hand``, which edits are ``waiting``."""
        return edited(label_instances(self.probabilities, self.thresholds), self.edits)

    @property
    def precise(self) -> Thresholds | None:
        """The Thresholds behind the button *precise*, or None; set it to ``found.best_at(precision=0.95)``, say."""
        return self._preset("precise")

    @precise.setter
    def precise(self, thresholds: Thresholds) -> None:
        self._presets = self._presets | {"precise": asdict(thresholds)}

    @property
    def complete(self) -> Thresholds | None:
        """The Thresholds behind the button *complete*, or None; set it to ``found.best_at(recall=0.9)``, say."""
        return self._preset("complete")

    @complete.setter
    def complete(self, thresholds: Thresholds) -> None:
        self._presets = self._presets | {"complete": asdict(thresholds)}

    def _preset(self, name: str) -> Thresholds | None:
        return Thresholds(**self._presets[name]) if name in self._presets else None

    @property
    def labels(self) -> np.ndarray:
        """(H, W) int32 labels of the buildings at the present thresholds after ``edits``, the ones on the screen."""
        return self.edited.labels

    @property
    def match(self) -> Match | None:
        """The Match of ``labels`` with the tile's footprints; None for a tile without."""
        return None if self.tile.truth is None else match(self.tile.truth, self.labels)

    @property
    def recipe(self) -> Recipe:
        """The Recipe of ``labels``: keep it with ``.save(path)``, or print it as Python code."""
        return Recipe.of(self.tile, self.probabilities, self.thresholds, self.edits)

    def to_geodataframe(self, simplify: float = 0.0, outline: str | None = None) -> "geopandas.GeoDataFrame":
        """Return ``tnv2.to_geodataframe`` of ``labels`` with its column ``by_hand``: whether an edit made the building."""
        from ..polygons import to_geodataframe

        found = self.edited
        return to_geodataframe(found.labels, self.tile, self.probabilities, simplify, outline, found.by_hand)

    def seen(self) -> tuple[np.ndarray, list[str]]:
        """Return the buildings on the tile, their figures and the thresholds."""
        labels = self.labels
        found = None if self.tile.truth is None else match(self.tile.truth, labels)
        rates = f"; F1 {found.f1:.3f}, precision {found.precision:.3f}, recall {found.recall:.3f}" if found else ""
        thresholds = ", ".join(f"{name} {getattr(self, name):g}" for name in THRESHOLDS)
        return overlay(true_colour(self.tile), labels, self.opacity), [f"{labels.max()} {self.things}{rates}", thresholds]

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

"""Widgets: state in Python, views in the browser that only render."""

import warnings
from collections.abc import Sequence
from dataclasses import asdict
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
    Recipes,
    Score,
    Thresholds,
    checked_edits,
    edited,
    label_instances,
    match,
    score_city,
)
from ..pictures import PALETTE, overlay, probability_map, true_colour
from ..tiles import Tile
from .contents import Picture, content_of, paired
from .handouts import SCRIPT, WORKER, handout
from .stills import Still
from .views import source

if TYPE_CHECKING:
    import geopandas

PRACTICE = Thresholds(mask=0.3, seed=0.8, border=0.8)  # of a first-place solution on the same network
THRESHOLDS = ("mask", "seed", "border", "min_area", "distance")
LARGE = 10_000_000  # bytes of a handout, above which mail and phones have a hard time


class ThresholdTuner(Still):
    """Sliders that move buildings at display speed: the browser thresholds, floods, scores and draws by itself.

    tile : Tile, the picture under the instances; with ``truth``, the score is shown beside them. Or any 8- or 16-bit image,
        (H, W) or (H, W, 3), or None, for the building map in grey; ``tile`` is the Tile made of it.
    probabilities : Probabilities of the tile's size, rounded to 8 bits for the browser, and for ``labels`` too; or any
        network's maps as ``read_probabilities`` takes them. Without a border map its slider gives way to ``distance``.
    thresholds : Thresholds to start from; if left out, those of the network's model card, or else the published demo's.

    Or ``ThresholdTuner(tiles, maps)`` with a list of each: a strip of thumbnails then chooses the visible tile, which ``at``
    (0 to N - 1, a trait as those below) says and sets. The thresholds hold for all; ``tile``, ``probabilities``, ``labels``,
    ``match``, ``edits`` and ``recipe`` are the visible tile's, ``tiles``, ``maps``, ``matches``, ``score`` and ``recipes``
    everybody's.

    ``mask``, ``seed``, ``border``, ``distance``, ``min_area``, ``show``, ``under``, ``opacity``, ``outlines`` and ``things``
    ("buildings", or what else is counted) are traits: read, set or link them like those of any ipywidget. ``best``,
    ``precise`` and ``complete`` may be set to the Thresholds of a search; a button goes to each.

    ``edits`` is a trait, too: what was mended by hand, a list of dicts such as {"kind": "delete", "at": [[12, 40]]}, which
    ``tnv2.edited`` explains. Set it as a whole; a list that is changed in place is not seen.
    """

    _renews = (*THRESHOLDS, "opacity", "edits", "at")
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
    at = traitlets.Int(0, min=0).tag(sync=True)

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
    # Of several tiles the seven above are empty, and _tiles has them of each; _every_edits has the edits of each.
    _tiles: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    _every_edits: traitlets.List[list[Edit]] = traitlets.List().tag(sync=True)
    _worker = traitlets.Unicode().tag(sync=True)  # the script that counts them

    def __init__(
        self,
        tile: Picture | Sequence[Picture],
        probabilities: Maps | Sequence[Maps],
        thresholds: Thresholds | None = None,
    ) -> None:
        tiles, maps = paired(tile, probabilities)
        if not isinstance(thresholds, Thresholds | None):
            raise ValueError(f"thresholds are {thresholds!r}; pass Thresholds(mask=0.5), or leave them out.")
        self.tiles, self.maps = tiles, tuple(each.rounded() for each in maps)
        cards = [each.card if "thresholds" in (each.origin or {}) else None for each in maps]
        card = cards[0] if all(each == cards[0] for each in cards) else None
        start = thresholds or card or Thresholds()
        presets = {"demo": Thresholds(), "practice": PRACTICE, "card": card, "reset": start}
        contents = [content_of(*pair) for pair in zip(tiles, maps, strict=True)]
        several = isinstance(tile, list | tuple)
        super().__init__(
            **asdict(start),
            **{} if several else contents[0],
            _tiles=contents if several else [],
            _every_edits=[[] for _ in contents] if several else [],
            _worker=WORKER if several else "",
            _presets={name: asdict(preset) for name, preset in presets.items() if preset},
            _palette=PALETTE.tolist(),
            _heat=probability_map(np.arange(256) / 255).tobytes(),
        )

    @property
    def tile(self) -> Tile:
        """The visible Tile."""
        return self.tiles[self.at]

    @property
    def probabilities(self) -> Probabilities:
        """The Probabilities of the visible tile, rounded to 8 bits."""
        return self.maps[self.at]

    @traitlets.validate("at")
    def _checked_at(self, proposal: traitlets.Bunch) -> int:
        if not 0 <= proposal["value"] < len(self.tiles):
            raise traitlets.TraitError(f"at is {proposal['value']}; it counts {len(self.tiles)} tiles from 0.")
        return proposal["value"]

    @traitlets.observe("at")
    def _bring_edits(self, change: traitlets.Bunch) -> None:
        if self._every_edits:
            self.edits = self._every_edits[change["new"]]

    @traitlets.observe("edits")
    def _keep_edits(self, change: traitlets.Bunch) -> None:
        if self._every_edits:
            self._every_edits = [*self._every_edits[: self.at], change["new"], *self._every_edits[self.at + 1 :]]

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
        return checked_edits(proposal["value"], self.tile.shape)

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
        return self._matched(self.at)

    @property
    def matches(self) -> list[Match | None]:
        """The Match of each tile, its edits applied, in the tiles' order; None for a tile without footprints."""
        return [self._matched(place) for place in range(len(self.tiles))]

    @property
    def score(self) -> Score | None:
        """The Score pooled over all tiles with footprints, as ``score_city`` adds them up; None where none has any."""
        known = [found for found in self.matches if found is not None]
        return score_city(known) if known else None

    def _matched(self, place: int) -> Match | None:
        truth = self.tiles[place].truth
        if truth is None:
            return None
        return match(truth, edited(label_instances(self.maps[place], self.thresholds), self._edits_of(place)).labels)

    def _edits_of(self, place: int) -> list[Edit]:
        return self.edits if place == self.at else self._every_edits[place]

    @property
    def recipe(self) -> Recipe:
        """The Recipe of ``labels``: keep it with ``.save(path)``, or print it as Python code."""
        return self._recipe(self.at)

    @property
    def recipes(self) -> Recipes:
        """The Recipe of each tile, kept in one file with ``.save(path)`` or printed as one piece of Python code."""
        return Recipes(map(self._recipe, range(len(self.tiles))))

    def _recipe(self, place: int) -> Recipe:
        return Recipe.of(self.tiles[place], self.maps[place], self.thresholds, self._edits_of(place))

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
        where = f" on tile {self.at + 1} of {len(self.tiles)}" if self._tiles else ""
        lines = [f"{labels.max()} {self.things}{where}{rates}", thresholds]
        return overlay(true_colour(self.tile), labels, self.opacity), lines

    @property
    def state(self) -> dict[str, Any]:
        """The traits that the view reads, arrays as bytes: what a page without Python starts from."""
        return {name: getattr(self, name) for name in ThresholdTuner.class_own_traits(sync=True)}

    def save_handout(self, path: PathLike) -> None:
        """Write the tuner as it stands to one HTML file that opens from disk, with the same tiles, controls and scores.

        Warns of a file above 10 MB: that is much for a mail and slow on a phone.
        """
        page = handout(self.state)
        write_text(expanded(path), page)
        if len(page) > LARGE:
            warnings.warn(
                f"{path} is {len(page) / 1e6:.1f} MB, which is much for a mail and slow on a phone. "
                f"Tiles in it: {len(self.tiles)}; pass fewer or smaller ones for a smaller file.",
                stacklevel=2,
            )

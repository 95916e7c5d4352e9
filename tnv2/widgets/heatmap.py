"""Heat map: a sweep's scores as cells to click, each of which moves a tuner."""

from dataclasses import replace

import numpy as np
import traitlets

from ..instances import PUBLISHED, Sweep, Thresholds, best_point
from .stills import Still
from .tuner import ThresholdTuner
from .views import STYLE, joined

BAR = 50  # steps of the colour bar


class SweepMap(Still):
    """F1 over seed and border thresholds, or distances without a border map; a click on a cell, or arrow keys, move a tuner.

    The colours go from the lowest score on the map to the highest; the bar has their numbers.

    sweep : Sweep. tuner : ThresholdTuner to move, whose button *best* then leads to the sweep's best; None for none.

    ``point`` is the chosen cell as [seed index, border or distance index] and ``thresholds`` what it stands for; set either.
    """

    _esm = joined("dom.js", "heatmap.js")
    _css = STYLE

    seeds: traitlets.List[float] = traitlets.List().tag(sync=True)
    borders: traitlets.List[float] = traitlets.List().tag(sync=True)  # or distances
    across = traitlets.Unicode("border").tag(sync=True)
    scores: traitlets.List[list[float]] = traitlets.List().tag(sync=True)
    colours: traitlets.List[list[str]] = traitlets.List().tag(sync=True)
    bar: traitlets.List[str] = traitlets.List().tag(sync=True)
    published: traitlets.List[int] = traitlets.List().tag(sync=True)
    best: traitlets.List[int] = traitlets.List().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    point: traitlets.List[int] = traitlets.List().tag(sync=True)

    def __init__(self, sweep: Sweep, tuner: ThresholdTuner | None = None) -> None:
        self.sweep, self.tuner = sweep, None
        _, seed, across, _ = best_point(sweep.f1)
        super().__init__(
            seeds=list(sweep.axes["seed"]),
            borders=list(sweep.axes[sweep.across]),
            across=sweep.across,
            scores=sweep.plane().tolist(),
            colours=colours_of(sweep.plane()),
            bar=colours_of(np.linspace(0, 1, BAR)[None])[0],
            published=cell_of(sweep, PUBLISHED),
            best=[seed, across],
            title=sweep.title(),
            point=[seed, across],
        )
        self.tuner = tuner
        self.on_msg(self._moved)
        if tuner is not None:
            tuner.best = sweep.best

    @property
    def thresholds(self) -> Thresholds:
        """The Thresholds of the chosen cell, at the sweep's best mask and minimum area."""
        seed, across = self.point
        return moved(self.sweep, self.seeds[seed], self.borders[across])

    @thresholds.setter
    def thresholds(self, thresholds: Thresholds) -> None:
        cell = cell_of(self.sweep, thresholds)
        if not cell or moved(self.sweep, thresholds.seed, getattr(thresholds, self.across)) != thresholds:
            raise ValueError(
                f"{thresholds} is no cell of this map. Its seeds are {self.seeds}, its {self.across}s {self.borders}; "
                f"the others are those of {self.sweep.best}."
            )
        self.point = cell

    def seen(self) -> tuple[np.ndarray, list[str]]:
        """Return what ``sweep.plot`` draws."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        canvas = FigureCanvasAgg(Figure(figsize=(5.6, 4.6), dpi=90, layout="constrained"))
        self.sweep.plot(canvas.figure.subplots())
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3], []

    @traitlets.validate("point")
    def _within(self, proposal: traitlets.Bunch) -> list[int]:
        point = proposal["value"]
        if len(point) != 2 or not all(0 <= i < len(axis) for i, axis in zip(point, (self.seeds, self.borders), strict=True)):
            size = f"{len(self.seeds)} seeds by {len(self.borders)} {self.across}s"
            raise traitlets.TraitError(f"point is {point}; it is [seed index, {self.across} index] in a grid of {size}.")
        return point

    @traitlets.observe("point")
    def _moved(self, *_: object) -> None:
        if self.tuner is not None:
            self.tuner.thresholds = self.thresholds


def moved(sweep: Sweep, seed: float, across: float) -> Thresholds:
    """Return the sweep's best Thresholds with another seed and border, or distance."""
    other = replace(sweep.best, distance=across) if sweep.across == "distance" else replace(sweep.best, border=across)
    return replace(other, seed=seed)


def cell_of(sweep: Sweep, thresholds: Thresholds) -> list[int]:
    """Return [seed index, border or distance index] of Thresholds in a sweep's grid, or [] where they are not on it."""
    found = [(sweep.axes[name], getattr(thresholds, name)) for name in ("seed", sweep.across)]
    return [axis.index(value) for axis, value in found] if all(value in axis for axis, value in found) else []


def colours_of(plane: np.ndarray) -> list[list[str]]:
    """Return each cell's colour as CSS, dark for the lowest F1 to bright for the highest."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    share = (plane - plane.min()) / max(np.ptp(plane), 1e-9)
    return [[to_hex(colour) for colour in row] for row in colormaps["viridis"](share)]

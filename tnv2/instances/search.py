"""Search: which thresholds score best, over maps that were computed once, and what that score is worth elsewhere."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from .labels import Probabilities, Thresholds, label_instances
from .maps import Maps, read_probabilities
from .scoring import Score, match

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Values = float | Sequence[float]  # of a threshold to try

STEPS = tuple(np.round(np.linspace(0, 1, 21), 2).tolist())
DISTANCES = tuple(map(float, range(21)))  # pixels
PUBLISHED = Thresholds()


@dataclass(frozen=True, eq=False)
class Sweep:
    """Scores of a grid of thresholds.

    axes : {"mask": (...), "seed": (...), "border": (...), "min_area": (...)}, the values tried; of maps without a border map
        "distance" takes the place of "border", here and in what follows.
    counts : (T, M, S, B, A, 3) int, true positives, false positives and false negatives of each of T tiles at each of the
        grid's points, axes in the order above.
    known : {"published": Score, "card": Score} of all tiles: of the published demo's thresholds and, where the maps know
        their network, of its card's, on the grid or not.
    """

    axes: dict[str, tuple[float, ...]]
    counts: np.ndarray
    known: dict[str, Score] = field(default_factory=dict)

    @property
    def across(self) -> str:
        """The threshold that goes with the seed's: "border", or "distance" for maps without a border map."""
        return "distance" if "distance" in self.axes else "border"

    @property
    def f1(self) -> np.ndarray:
        """(M, S, B, A) float: F1 at each point of the grid, counts pooled over the tiles."""
        return f1_of(self.counts.sum(axis=0))

    @property
    def best(self) -> Thresholds:
        """The Thresholds of the highest F1; among equals, those in the middle of the others that are equal."""
        return self.at(best_point(self.f1))

    @property
    def best_f1(self) -> float:
        """F1 at ``best``, on the tiles that it was found on: flattering, as every score of a choice on its own data."""
        return float(self.f1.max())

    @property
    def kept_out(self) -> Score | None:
        """The Score of each tile at the thresholds that are best on the *other* tiles, pooled; None for a single tile.

        This is what to expect of ``best`` on a tile that nobody has tuned on.
        """
        if len(self.counts) < 2:
            return None
        everything = self.counts.sum(axis=0)
        return Score(*sum(tile[best_point(f1_of(everything - tile))] for tile in self.counts).tolist())

    def best_at(self, precision: float | None = None, recall: float | None = None) -> Thresholds:
        """Return the Thresholds of the best recall where precision is at least ``precision``, or the other way round.

        Give one of the two, 0..1. Among points of one recall, the most precise is taken; among equals, the middle one. A
        point without a building has no precision. Raises ValueError where no point of the grid reaches what is wanted.
        """
        name, wanted = one_rate(precision, recall)
        counts = self.counts.sum(axis=0)
        rates = rate_of(counts, name)
        if not (rates >= wanted).any():
            reached = rates[np.isfinite(rates)]
            span = f"reaches {reached.min():.3f} to {reached.max():.3f}" if reached.size else "has none"
            raise ValueError(
                f"no point of this grid has a {name} of {wanted:g}: it {span}. Ask for less, or sweep more thresholds."
            )
        return self.at(point_at(counts, name, wanted))

    def kept_out_at(self, precision: float | None = None, recall: float | None = None) -> Score | None:
        """Return what to expect of ``best_at`` on a tile that nobody has tuned on, as ``kept_out`` is of ``best``.

        Each tile is scored at the thresholds that ``best_at`` finds on the others, and where they do not reach what is
        wanted, at those that come nearest; so the Score may fall short of it. None for a single tile.
        """
        name, wanted = one_rate(precision, recall)
        if len(self.counts) < 2:
            return None
        everything = self.counts.sum(axis=0)
        return Score(*sum(tile[point_at(everything - tile, name, wanted)] for tile in self.counts).tolist())

    def at(self, point: Sequence[int]) -> Thresholds:
        """Return the Thresholds at a point of the grid, four indices."""
        asked: dict[str, Any] = {name: values[index] for (name, values), index in zip(self.axes.items(), point, strict=True)}
        return Thresholds(**asked)

    def plane(self) -> np.ndarray:
        """Return (S, B) F1 over seed and border, or distance, at the best mask and minimum area."""
        mask, _, _, min_area = best_point(self.f1)
        return self.f1[mask, :, :, min_area]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw F1 over the plane with the published and the best point marked; return the matplotlib Axes."""
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=(5.6, 4.6), layout="constrained")[1] if ax is None else ax
        seed, across = self.axes["seed"], self.axes[self.across]
        mesh = ax.pcolormesh(across, seed, self.plane(), cmap="viridis", shading="nearest")  # from the lowest to the highest
        ax.figure.colorbar(mesh, ax=ax, label="F1 at IoU 0.5")
        for name, thresholds, marker in (("published", PUBLISHED, "s"), ("best", self.best, "*")):
            ax.scatter(
                getattr(thresholds, self.across), thresholds.seed, 130, "none" if marker == "s" else "white",
                marker=marker, label=name, edgecolors="black", linewidths=1.5, clip_on=False, zorder=3,
            )  # fmt: skip
        unit = ", pixels" if self.across == "distance" else ""
        ax.set(xlabel=f"{self.across} threshold{unit}", ylabel="seed threshold", title=self.title())
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False)
        return ax

    def plot_rates(self, marks: Mapping[str, Thresholds | Score] | None = None, ax: "Axes | None" = None) -> "Axes":
        """Draw precision over recall of every point of the grid; return the matplotlib Axes.

        The line joins the points that no other beats in both. ``known`` and the best F1 are marked, and so is what ``marks``
        holds: Thresholds on the grid, or a Score or Match such as ``{"present": tuner.match}``.
        """
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=(5.6, 4.6), layout="constrained")[1] if ax is None else ax
        counts = self.counts.sum(axis=0)
        recall, precision = (rate_of(counts, name).ravel() for name in ("recall", "precision"))
        ax.plot(recall, precision, ".", color="0.7", label="the grid")
        order = np.lexsort((-precision, -recall))
        order = order[np.isfinite(precision + recall)[order]]
        front = order[precision[order] >= np.maximum.accumulate(precision[order])] if order.size else order
        ax.plot(recall[front], precision[front], "-", color="black", linewidth=1, label="not beaten in both")
        shown = self.known | {"best F1": self.best} | dict(marks or {})
        for i, (name, mark) in enumerate(shown.items()):
            score = self.score(mark) if isinstance(mark, Thresholds) else mark
            ax.plot(
                score.recall,
                score.precision,
                "sD*oP^vX"[i % 8],
                markersize=11,
                markeredgecolor="black",
                clip_on=False,
                label=name,
            )
        ax.set(xlabel="recall", ylabel="precision", title=self.title())
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, frameon=False)
        return ax

    def score(self, thresholds: Thresholds) -> Score:
        """Return the Score of Thresholds on the grid, pooled over the tiles; raise ValueError for those beside it."""
        values = {name: getattr(thresholds, name) for name in self.axes}
        if not all(value in self.axes[name] for name, value in values.items()):
            raise ValueError(f"{thresholds} is no point of this grid, whose values are {self.axes}. Sweep them as well.")
        point = tuple(self.axes[name].index(value) for name, value in values.items())
        return Score(*self.counts.sum(axis=0)[point].tolist())

    def title(self) -> str:
        """Return what the plot shows in a line or two."""
        tiles = f"{len(self.counts)} tile{'s' if len(self.counts) > 1 else ''}"
        kept_out = "" if self.kept_out is None else f", {self.kept_out.f1:.3f} on tiles kept out"
        return f"{tiles}, mask {self.best.mask:g}, min. {self.best.min_area} px\nbest F1 {self.best_f1:.3f}{kept_out}"

    def __repr__(self) -> str:
        kept_out = "" if self.kept_out is None else f", on tiles kept out {self.kept_out.f1:.3f}"
        return f"Sweep(best={self.best}, f1={self.best_f1:.3f}{kept_out})"


def sweep(
    probabilities: Maps | Sequence[Maps],
    truth_labels: np.ndarray | Sequence[np.ndarray],
    mask: Values = (0.5,),
    seed: Values = STEPS,
    border: Values | None = None,
    min_area: Values | None = None,
    iou: float = 0.5,
    small: str = "kept",
    distance: Values | None = None,
) -> Sweep:
    """Return the Sweep of a grid of thresholds over one tile or several, in parallel and with a progress bar.

    probabilities : Probabilities or what ``read_probabilities`` takes, or a list of these. truth_labels : (H, W) footprint
        labels, or a list as long.
    mask, seed, border, min_area : the values to try, one or several each; left out, ``border`` is STEPS, 0 to 1, and
        ``min_area`` the network's card's where the maps know their network, else 20. iou, small : as ``match`` takes them.
    distance : of maps without a border map, in its place, in pixels; left out, it is DISTANCES, 0 to 20.

    The network is not run again. Maps are rounded to 8 bits first, as the tuner's are, so that both find the same buildings.
    """
    if isinstance(probabilities, str) or not isinstance(probabilities, Sequence):
        tiles = [(read_probabilities(probabilities), np.asarray(truth_labels))]
    else:
        tiles = [
            (read_probabilities(maps), np.asarray(truth)) for maps, truth in zip(probabilities, truth_labels, strict=True)
        ]
    for maps, truth in tiles:
        if maps.building.shape != truth.shape:
            raise ValueError(f"truth is {truth.shape} and the maps {maps.building.shape}; pass tile.truth of the same tile.")
    if min_area is None:
        min_area = tiles[0][0].card.min_area if tiles else PUBLISHED.min_area
    tried = {"mask": mask, "seed": seed} | across(tiles, border, distance) | {"min_area": min_area}
    axes = {name: grid(name, values) for name, values in tried.items()}
    if not tiles or not all(axes.values()):
        raise ValueError("there is nothing to search: pass one tile or more, and one value or more for each threshold.")
    empty = Sweep(axes, np.empty(0))
    points = [empty.at(point) for point in np.ndindex(*map(len, axes.values()))]

    def counted(job: tuple[tuple[Probabilities, np.ndarray], Thresholds]) -> tuple[int, int, int]:
        (maps, truth), thresholds = job
        found = match(truth, label_instances(maps, thresholds), iou, small)
        return found.tp, found.fp, found.fn

    from ..progress import Progress

    known = {"published": PUBLISHED}
    if "thresholds" in (tiles[0][0].origin or {}):
        known["card"] = tiles[0][0].card
    points += known.values()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = list(product([(maps.rounded(), truth) for maps, truth in tiles], points))
        counted_all = list(Progress(pool.map(counted, jobs), "sweep", len(jobs), leave=False))
    counts = np.array(counted_all).reshape(len(tiles), len(points), 3)
    shape = (len(tiles), *(len(values) for values in axes.values()), 3)
    scores = [Score(*pooled) for pooled in counts[:, -len(known) :].sum(axis=0).tolist()]
    return Sweep(axes, counts[:, : -len(known)].reshape(shape), dict(zip(known, scores, strict=True)))


def across(
    tiles: Sequence[tuple[Probabilities, np.ndarray]], border: Values | None, distance: Values | None
) -> dict[str, Values]:
    """Return the border's values to try, or the distance's where the tiles have no border map."""
    alone = {maps.border is None for maps, _ in tiles}
    if len(alone) == 2 or (border if True in alone else distance) is not None:
        raise ValueError(
            "border and distance do not go together: border is for maps that all have a border map, distance for those that "
            "have none. Pass the one that fits; Probabilities(maps.building) has no border map any more."
        )
    if True in alone:
        return {"distance": DISTANCES if distance is None else distance}
    return {"border": STEPS if border is None else border}


def grid(name: str, values: Values) -> tuple[float, ...]:
    """Return the values of one axis as a tuple in rising order, each once, every one a threshold that can be."""
    values = tuple(sorted(set(np.atleast_1d(np.asarray(values)).tolist())))
    for value in values:
        asked: dict[str, Any] = {name: value}
        Thresholds(**asked)
    return values


def f1_of(counts: np.ndarray) -> np.ndarray:
    """Return F1 of (..., 3) counts of true positives, false positives and false negatives; 1 where all are 0."""
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    return np.where(tp + fp + fn == 0, 1.0, 2 * tp / np.maximum(2 * tp + fp + fn, 1))


def best_point(f1: np.ndarray) -> tuple[int, ...]:
    """Return the indices of the highest F1; among several, of the one nearest to their mean."""
    tops = np.argwhere(f1 == f1.max())
    return tuple(tops[np.argmin(((tops - tops.mean(axis=0)) ** 2).sum(axis=1))].tolist())


def one_rate(precision: float | None, recall: float | None) -> tuple[str, float]:
    """Return which of the two rates is wanted, and how much of it."""
    given = [(name, value) for name, value in (("precision", precision), ("recall", recall)) if value is not None]
    if len(given) != 1 or not 0 <= given[0][1] <= 1:
        raise ValueError(f"precision is {precision} and recall {recall}; give one of the two, from 0 to 1: precision=0.95.")
    return given[0]


def rate_of(counts: np.ndarray, name: str) -> np.ndarray:
    """Return "precision" or "recall" of (..., 3) counts of tp, fp and fn; NaN where it would divide by nothing."""
    tp, wrong = counts[..., 0], counts[..., {"precision": 1, "recall": 2}[name]]
    return np.where(tp + wrong == 0, np.nan, tp / np.maximum(tp + wrong, 1))


def point_at(counts: np.ndarray, name: str, wanted: float) -> tuple[int, ...]:
    """Return the point of the best other rate where the rate ``name`` is ``wanted`` or more, or else comes nearest to it."""
    first = np.nan_to_num(rate_of(counts, name), nan=-1)
    second = np.nan_to_num(rate_of(counts, "recall" if name == "precision" else "precision"), nan=-1)
    fits = first >= min(wanted, first.max())
    fits &= second == second[fits].max()
    return best_point(np.where(fits, first, -2))

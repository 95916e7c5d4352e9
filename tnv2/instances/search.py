"""Search: which thresholds score best, over maps that were computed once, and what that score is worth elsewhere."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np

from .labels import Probabilities, Thresholds, label_instances
from .scoring import Score, match

STEPS = tuple(np.round(np.linspace(0, 1, 21), 2).tolist())
AXES = ("mask", "seed", "border", "min_area")
PUBLISHED = Thresholds()


@dataclass(frozen=True, eq=False)
class Sweep:
    """Scores of a grid of thresholds.

    axes : {"mask": (...), "seed": (...), "border": (...), "min_area": (...)}, the values tried.
    counts : (T, M, S, B, A, 3) int, true positives, false positives and false negatives of each of T tiles at each of the
        grid's points, axes in the order above.
    """

    axes: dict
    counts: np.ndarray

    @property
    def f1(self):
        """(M, S, B, A) float: F1 at each point of the grid, counts pooled over the tiles."""
        return f1_of(self.counts.sum(axis=0))

    @property
    def best(self):
        """The Thresholds of the highest F1; among equals, those in the middle of the others that are equal."""
        return self.at(best_point(self.f1))

    @property
    def best_f1(self):
        """F1 at ``best``, on the tiles that it was found on: flattering, as every score of a choice on its own data."""
        return float(self.f1.max())

    @property
    def kept_out(self):
        """The Score of each tile at the thresholds that are best on the *other* tiles, pooled; None for a single tile.

        This is what to expect of ``best`` on a tile that nobody has tuned on.
        """
        if len(self.counts) < 2:
            return None
        everything = self.counts.sum(axis=0)
        return Score(*sum(tile[best_point(f1_of(everything - tile))] for tile in self.counts).tolist())

    def at(self, point):
        """Return the Thresholds at a point of the grid, four indices."""
        return Thresholds(*(self.axes[name][index] for name, index in zip(AXES, point, strict=True)))

    def plane(self):
        """Return (S, B) F1 over seed and border, at the best mask and minimum area."""
        mask, _, _, min_area = best_point(self.f1)
        return self.f1[mask, :, :, min_area]

    def plot(self, ax=None):
        """Draw F1 over seed and border with the published and the best point marked; return the matplotlib Axes."""
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=(5.6, 4.6), layout="constrained")[1] if ax is None else ax
        seed, border = self.axes["seed"], self.axes["border"]
        mesh = ax.pcolormesh(
            border, seed, self.plane(), cmap="viridis", vmin=0, vmax=max(0.01, self.best_f1), shading="nearest"
        )
        ax.figure.colorbar(mesh, ax=ax, label="F1 at IoU 0.5")
        for name, thresholds, marker in (("published", PUBLISHED, "s"), ("best", self.best, "*")):
            style = {"s": 130, "marker": marker, "facecolor": "none" if marker == "s" else "white", "edgecolor": "black"}
            ax.scatter(thresholds.border, thresholds.seed, label=name, linewidths=1.5, clip_on=False, zorder=3, **style)
        ax.set(xlabel="border threshold", ylabel="seed threshold", title=self.title())
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False)
        return ax

    def title(self):
        """Return what the plot shows in a line or two."""
        tiles = f"{len(self.counts)} tile{'s' if len(self.counts) > 1 else ''}"
        kept_out = "" if self.kept_out is None else f", {self.kept_out.f1:.3f} on tiles kept out"
        return f"{tiles}, mask {self.best.mask:g}, min. {self.best.min_area} px\nbest F1 {self.best_f1:.3f}{kept_out}"

    def __repr__(self):
        kept_out = "" if self.kept_out is None else f", on tiles kept out {self.kept_out.f1:.3f}"
        return f"Sweep(best={self.best}, f1={self.best_f1:.3f}{kept_out})"


def sweep(probabilities, truth_labels, mask=(0.5,), seed=STEPS, border=STEPS, min_area=(20,), iou=0.5, small="kept"):
    """Return the Sweep of a grid of thresholds over one tile or several, in parallel and with a progress bar.

    probabilities : Probabilities, or a list of them. truth_labels : (H, W) footprint labels, or a list as long.
    mask, seed, border, min_area : the values to try, one or several each. iou, small : as ``match`` takes them.

    The network is not run again. Maps are rounded to 8 bits first, as the tuner's are, so that both find the same buildings.
    """
    tiles = [(probabilities, truth_labels)]
    if not isinstance(probabilities, Probabilities):
        tiles = list(zip(probabilities, truth_labels, strict=True))
    for maps, truth in tiles:
        if maps.building.shape != np.shape(truth):
            raise ValueError(
                f"truth is {np.shape(truth)} and the maps {maps.building.shape}; pass tile.truth of the same tile."
            )
    axes = {name: grid(name, values) for name, values in zip(AXES, (mask, seed, border, min_area), strict=True)}
    if not tiles or not all(axes.values()):
        raise ValueError("there is nothing to search: pass one tile or more, and one value or more for each threshold.")
    maps = [(m.rounded(), np.asarray(truth)) for m, truth in tiles]
    points = [Thresholds(*values) for values in product(*axes.values())]

    def counted(job):
        (maps, truth), thresholds = job
        found = match(truth, label_instances(maps, thresholds), iou, small)
        return found.tp, found.fp, found.fn

    from tqdm.auto import tqdm

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = list(product(maps, points))
        counts = list(tqdm(pool.map(counted, jobs), "sweep", len(jobs), leave=False))
    return Sweep(axes, np.array(counts).reshape(len(maps), *(len(values) for values in axes.values()), 3))


def grid(name, values):
    """Return the values of one axis as a tuple in rising order, each once, every one a threshold that can be."""
    values = tuple(sorted(set(np.atleast_1d(np.asarray(values)).tolist())))
    for value in values:
        Thresholds(**{name: value})
    return values


def f1_of(counts):
    """Return F1 of (..., 3) counts of true positives, false positives and false negatives; 1 where all are 0."""
    tp, fp, fn = np.moveaxis(counts, -1, 0)
    return np.where(tp + fp + fn == 0, 1.0, 2 * tp / np.maximum(2 * tp + fp + fn, 1))


def best_point(f1):
    """Return the indices of the highest F1; among several, of the one nearest to their mean."""
    tops = np.argwhere(f1 == f1.max())
    return tuple(tops[np.argmin(((tops - tops.mean(axis=0)) ** 2).sum(axis=1))].tolist())

"""Scores: proposals against footprints, counted as SpaceNet's challenges count."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas

# F1 of TernausNetV2 in the DeepGlobe Building Extraction challenge (CVPR 2018): public and private half of the test tiles.
PUBLISHED = {
    "AOI_2_Vegas": (0.891, 0.892),
    "AOI_3_Paris": (0.781, 0.756),
    "AOI_4_Shanghai": (0.680, 0.687),
    "AOI_5_Khartoum": (0.603, 0.608),
}
SMALL = 20  # px: what both conventions for small buildings call small


@dataclass(frozen=True)
class Score:
    """Counts of found buildings (tp), instances without a footprint (fp) and footprints without an instance (fn)."""

    tp: int
    fp: int
    fn: int

    @property
    def precision(self) -> float:
        """Found among all instances; 1 where there are none."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else 1.0

    @property
    def recall(self) -> float:
        """Found among all footprints; 1 where there are none."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else 1.0

    @property
    def f1(self) -> float:
        """2 tp / (2 tp + fp + fn); 1 where there is nothing to find and nothing was."""
        return 2 * self.tp / (2 * self.tp + self.fp + self.fn) if self.tp + self.fp + self.fn else 1.0

    def __repr__(self) -> str:
        rates = f"f1={self.f1:.3f}, precision={self.precision:.3f}, recall={self.recall:.3f}"
        return f"{type(self).__name__}({rates}, tp={self.tp}, fp={self.fp}, fn={self.fn})"


@dataclass(frozen=True, eq=False, repr=False)
class Match(Score):
    """The Score of one tile, and which building met which fate.

    pairs : (K, 2) int, footprint and instance labels of the true positives; iou : (K,) their IoU.
    merged : (instance, (footprint, footprint, ...)) for each instance over half or more of several footprints.
    split : (footprint, (instance, instance, ...)) for each footprint that holds half or more of several instances.
    small : the rule for small buildings that was used, as ``match`` takes it.
    """

    pairs: np.ndarray
    iou: np.ndarray
    merged: tuple[tuple[int, tuple[int, ...]], ...] = ()
    split: tuple[tuple[int, tuple[int, ...]], ...] = ()
    small: str = "kept"

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, small={self.small!r})"


def match(truth_labels: np.ndarray, labels: np.ndarray, iou: float = 0.5, small: str = "kept") -> Match:
    """Return the Match of two (H, W) label images.

    Pairs are taken in falling order of intersection over union, each footprint and each instance at most once, as long as
    the IoU is at least ``iou``.

    small : what happens to buildings of 20 px or so. "kept" counts every one; "challenge" drops footprints of 20 px or
        less and keeps such proposals, as the SpaceNet challenges' own scorer; "solaris" drops those of less than 20 px on
        both sides, as the solaris package.

    >>> truth = np.array([[1, 1, 0, 2, 2]])
    >>> match(truth, np.array([[1, 1, 1, 0, 2]]))
    Match(f1=1.000, precision=1.000, recall=1.000, tp=2, fp=0, fn=0, small='kept')
    >>> match(truth, np.array([[1, 1, 1, 0, 2]]), iou=0.6)
    Match(f1=0.500, precision=0.500, recall=0.500, tp=1, fp=1, fn=1, small='kept')
    >>> match(truth, np.array([[1, 1, 1, 0, 2]]), small="challenge")
    Match(f1=0.000, precision=0.000, recall=1.000, tp=0, fp=2, fn=0, small='challenge')
    """
    if truth_labels is None or labels is None:
        raise ValueError("labels are None; pass two (H, W) label images. A tile without footprints has no truth to match.")
    truth_labels, labels = np.asarray(truth_labels), np.asarray(labels)
    if truth_labels.shape != labels.shape:
        raise ValueError(f"truth is {truth_labels.shape} and labels {labels.shape}; both must be of one shape.")
    if not 0 < iou <= 1:
        raise ValueError(f"iou is {iou}; it is a ratio above 0, at most 1. The challenges use 0.5.")
    least = {"kept": (1, 1), "challenge": (SMALL + 1, 1), "solaris": (SMALL, SMALL)}.get(small)
    if least is None:
        raise ValueError(f'small is {small!r}; it must be "kept", "challenge" or "solaris".')
    truth, footprints = small_numbers(truth_labels)
    found, instances = small_numbers(labels)
    of_truth, of_labels, shared = crossings(truth, found, len(footprints), len(instances))
    truth_area = np.bincount(of_truth, shared, len(footprints)).astype(np.int64)
    area = np.bincount(of_labels, shared, len(instances)).astype(np.int64)
    counted, real = truth_area >= least[0], area >= least[1]
    counted[0] = real[0] = False  # background
    both = counted[of_truth] & real[of_labels]
    of_truth, of_labels, shared = of_truth[both], of_labels[both], shared[both]
    ratio = shared / (truth_area[of_truth] + area[of_labels] - shared)
    taken_truth, taken_labels, kept = set(), set(), []
    for k in np.argsort(-ratio, kind="stable").tolist():
        if ratio[k] >= iou and of_truth[k] not in taken_truth and of_labels[k] not in taken_labels:
            taken_truth.add(of_truth[k])
            taken_labels.add(of_labels[k])
            kept.append(k)
    overlap = np.stack([footprints[of_truth], instances[of_labels]])
    within, holds = 2 * shared >= truth_area[of_truth], 2 * shared >= area[of_labels]
    merged, split = several(overlap[::-1, within]), several(overlap[:, holds])
    counts = len(kept), int(real.sum()) - len(kept), int(counted.sum()) - len(kept)
    return Match(*counts, overlap[:, kept].T, ratio[kept], merged, split, small)


def small_numbers(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the raveled labels as small numbers, 0 for background, and the (N,) labels that these stand for."""
    flat = labels.ravel()
    if flat.min(initial=0) >= 0 and flat.max(initial=0) <= 2 * flat.size:
        return flat, np.arange(flat.max(initial=0) + 1)
    names, flat = np.unique(np.append(0, np.maximum(flat, 0)), return_inverse=True)
    return flat[1:], names


def crossings(truth: np.ndarray, found: np.ndarray, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pairs of numbers that share pixels, in rising order, and how many pixels each pair shares."""
    codes = truth * np.int64(columns) + found
    if rows * columns < 8 * codes.size:  # counting beats sorting, as long as the table is small
        table = np.bincount(codes)
        codes = np.flatnonzero(table)
        shared = table[codes]
    else:
        codes, shared = np.unique(codes, return_counts=True)
    return *np.divmod(codes, columns), shared


def several(pairs: np.ndarray) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Return (a, (b, b, ...)) for each a that (2, K) ``pairs`` of a and b have with more than one b.

    >>> several(np.array([[1, 1, 2], [5, 4, 5]]))
    ((1, (4, 5)),)
    """
    groups: dict[int, list[int]] = {}
    for a, b in sorted(pairs.T.tolist()):
        groups.setdefault(a, []).append(b)
    return tuple((a, tuple(group)) for a, group in groups.items() if len(group) > 1)


def score_city(matches: Iterable[Score]) -> Score:
    """Return the Score of several tiles, their counts added up, as the challenge scores a city.

    >>> score_city([Score(tp=3, fp=0, fn=1), Score(tp=1, fp=2, fn=0)])
    Score(f1=0.727, precision=0.667, recall=0.800, tp=4, fp=2, fn=1)
    """
    matches = list(matches)
    return Score(*(sum(getattr(m, count) for m in matches) for count in ("tp", "fp", "fn")))


def city_table(names: Iterable[str], matches: Iterable[Score]) -> "pandas.DataFrame":
    """Return a DataFrame with a row a city, and their mean, beside what TernausNetV2 scored in the challenge.

    names, matches : the tiles' names, of which "AOI_2_Vegas_img2144" is one of the city AOI_2_Vegas, and a Match each, whose
        rule for small buildings becomes the name of the columns.

    The challenge's mean is over all four cities, so ``mean`` here is over the cities that are there. The published figures
    are of hidden test tiles; only the training tiles have public footprints.
    """
    import pandas as pd

    cities: dict[str, list[Score]] = {}
    matches = list(matches)
    for name, m in zip(names, matches, strict=True):
        cities.setdefault(name.rsplit("_img", 1)[0], []).append(m)
    rows = {city: row_of(score_city(of_city), len(of_city)) for city, of_city in sorted(cities.items())}
    table = pd.DataFrame.from_dict(rows, orient="index")
    published = pd.DataFrame.from_dict(PUBLISHED, orient="index", columns=["published public", "published private"])
    table = table.join(published.reindex(table.index))
    rules = {m.small for m in matches if isinstance(m, Match)}
    table.columns.name = f"small: {rules.pop()}" if len(rules) == 1 else None
    table.loc["mean"] = table[["f1", *published.columns]].mean()
    return table.astype(dict.fromkeys(("tiles", "tp", "fp", "fn"), "Int64"))


def row_of(score: Score, tiles: int) -> dict[str, float]:
    """Return a row of ``city_table``."""
    rates = {name: getattr(score, name) for name in ("precision", "recall", "f1")}
    return {"tiles": tiles, "tp": score.tp, "fp": score.fp, "fn": score.fn, **rates}

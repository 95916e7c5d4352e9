"""Scores: proposals against footprints, counted as SpaceNet's challenges count."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Match:
    """What was found, and what was not.

    pairs : (K, 2) int, footprint and instance labels of the true positives; iou : (K,) their IoU.
    tp, fp, fn : found buildings, instances without a footprint, footprints without an instance.
    merged : (instance, (footprint, footprint, ...)) for each instance over half or more of several footprints.
    split : (footprint, (instance, instance, ...)) for each footprint that holds half or more of several instances.
    """

    pairs: np.ndarray
    iou: np.ndarray
    fp: int
    fn: int
    merged: tuple = ()
    split: tuple = ()

    @property
    def tp(self):
        return len(self.pairs)

    @property
    def precision(self):
        """Found among all instances; 1 where there are none."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else 1.0

    @property
    def recall(self):
        """Found among all footprints; 1 where there are none."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else 1.0

    @property
    def f1(self):
        """2 tp / (2 tp + fp + fn); 1 where there is nothing to find and nothing was."""
        return pooled_f1([self])

    def __repr__(self):
        rates = f"f1={self.f1:.3f}, precision={self.precision:.3f}, recall={self.recall:.3f}"
        return f"Match({rates}, tp={self.tp}, fp={self.fp}, fn={self.fn})"


def match(truth_labels, labels, iou=0.5):
    """Return the Match of two (H, W) label images.

    Pairs are taken in falling order of intersection over union, each footprint and each instance at most once, as long as
    the IoU is at least ``iou``. Every footprint and every instance counts, however small.

    >>> truth = np.array([[1, 1, 0, 2, 2]])
    >>> match(truth, np.array([[1, 1, 1, 0, 2]]))
    Match(f1=1.000, precision=1.000, recall=1.000, tp=2, fp=0, fn=0)
    >>> match(truth, np.array([[1, 1, 1, 0, 2]]), iou=0.6)
    Match(f1=0.500, precision=0.500, recall=0.500, tp=1, fp=1, fn=1)
    """
    truth_labels, labels = np.asarray(truth_labels), np.asarray(labels)
    if truth_labels.shape != labels.shape:
        raise ValueError(f"truth is {truth_labels.shape} and labels {labels.shape}; both must be of one shape.")
    if not 0 < iou <= 1:
        raise ValueError(f"iou is {iou}; it is a ratio above 0, at most 1. The challenges use 0.5.")
    footprints, truth_area = np.unique(truth_labels[truth_labels > 0], return_counts=True)
    instances, area = np.unique(labels[labels > 0], return_counts=True)
    both = (truth_labels > 0) & (labels > 0)
    overlap, shared = np.unique(np.stack([truth_labels[both], labels[both]]), axis=1, return_counts=True)
    of_truth, of_labels = np.searchsorted(footprints, overlap[0]), np.searchsorted(instances, overlap[1])
    ratio = shared / (truth_area[of_truth] + area[of_labels] - shared)
    taken_truth, taken_labels, kept = set(), set(), []
    for k in np.argsort(-ratio, kind="stable"):
        if ratio[k] >= iou and of_truth[k] not in taken_truth and of_labels[k] not in taken_labels:
            taken_truth.add(of_truth[k])
            taken_labels.add(of_labels[k])
            kept.append(k)
    within, holds = 2 * shared >= truth_area[of_truth], 2 * shared >= area[of_labels]
    merged, split = several(overlap[::-1, within]), several(overlap[:, holds])
    return Match(overlap[:, kept].T, ratio[kept], len(instances) - len(kept), len(footprints) - len(kept), merged, split)


def several(pairs):
    """Return (a, (b, b, ...)) for each a that (2, K) ``pairs`` of a and b have with more than one b.

    >>> several(np.array([[1, 1, 2], [5, 4, 5]]))
    ((1, (4, 5)),)
    """
    groups = {}
    for a, b in sorted(pairs.T.tolist()):
        groups.setdefault(a, []).append(b)
    return tuple((a, tuple(group)) for a, group in groups.items() if len(group) > 1)


def pooled_f1(matches):
    """Return the F1 of several tiles' counts added up, as the challenge scores a city."""
    tp, fp, fn = (sum(getattr(m, name) for m in matches) for name in ("tp", "fp", "fn"))
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 1.0

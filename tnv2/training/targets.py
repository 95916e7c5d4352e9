"""Targets: what a network is taught to answer, and the loss that says how far it is from that."""

import cv2
import numpy as np
import torch
from torch.nn import functional as F


def border_target(labels: np.ndarray, reach: float = 4) -> np.ndarray:
    """Return (H, W) bool: where two instances touch or are at most about ``2 * reach`` px apart.

    As the network's authors describe it: grow the instances, let their watershed meet, and keep the line where two of
    them meet, made 3 to 4 px wide::

        1 1 1 1 . . 2 2 2      1 1 1 1 1 2 2 2 2      . . . # # # # . .
        1 1 1 1 . . 2 2 2  ->  1 1 1 1 1 2 2 2 2  ->  . . . # # # # . .
        1 1 1 1 . . . . .      1 1 1 1 1 2 2 2 2      . . . # # # # . .
           instances             grown until             the border
                                   they meet

    An instance with nobody near has no border. Side by side with the building map the border says where to cut it.

    >>> border_target(np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]])).astype(int)
    array([[0, 0, 0, 1, 1, 1, 1, 0, 0]])
    """
    from skimage.segmentation import expand_labels

    grown = expand_labels(labels, reach).astype(np.float32)
    nearby = np.ones((3, 3), np.uint8)
    highest = cv2.dilate(grown, nearby)
    lowest = -cv2.dilate(np.where(grown > 0, -grown, -np.inf).astype(np.float32), nearby)  # of the labels, not of 0
    line = (highest > lowest) & (grown > 0)
    return cv2.dilate(line.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))) > 0


def segmentation_loss(
    logits: torch.Tensor, targets: torch.Tensor, known: torch.Tensor, jaccard: float = 0.3, smoothing: float = 0.0
) -> torch.Tensor:
    """Return BCE mixed with the soft Jaccard loss, summed over the two maps: ``(1 - jaccard) * BCE + jaccard * (1 - J)``.

    The loss of TernausNetV2 (Iglovikov et al., CVPR Workshops 2018). logits, targets, known : (N, 2, H, W); pixels count
    where ``known`` is 1. J is sum(p t) / (sum(p) + sum(t) - sum(p t)) over the batch, a map at a time. BCE's targets are
    drawn towards 0.5 by the share ``smoothing``, so that logits have no reason to grow without end.
    """
    over = (0, 2, 3)
    soft = torch.lerp(targets, torch.full_like(targets, 0.5), smoothing)
    bce = F.binary_cross_entropy_with_logits(logits, soft, weight=known, reduction="none").sum(over)
    bce = bce / known.sum(over).clamp(min=1)
    p, t = torch.sigmoid(logits) * known, targets * known
    both = (p * t).sum(over)
    either = p.sum(over) + t.sum(over) - both
    return ((1 - jaccard) * bce + jaccard * (1 - (both + 1) / (either + 1))).sum()

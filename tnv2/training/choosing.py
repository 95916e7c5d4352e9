"""Choosing: how good a network is on pictures that are set aside, of which some have buildings one by one and some not."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from ..instances import label_instances, match, score_city
from ..network import TernausNetV2, predict
from .manifest import Picture


def scores(model: TernausNetV2, pictures: Iterable[Picture]) -> dict[str, float]:
    """Return the scores of a network, by name, at its recommended thresholds.

    "DATASET PLACE iou": pixel IoU of the building map at the mask threshold, pixels pooled over the pictures; "DATASET PLACE
    f1" and "merged f1": F1 at IoU 0.5, counts pooled, the latter of buildings of which touching ones are one; "iou": the
    mean of the pixel IoUs; "f1": F1 over all pictures with single buildings.
    """
    pixels, matches = defaultdict(list), defaultdict(list)
    for each in pictures:
        name, truth, maps = f"{each.dataset} {each.place}", np.asarray(each.tile.truth), predict(model, each.tile)
        found, there = maps.building > model.thresholds.mask, truth > 0
        pixels[name].append(((found & there).sum(), (found | there).sum()))
        matches[name, each.merged].append(match(truth, label_instances(maps, model.thresholds)))
    iou = {name: float(np.divide(*np.sum(counts, axis=0).clip(min=1))) for name, counts in pixels.items()}
    f1 = {f"{name} {'merged ' if merged else ''}f1": score_city(some).f1 for (name, merged), some in matches.items()}
    single = [one for (_, merged), some in matches.items() if not merged for one in some]
    means = {"iou": float(np.mean(list(iou.values())))} | ({"f1": score_city(single).f1} if single else {})
    return means | {f"{name} iou": share for name, share in iou.items()} | f1

"""Instances: from the building and border probability maps to single buildings.

The rule: the *region* is where building probability passes the mask threshold; the *seeds* are its confident parts away
from borders, and from the region's rim; each 4-connected group of seed pixels floods the region around it, 8-connected,
until it meets another's flood. ``tnv2/browser/engine.js`` follows the same rule in the browser, pixel for pixel.

Away from borders means that the border probability is under its threshold; where there is no border map, everything is.
Away from the rim means deeper than the distance threshold. A pixel's depth is the Euclidean distance from its centre to that
of the nearest pixel outside the region: 1 at the rim, so that a threshold of 0 keeps all, as it stands for one who has a
border map. The picture's own edge is no rim, since what it cuts goes on beyond it. Depths are compared as squares, whole
numbers, so that nothing is rounded.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from ..compiled import compiled
from .depths import squared_depths


@dataclass(frozen=True)
class Thresholds:
    """What turns probabilities into buildings; the defaults are the published demo's.

    mask : a pixel is building where its building probability is greater, 0..1.
    seed : a building starts where the building probability is greater, 0..1 ...
    border : ... and the border probability is smaller, 0..1.
    min_area : buildings of fewer *pixels* are dropped, 0 or more; ``tile.pixels(12)`` are those of 12 square metres.
    distance : ... and where the region's rim is further away, in *pixels*; 0 is off. It parts what touches without a border
        map: near the radius of the neck between two things, and under that of the smallest thing.
    """

    mask: float = 0.5
    seed: float = 0.5
    border: float = 0.5
    min_area: int = 20
    distance: float = 0.0

    def __post_init__(self) -> None:
        for name in ("mask", "seed", "border"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; thresholds are probabilities from 0 to 1.")
            object.__setattr__(self, name, float(getattr(self, name)))
        if not 0 <= self.min_area < np.inf or self.min_area != int(self.min_area):
            raise ValueError(f"min_area is {self.min_area}; it is a whole number of pixels, 0 to keep every building.")
        object.__setattr__(self, "min_area", int(self.min_area))
        if not 0 <= self.distance < 2**31:
            raise ValueError(f"distance is {self.distance}; it is a number of pixels, 0 for seeds up to the rim.")
        object.__setattr__(self, "distance", float(self.distance))


@dataclass(frozen=True, eq=False)
class Probabilities:
    """What a network says of a tile: (H, W) float32 maps in [0, 1]. ``read_probabilities`` takes them from files and arrays.

    building : that the pixel belongs to a building, or to whatever thing the network knows.
    border : that it lies where two of them touch or nearly touch; None of a network that does not say.
    origin : what they were computed with, as ``predict`` notes it: weights, sha256, precision, thresholds; or the file they
        were read from, as ``read_probabilities`` does; None if unknown.
    """

    building: np.ndarray
    border: np.ndarray | None = None
    origin: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        for name in ("building", "border") if self.border is not None else ("building",):
            array = np.asarray(getattr(self, name), np.float32)
            if array.ndim != 2 or not array.size:
                raise ValueError(f"{name} is {array.shape}; it must be (H, W), one probability a pixel. Pass one map.")
            if not (array.min() >= 0 and array.max() <= 1):  # NaN fails both
                raise ValueError(
                    f"{name} has values from {array.min()} to {array.max()}; probabilities are finite, from 0 to 1. "
                    "Divide 8-bit maps by 255, or take the sigmoid of logits."
                )
            object.__setattr__(self, name, array)
        if self.border is not None and self.building.shape != self.border.shape:
            raise ValueError(f"building is {self.building.shape} and border {self.border.shape}; both must be of one shape.")

    @property
    def card(self) -> Thresholds:
        """The Thresholds of the card of the network that made them; the published demo's where that is not known."""
        return Thresholds(**(self.origin or {}).get("thresholds", {}))

    def quantised(self) -> tuple[np.ndarray, ...]:
        """Return the maps, two or without a border one, as (H, W) uint8, ``round(255 * p)``: what the browser works on.

        >>> Probabilities(np.array([[0, 0.5, 1]]), np.zeros((1, 3))).quantised()[0]
        array([[  0, 128, 255]], dtype=uint8)
        """
        return tuple(eight_bit(each) for each in (self.building, self.border) if each is not None)

    def rounded(self) -> "Probabilities":
        """Return the Probabilities rounded to 8 bits: what a tuner labels."""
        return replace(self.from_quantised(*self.quantised()), origin=self.origin)

    @classmethod
    def from_quantised(cls, building: np.ndarray, border: np.ndarray | None = None) -> Self:
        """Return the Probabilities of two (H, W) uint8 maps, or of one."""
        given = [np.asarray(array, np.uint8) for array in (building, border) if array is not None]
        return cls(*np.stack(given).astype(np.float32) / np.float32(255))


def eight_bit(maps: np.ndarray) -> np.ndarray:
    """Return probabilities as uint8, ``round(255 * p)``."""
    return np.floor(maps * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def label_instances(probabilities: Probabilities, thresholds: Thresholds = Thresholds()) -> np.ndarray:
    """Return the buildings as (H, W) int32 labels, 1..N in raster order of their first pixels, 0 elsewhere.

    Equal to ``scipy.ndimage.label`` of the seeds, then ``skimage.segmentation.watershed`` on a flat landscape with
    ``connectivity=2``, then small instances dropped and the rest renumbered. Parts of the region that hold no seed stay 0.

    >>> building = np.array([[0.9, 0.9, 0.6, 0.6, 0.9, 0.1, 0.6]])
    >>> label_instances(Probabilities(building, np.zeros((1, 7))), Thresholds(seed=0.8, min_area=1))
    array([[1, 1, 1, 2, 2, 0, 0]], dtype=int32)
    """
    if not isinstance(probabilities, Probabilities) or not isinstance(thresholds, Thresholds):
        came = f"{type(probabilities).__name__} and {thresholds!r}"
        raise ValueError(
            f"label_instances got {came}; pass Probabilities, as predict and read_probabilities return them, and "
            "Thresholds(mask=0.5)."
        )
    labels = flooded(seeds(probabilities, thresholds), region(probabilities, thresholds))
    return renumbered(labels, thresholds.min_area)


def region(probabilities: Probabilities, thresholds: Thresholds) -> np.ndarray:
    """Return (H, W) bool: where buildings may be, ``building > mask``."""
    return probabilities.building > np.float32(thresholds.mask)


def seeds(probabilities: Probabilities, thresholds: Thresholds) -> np.ndarray:
    """Return (H, W) int32 watershed markers: one label for each 4-connected group of confident pixels off borders and rim.

    Labels count from 1 in raster order of each group's first pixel; 0 is no seed.
    """
    import cv2

    markers = probabilities.building > np.float32(max(thresholds.mask, thresholds.seed))
    if probabilities.border is not None:
        markers &= probabilities.border < np.float32(thresholds.border)
    if thresholds.distance:
        markers &= squared_depths(region(probabilities, thresholds)) > thresholds.distance * thresholds.distance
    return cv2.connectedComponents(markers.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)[1]


def flooded(markers: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Return (H, W) int32: ``markers`` grown over ``region``, 8-connected, one pixel a turn, first come first served.

    Ties go as in ``skimage.segmentation.watershed`` on a constant image, whose heap hands out equal markers in an order of
    its own; ``flood`` says how.
    """
    labels = np.pad(markers, 1).astype(np.int32)
    compiled(flood)(labels.ravel(), np.pad(region, 1).ravel(), labels.shape[1])
    return np.ascontiguousarray(labels[1:-1, 1:-1])


def renumbered(labels: np.ndarray, min_area: int) -> np.ndarray:
    """Return ``labels`` without instances under ``min_area`` pixels, numbered 1..N in raster order of first pixels."""
    numbers = labels.copy()
    compiled(renumber)(numbers.ravel(), min_area)
    return numbers


def renumber(labels: np.ndarray, min_area: int) -> None:
    """Number raveled ``labels`` in place, in order of appearance; those of fewer than ``min_area`` pixels become 0."""
    areas = np.zeros(labels.max() + 1, np.int64)
    for label in labels:
        areas[label] += 1
    numbers = np.zeros(areas.size, np.int32)
    count = 0
    for i in range(labels.size):
        label = labels[i]
        if label > 0 and numbers[label] == 0 and areas[label] >= min_area:
            count += 1
            numbers[label] = count
        labels[i] = numbers[label]


def flood(labels: np.ndarray, region: np.ndarray, width: int) -> None:
    """Grow ``labels`` over ``region`` in place; both raveled, with a border of 1 px, ``width`` px a row.

    skimage's watershed keeps pixels in a binary heap by (height, age). On a flat landscape markers all have age 0 and every
    flooded pixel is older than the one before, so flooded pixels leave first in, first out, after the markers; but the
    markers, all equal, leave in the order in which the heap moves them about. That order needs no heap. The top leaves and
    the heap's last entry takes its place. If that is a marker, it leaves next. If it is a flooded pixel, it sinks, and the
    markers on its way rise, left before right: so markers leave in preorder, and the place that goes is the end of the
    leftmost ``path`` of places that still hold one. ``ahead`` are the markers on that path, from the top down.
    """
    dry = region & (labels == 0)  # where the flood may still come
    markers = np.flatnonzero(labels)
    count = markers.size
    neighbours = (-width, -1, 1, width, -width - 1, -width + 1, width - 1, width + 1)
    held = np.ones(count, np.bool_)  # whether a place of the heap still holds a marker
    path, depth = np.empty(64, np.int64), 0
    ahead, first, end = np.empty(count, np.int64), 0, 0
    place = 0  # where the path goes on
    queue = np.empty(region.size, np.int64)  # a blank for each marker, then the flooded pixels
    head, tail = 0, count  # the heap has tail - head entries, markers and flooded pixels
    while head < tail:
        if head < count:
            while place < count and held[place]:
                path[depth], ahead[end] = place, place
                depth, end, place = depth + 1, end + 1, 2 * place + 1
                if place < count and not held[place]:
                    place += 1
            pixel = markers[ahead[first]]
            last = tail - head - 1
            if last < count and held[last]:
                held[last] = False
                if path[depth - 1] == last:
                    ahead[first], depth, end = ahead[end - 1], depth - 1, end - 1
                else:
                    ahead[first] = last
            else:
                first, depth = first + 1, depth - 1
                gone = path[depth]
                held[gone] = False
                place = gone + 1 if gone % 2 else count  # the right sibling of a left place, and down from there
        else:
            pixel = queue[head]
        head += 1
        for step in neighbours:
            if dry[pixel + step]:
                dry[pixel + step] = False
                labels[pixel + step] = labels[pixel]
                queue[tail] = pixel + step
                tail += 1

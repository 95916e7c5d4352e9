"""Instances equal an independent reference label for label; thresholds and maps are checked."""

import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from noise import noise_maps
from scipy import ndimage
from skimage.segmentation import watershed

from tnv2 import Probabilities, Thresholds, label_instances
from tnv2.instances.depths import squared_depths


def reference(probabilities, thresholds):
    """The definition, in scipy and scikit-image."""
    building, border = probabilities.building, probabilities.border
    region = building > np.float32(thresholds.mask)
    seed = region & (building > np.float32(thresholds.seed))
    if border is not None:
        seed &= border < np.float32(thresholds.border)
    if thresholds.distance and not region.all():
        seed &= ndimage.distance_transform_edt(region) > thresholds.distance
    markers, _ = ndimage.label(seed)
    labels = watershed(np.zeros(building.shape), markers, mask=region, connectivity=2)
    areas = np.bincount(labels.ravel())
    labels[(areas < thresholds.min_area)[labels]] = 0
    kept, first = np.unique(labels, return_index=True)
    order = [label for label in kept[np.argsort(first)] if label]
    renumbered = np.zeros(labels.max() + 1, np.int32)
    renumbered[order] = np.arange(1, len(order) + 1)
    return renumbered[labels]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    grain=st.floats(0, 4),
    mask=st.floats(0, 1),
    start=st.floats(0, 1),
    border=st.floats(0, 1),
    min_area=st.integers(0, 30),
    quantise=st.booleans(),
    distance=st.just(0) | st.floats(0, 12),
    bordered=st.booleans(),
)
def test_equals_reference_on_generated_maps(seed, size, grain, mask, start, border, min_area, quantise, distance, bordered):
    probabilities = noise_maps(seed, *size, grain)
    if not bordered:
        probabilities = Probabilities(probabilities.building)
    if quantise:
        probabilities = Probabilities.from_quantised(*probabilities.quantised())
    thresholds = Thresholds(mask, start, border, min_area, distance)
    np.testing.assert_array_equal(label_instances(probabilities, thresholds), reference(probabilities, thresholds))


def test_equals_reference_past_255_instances_and_is_faster():
    yy, xx = np.mgrid[:650, :650]
    building = np.clip(0.5 + 0.5 * np.sin(xx / 5) * np.sin(yy / 5) + 0.1, 0, 1)
    probabilities, thresholds = Probabilities(building, np.zeros_like(building)), Thresholds(mask=0.45, seed=0.8)
    labels = label_instances(probabilities, thresholds)
    np.testing.assert_array_equal(labels, reference(probabilities, thresholds))
    assert labels.max() > 255
    assert labels.dtype == np.int32
    ours, theirs = (fastest(f, probabilities, thresholds) for f in (label_instances, reference))
    assert ours < theirs, f"label_instances took {1e3 * ours:.1f} ms, the reference {1e3 * theirs:.1f} ms"


def fastest(function, *arguments):
    def once():
        start = time.perf_counter()
        function(*arguments)
        return time.perf_counter() - start

    return min(once() for _ in range(5))


def test_equals_reference_on_real_footprints(real_tiles):
    for tile in real_tiles:
        building = cv2.GaussianBlur((tile.truth > 0).astype(np.float32), (0, 0), 2)
        border = np.clip(cv2.GaussianBlur(noise_maps(1, *tile.shape, 3).border, (0, 0), 1), 0, 1)
        probabilities = Probabilities(building, border)
        for thresholds in (Thresholds(), Thresholds(0.3, 0.8, 0.8), Thresholds(0.1, 0.95, 0.45, 0)):
            np.testing.assert_array_equal(label_instances(probabilities, thresholds), reference(probabilities, thresholds))


def test_equals_reference_on_the_networks_maps_of_real_tiles(real_maps):
    for probabilities in real_maps:
        for thresholds in (Thresholds(), Thresholds(0.3, 0.8, 0.8), Thresholds(0.1, 0.3, 0.2, 0)):
            np.testing.assert_array_equal(label_instances(probabilities, thresholds), reference(probabilities, thresholds))


def test_region_without_seed_stays_background_and_small_ones_go():
    building = np.zeros((20, 20))
    building[2:8, 2:8], building[12:18, 12:18] = 0.9, 0.6
    building[2:4, 12:14] = 0.9
    labels = label_instances(Probabilities(building, np.zeros((20, 20))), Thresholds(seed=0.8))
    assert labels.max() == 1
    assert (labels == 1).sum() == 36


def test_border_splits_what_the_mask_merges():
    building, border = np.full((10, 21), 0.9), np.zeros((10, 21))
    border[:, 10] = 0.9
    apart = label_instances(Probabilities(building, border))
    together = label_instances(Probabilities(building, border), Thresholds(border=1))
    assert (apart.max(), together.max()) == (2, 1)
    assert (apart > 0).all()


def test_distance_parts_what_touches_without_a_border_map():
    rows, columns = np.mgrid[:40, :70]
    discs = (np.hypot(rows - 20, columns - 22) < 14) | (np.hypot(rows - 20, columns - 46) < 14)
    maps = Probabilities(discs)
    together, apart = label_instances(maps), label_instances(maps, Thresholds(distance=9))
    assert (together.max(), apart.max()) == (1, 2)
    assert ((apart > 0) == discs).all()
    assert apart[20, 22] != apart[20, 46]
    assert label_instances(maps, Thresholds(distance=14)).max() == 0


def test_depths_are_scipys_squared_and_the_pictures_edge_is_no_rim():
    rng = np.random.default_rng(0)
    for seed in range(300):
        region = noise_maps(seed, *rng.integers(1, 60, 2), rng.uniform(0, 5)).building > rng.random()
        if not region.all():
            exact = np.rint(ndimage.distance_transform_edt(region) ** 2)
            np.testing.assert_array_equal(squared_depths(region), exact)
    assert (squared_depths(np.ones((5, 4), bool)) == 2**31 - 1).all()
    far = np.ones((500, 6000), bool)
    far[0, 0] = False
    assert squared_depths(far)[-1, -1] == 499**2 + 5999**2


def test_a_map_without_a_border_is_labelled_by_building_alone():
    maps = noise_maps(4, 60, 60, 2)
    alone = Probabilities(maps.building)
    np.testing.assert_array_equal(
        label_instances(alone, Thresholds(0.5, 0.6, 0)), label_instances(maps, Thresholds(0.5, 0.6, 1))
    )
    assert [each.shape for each in alone.quantised()] == [(60, 60)]
    assert alone.rounded().border is Probabilities.from_quantised(*alone.quantised()).border is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mask": 1.2}, "mask is 1.2"),
        ({"seed": float("nan")}, "seed is nan"),
        ({"border": -0.1}, "border is -0.1"),
        ({"min_area": -1}, "min_area is -1"),
        ({"min_area": 2.5}, "min_area is 2.5"),
        ({"min_area": float("inf")}, "min_area is inf"),
        ({"distance": -1}, "distance is -1"),
        ({"distance": float("nan")}, "distance is nan"),
        ({"distance": 2**31}, "distance is 2147483648"),
    ],
)
def test_thresholds_outside_their_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Thresholds(**arguments)


@pytest.mark.parametrize(
    ("building", "border", "message"),
    [
        (np.full((4, 4), 128), np.zeros((4, 4)), "128.0; probabilities"),
        (np.full((4, 4), np.nan), np.zeros((4, 4)), "building has values from nan"),
        (np.zeros((4, 4)), np.zeros((4, 5)), r"border \(4, 5\)"),
        (np.zeros((4, 4, 2)), np.zeros((4, 4)), r"\(4, 4, 2\)"),
    ],
)
def test_maps_that_are_no_probabilities_are_refused(building, border, message):
    with pytest.raises(ValueError, match=message):
        Probabilities(building, border)


def test_inputs_are_left_alone():
    probabilities = noise_maps(0, 40, 40, 1)
    before = probabilities.building.copy(), probabilities.border.copy()
    label_instances(probabilities, Thresholds(0.3, 0.6, 0.9, 0))
    np.testing.assert_array_equal(probabilities.building, before[0])
    np.testing.assert_array_equal(probabilities.border, before[1])

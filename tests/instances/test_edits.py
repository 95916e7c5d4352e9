"""Edits by hand act on what lies under their pixels, say when nothing does, and leave everything else alone."""

import numpy as np
import pytest
import rasterio.features
import shapely
from noise import noise_edits, noise_line, noise_maps
from scipy import ndimage

from tnv2 import Thresholds, edited, label_instances
from tnv2.instances.edits import filled, line

EIGHT = np.ones((3, 3))


def edit(kind, *at):
    return {"kind": kind, "at": [list(place) for place in at]}


def same_but(before, after, touched):
    """Whether the buildings are the same, whatever their numbers, but where ``touched``."""
    pairs = np.unique(np.stack([before[~touched], after[~touched]]), axis=1)
    return all(len(np.unique(side)) == pairs.shape[1] for side in pairs)


@pytest.fixture
def labels():
    return label_instances(noise_maps(1, 70, 90, 3), Thresholds(0.5, 0.6, 1, 5))


def test_a_deleted_building_is_background(labels):
    row, column = np.argwhere(labels == 4)[7]
    found = edited(labels, [edit("delete", (row, column))])
    assert found.waiting == ("",)
    assert found.by_hand == ()
    assert not found.labels[labels == 4].any()
    assert same_but(labels, found.labels, labels == 4)
    assert found.labels.max() == labels.max() - 1


def test_two_become_one_touching_or_not(labels):
    for other in range(2, labels.max() + 1):
        at = [np.argwhere(labels == number)[0].tolist() for number in (1, other)]
        found = edited(labels, [edit("merge", *at)])
        both = (labels == 1) | (labels == other)
        assert len(np.unique(found.labels[both])) == 1
        assert found.by_hand == (1,)
        assert same_but(labels, found.labels, both)


def test_a_line_cuts_one_building_in_two_and_leaves_no_gap():
    labels = np.zeros((30, 40), np.int32)
    labels[5:25, 5:20], labels[5:25, 20:35] = 1, 2
    found = edited(labels, [edit("split", (12, 2), (14, 24))])  # runs on into the neighbour, which it does not cut
    assert found.waiting == ("",)
    assert found.labels.max() == 3
    np.testing.assert_array_equal(found.labels > 0, labels > 0)
    np.testing.assert_array_equal(found.labels == 2, labels == 2)
    assert found.by_hand == (1, 3)
    for number, first, last in ((1, 5, 13), (3, 12, 24)):
        rows = np.flatnonzero((found.labels == number).any(axis=1))
        assert (rows[0], rows[-1]) == pytest.approx((first, last), abs=1)


def test_the_larger_half_keeps_what_lies_apart():
    labels = np.zeros((10, 30), np.int32)
    labels[2:8, 2:14], labels[2:8, 20:24] = 1, 2
    found = edited(labels, [edit("merge", (4, 4), (4, 21)), edit("split", (0, 5), (9, 5))])
    assert found.waiting == ("", "")
    assert found.labels[4, 21] == found.labels[4, 10] != found.labels[4, 3] > 0


def test_a_split_is_of_two_parts_that_hang_together(labels):
    rng, cut = np.random.default_rng(5), 0
    for _ in range(300):
        found = edited(labels, [edit("split", *noise_line(rng, labels.shape, 3))])
        if found.waiting[0]:
            np.testing.assert_array_equal(found.labels, labels)
            continue
        cut += 1
        assert found.labels.max() == labels.max() + 1
        np.testing.assert_array_equal(found.labels > 0, labels > 0)
        halves = np.isin(found.labels, found.by_hand)
        assert len(found.by_hand) == 2
        assert len(np.unique(labels[halves])) == 1
        assert same_but(labels, found.labels, halves)
        assert [ndimage.label(found.labels == number, EIGHT)[1] for number in found.by_hand] == [1, 1]
    assert 30 < cut < 300


def test_a_building_drawn_round_takes_free_pixels_alone(labels):
    corners = [(10, 10), (10, 60), (50, 60), (50, 10)]
    found = edited(labels, [edit("add", *corners)])
    drawn = np.zeros(labels.shape, bool)
    drawn[10:51, 10:61] = True
    (new,) = found.by_hand
    np.testing.assert_array_equal(found.labels == new, drawn & (labels == 0))
    assert same_but(labels, found.labels, drawn & (labels == 0))
    assert edited(found.labels, [edit("add", *corners)]).waiting == ("buildings stand on all of it",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (edit("delete", (0, 0)), "no building there"),
        (edit("merge", (0, 0), (0, 1)), "no building there"),
        (edit("merge", (0, 0), (6, 6)), "no building at one end"),
        (edit("merge", (6, 6), (7, 8)), "both ends are in one building"),
        (edit("split", (0, 0), (0, 9)), "no building under the line"),
        (edit("split", (6, 0), (6, 7)), "the line does not cut a building in two"),
        (edit("add", (6, 6), (8, 6), (8, 8)), "buildings stand on all of it"),
    ],
)
def test_what_finds_nothing_waits_and_changes_nothing(change, reason):
    labels = np.zeros((12, 12), np.int32)
    labels[5:10, 5:10] = 1
    found = edited(labels, [change])
    assert found.waiting == (reason,)
    assert found.by_hand == ()
    np.testing.assert_array_equal(found.labels, labels)


def test_an_edit_acts_on_what_those_before_it_left():
    labels = np.zeros((20, 20), np.int32)
    labels[4:16, 4:16] = 1
    add, cut, away = (
        edit("add", (4, 4), (4, 15), (15, 15), (15, 4)),
        edit("split", (10, 0), (10, 19)),
        edit("delete", (5, 5)),
    )
    found = edited(labels, [add, edit("delete", (5, 5)), add, cut, away])
    assert found.waiting == ("buildings stand on all of it", "", "", "", "")
    assert found.by_hand == (1,)
    assert set(np.flatnonzero(found.labels.any(axis=1))) <= set(range(9, 16))


def test_labels_are_numbered_anew_in_raster_order_and_the_input_stays(labels):
    kept = labels.copy()
    for seed in range(20):
        found = edited(labels, noise_edits(seed, labels, 20))
        numbers = found.labels[found.labels > 0]
        _, first = np.unique(numbers, return_index=True)
        assert found.labels.dtype == np.int32
        assert numbers[np.sort(first)].tolist() == list(range(1, found.labels.max() + 1))
        assert set(found.by_hand) <= set(numbers.tolist())
        assert all(not why for why in found.waiting) or any(found.waiting)
    np.testing.assert_array_equal(labels, kept)
    sparse = edited(labels.astype(np.int64) * 60_000_000, [])
    np.testing.assert_array_equal(sparse.labels, labels)


def test_numbers_may_be_of_any_size_and_no_background_is_needed():
    assert edited(np.array([[10**12, 10**12 + 5]]), []).labels.tolist() == [[1, 2]]
    assert edited(np.array([[10**12, 0]]), []).labels.tolist() == [[1, 0]]


def test_a_line_goes_from_edge_to_edge_and_stays_near_the_straight_one():
    rng = np.random.default_rng(0)
    for _ in range(300):
        start, end = rng.integers(0, 40, (2, 2)).tolist()
        pixels = np.array(line([start, end]))
        assert pixels[0].tolist() == start
        assert pixels[-1].tolist() == end
        assert (np.abs(np.diff(pixels, axis=0)).sum(axis=1) == 1).all()
        assert shapely.distance(shapely.points(pixels), shapely.LineString([start, end])).max() <= 0.5**0.5


def test_a_polygon_is_filled_as_gdal_fills_it_and_on_its_line():
    rng, shape = np.random.default_rng(1), (40, 50)
    for _ in range(300):
        at = noise_line(rng, shape, rng.integers(3, 9))
        polygon = shapely.Polygon(np.array(at)[:, ::-1] + 0.5)
        if not polygon.is_valid:
            continue
        drawn = np.zeros(shape, bool)
        drawn[tuple(np.array(line([*at, at[0]])).T)] = True
        gdal = rasterio.features.rasterize([polygon], shape).astype(bool)
        np.testing.assert_array_equal(filled(at, shape), gdal | drawn)


GOOD = np.ones((4, 5), np.int32)


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ("delete", "edits are str"),
        ({"kind": "delete", "at": [[0, 0]]}, "edits are dict"),
        (3, "edits are int"),
        ([3], "edit 1 is 3"),
        ([edit("delete", (0, 0)), {"kind": "delete"}], "edit 2 is"),
        ([edit("erase", (0, 0))], "kinds are delete, merge, split and add"),
        ([{"kind": ["delete"], "at": [[0, 0]]}], "edit 1 is"),
        ([edit("delete", (0, 0)) | {"by": "me"}], "edit 1 is"),
        ([edit("delete", (0, 0), (1, 1))], "delete takes 1 positions, not 2"),
        ([edit("merge", (0, 0))], "merge takes 2 positions, not 1"),
        ([edit("split", (0, 0))], "split takes 2 or more positions, not 1"),
        ([edit("add", (0, 0), (1, 1))], "add takes 3 or more positions, not 2"),
        ([{"kind": "delete", "at": [0, 0]}], "pairs of whole numbers"),
        ([{"kind": "delete", "at": None}], "pairs of whole numbers"),
        ([edit("delete", (0.5, 0))], "pairs of whole numbers"),
        ([edit("delete", ("0", 0))], "pairs of whole numbers"),
        ([edit("delete", (0, -1))], r"\[0, -1\] is outside the picture of 4 x 5 px"),
        ([edit("delete", (4, 0))], r"\[4, 0\] is outside the picture of 4 x 5 px"),
        ([edit("delete", (0, 5))], r"\[0, 5\] is outside the picture of 4 x 5 px"),
    ],
)
def test_what_is_no_edit_is_refused(edits, message):
    with pytest.raises(ValueError, match=message) as told:
        edited(GOOD, edits)
    assert 'Pass a list such as [{"kind": "delete", "at": [[12, 40]]}]' in str(told.value)


@pytest.mark.parametrize("labels", [None, GOOD[0], GOOD.astype(float), -GOOD])
def test_what_are_no_labels_is_refused(labels):
    with pytest.raises(ValueError, match=r"labels are .*Pass what label_instances returned"):
        edited(labels, [])

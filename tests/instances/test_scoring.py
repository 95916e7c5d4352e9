"""Scores count as a plain double loop over all pairs does."""

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from shapely import box, union_all

from tnv2 import city_table, label_instances, match, score_city


def plain_match(truth, labels, threshold):
    """Greedy matching by falling IoU, written out."""
    pairs = []
    for t in set(truth[truth > 0].tolist()):
        for p in set(labels[labels > 0].tolist()):
            a, b = truth == t, labels == p
            iou = (a & b).sum() / (a | b).sum()
            if iou >= threshold:
                pairs.append((iou, t, p))
    free_truth, free_labels, found = set(truth[truth > 0].tolist()), set(labels[labels > 0].tolist()), 0
    for _, t, p in sorted(pairs, key=lambda pair: -pair[0]):
        if t in free_truth and p in free_labels:
            free_truth.remove(t)
            free_labels.remove(p)
            found += 1
    return found, len(free_labels), len(free_truth)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    truth=arrays(np.int32, (6, 8), elements=st.integers(0, 5)),
    labels=arrays(np.int32, (6, 8), elements=st.integers(0, 5)),
    iou=st.sampled_from([0.51, 0.6, 0.8, 1.0]),  # above 0.5 a pair is never in doubt
)
def test_counts_as_a_plain_loop_does(truth, labels, iou):
    m = match(truth, labels, iou)
    assert (m.tp, m.fp, m.fn) == plain_match(truth, labels, iou)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(truth=arrays(np.int32, (6, 8), elements=st.integers(0, 9)))
def test_truth_against_itself_is_perfect(truth):
    m = match(truth, truth)
    assert (m.precision, m.recall, m.f1, m.fp, m.fn) == (1, 1, 1, 0, 0)
    assert m.tp == len(np.unique(truth[truth > 0]))
    assert (m.iou == 1).all()
    assert (m.pairs[:, 0] == m.pairs[:, 1]).all()


def test_one_instance_finds_one_footprint_only():
    truth, labels = np.array([[1, 1, 2, 2]]), np.array([[3, 3, 3, 3]])
    m = match(truth, labels)
    assert (m.tp, m.fp, m.fn) == (1, 0, 1)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    truth=arrays(np.int32, (6, 8), elements=st.integers(0, 4)), labels=arrays(np.int32, (6, 8), elements=st.integers(0, 4))
)
def test_merged_and_split_as_defined(truth, labels):
    def covered(first, second):
        return {
            a: [
                b
                for b in range(1, 5)
                if (second == b).any() and 2 * ((first == a) & (second == b)).sum() >= (second == b).sum()
            ]
            for a in range(1, 5)
        }

    merged = {a: bs for a, bs in covered(labels, truth).items() if len(bs) > 1}
    split = {a: bs for a, bs in covered(truth, labels).items() if len(bs) > 1}
    m = match(truth, labels)
    assert {a: list(bs) for a, bs in m.merged} == merged
    assert {a: list(bs) for a, bs in m.split} == split


def test_nothing_to_find_and_nothing_found_is_perfect_but_a_find_is_not():
    empty = np.zeros((4, 4), int)
    assert match(empty, empty).f1 == 1
    assert match(empty, empty + 1).f1 == 0


def test_pools_counts_not_scores():
    one, none = np.ones((4, 4), int), np.zeros((4, 4), int)
    matches = [match(one, one), match(none, one), match(one, none)]
    assert score_city(matches).f1 == pytest.approx(0.5)


def test_refuses_images_of_two_sizes_and_a_ratio_of_nothing():
    with pytest.raises(ValueError, match=r"\(2, 2\) and labels \(2, 3\)"):
        match(np.zeros((2, 2), int), np.zeros((2, 3), int))
    with pytest.raises(ValueError, match="iou is 0"):
        match(np.zeros((2, 2), int), np.zeros((2, 2), int), iou=0)


def test_both_conventions_for_small_buildings():
    truth, labels = np.zeros((40, 40), np.int32), np.zeros((40, 40), np.int32)
    truth[0, :19], truth[2, :20], truth[4, :21] = 1, 2, 3
    labels[0, :19], labels[2, :20], labels[4, :21], labels[6, :5] = 1, 2, 3, 4
    counts = {small: match(truth, labels, small=small) for small in ("kept", "challenge", "solaris")}
    assert {small: (m.tp, m.fp, m.fn) for small, m in counts.items()} == {
        "kept": (3, 1, 0),
        "challenge": (1, 3, 0),
        "solaris": (2, 0, 0),
    }
    with pytest.raises(ValueError, match="small is 'big'"):
        match(truth, labels, small="big")


def test_counts_as_polygons_do(real_tiles, real_maps):
    """On real tiles, pixels count as the polygons of the footprints do, but for pairs near an IoU of one half."""
    for tile, maps in zip(real_tiles, real_maps, strict=True):
        labels = label_instances(maps)
        m = match(tile.truth, labels)
        ratios = iou_of_polygons(polygons_of(tile.truth), polygons_of(labels))
        pairs = sorted((-ratio, i, j) for (i, j), ratio in np.ndenumerate(ratios) if ratio >= 0.5)
        truths, proposals = set(), set()
        for _, i, j in pairs:
            if i not in truths and j not in proposals:
                truths.add(i)
                proposals.add(j)
        assert m.tp == len(truths)
        assert m.fn == len(ratios) - len(truths)
        assert m.fp == labels.max() - len(proposals)


def polygons_of(labels):
    """One shapely geometry a label: the union of boxes, one for each run of its pixels in a row."""
    boxes = [[] for _ in range(labels.max() + 1)]
    for row, line in enumerate(np.pad(labels, [(0, 0), (1, 1)])):
        for start, end in pairwise(np.flatnonzero(np.diff(line))):
            boxes[line[start + 1]].append(box(start, row, end, row + 1))
    return [union_all(of_label) for of_label in boxes[1:]]


def iou_of_polygons(truths, proposals):
    ratios = np.zeros((len(truths), len(proposals)))
    for (i, j), _ in np.ndenumerate(ratios):
        if truths[i].intersects(proposals[j]):
            ratios[i, j] = truths[i].intersection(proposals[j]).area / truths[i].union(proposals[j]).area
    return ratios


def test_labels_may_be_any_numbers():
    truth, labels = np.array([[0, 7, 7, 2**31 - 1]]), np.array([[0, 900_000, 900_000, 5]])
    m = match(truth, labels)
    assert sorted(map(tuple, m.pairs.tolist())) == [(7, 900_000), (2**31 - 1, 5)]


def test_a_building_a_pixel_is_matched_without_a_table_of_all_pairs():
    labels = np.arange(1, 300 * 300 + 1).reshape(300, 300)  # 90,000 by 90,000 pairs
    assert match(labels, labels).tp == 90_000
    assert match(labels, labels[::-1]).tp == 90_000


def test_a_dense_tile_is_matched_faster_than_its_pairs_are_sorted():
    rows, columns = np.mgrid[:650, :650]
    truth = (1 + rows // 52 * 12 + columns // 54).astype(np.int32) * (rows % 52 < 44) * (columns % 54 < 44)
    labels = np.roll(truth, (4, 5), axis=(0, 1))
    assert truth.max() >= 150
    times, sorting = [], []
    for _ in range(7):
        start = time.thread_time()
        found = match(truth, labels)
        times.append(time.thread_time() - start)
        start = time.thread_time()
        np.unique(truth.ravel() * np.int64(1000) + labels.ravel(), return_counts=True)
        sorting.append(time.thread_time() - start)
    assert found.f1 > 0.9
    assert np.median(times) < np.median(sorting)


def test_a_table_of_cities_stands_beside_the_published_one():
    one, none = np.ones((4, 4), int), np.zeros((4, 4), int)
    matches = {
        "AOI_2_Vegas_img1": match(one, one),
        "AOI_2_Vegas_img2": match(one, none),
        "AOI_3_Paris_img1": match(one, one),
        "AOI_9_Elsewhere_img1": match(none, none),
    }
    table = city_table(matches.keys(), matches.values())
    assert table.index.tolist() == ["AOI_2_Vegas", "AOI_3_Paris", "AOI_9_Elsewhere", "mean"]
    assert table.loc["AOI_2_Vegas", ["tiles", "tp", "fp", "fn"]].tolist() == [2, 1, 0, 1]
    assert table.loc["AOI_2_Vegas", "f1"] == pytest.approx(2 / 3)
    assert table.loc["mean", "f1"] == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert table.loc["AOI_3_Paris", ["published public", "published private"]].tolist() == [0.781, 0.756]
    assert np.isnan(table.loc["AOI_9_Elsewhere", "published public"])

"""Scores count as a plain double loop over all pairs does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tnv2 import match
from tnv2.scoring import pooled_f1


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
    assert pooled_f1(matches) == pytest.approx(0.5)


def test_refuses_images_of_two_sizes_and_a_ratio_of_nothing():
    with pytest.raises(ValueError, match=r"\(2, 2\) and labels \(2, 3\)"):
        match(np.zeros((2, 2), int), np.zeros((2, 3), int))
    with pytest.raises(ValueError, match="iou is 0"):
        match(np.zeros((2, 2), int), np.zeros((2, 2), int), iou=0)

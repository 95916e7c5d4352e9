"""Edits: what no threshold mends, mended by hand: buildings deleted, merged, split and added, as a list that JSON can hold.

An edit knows pixels, no numbers of buildings: it acts on what lies there at the thresholds of the moment, and where nothing
does it waits. ``tnv2/browser/edits.js`` follows the same rules in whole numbers, pixel for pixel.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, TypedDict

import numpy as np

from .labels import renumbered

POINTS = {"delete": (1, 1), "merge": (2, 2), "split": (2, np.inf), "add": (3, np.inf)}  # positions at least, at most
REMEDY = (
    'Pass a list such as [{"kind": "delete", "at": [[12, 40]]}]; kinds are delete, merge, split and add, positions are '
    "[row, column] of pixels."
)


class Edit(TypedDict):
    """One edit: its kind, and where, as [[row, column], ...] in whole pixels. ``edited`` says what each kind does."""

    kind: str
    at: list[list[int]]


@dataclass(frozen=True, eq=False)
class Edited:
    """Labels after edits.

    labels : (H, W) int32, 1..N in raster order of first pixels. by_hand : the numbers of those that an edit made.
    waiting : of each edit why it waits, "" where it acted.
    """

    labels: np.ndarray
    by_hand: tuple[int, ...]
    waiting: tuple[str, ...]


def edited(labels: np.ndarray, edits: Sequence[Mapping[str, Any]]) -> Edited:
    """Return the Edited of (H, W) labels (whole numbers, 0 for background) after ``edits``, in their order.

    delete : the building under the pixel becomes background.
    merge : the buildings under the two pixels become one, even where they do not touch: a tree may hide what joins them.
    split : the line through the pixels (``line``) cuts one building: that of whose pixels, connected 8 ways, it covers most,
        the first along the line where two are even. Of the parts that are left, connected 8 ways, the two largest grow over
        the rest, a pixel a turn, the larger first, so that no gap is left. The larger keeps what the building has apart.
    add : the background pixels inside the polygon of the pixels (``filled``) become a building.

    A building by hand may be of any size. What finds nothing to act on waits, and changes nothing. Raises ValueError for
    labels that are none, for an edit of another form, and for positions outside the picture.

    >>> edits = [{"kind": "merge", "at": [[0, 0], [0, 3]]}, {"kind": "delete", "at": [[0, 2]]}]
    >>> found = edited(np.array([[1, 1, 0, 2]]), edits)
    >>> found.labels, found.by_hand, found.waiting
    (array([[1, 1, 0, 1]], dtype=int32), (1,), ('', 'no building there'))
    """
    work = np.array(labels)
    if work.ndim != 2 or not work.size or work.dtype.kind not in "iu" or work.min() < 0:
        raise ValueError(
            f"labels are {work.shape} {work.dtype}; they must be (H, W) whole numbers, 0 for background and one positive "
            "number an instance. Pass what label_instances returned."
        )
    if work.max() > work.size:  # a table of all numbers up to it would be larger than the image
        work = np.unique(np.append(0, work), return_inverse=True)[1][1:].reshape(work.shape)
    work = work.astype(np.int32)
    by_hand: set[int] = set()
    waiting = []
    for edit in checked_edits(edits, work.shape):
        waiting.append(ACTIONS[edit["kind"]](work, edit["at"], by_hand))
    numbers = renumbered(work, 0)
    hand = np.unique(numbers[np.isin(work, list(by_hand))])
    return Edited(numbers, tuple(hand[hand > 0].tolist()), tuple(waiting))


def checked_edits(edits: Any, shape: Sequence[int] | None = None) -> list[Edit]:
    """Return edits in plain lists; raises ValueError for another form, or positions outside a picture of ``shape``."""
    if isinstance(edits, str | Mapping) or not isinstance(edits, Iterable):
        raise ValueError(f"edits are {type(edits).__name__}. {REMEDY}")
    return [checked_edit(number, edit, shape) for number, edit in enumerate(edits, 1)]


def checked_edit(number: int, edit: Any, shape: Sequence[int] | None) -> Edit:
    """Return the edit of that ``number`` in the list; raises ValueError as ``checked_edits`` does."""
    name = f"edit {number} is {str(edit)[:100]}"
    if not isinstance(edit, Mapping) or set(edit) != {"kind", "at"} or edit["kind"] not in list(POINTS):
        raise ValueError(f"{name}. {REMEDY}")
    try:
        at = [[index(row), index(column)] for row, column in edit["at"]]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}; its positions must be pairs of whole numbers. {REMEDY}") from error
    least, most = POINTS[edit["kind"]]
    if not least <= len(at) <= most:
        wanted = least if least == most else f"{least} or more"
        raise ValueError(f"{name}; {edit['kind']} takes {wanted} positions, not {len(at)}. {REMEDY}")
    height, width = shape or (np.inf, np.inf)
    for row, column in at:
        if not (0 <= row < height and 0 <= column < width):
            raise ValueError(
                f"{name}; [{row}, {column}] is outside the picture{f' of {height} x {width} px' if shape else ''}. {REMEDY}"
            )
    return {"kind": str(edit["kind"]), "at": at}


def deleted(labels: np.ndarray, at: list[list[int]], by_hand: set[int]) -> str:
    """Delete in ``labels``; return why the edit waits, "" where it acted. So do ``merged``, ``split`` and ``added``."""
    number = labels[tuple(at[0])]
    if not number:
        return "no building there"
    labels[labels == number] = 0
    return ""


def merged(labels: np.ndarray, at: list[list[int]], by_hand: set[int]) -> str:
    """Merge in ``labels``."""
    first, second = (int(labels[tuple(place)]) for place in at)
    if not first or not second:
        return "no building at one end" if first or second else "no building there"
    if first == second:
        return "both ends are in one building"
    labels[labels == second] = first
    by_hand.add(first)
    return ""


def split(labels: np.ndarray, at: list[list[int]], by_hand: set[int]) -> str:
    """Split in ``labels``."""
    stroke = np.zeros(labels.shape, bool)
    rows, columns = np.array(list(dict.fromkeys(line(at)))).T
    stroke[rows, columns] = True
    number, window, body = body_under(labels, rows, columns)
    if not number:
        return "no building under the line"
    halves = largest(body & ~stroke[window])
    if halves is None:
        return "the line does not cut a building in two"
    smaller = grown(*halves, body)
    new = int(labels.max()) + 1
    labels[window][smaller] = new
    by_hand |= {number, new}
    return ""


def added(labels: np.ndarray, at: list[list[int]], by_hand: set[int]) -> str:
    """Add to ``labels``."""
    free = filled(at, labels.shape) & (labels == 0)
    if not free.any():
        return "buildings stand on all of it"
    new = int(labels.max()) + 1
    labels[free] = new
    by_hand.add(new)
    return ""


ACTIONS = {"delete": deleted, "merge": merged, "split": split, "add": added}


def line(at: list[list[int]]) -> list[tuple[int, int]]:
    """Return the pixels of the line through positions, in its order; each shares an edge with the one before.

    From one position to the next it takes ``down`` rows and ``over`` columns, as near to straight as can be: row step i
    (from 0) comes before column step j where (2 i + 1) over < (2 j + 1) down.

    >>> line([[0, 0], [1, 2]])
    [(0, 0), (0, 1), (1, 1), (1, 2)]
    """
    row, column = at[0]
    pixels = [(row, column)]
    for end_row, end_column in at[1:]:
        down, over = abs(end_row - row), abs(end_column - column)
        south, east = (1 if end_row > row else -1), (1 if end_column > column else -1)
        i = j = 0
        while i < down or j < over:
            if (2 * i + 1) * over < (2 * j + 1) * down:
                i, row = i + 1, row + south
            else:
                j, column = j + 1, column + east
            pixels.append((row, column))
    return pixels


def filled(at: list[list[int]], shape: tuple[int, ...]) -> np.ndarray:
    """Return (H, W) bool: pixels whose centres are inside the polygon of positions (even-odd), and those of its ``line``."""
    inside = np.zeros(shape, bool)
    for (top, left), (bottom, right) in zip(at, [*at[1:], at[0]], strict=True):
        if top > bottom:
            top, left, bottom, right = bottom, right, top, left
        for row in range(top, bottom):
            inside[row, left - (row - top) * (left - right) // (bottom - top) :] ^= True  # from ceil of where the edge is
    rows, columns = np.array(line([*at, at[0]])).T
    inside[rows, columns] = True
    return inside


def body_under(labels: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[int, tuple[slice, slice], np.ndarray]:
    """Return the number of the building that a line covers most of, a window round its body there, and that as (h, w) bool.

    A body is a group of the building's pixels, connected 8 ways. The number is 0 where the line is over background alone.
    """
    import cv2

    best: tuple[int, int, int, tuple[slice, slice], np.ndarray] = (0, 0, 0, np.s_[:0, :0], np.zeros((0, 0), bool))
    under = labels[rows, columns]
    for number in np.unique(under[under > 0]).tolist():
        window = bounds(labels == number)
        groups = cv2.connectedComponents((labels[window] == number).view(np.uint8), connectivity=8)[1]
        on = np.flatnonzero(under == number)
        met = groups[rows[on] - window[0].start, columns[on] - window[1].start]
        for group, first, covered in zip(*np.unique(met, return_index=True, return_counts=True), strict=True):
            if (covered, -on[first]) > best[:2]:
                best = (int(covered), -int(on[first]), number, window, groups == group)
    return best[2:]


def bounds(mask: np.ndarray) -> tuple[slice, slice]:
    """Return the window of an (H, W) bool mask that holds all that is true."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def largest(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return a mask's two largest groups, connected 8 ways, of equals the first in raster order; None if there is one."""
    import cv2

    groups = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)[1]
    numbers, first, sizes = np.unique(groups[mask], return_index=True, return_counts=True)
    if len(numbers) < 2:
        return None
    larger, smaller = numbers[np.lexsort((first, -sizes))[:2]]
    return groups == larger, groups == smaller


def grown(larger: np.ndarray, smaller: np.ndarray, body: np.ndarray) -> np.ndarray:
    """Return ``smaller`` after both have grown over ``body``, 8-connected, a pixel a turn, ``larger`` first in each."""
    import cv2

    around = np.ones((3, 3), np.uint8)
    free = body & ~larger & ~smaller
    while free.any():
        first, second = (cv2.dilate(part.view(np.uint8), around).view(bool) & free for part in (larger, smaller))
        larger, smaller, free = larger | first, smaller | (second & ~first), free & ~(first | second)
    return smaller

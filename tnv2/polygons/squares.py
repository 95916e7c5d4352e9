"""Square outlines: walls along a building's main direction and across it, where they nearly are."""

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np

from .borders import borders, polygons
from .outlines import outlines
from .simple import broken, simple_lines
from .walls import SHORT, Wall, aligned, cross, fitted, regular

AGREE = 0.9  # IoU of a squared outline with the pixels, at least
RIGHT = 0.5  # the share of its walls, by squares of length, that lie along or across a building of right angles
SAME = np.radians(10)  # by which buildings that share a wall may differ and yet get one direction
TIE = 2.0  # tolerances: walls side by side in two such buildings that are less apart are one


def squared(index: np.ndarray, tolerance: float, metric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) shapely polygons, all valid, of the instances 1..N of (H, W) ``index``, and (N,) text, how each is drawn.

    tolerance, metric : as of ``simplified``. Walls within 20 degrees of an instance's main direction, or across it, are
        turned to it, each about its middle, as long as their ends move by 1.5 ``tolerance`` at most; others stay.

    An instance is "square", or what ``simplified`` makes of it where it has no right angles or where squaring would leave an
    IoU with its pixels below 0.9. Walls that two share stay shared.
    """
    import shapely

    lines, sides = borders(index)
    simple, tolerances, found = simple_lines(index, lines, sides, tolerance, metric)
    exact, kinds = outlines(index), np.where(tolerances[1:] > 0, "simple", "pixels").astype("<U6")
    walls = fitted(lines, tolerance, metric)
    frames = shared(directions(walls, sides, len(exact)), lines, sides)
    closed = shapely.is_closed(lines).tolist()
    leading = np.append(0, shapely.area(exact))[sides].argmax(axis=1)
    of_line = frames[sides[np.arange(len(lines)), leading]].tolist()
    walls = [
        regular([aligned(wall, frame, tolerance) for wall in own], around, tolerance) if frame else []
        for own, frame, around in zip(walls, of_line, closed, strict=True)
    ]
    square = frames != 0
    square[0] = True  # background takes what its instances allow
    while square[1:].any():
        chosen = square[sides].all(axis=1) & np.array(
            [len(own) > 2 * around for own, around in zip(walls, closed, strict=True)]
        )
        drawn = np.where(chosen, redrawn(walls, lines, chosen, tolerance, metric), simple)
        shapes = polygons(drawn, sides, index)
        sound = shapes.copy()
        sound[~shapely.is_valid(shapes)] = None
        overlap = shapely.area(shapely.intersection(sound, exact))
        agree = overlap / (shapely.area(shapes) + shapely.area(exact) - overlap) >= AGREE  # nan where not valid
        askew = shapely.length(shapely.coverage_invalid_edges(sound)) > 0  # two walls lie on each other for a while
        spoilt = square[1:] & (broken(shapes, drawn, sides) | askew | ~agree)
        if not spoilt.any():
            return shapes, np.where(square[1:], "square", kinds)
        square[1:] &= ~spoilt
    return found, kinds


def directions(walls: list[list[Wall]], sides: np.ndarray, count: int) -> np.ndarray:
    """Return (count + 1,) complex main directions, of length 1, of the instances; 0 for background and for what has none."""
    angles: list[list[float]] = [[] for _ in range(count + 1)]
    weights: list[list[float]] = [[] for _ in range(count + 1)]
    for own, two in zip(walls, sides.tolist(), strict=True):
        for instance in two:
            angles[instance] += [np.angle(wall.along) for wall in own]
            weights[instance] += [wall.length**2 for wall in own]
    found = np.zeros(count + 1, complex)
    for instance in range(1, count + 1):
        angle, weight = np.array(angles[instance]), np.array(weights[instance])
        off = (angle[:, None] - angle + np.pi / 4) % (np.pi / 2) - np.pi / 4  # of one from another, up to quarter turns
        best = np.argmax(np.exp(-((off / np.radians(8)) ** 2)).T @ weight)
        near = weight * (np.abs(off[:, best]) < np.radians(15))
        if near.sum() > RIGHT * weight.sum():
            found[instance] = np.exp(1j * (angle[best] + np.average(off[:, best], weights=near)))
    return found


def shared(found: np.ndarray, lines: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Return the directions of instances, one for those that share walls and hardly differ."""
    import shapely

    length = shapely.length(lines)
    weight = sum(np.bincount(side, length, len(found)) for side in sides.T)
    turned, group = weight * found**4, np.arange(len(found))  # the fourth power is blind to quarter turns
    inner = np.flatnonzero(sides.all(axis=1) & (found[sides] != 0).all(axis=1))
    for a, b in sides[inner[np.argsort(-length[inner], kind="stable")]]:
        one, other = group[a], group[b]
        if one != other and abs(np.angle(turned[one] * turned[other].conj())) / 4 < SAME:
            turned[one] += turned[other]
            group[group == other] = one
    return np.where(found == 0, 0, np.exp(0.25j * np.angle(turned[group])))


def redrawn(
    walls: list[list[Wall]], lines: np.ndarray, chosen: np.ndarray, tolerance: float, metric: np.ndarray
) -> np.ndarray:
    """Return (M,) LineStrings of the chosen lines' walls, None for the others. Where lines meet they meet again.

    A meeting of chosen lines moves to where their walls cross; one where another line ends stays.
    """
    import shapely

    ends: dict[complex, list[tuple[int, int]]] = {}  # of a meeting: the lines there, and which of their walls
    fixed: set[complex] = set()
    closed = shapely.is_closed(lines).tolist()
    places = shapely.get_coordinates(shapely.get_point(lines, [[0], [-1]]).T) @ metric.T @ (1, 1j)
    for line, (first, last) in enumerate(places.reshape(-1, 2).tolist()):
        if not closed[line]:
            for at, place in ((0, first), (-1, last)):
                ends.setdefault(place, []).append((line, at))
                if not chosen[line]:
                    fixed.add(place)
    free = [group for place, group in ends.items() if place not in fixed]
    walls = tied(walls, free, TIE * tolerance)
    moved = {place: place for place in fixed}
    for place in ends.keys() - fixed:
        moved[place] = met(place, walls, ends[place], SHORT * tolerance)
    found = np.full(len(lines), None, object)
    back = np.linalg.inv(metric).T
    for line, (first, last) in enumerate(places.reshape(-1, 2).tolist()):
        if chosen[line]:
            path = (
                around(walls[line])
                if closed[line]
                else between(walls[line], [(moved[place], place not in fixed) for place in (first, last)])
            )
            points = np.array(path)
            found[line] = shapely.linestrings(np.stack([points.real, points.imag], axis=1) @ back)
    return found


def tied(walls: list[list[Wall]], meetings: list[list[tuple[int, int]]], most: float) -> list[list[Wall]]:
    """Return walls, those that lie side by side at a meeting of lines, ``most`` apart, on one line."""
    group: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for ends in meetings:
        places = [(line, at % len(walls[line])) for line, at in ends]
        for (a, b), (c, d) in combinations(places, 2):
            one, other = group.setdefault((a, b), [(a, b)]), group.setdefault((c, d), [(c, d)])
            if one is not other and walls[a][b].beside(walls[c][d]) and abs(walls[a][b].off(walls[c][d].point)) <= most:
                one += other
                group.update(dict.fromkeys(other, one))
    found = [list(own) for own in walls]
    for (line, at), others in group.items():
        wall, several = walls[line][at], [walls[a][b] for a, b in others]
        off = sum(each.length * wall.off(each.point) for each in several) / sum(each.length for each in several)
        found[line][at] = replace(wall, point=wall.point + 1j * wall.along * off)
    return found


def met(place: complex, walls: list[list[Wall]], ends: list[tuple[int, int]], most: float) -> complex:
    """Return where lines meet again; their outer walls that would run backwards from there are taken off ``walls``."""
    while True:
        there = [(walls[line][at], walls[line][at].along * (1 if at == 0 else -1)) for line, at in ends]
        found = meeting(place, there, most)
        for (line, at), (wall, inward) in zip(ends, there, strict=True):
            own = walls[line]
            if len(own) > 1 and ((crossing(wall, own[1 if at == 0 else -2]) - found) * inward.conjugate()).real < 0:
                own.pop(at)
                break
        else:
            return found


def meeting(place: complex, walls: list[tuple[Wall, complex]], most: float) -> complex:
    """Return where walls that meet at a place cross, each with its direction from there; the place if that is ``most`` away.

    Where one comes upon others, between two buildings upon their fronts, it is the nearest: the front that stands out ends
    in a step of its own, and not in one that runs back along the wall between the two.
    """
    walls = sorted(walls, key=lambda each: -each[0].length * (1 + each[0].square))
    for stem, inward in walls:
        others = [wall for wall, _ in walls if wall is not stem]
        if all(abs(cross(wall.along, stem.along)) > 0.5 for wall in others):
            found = max((crossing(stem, wall) for wall in others), key=lambda point: (point * inward.conjugate()).real)
            return found if abs(found - place) <= most else place
    longest = walls[0][0]
    other = next((wall for wall, _ in walls if abs(cross(wall.along, longest.along)) > 0.5), None)
    found = longest.foot(place) if other is None else crossing(longest, other)
    return found if abs(found - place) <= most else place


def crossing(one: Wall, other: Wall) -> complex:
    """Return the point that two walls, or what they are parts of, have in common; where they hardly cross, one near both."""
    turn = cross(one.along, other.along)
    if abs(turn) < 0.2:
        return (one.foot(one.end) + other.foot(one.end)) / 2
    return one.point + one.along * (cross(other.point - one.point, other.along) / turn)


def around(walls: list[Wall]) -> list[complex]:
    """Return the corners of a ring of walls, the first again at the end."""
    corners = [crossing(one, other) for one, other in zip(walls, [*walls[1:], walls[0]], strict=True)]
    return [*corners, corners[0]]


def between(walls: list[Wall], ends: list[tuple[complex, bool]]) -> list[complex]:
    """Return the corners of walls from one meeting to another, with a step where they miss one that is free to move."""
    (first, free), (last, free_last) = ends
    corners = [crossing(one, other) for one, other in pairwise(walls)]
    if free and walls[0].square and abs(walls[0].off(first)) > 1e-6:
        corners = [walls[0].foot(first), *corners]
    if free_last and walls[-1].square and abs(walls[-1].off(last)) > 1e-6:
        corners = [*corners, walls[-1].foot(last)]
    return [first, *corners, last]

"""Walls: the straight pieces of an outline, and how they become walls along a building and across it.

Positions and directions are complex numbers here, x + iy, so that ``1j * along`` is a quarter turn.
"""

from dataclasses import dataclass, replace

import numpy as np

TURN = np.sin(np.radians(20))  # by which a wall may be turned to lie along or across its building, at most
REACH = 1.5  # tolerances by which that may move its ends, at most
SHORT = 5.0  # tolerances: shorter walls that lie neither along nor across are corners that were rounded
JOG = 2.0  # tolerances: walls side by side that are less apart are one


@dataclass(frozen=True)
class Wall:
    """A straight piece of an outline.

    point : on it, the middle of what it stands for. along : its direction, of length 1. length : what its place weighs.
    end : the corner of the pixels at which it ends. square : whether it lies along or across its building.
    """

    point: complex
    along: complex
    length: float
    end: complex
    square: bool = False

    def off(self, point: complex) -> float:
        """Return how far a point is to the side of it."""
        return cross(self.along, point - self.point)

    def foot(self, point: complex) -> complex:
        """Return the nearest point on it."""
        return point - 1j * self.along * self.off(point)

    def beside(self, other: "Wall") -> bool:
        """Return whether both lie along, or both across, the same building."""
        return self.square and other.square and abs(cross(self.along, other.along)) < 1e-6

    def onward(self, other: "Wall", jog: float) -> bool:
        """Return whether another beside it runs the same way, and no more than ``jog`` apart."""
        return abs(self.off(other.point)) <= jog and (self.along * other.along.conjugate()).real > 0

    def joined(self, other: "Wall") -> "Wall":
        """Return one wall in the place of both, the longer one counting for more."""
        length = self.length + other.length
        point = (self.length * self.point + other.length * other.point) / length
        way = self.length * self.along + other.length * other.along
        return replace(other, point=point, length=length, along=way / abs(way) if way else other.along)

    def step(self, off: float, point: complex) -> "Wall":
        """Return a wall at right angles to it, through a point, that goes ``off`` to its side."""
        return Wall(point, (1j if off > 0 else -1j) * self.along, abs(off), point, square=True)


def cross(a: complex, b: complex) -> float:
    """Return the sine between two directions, times their lengths."""
    return (a.conjugate() * b).imag


def fitted(lines: np.ndarray, tolerance: float, metric: np.ndarray) -> list[list[Wall]]:
    """Return the walls of each of (M,) shapely LineStrings in pixels, fitted to what runs from corner to corner.

    The corners are those that Douglas-Peucker leaves by ``tolerance``, in units of ``metric``, as are the walls.
    """
    import shapely

    if not len(lines):
        return []
    measured = shapely.transform(lines, lambda points: points @ metric.T)
    rough = shapely.transform(shapely.simplify(measured, tolerance), lambda points: points @ np.linalg.inv(metric).T)
    points, line = shapely.get_coordinates(lines, return_index=True)
    corners, owner = shapely.get_coordinates(rough, return_index=True)
    most = points.max() + 1
    kept = np.isin(
        (line * most + points[:, 1]) * most + points[:, 0],
        (owner * most + np.rint(corners[:, 1])) * most + np.rint(corners[:, 0]),
    )
    inner = np.flatnonzero(line[1:] == line[:-1])  # a piece each, from this point to the next
    first = np.flatnonzero(kept[inner])
    wall = np.cumsum(kept[inner]) - 1
    places = shapely.get_coordinates(measured) @ (1, 1j)
    start, end = places[inner], places[inner + 1]
    step, middle = end - start, (start + end) / 2
    centre = np.add.reduceat(np.abs(step) * middle, first) / np.add.reduceat(np.abs(step), first)
    spread = np.add.reduceat(
        np.abs(step) * ((middle - centre[wall]) ** 2 + step**2 / 12), first
    )  # its angle is twice the direction's
    end = end[np.append(first[1:], len(inner)) - 1]
    chord = end - start[first]
    along = np.exp(0.5j * np.angle(spread))
    skew = np.abs((along.conj() * chord).imag) > tolerance  # of a few stairs that run nowhere
    along = np.where(skew, chord / np.abs(chord), along * np.where((along.conj() * chord).real < 0, -1, 1))
    found: list[list[Wall]] = [[] for _ in lines]
    rows = zip(centre.tolist(), along.tolist(), np.abs(chord).tolist(), end.tolist(), strict=True)
    for own, row in zip(line[inner[first]].tolist(), rows, strict=True):
        found[own].append(Wall(*row))
    return found


def aligned(wall: Wall, frame: complex, tolerance: float) -> Wall:
    """Return a wall turned to lie along or across ``frame``, a direction, if it nearly does and its ends move little."""
    turn = wall.along / frame
    nearest = (1, 1j, -1, -1j)[round(np.angle(turn) / (np.pi / 2)) % 4] * frame
    off = abs(cross(nearest, wall.along))
    if off > TURN or wall.length / 2 * off > REACH * tolerance:
        return wall
    return replace(wall, along=nearest, square=True)


def regular(walls: list[Wall], closed: bool, tolerance: float) -> list[Wall]:
    """Return the walls of one line without rounded corners and small jogs, one across between any two that are side by side.

    closed : whether the first follows the last.
    """
    while (better := bettered(walls, closed, SHORT * tolerance, JOG * tolerance)) is not None:
        walls = better
    return walls


def bettered(walls: list[Wall], closed: bool, short: float, jog: float) -> list[Wall] | None:
    """Return walls with the first fault mended, None where there is none."""
    for at, wall in enumerate(walls if len(walls) > 1 else []):
        before = walls[at - 1] if closed or at else None
        after = walls[(at + 1) % len(walls)] if closed or at + 1 < len(walls) else None
        if after and wall.beside(after):
            if wall.onward(after, jog):
                return put(walls, at, 2, wall.joined(after))
            return put(walls, at, 1, wall, wall.step(wall.off(after.point), wall.end))
        if before and after and before is not after and wall.square and before.beside(after) and before.onward(after, jog):
            return [each for each in put(walls, at, 2, before.joined(after)) if each is not before]
        if wall.square or wall.length >= short:
            continue
        if after and not after.square and wall.length + after.length < short:
            return put(walls, at, 2, wall.joined(after))
        neighbours = [each for each in (before, after) if each]
        if all(each.square for each in neighbours) and before is not after:
            if len(neighbours) == 2 and neighbours[0].beside(neighbours[1]):
                return put(
                    walls, at, 1, neighbours[0].step(cross(neighbours[0].along, wall.along) * wall.length, wall.point)
                )
            return put(walls, at, 1)
    return None


def put(walls: list[Wall], at: int, count: int, *others: Wall) -> list[Wall]:
    """Return walls, around, with ``others`` in the place of ``count`` of them from ``at`` on."""
    taken = {(at + k) % len(walls) for k in range(count)}
    ahead = [wall for k, wall in enumerate(walls[:at]) if k not in taken]
    return [*ahead, *others, *(wall for k, wall in enumerate(walls[at:], at) if k not in taken)]

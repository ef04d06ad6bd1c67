"""How much of a plane a set of points wins."""

from __future__ import annotations

from collections.abc import Sequence


def hypervolume(points: Sequence[tuple[float, float]], reference: tuple[float, float]) -> float:
    """Area that ``points`` dominate within the box that ``reference`` bounds; lower is better on both axes.

    A point that is not below the reference on both axes adds nothing; neither does a dominated one.
    """
    area, floor = 0.0, reference[1]
    for x, y in sorted(point for point in points if point[0] < reference[0]):
        if y < floor:
            area += (reference[0] - x) * (floor - y)
            floor = y
    return area

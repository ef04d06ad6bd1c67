"""Labels at the ends of lines, pushed apart until none covers another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from bench.report.style import SMALL

_LEADER: dict[str, Any] = {
    "arrowstyle": "-",
    "linewidth": 0.4,
    "alpha": 0.6,
    "shrinkA": 1,
    "shrinkB": 3,
    "relpos": (0, 0.5),
}


@dataclass(frozen=True)
class EndLabel:
    """``text`` for the line that ends at (x in data, y as a fraction of the axes' height)."""

    text: str
    x: float
    y: float
    colour: str
    leader: bool = True
    """Whether a hair line joins it to that point."""


def spread(positions: Sequence[float], gap: float, low: float = 0.0, high: float = 1.0) -> list[float]:
    """Move positions as little as a simple sweep can so that neighbours are ``gap`` apart within [low, high].

    The order stays. Where there is no room for all, the gap shrinks.
    """
    count = len(positions)
    if count == 0:
        return []
    gap = min(gap, (high - low) / max(count - 1, 1))
    order = sorted(range(count), key=lambda index: positions[index])
    clusters: list[tuple[float, list[int]]] = []
    for index in order:
        centre, members = positions[index], [index]  # the cluster that grows downwards
        while clusters and centre - _reach(members, gap) < clusters[-1][0] + _reach(clusters[-1][1], gap) + gap:
            before, earlier = clusters.pop()
            total = len(earlier) + len(members)
            centre = (before * len(earlier) + centre * len(members)) / total
            members = earlier + members
        reach = _reach(members, gap)
        clusters.append((min(max(centre, low + reach), high - reach), members))
    clusters = _inside(clusters, gap, low, high)
    result = [0.0] * count
    for centre, members in clusters:
        for rank, index in enumerate(members):
            result[index] = centre - _reach(members, gap) + rank * gap
    return result


def _reach(members: Sequence[int], gap: float) -> float:
    return (len(members) - 1) * gap / 2


def _inside(
    clusters: list[tuple[float, list[int]]], gap: float, low: float, high: float
) -> list[tuple[float, list[int]]]:
    """Merge clusters that clipping pushed into each other, from the top down."""
    merged: list[tuple[float, list[int]]] = []
    for start, own in reversed(clusters):
        centre, members = start, own
        while merged and centre + _reach(members, gap) + gap > merged[-1][0] - _reach(merged[-1][1], gap) + 1e-9:
            above, later = merged.pop()
            total = len(later) + len(members)
            centre = (above * len(later) + centre * len(members)) / total
            members = members + later
            reach = _reach(members, gap)
            centre = min(max(centre, low + reach), high - reach)
        merged.append((centre, members))
    return merged[::-1]


def label_ends(axes: Axes, labels: Sequence[EndLabel], height: float) -> None:
    """Write the labels right of the axes (``height`` inches tall), joined to their lines by a hair line."""
    gap = (SMALL * 1.25) / (height * 72)
    for label, y in zip(labels, spread([label.y for label in labels], gap), strict=True):
        axes.annotate(
            label.text,
            xy=(label.x, label.y),
            xycoords=axes.get_xaxis_transform(),
            xytext=(1.03, y),
            textcoords="axes fraction",
            fontsize=SMALL,
            color=label.colour,
            va="center",
            ha="left",
            annotation_clip=False,
            arrowprops=_LEADER | {"color": label.colour} if label.leader else None,
        )

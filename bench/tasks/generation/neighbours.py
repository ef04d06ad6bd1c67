"""Fidelity and diversity apart: where generated images lie among the nearest neighbours of real ones.

A set of images is taken as the union of balls, around each of its points, that reach to the point's k-th nearest
neighbour in the set. Balls are closed: a point on the rim is inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PRECISION_K = 3
"""Neighbours of precision and recall (Kynkaanniemi et al. 2019)."""

DENSITY_K = 5
"""Neighbours of density and coverage (Naeem et al. 2020)."""

ROWS = 1_000
"""Distances are held for so many rows at a time."""


@dataclass(frozen=True)
class Neighbours:
    """Four shares of points in balls; density alone may exceed 1. Higher is better in all of them."""

    precision: float
    """Share of generated images in the ball of some real one: fidelity."""
    recall: float
    """Share of real images in the ball of some generated one: diversity."""
    density: float
    """Mean number of real balls that a generated image lies in, over k: fidelity, where outliers count little."""
    coverage: float
    """Share of real images with a generated one in their ball: diversity, by the balls of real images only."""


@dataclass(frozen=True)
class Membership:
    """Image by image what `Neighbours` are means of."""

    precise: NDArray[np.bool_]
    """``(N,)``: this generated image is in the ball of some real one (k = 3)."""
    around: NDArray[np.int64]
    """``(N,)``: in so many balls of real images (k = 5)."""
    recalled: NDArray[np.bool_]
    """``(M,)``: this real image is in the ball of some generated one (k = 3)."""
    covered: NDArray[np.bool_]
    """``(M,)``: a generated image is in the ball of this real one (k = 5)."""
    recalling: NDArray[np.int64]
    """``(N,)``: so many real images are recalled by this generated one alone."""
    covering: NDArray[np.int64]
    """``(N,)``: so many real images are covered by this generated one alone."""


def neighbours(generated: NDArray[np.floating], real: NDArray[np.floating]) -> Neighbours | None:
    """Precision and recall with k = 3, density and coverage with k = 5, of features ``(N, d)``.

    Returns:
        None where a set has too few points to have a k-th neighbour.

    Raises:
        ValueError: features of different widths.
    """
    found = membership(generated, real)
    return None if found is None else shares_of(found)


def shares_of(found: Membership) -> Neighbours:
    """The means of what was found image by image."""
    generated, real = len(found.precise), len(found.recalled)
    return Neighbours(
        precision=int(found.precise.sum()) / generated,
        recall=int(found.recalled.sum()) / real,
        density=int(found.around.sum()) / (DENSITY_K * generated),
        coverage=int(found.covered.sum()) / real,
    )


def membership(generated: NDArray[np.floating], real: NDArray[np.floating]) -> Membership | None:
    """Which images lie in which balls, of features ``(N, d)`` and ``(M, d)``; raises and returns as `neighbours`."""
    if generated.shape[1] != real.shape[1]:
        raise ValueError(f"{generated.shape} and {real.shape} features cannot be compared")
    if len(real) <= DENSITY_K or len(generated) <= PRECISION_K:
        return None
    made, true = (torch.from_numpy(x.astype(np.float64)) for x in (generated, real))
    (made_3,) = _radii(made, PRECISION_K)
    true_3, true_5 = _radii(true, PRECISION_K, DENSITY_K)
    precise, around = torch.zeros(len(made), dtype=torch.bool), torch.zeros(len(made), dtype=torch.int64)
    recalling, covering = _Alone(len(true)), _Alone(len(true))
    for start in range(0, len(made), ROWS):
        part = slice(start, start + ROWS)
        distances = torch.cdist(made[part], true)
        precise[part] = (distances <= true_3).any(dim=1)
        around[part] = (distances <= true_5).sum(dim=1)
        recalling.add(distances <= made_3[part, None], start)
        covering.add(distances <= true_5, start)
    return Membership(
        precise.numpy(),
        around.numpy(),
        recalling.reached,
        covering.reached,
        recalling.alone(len(made)),
        covering.alone(len(made)),
    )


class _Alone:
    """Which columns of a table of yes and no that comes row by row have a yes, and which row is alone in that."""

    def __init__(self, columns: int) -> None:
        self.counts = torch.zeros(columns, dtype=torch.int64)
        self.last = torch.zeros(columns, dtype=torch.int64)

    def add(self, rows: Tensor, start: int) -> None:
        found = rows.sum(dim=0)
        self.last = torch.where(found > 0, start + rows.to(torch.int8).argmax(dim=0), self.last)
        self.counts += found

    @property
    def reached(self) -> NDArray[np.bool_]:
        return (self.counts > 0).numpy()

    def alone(self, rows: int) -> NDArray[np.int64]:
        return torch.bincount(self.last[self.counts == 1], minlength=rows).numpy()


def _radii(points: Tensor, *ranks: int) -> list[Tensor]:
    """For each rank k, the distance of each point to its k-th nearest other point."""
    parts: list[Tensor] = []
    for start in range(0, len(points), ROWS):
        parts.append(torch.cdist(points[start : start + ROWS], points).topk(max(ranks) + 1, largest=False).values)
    # The nearest of all, in column 0, is the point itself.
    table = torch.cat(parts)
    return [table[:, rank] for rank in ranks]

"""How near the outputs of a pruned network are to those of the dense one, as a whole and without a judge.

Not output by output: a mean squared error is smallest for outputs that are too pale, since what is not certain is then
left out. Compared are the two sets, as Gaussians in the directions in which dense outputs vary most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

DIRECTIONS = 48
"""Principal components of the dense outputs; what lies in none of them counts by its size."""


@dataclass(frozen=True)
class Nearness:
    """Fréchet distance (Dowson & Landau 1982) of sets of outputs to one set, in its principal components."""

    mean: Tensor
    """``(d,)``"""
    basis: Tensor
    """``(d, k)``"""
    scales: Tensor
    """Standard deviation along each of them, ``(k,)``."""
    rest: float
    """Variance in all other directions together."""

    @classmethod
    def of(cls, outputs: Tensor, directions: int = DIRECTIONS) -> Nearness:
        """Of ``(n, d)`` outputs of the dense network."""
        values = outputs.double()
        mean = values.mean(0)
        centred = values - mean
        count = max(1, len(values) - 1)
        squares, left = torch.linalg.eigh(centred @ centred.T)
        # The last of n centred ones is determined by the others.
        most = min(directions, len(values) - 1, values.shape[1])
        squares, left = squares.flip(0)[:most], left.flip(1)[:, :most]
        there = squares > 1e-12 * squares.sum().clamp_min(torch.finfo(squares.dtype).tiny)
        squares, left = squares[there], left[:, there]
        basis = centred.T @ left / squares.sqrt()
        rest = float(centred.square().sum() - squares.sum()) / count
        return cls(mean, basis, (squares / count).sqrt(), max(0.0, rest))

    def distance(self, outputs: Tensor) -> float:
        """Of ``(n, d)`` outputs; infinite where any is not a number."""
        values = outputs.double()
        if not bool(torch.isfinite(values).all()):
            return math.inf
        count = max(1, len(values) - 1)
        centred = values - values.mean(0)
        inside = centred @ self.basis
        moments = inside.T @ inside / count
        # tr(A + B - 2 (A^.5 B A^.5)^.5), A diagonal
        both = self.scales[:, None] * moments * self.scales
        cross = torch.linalg.eigvalsh(both).clamp_min(0).sqrt().sum()
        rest = max(0.0, float(centred.square().sum() - inside.square().sum()) / count)
        shift = (values.mean(0) - self.mean).square().sum()
        spread = self.scales.square().sum() + moments.trace() - 2 * cross
        return float(shift + spread) + (math.sqrt(rest) - math.sqrt(self.rest)) ** 2

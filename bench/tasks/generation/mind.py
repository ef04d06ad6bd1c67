"""Monge Inception Distance (MIND, Berthet et al. 2026, arXiv 2605.06797) in the features of whoever judges.

The sliced Wasserstein distance: features are projected onto random directions, and on each the cost of the best
transport of the generated onto the real images is that of the sorted values,

    MIND = 3 d mean_u mean_k (a_(k) - b_(k))^2,    a = u.x,  b = u.y,  |u| = 1,

for as many x as y of d features. Like FID it is too high for few images, so N belongs to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.statistics import Contributions
from bench.tasks.generation.contributions import KEPT
from bench.tasks.generation.metrics import Column, Found, Metric, Terms
from bench.tasks.generation.quality import Judged, Reference

DIRECTIONS = 1_000
SEED = 0
"""The directions are the same for every generator."""

AT_ONCE = 50
"""So many directions are sorted at a time."""

SEEN = 64
"""The term of second order is seen along the first so many directions, which makes it a little too large."""

GROUPS = 32
"""And in the products of so many group means: 496 pairs."""


@dataclass(frozen=True)
class Distance:
    """The number, and what the images make of it."""

    value: float
    contributions: Contributions
    """To the number itself."""


def monge_distance(generated: NDArray[np.floating], real: NDArray[np.floating]) -> Distance:
    """MIND of features ``(N, d)`` and ``(M, d)``; lower is better. The first min(N, M) of each count.

    Along a direction an image at a contributes Kantorovich's potential, ``2 integral^a (t - T(t)) dt`` with T the
    monotone map onto the real images, which are taken as fixed. Its own error is what T of one half of the images makes
    of it less what T of the other half makes. The kernel of second order is ``integral (1{a <= t} - F(t)) (1{a' <= t}
    - F(t)) / q(T(t)) dt``, with F the distribution of a and q the density of b.

    Raises:
        ValueError: features of different widths, or fewer than four of one.
    """
    count, width = min(len(generated), len(real)), generated.shape[1]
    if width != real.shape[1] or count < 4:
        raise ValueError(f"{generated.shape} and {real.shape} features cannot be compared")
    made, true = (torch.from_numpy(x[:count].astype(np.float64)) for x in (generated, real))
    value, linear, noise = 0.0, torch.zeros(count, dtype=torch.float64), torch.zeros(count, dtype=torch.float64)
    directions = directions_of(width)
    for start in range(0, DIRECTIONS, AT_ONCE):
        part = directions[start : start + AT_ONCE]
        sorted_made, order = (part @ made.T).sort(dim=1)
        sorted_true = (part @ true.T).sort(dim=1).values
        gap = sorted_made - sorted_true
        value += float(gap.square().mean(1).sum())
        linear += _back(_integral(sorted_made, 2 * gap), order)
        noise += _back(
            _integral(sorted_made, _map_of_half(1, order, sorted_true) - _map_of_half(0, order, sorted_true)), order
        )
    scale = 3.0 * width
    per = scale / DIRECTIONS
    contributions = Contributions(
        count,
        (per * linear[:KEPT]).numpy(),
        (per * noise[:KEPT]).numpy(),
        scale * _second_order(made, true, directions[:SEEN]),
    )
    return Distance(per * value, contributions)


def directions_of(width: int) -> Tensor:
    """``(DIRECTIONS, width)`` unit vectors, uniform on the sphere."""
    drawn: Tensor = torch.randn(DIRECTIONS, width, generator=torch.Generator().manual_seed(SEED), dtype=torch.float64)
    lengths: Tensor = drawn.norm(dim=1, keepdim=True)
    return drawn / lengths


def _integral(at: Tensor, slope: Tensor) -> Tensor:
    """``(directions, N)``: the integral of what has these values at these places, by trapezia, less its mean."""
    steps = (at[:, 1:] - at[:, :-1]) * (slope[:, 1:] + slope[:, :-1]) / 2
    found = torch.cat([torch.zeros(len(at), 1, dtype=at.dtype), steps.cumsum(1)], dim=1)
    return found - found.mean(1, keepdim=True)


def _back(values: Tensor, order: Tensor) -> Tensor:
    """``(N,)``: sorted values of all directions, each added to the image that it belongs to."""
    found = torch.zeros(values.shape[1], dtype=values.dtype)
    return found.index_add_(0, order.flatten(), values.flatten())


def _map_of_half(half: int, order: Tensor, sorted_true: Tensor) -> Tensor:
    """Where the monotone map of every other image onto the real ones sends each of all images."""
    count = order.shape[1]
    share = (order % 2 == half).cumsum(1) / len(range(half, count, 2))
    return sorted_true.gather(1, (share * count).ceil().long().sub_(1).clamp_(0, count - 1))


def _second_order(made: Tensor, true: Tensor, directions: Tensor) -> NDArray[np.float64]:
    """Products of group means of what the kernel of second order is a product of, each with its variance. Image k is in
    group k mod 32, so that the groups of two networks have common inputs."""
    count = len(made)
    size = count // GROUPS
    if not size:
        return np.zeros(0)
    products = torch.zeros(GROUPS, GROUPS, dtype=torch.float64)
    for direction in directions:
        places, order = (made @ direction).sort()
        reached = (true @ direction).sort().values
        weights = count * (places[1:] - places[:-1]) * (reached[1:] - reached[:-1])  # dt / q(T(t))
        members = torch.zeros(GROUPS, count, dtype=torch.float64)
        members[order % GROUPS, torch.arange(count)] = 1.0
        shares = members.cumsum(1) / members.sum(1, keepdim=True)
        change = (shares - torch.arange(1, count + 1) / count)[:, :-1]
        products += (change * weights) @ change.T
    upper = torch.triu_indices(GROUPS, GROUPS, 1)
    return np.asarray((size / len(directions) * products)[upper[0], upper[1]].numpy())


def _mind(judged: Judged, ref: Reference) -> Found:
    assert ref.real is not None
    if min(len(judged.features), len(ref.real)) < 4:
        return Found({"mind": None})
    found = monge_distance(judged.features, ref.real)
    if found.value <= 0:  # the same images: no logarithm
        return Found({"mind": found.value})
    of, slope = found.contributions, 1 / found.value
    logarithm = Contributions(of.count, of.linear * slope, of.noise * slope, of.pairs * slope)
    return Found({"mind": found.value}, {"mind": logarithm})


def _version(terms: Terms) -> str:
    reference = f"ref-{terms.reference}-first{terms.real}"
    return f"sliced-wasserstein2-x3d-1/{terms.judge}/{terms.images}/{reference}/directions{DIRECTIONS}-seed{SEED}"


MIND = Metric(
    name="mind",
    columns=(
        Column("mind", "squared feature distance", "lower", "sliced Wasserstein distance to as many training images"),
    ),
    version=_version,
    compute=_mind,
    needs_real=True,
)

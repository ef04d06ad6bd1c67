"""Conjugate gradients for the least squares of all outputs of a layer at once."""

from __future__ import annotations

import torch
from torch import Tensor

from strategies.compensation.quadratic import Quadratic

RIDGE = 1e-3
"""What a change of the weights costs, in units of the mean square of what they read."""

SMALL = 1e-4
"""Where every output's residual has become so small, relative to its first, nothing more is gained."""


def minimise(
    quadratic: Quadratic, support: Tensor, out: int, steps: int, *, ridge: float = RIDGE, small: float = SMALL
) -> Tensor:
    """The change of a weight that lowers ``quadratic`` most, within ``support`` and with a ridge towards no change.

    Conjugate gradients (Hestenes & Stiefel 1952), preconditioned by the diagonal. Outputs are problems by themselves:
    each has step sizes of its own. Stopped early, it is a regularised solution too.

    Args:
        support: bool, of the weight's shape; elsewhere the change is zero.
        out: the dimension of the weight that makes outputs.
        steps: at most so many products.
    """
    rest = [d for d in range(support.ndim) if d != out]
    inside = support.to(quadratic.diagonal.dtype)
    typical = (quadratic.diagonal * inside).sum() / inside.sum().clamp_min(1)
    ridge_ = ridge * typical
    scale = (quadratic.diagonal.clamp_min(0) + ridge_).clamp_min(torch.finfo(inside.dtype).tiny)
    change = torch.zeros_like(quadratic.slope)
    residual = quadratic.slope * inside
    direction = residual / scale
    energy = (residual * direction).sum(rest, keepdim=True)
    first = energy.clone()
    for _ in range(steps):
        moved = (quadratic.product(direction) + ridge_ * direction) * inside
        curvature = (direction * moved).sum(rest, keepdim=True)
        length = torch.where(curvature > 0, energy / curvature, torch.zeros_like(energy))
        change += length * direction
        residual -= length * moved
        preconditioned = residual / scale
        now = (residual * preconditioned).sum(rest, keepdim=True)
        if bool((now <= small**2 * first).all()):
            break
        direction = preconditioned + torch.where(energy > 0, now / energy, torch.zeros_like(now)) * direction
        energy = now
    return change

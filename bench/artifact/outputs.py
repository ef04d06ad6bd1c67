"""Whether two ways of running one network give the same."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from strategies.layers import tensors_of

FLOAT32 = 1e-4
"""Tolerance of backends that compute in float32, in another order or with other kernels."""


def difference(expected: object, found: object) -> float:
    """The largest absolute difference between two outputs as a share of the largest absolute value expected.

    Infinity where shapes or the places of values that are not finite differ.
    """
    ours, theirs = _tensors(expected), _tensors(found)
    if [x.shape for x in ours] != [x.shape for x in theirs]:
        return math.inf
    largest = distance = 0.0
    for a, b in zip(ours, theirs, strict=True):
        finite = torch.isfinite(a)
        if not torch.equal(finite, torch.isfinite(b)):
            return math.inf
        if finite.any():
            largest = max(largest, float(a[finite].abs().max()))
            distance = max(distance, float((a - b)[finite].abs().max()))
    return distance / largest if largest else (math.inf if distance else 0.0)


def _tensors(output: object) -> list[Tensor]:
    if isinstance(output, np.ndarray):
        output = torch.from_numpy(output)
    elif isinstance(output, list | tuple):
        output = [torch.from_numpy(x) if isinstance(x, np.ndarray) else x for x in output]
    return [x.detach().cpu().double() for x in tensors_of(output)]

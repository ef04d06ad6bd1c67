"""TF32 on a GPU: float32 products with 10 bits of mantissa, which PyTorch allows in convolutions by default."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


def use_tf32(on: bool) -> None:
    """Whether convolutions and matrix products of float32 on a GPU may be rounded to TF32, in this process."""
    torch.backends.cuda.matmul.allow_tf32 = on
    torch.backends.cudnn.allow_tf32 = on


@contextlib.contextmanager
def tf32(on: bool) -> Iterator[None]:
    """As `use_tf32`, for a while."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    use_tf32(on)
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before

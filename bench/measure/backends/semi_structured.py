"""2:4 sparsity on CUDA: linear layers of which two of every four weights are zero, on sparse tensor cores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.measure.backends.base import Backend, Call, Inputs
from bench.measure.backends.eager import eager
from strategies.base import NotApplicable

ROWS, COLUMNS = 32, 64
"""Weights of linear layers must be multiples of this (float16, the CUTLASS kernels)."""


def half(module: nn.Module, inputs: Inputs) -> Call:
    """The network in float16 on dense kernels."""
    return eager(module.half(), _halved(inputs))


def two_of_four(module: nn.Module, inputs: Inputs) -> Call:
    """In float16, every linear layer that fits on the sparse kernels, everything else on dense ones.

    Raises:
        NotApplicable: no linear layer has the pattern and a size that the kernels take.
    """
    fitting = [layer for layer in module.modules() if isinstance(layer, nn.Linear) and fits(layer.weight)]
    if not fitting:
        raise NotApplicable(
            f"no linear layer has at most 2 of every 4 weights and a size in multiples of {ROWS} x {COLUMNS}"
        )
    module.half()
    for layer in fitting:
        sparse = torch.sparse.to_sparse_semi_structured(layer.weight.detach())
        layer.weight = nn.Parameter(sparse, requires_grad=False)
    return eager(module, _halved(inputs))


def fits(weight: Tensor) -> bool:
    """Whether ``(out, in)`` weights have at most two non-zeros in every four of a row, and a size that fits."""
    rows, columns = weight.shape
    if rows % ROWS or columns % COLUMNS:
        return False
    return bool((weight.unflatten(1, (-1, 4)) != 0).sum(-1).le(2).all())


def missing(device: torch.device) -> str:
    """PyTorch has these kernels for CUDA only, from compute capability 8 on."""
    if device.type != "cuda":
        return f"PyTorch's 2:4 kernels need CUDA, not {device.type}"
    major, minor = torch.cuda.get_device_capability(device)
    return "" if major >= 8 else f"2:4 needs compute capability 8.0, this GPU has {major}.{minor}"


def _halved(inputs: Inputs) -> Inputs:
    return tuple(x.half() if x.is_floating_point() else x for x in inputs)


TWO_OF_FOUR = Backend(
    "nm-2-4",
    two_of_four,
    tolerance=0.02,  # float16 has 11 bits of mantissa; rounding adds up over the layers
    dtype="float16",
    prepare_dense=half,
    dense_runs="eager in float16",
    skips_zeros=True,
    missing=missing,
)

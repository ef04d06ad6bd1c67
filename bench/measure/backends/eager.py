"""PyTorch operator by operator: as it is, with channels last in memory, and under autocast."""

from __future__ import annotations

import torch
from torch import nn

from bench.measure.backends.base import Backend, Call, Inputs
from strategies.base import NotApplicable


def eager(module: nn.Module, inputs: Inputs) -> Call:
    """The module as PyTorch runs it, operator by operator."""
    return lambda: module(*inputs)


def channels_last(module: nn.Module, inputs: Inputs) -> Call:
    """Convolutions with the channels of a pixel side by side in memory, weights and images alike.

    Raises:
        NotApplicable: no two-dimensional convolution, so nothing would be laid out otherwise.
    """
    if not any(parameter.ndim == 4 for parameter in module.parameters()):
        raise NotApplicable("no layer has a weight of four dimensions, so there is no other layout")
    laid_out = module.to(memory_format=torch.channels_last)
    rows = tuple(x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x for x in inputs)
    return lambda: laid_out(*rows)


def bf16(module: nn.Module, inputs: Inputs) -> Call:
    """Autocast to bfloat16. Weights stay in float32; casting them is part of every call, as it is for its users."""
    device = inputs[0].device.type

    def call() -> object:
        with torch.autocast(device, dtype=torch.bfloat16):
            return module(*inputs)

    return call


EAGER = Backend("eager", eager)
CHANNELS_LAST = Backend("channels_last", channels_last)
# bfloat16 has 8 bits of mantissa: half a unit in the last place is 2^-9, and rounding adds up over the layers.
BF16 = Backend("bf16", bf16, tolerance=0.05, dtype="bfloat16")

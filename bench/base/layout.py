"""The layout of a network's tensors in memory."""

from __future__ import annotations

from itertools import chain

import torch
from torch import nn


def channels_last(model: nn.Module) -> nn.Module:
    """``model`` itself, with its tensors of four dimensions laid out channels last; the values are the same.

    ``module.to(memory_format=torch.channels_last)`` raises where a tensor has five, as weights of modulated
    convolutions do.
    """
    for tensor in chain(model.parameters(), model.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    return model

"""Layouts change where tensors lie, and nothing else."""

from __future__ import annotations

import torch
from torch import nn

from bench.base.layout import channels_last


class _Modulated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, 2, 3, 3, 3))
        self.conv = nn.Conv2d(3, 2, 3)
        self.register_buffer("noise", torch.randn(1, 2, 4, 4))


def test_only_tensors_of_four_dimensions_are_laid_out_anew() -> None:
    model = _Modulated()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    parameters = list(model.parameters())
    assert channels_last(model) is model
    assert all(kept is parameter for kept, parameter in zip(parameters, model.parameters(), strict=True))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    laid_out = {
        name: value.is_contiguous(memory_format=torch.channels_last)
        for name, value in model.state_dict().items()
        if value.ndim == 4
    }
    assert laid_out == {"conv.weight": True, "noise": True}
    assert model.weight.is_contiguous()

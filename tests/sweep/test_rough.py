"""The quick count is right where all work is done by layers of PyTorch that are called."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bench.sweep.rough import rough_macs
from strategies.work import work_of
from tests.strategies.nets import FACTORIES, generator, latents


@pytest.mark.parametrize("name", list(FACTORIES))
def test_it_is_the_exact_count_for_plain_networks(name: str) -> None:
    assert rough_macs(generator(name), latents(name, 3)) == work_of(generator(name), latents(name)).total


def test_it_says_nothing_of_networks_with_layers_of_another_kind() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, 2))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight.T

    model = nn.Sequential(nn.Linear(2, 2), Own()).train()
    assert rough_macs(model, (torch.ones(1, 2),)) == 0
    assert model.training

"""Two networks have one structure where they differ in nothing but the values of their weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from bench.measure.structure import structure


class Scaled(nn.Linear):
    """A linear layer with a buffer of a size that its `repr` does not say."""

    def __init__(self, size: int) -> None:
        super().__init__(4, 4)
        self.register_buffer("scale", torch.ones(size))


def shared(tied: bool) -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    if tied:
        model[1].weight = model[0].weight
    return model


def test_other_weights_are_no_other_structure() -> None:
    torch.manual_seed(0)
    first = structure(nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5)))
    torch.manual_seed(1)
    assert structure(nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5))) == first


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: nn.Sequential(nn.Linear(3, 5)), lambda: nn.Sequential(nn.Linear(3, 6))),
        (lambda: nn.Sequential(nn.ReLU()), lambda: nn.Sequential(nn.Tanh())),
        (lambda: Scaled(1), lambda: Scaled(2)),
        (lambda: shared(True), lambda: shared(False)),
    ],
    ids=["width", "kind", "shape", "shared"],
)
def test_another_width_kind_shape_or_sharing_is(one: Callable[[], nn.Module], other: Callable[[], nn.Module]) -> None:
    assert structure(one()) != structure(other())
    assert structure(one()) == structure(one())

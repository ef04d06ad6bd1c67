"""The moving average of a generator's parameters."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.training.ema import Ema


def constant(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(value)
    return layer


def test_the_decay_warms_up_from_a_tenth_to_its_end() -> None:
    ema = Ema(constant(0.0), decay=0.2)
    expected = 0.0
    for value, decay in [(1.0, 1 / 10), (2.0, 2 / 11), (3.0, 0.2), (4.0, 0.2)]:
        ema.update(constant(value))
        expected = decay * expected + (1 - decay) * value
        assert ema.model.weight.item() == pytest.approx(expected, rel=1e-6)
    assert ema.updates == 4


def test_the_average_of_what_never_changes_is_that() -> None:
    model = nn.Linear(3, 4)
    ema = Ema(model, decay=0.999)
    for _ in range(20):
        ema.update(model)
    assert torch.equal(ema.model.weight, model.weight)


def test_buffers_are_copied_not_averaged() -> None:
    model = nn.BatchNorm1d(2)
    ema = Ema(model, decay=0.9)
    model(torch.tensor([[1.0, 2.0], [3.0, 8.0]]))
    ema.update(model)
    assert torch.equal(ema.model.running_mean, model.running_mean)
    assert ema.model.num_batches_tracked.item() == 1


def test_the_average_is_a_frozen_copy_in_eval_mode() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.Dropout()).train()
    ema = Ema(model, decay=0.9)
    assert not any(module.training for module in ema.model.modules())
    assert not any(parameter.requires_grad for parameter in ema.model.parameters())
    assert model.training and all(parameter.requires_grad for parameter in model.parameters())


def test_updating_does_not_touch_the_model() -> None:
    model = constant(3.0)
    ema = Ema(constant(1.0), decay=0.9)
    ema.update(model)
    assert model.weight.item() == 3.0
    assert ema.model.weight.item() != 3.0

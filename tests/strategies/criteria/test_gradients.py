"""What criteria that need gradients have in common."""

from __future__ import annotations

import torch
from torch import nn

from strategies.criteria.gradients import frozen, input_batches
from tests.strategies.criteria.hand import Net, context


def test_gradients_are_taken_on_eight_batches_of_32_inputs_cut_from_one_draw() -> None:
    batches = input_batches(context())
    assert [len(x) for batch in batches for x in batch] == [32] * 8
    few = input_batches(context(), 3, 2)
    assert torch.equal(torch.cat([batch[0] for batch in few]), context().inputs(6)[0])


def test_a_frozen_network_is_a_float32_copy_in_eval_mode_without_gradients() -> None:
    model = nn.Sequential(Net(), nn.Dropout()).double().train()
    found = frozen(model, torch.device("cpu"))
    assert not any(module.training for module in found.modules())
    assert all(not p.requires_grad and p.dtype == torch.float32 for p in found.parameters())
    assert all(p.requires_grad and p.dtype == torch.float64 for p in model.parameters()) and model.training

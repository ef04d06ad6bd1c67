"""A discriminator with weights held at zero."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from bench.training.sparse_d import EqualSparsity, FixedSparsity, magnitudes, smallest_gone
from bench.workloads.builtin import MNIST_DCGAN
from bench.workloads.checkpoints import load_checkpoint
from strategies.layers import named_weights, prunable_layers, stored_weight


def shipped() -> nn.Module:
    found = load_checkpoint(MNIST_DCGAN).discriminator
    assert found is not None
    return found.requires_grad_(True)


def training(discriminator: nn.Module, generator: nn.Module | None = None) -> Any:
    return SimpleNamespace(discriminator=discriminator, generator=generator)


def test_the_smallest_of_all_layers_go_and_one_always_stays() -> None:
    values = {"a": torch.tensor([[3.0, 1.0]]), "b": torch.tensor([2.0, 1.0, 5.0])}
    masks = smallest_gone(values, 3)
    assert masks["a"].tolist() == [[True, False]] and masks["b"].tolist() == [False, False, True]
    assert smallest_gone(values, 1)["a"].tolist() == [[True, False]]  # of equals the first
    assert [int(mask.sum()) for mask in smallest_gone(values, 99).values()] == [0, 1]


def test_reading_magnitudes_moves_no_power_iteration() -> None:
    model = shipped().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = magnitudes(model)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    model.eval()
    assert all(torch.equal(found[name], weight.abs()) for name, weight in named_weights(model))


def test_masks_hold_under_spectral_norm_while_the_shipped_discriminator_trains() -> None:
    model = shipped().train()
    hooks, game = FixedSparsity(0.6), training(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for step in range(3):
        hooks.before_step(step, game)
        optimizer.zero_grad()
        model(images).mean().backward()
        optimizer.step()
        hooks.after_step(step, game)
    total = sum(mask.numel() for mask in hooks.masks.values())
    assert sum(int((~mask).sum()) for mask in hooks.masks.values()) == round(0.6 * total)
    assert hooks.density == pytest.approx(0.4, abs=1 / total)
    for mode in (model.train(), model.eval()):  # also after one more power iteration
        for name, layer in prunable_layers(mode).items():
            assert not layer.weight[~hooks.masks[name]].any()
            assert layer.weight[hooks.masks[name]].all()
            assert not stored_weight(layer)[~hooks.masks[name]].any()
    assert all(float(torch.linalg.matrix_norm(w.flatten(1), 2)) < 1.2 for _, w in named_weights(model))


def test_what_goes_is_ranked_by_the_weight_as_it_acts() -> None:
    small, large = nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        small.weight.copy_(torch.tensor([[0.3, 0.4]]))
        large.weight.copy_(torch.tensor([[30.0, 40.0]]))
    model = nn.Sequential(nn.utils.parametrizations.spectral_norm(large), nn.Sequential(small))
    for _ in range(20):
        model.train()
        model[0](torch.zeros(1, 2))
    hooks = FixedSparsity(0.5)
    hooks.before_step(0, training(model))
    # As it acts, `large` is (.6, .8).
    assert hooks.masks["0"].tolist() == [[True, True]] and hooks.masks["1.0"].tolist() == [[False, False]]
    with torch.no_grad():
        small.weight.copy_(torch.tensor([[0.7, 0.9]]))
    hooks = FixedSparsity(0.25)
    hooks.before_step(0, training(model))
    assert hooks.masks["0"].tolist() == [[False, True]]


def test_d_becomes_as_sparse_as_g_and_never_denser() -> None:
    torch.manual_seed(0)
    g, d = nn.Linear(10, 10), nn.Linear(8, 5)
    hooks, game = EqualSparsity(100), training(d, g)
    hooks.before_step(0, game)
    assert hooks.density == 1 and not hooks.masks
    left = []
    for row in range(3):
        with torch.no_grad():
            g.weight[row] = 0
        hooks.before_step(row + 1, game)
        left.append(int(d.weight.count_nonzero()))
    assert left == [36, 32, 28]
    before = hooks.masks
    with torch.no_grad():
        g.weight.fill_(1.0)
    hooks.before_step(4, game)
    assert int(d.weight.count_nonzero()) == 28 and hooks.masks is before


def test_the_state_comes_back() -> None:
    hooks, again = EqualSparsity(100), EqualSparsity(100)
    g, d = nn.Linear(10, 10), nn.Linear(8, 5)
    with torch.no_grad():
        g.weight[0] = 0
    hooks.before_step(0, training(d, g))
    again.load_state_dict(hooks.state_dict())
    assert again.left == 90 and again.density == 0.9

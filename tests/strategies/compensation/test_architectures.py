"""Compensation of everybody's generators: what it may touch, and that nothing gets further from dense."""

from __future__ import annotations

import pytest
import torch

from bench.base.batchnorm import batchnorms, recalibrate
from strategies.baking import plain
from strategies.base import Context, Infeasible, NotApplicable
from strategies.builtin import STRATEGIES
from strategies.compensation import compensate
from strategies.compensation.watched import order
from strategies.layers import named_weights
from tests.architectures.catalogue import ARCHITECTURES, build, example_inputs


@pytest.mark.parametrize("strategy", ["l1-channel-uniform", "l1-weight-uniform"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_any_generator_is_compensated(name: str, strategy: str) -> None:
    dense = plain(build(name)).eval().requires_grad_(False)
    rng = torch.Generator().manual_seed(0)

    def draw(count: int) -> tuple[torch.Tensor, ...]:
        return ARCHITECTURES[name].inputs(min(count, 64), rng)

    if batchnorms(dense):
        recalibrate(dense, [draw(64)])
    context = Context(dense, example_inputs(name), torch.Generator().manual_seed(0))
    try:
        pruned = STRATEGIES[strategy].rank(context).cut(0.4, "params").apply(dense)
    except (NotApplicable, Infeasible) as reason:
        pytest.skip(str(reason))
    before = {layer: weight.clone() for layer, weight in named_weights(pruned.generator)}
    statistics = draw(64)
    pruned.generator.eval().requires_grad_(False)
    found = compensate(dense, pruned, draw, lambda model: recalibrate(model, [statistics]) and None)
    assert found.after <= found.before
    assert set(found.left) | set(found.fitted) >= {place.name for place in order(pruned.generator, draw(2))}
    for layer, weight in named_weights(pruned.generator):
        assert torch.isfinite(weight).all() and weight.shape == before[layer].shape
        assert torch.equal(weight, before[layer]) == (layer not in found.fitted)
        assert not weight[~pruned.masks.get(layer, torch.ones_like(weight, dtype=torch.bool))].any()

"""A generator with several outputs: the workload picks one, so whatever is asked of it gets one tensor."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from bench.sweep.cell import pruning_context
from bench.workloads.outputs import adapt_generator
from bench.workloads.spec import OutputSpec
from strategies.base import NotApplicable
from strategies.builtin import STRATEGIES
from strategies.granularity.coupling import couple
from strategies.granularity.groups import kept_without
from strategies.layers import widths
from strategies.slicing import shrink, twin_error
from tests.architectures.compatibility import one_of_each
from tests.architectures.images import TwoOutputs
from tests.helpers.cells import cell
from tests.own.conftest import NOISE, Describe
from tests.own.test_own import D, record, shop_of

SEVERAL: dict[str, Any] = {
    "factory": "gans.py:Conditional",
    "inputs": [NOISE, {"kind": "labels", "classes": 4}],
    "output": {"pick": "image"},
    "discriminator": D | {"range": [-1, 1], "factory": "gans.py:NormalisedDiscriminator", "output": "logits"},
    "training": {"batch_size": 8},
}
SEVERAL["discriminator"].pop("checkpoint")

NAMES = sorted({s.name for s in one_of_each() if s.schedule is None} | {"reconstruct-weight-global"})


def test_every_criterion_is_among_those_that_are_tried() -> None:
    assert {s.criterion.name for s in map(STRATEGIES.__getitem__, STRATEGIES)} == {
        STRATEGIES[name].criterion.name for name in NAMES
    } | {s.criterion.name for s in one_of_each() if s.schedule is not None}


@pytest.mark.parametrize("name", NAMES)
def test_every_criterion_works_on_the_output_that_is_picked(describe: Describe, name: str) -> None:
    shop = shop_of(describe(**SEVERAL))
    context = pruning_context(shop.resolve(cell(name, workload="mine")), STRATEGIES[name], shop)
    with torch.no_grad():
        assert isinstance(context.generator(*context.example_inputs), Tensor)
    try:
        ranking = STRATEGIES[name].rank(context)
    except NotApplicable as reason:
        assert "output" not in str(reason)
        return
    assert ranking is not None


@pytest.mark.parametrize("strategy", ["reconstruct-weight-global", "reconstruct-channel-global"])
def test_a_generator_that_returns_a_dict_is_pruned_by_reconstruction(describe: Describe, strategy: str) -> None:
    found = record(describe(**SEVERAL), strategy, recovery="finetune-2")
    assert found.status == "ok"
    assert found.achieved_params == pytest.approx(0.5, abs=0.06)


def test_the_output_that_is_not_picked_keeps_its_shape() -> None:
    torch.manual_seed(0)
    model = adapt_generator(TwoOutputs().eval(), OutputSpec(pick="image"))
    inputs = (torch.randn(2, 3, 8, 8),)
    groups = couple(model, inputs).groups
    assert {group.name for group in groups} == {"head", "body"}
    kept = kept_without(model, groups, {group.name: torch.arange(0, group.size - 1, 2) for group in groups})
    compact = shrink(model, kept)
    assert twin_error(model, compact, kept, inputs) <= 1e-9
    assert (widths(compact)["mask"], widths(compact)["image"]) == ((1, 8), (3, 8))
    with torch.no_grad():
        assert isinstance(compact(*inputs), torch.Tensor)
        assert {key: value.shape[1] for key, value in compact.forward(*inputs).items()} == {"image": 3, "mask": 1}

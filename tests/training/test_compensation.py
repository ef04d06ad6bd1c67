"""The recovery that fits what was pruned to dense: its names, what it changes, what comes after it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.training.recovery import parse_recovery
from strategies.base import Level, NotApplicable
from strategies.layers import named_weights
from tests.training.test_recovery import WORKLOADS, pruned, recovered, scheduled


@pytest.mark.parametrize("name", ["compensate", "compensate-finetune-200-d.frozen", "compensate-distil-20-output"])
def test_a_compensation_is_named_first(name: str) -> None:
    found = parse_recovery(name)
    assert found.compensate and found.name == name
    assert replace(found, compensate=False).name == (
        name.removeprefix("compensate-") if found.steps else "bn-recalibrate"
    )


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("strategy", ["l1-channel-uniform", "l1-weight-uniform"])
def test_a_compensation_changes_what_stays_and_nothing_else(workload: str, strategy: str) -> None:
    start = pruned(workload, strategy)
    before = {name: weight.clone() for name, weight in named_weights(start.generator)}
    made = recovered(workload, parse_recovery("compensate"), start=start)
    again, other = (recovered(workload, parse_recovery("compensate"), start=start, seed=seed) for seed in (0, 1))
    weights = dict(named_weights(made.generator))
    assert all(torch.equal(weight, before[name]) for name, weight in named_weights(start.generator))
    assert any(not torch.equal(weight, before[name]) for name, weight in weights.items())
    assert all(weight.shape == before[name].shape for name, weight in weights.items())
    assert all(not weights[name][~mask].any() for name, mask in start.masks.items())
    assert all(torch.equal(weight, weights[name]) for name, weight in named_weights(again.generator))
    assert any(not torch.equal(weight, weights[name]) for name, weight in named_weights(other.generator))


def test_a_training_goes_on_from_the_compensated_weights() -> None:
    """Its first step begins where the compensation ended: one step is small beside what was compensated."""
    start = pruned("plain", "l1-channel-uniform")
    cut = dict(named_weights(start.generator))
    compensated = dict(named_weights(recovered("plain", parse_recovery("compensate"), start=start).generator))
    trained = recovered("plain", parse_recovery("compensate-distil-1-output"), start=start)
    for name, weight in named_weights(trained.generator):
        moved = (compensated[name] - cut[name]).norm()
        assert (weight - compensated[name]).norm() <= max(0.5 * moved, 0.02), name


@pytest.mark.parametrize("workload", WORKLOADS)
def test_of_dense_nothing_is_compensated(workload: str) -> None:
    made, calibrated = (recovered(workload, parse_recovery(name)) for name in ("compensate", "bn-recalibrate"))
    for (name, weight), (_, other) in zip(
        named_weights(made.generator), named_weights(calibrated.generator), strict=True
    ):
        assert torch.equal(weight, other), name


def test_what_prunes_on_the_way_cannot_be_compensated() -> None:
    with pytest.raises(NotApplicable, match="compensates before it"):
        scheduled("plain", Level("threshold", 0.1), parse_recovery("compensate-finetune-6"))

"""Constraints hold under every schedule, in a real training, interrupted or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.training.loop import GanTraining
from bench.training.resume import load_training, save_training
from strategies.constraining import constrained
from strategies.constraints import Constraints
from strategies.layers import widths
from strategies.schedules import PruningHooks
from tests.training.test_resume import APPLICABLE, STEPS, assert_equal, made, strategy

CHANNELS: dict[str, Any] = {"multiple": 5, "at_least": 3}
"""Of 12 and 10 channels: 12, 10 or 5, and 10 or 5."""
WEIGHTS: dict[str, Any] = {"exclude": ["net.0"], "cap": 0.9}


def trained(schedule: str, granularity: str, interrupted: Path | None = None) -> GanTraining:
    table = WEIGHTS if granularity == "weight" else CHANNELS
    thing = constrained(strategy(schedule, granularity), Constraints.of(table))
    sparsity = 0.3 if granularity == "weight" else 0.6
    run = made(thing, sparsity=sparsity)
    for step in range(STEPS):
        if interrupted is not None and step == STEPS // 2:
            save_training(interrupted, run)
            run = made(thing, sparsity=sparsity)
            load_training(interrupted, run)
        run.step()
    return run


@pytest.mark.parametrize(("schedule", "granularity"), APPLICABLE)
def test_what_is_left_obeys_them(schedule: str, granularity: str) -> None:
    run = trained(schedule, granularity)
    assert isinstance(run.hooks, PruningHooks) and run.hooks.pruned is not None
    pruned = run.hooks.pruned
    if granularity == "channel":
        found = {name: out for name, (out, _) in widths(run.generator).items()}
        assert (found["net.0"], found["net.3"]) in {(5, 5), (10, 5), (5, 10), (12, 5)}
        return
    assert bool(pruned.masks["net.0"].all())
    lost = {cut.name: 1 - cut.kept / cut.weights for cut in pruned.layers}
    assert lost["net.0"] == 0
    assert max(lost.values()) <= 0.9
    total = sum(cut.weights for cut in pruned.layers)
    assert total - sum(cut.kept for cut in pruned.layers) == round(0.3 * total)


@pytest.mark.parametrize(("schedule", "granularity"), [("iterative", "channel"), ("rigl", "weight")])
def test_an_interrupted_training_goes_on_bit_by_bit(schedule: str, granularity: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    assert_equal(trained(schedule, granularity, tmp_path).state_dict(), trained(schedule, granularity).state_dict())

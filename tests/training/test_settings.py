"""The numbers that recovery is made of: another number is another method, and no change in passing."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from torch import nn

from bench.training.loop import StepStats
from bench.training.recovery.run import Recovered
from bench.training.recovery.spec import Recovery

NUMBERS: dict[str, dict[str, Any]] = {
    "bench.training.recovery.asked": {"MOST_STEPS": 10_000_000, "LONGEST": 100},
    "bench.training.recovery.finish": {"CALIBRATION_IMAGES": 512, "CALIBRATION_BATCH": 64},
    "bench.training.recovery.run": {"SAVE_SECONDS": 60.0, "WATCHED": 10},
}


@pytest.mark.parametrize("module", NUMBERS)
def test_the_numbers_of_a_method_are_those_that_are_documented(module: str) -> None:
    found = importlib.import_module(module)
    assert {name: getattr(found, name) for name in NUMBERS[module]} == NUMBERS[module]


def test_what_is_not_said_of_a_recovery_or_a_step() -> None:
    plain = Recovery()
    assert (plain.steps, plain.discriminator, plain.calibrate, plain.d_sparsity) == (0, "original", True, 0.0)
    assert (plain.distil, plain.adversarial) == (None, True)
    step = StepStats(1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert (step.loss_extra, step.d_density, step.balance) == (0.0, 1.0, None)
    untrained = Recovered(nn.Identity(), None)
    assert (untrained.images, untrained.watch_seconds, untrained.earlier_seconds) == (0, 0.0, 0.0)

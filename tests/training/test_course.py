"""How a recovery trains: the workload's own way, but at a learning rate that stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.training.recovery import parse_recovery, recover
from bench.training.recovery.course import begin
from bench.workloads.data import DATA_SOURCES
from bench.workloads.loaded import Gan
from tests.training.test_recovery import PLAIN, checkpoint, pruned, same

SPEC = replace(PLAIN.recipe.spec, lr=0.002, lr_discriminator=0.004)


def gan(lr_decay: str) -> Gan:
    """The plain workload, as if its weights had been trained with this course of the learning rate."""
    spec = replace(SPEC, lr_decay=lr_decay)  # type: ignore[arg-type]
    workload = replace(PLAIN, recipe=replace(PLAIN.recipe, spec=spec))
    return Gan(workload, checkpoint("plain"), DATA_SOURCES[PLAIN.data]())


@pytest.mark.parametrize("lr_decay", ["none", "linear"])
def test_the_learning_rate_of_a_recovery_is_that_of_the_training_and_stays(lr_decay: str) -> None:
    course = begin(parse_recovery("finetune-6"), gan(lr_decay), pruned("plain", "l1-weight-global"), 0)
    rates = []
    for _ in range(6):
        course.step()
        optimizers = (course.training.opt_g, course.training.opt_d)
        rates.append(tuple(group["lr"] for optimizer in optimizers for group in optimizer.param_groups))
    assert rates == [(0.002, 0.004)] * 6


def test_how_the_weights_were_trained_before_changes_no_recovery() -> None:
    start = pruned("plain", "l1-weight-global")
    one, other = (recover(parse_recovery("finetune-6"), gan(way), start, seed=3) for way in ("none", "linear"))
    assert same(one.generator, other.generator)
    assert not all(
        torch.equal(a, b) for a, b in zip(one.generator.parameters(), start.generator.parameters(), strict=True)
    )

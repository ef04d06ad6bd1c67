"""A training whose steps are recorded does what an ordinary one does."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.training.graphs import ORDINARY_STEPS, GraphedTraining
from bench.training.loop import GanTraining, TrainingSpec
from bench.training.resume import load_training, save_training
from bench.workloads.builtin import BUILT_IN
from bench.workloads.checkpoints import initialise
from bench.workloads.cifar10 import CifarDiscriminator, CifarGenerator
from bench.workloads.condition import Condition

SPEC = TrainingSpec(
    loss="hinge",
    batch_size=8,
    lr=2e-4,
    betas=(0.0, 0.99),
    ema_decay=0.9,
    lr_decay="linear",
    shift=2,
    channels_last=True,
)
STEPS = ORDINARY_STEPS + 8


def labelled(count: int, rng: torch.Generator) -> tuple[Tensor, ...]:
    return torch.randn(count, 128, generator=rng), torch.randint(0, 10, (count,), generator=rng)


def made(kind: type[GanTraining], device: str, spec: TrainingSpec = SPEC, **options: Any) -> GanTraining:
    torch.manual_seed(0)
    return kind(
        CifarGenerator((32, 24, 16, 8)),
        CifarDiscriminator((8, 12, 16, 16)),
        spec,
        images=torch.randint(0, 256, (64, 3, 32, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8),
        sample=labelled,
        steps=STEPS,
        seed=0,
        device=device,
        condition=Condition(1, 10),
        labels=torch.arange(64) % 10,
        **options,
    )


def test_recorded_steps_are_the_ordinary_ones(cuda: str) -> None:
    """What a step draws, the falling rate and the average among it. Sums in another order make a small difference."""
    plain, recorded = made(GanTraining, cuda), made(GraphedTraining, cuda)
    for _ in range(STEPS):
        a, b = plain.step(), recorded.step()
        assert (b.loss_g, b.loss_d) == pytest.approx((a.loss_g, a.loss_d), rel=0.02, abs=0.02)
        assert a.step == b.step
    assert recorded.ema.updates == plain.ema.updates == STEPS
    theirs = recorded.ema.model.state_dict()
    for name, x in plain.ema.model.state_dict().items():
        torch.testing.assert_close(theirs[name].float(), x.float(), rtol=0.05, atol=5e-3, msg=name)


def test_bfloat16_is_recorded_too(cuda: str) -> None:
    recorded = made(GraphedTraining, cuda, replace(SPEC, precision="bf16"))
    found = [recorded.step() for _ in range(STEPS)]
    assert all(math.isfinite(stats.loss_g) and math.isfinite(stats.loss_d) for stats in found)
    assert len({stats.loss_d for stats in found}) == STEPS  # every replay sees new images


def test_an_ordinary_training_continues_what_was_recorded(cuda: str, tmp_path: Path) -> None:
    recorded, plain = made(GraphedTraining, cuda), made(GanTraining, cuda)
    for _ in range(ORDINARY_STEPS + 3):
        recorded.step()
    save_training(tmp_path, recorded)
    assert load_training(tmp_path, plain)[0]
    a, b = recorded.step(), plain.step()
    assert (b.loss_g, b.loss_d) == pytest.approx((a.loss_g, a.loss_d), rel=0.02, abs=0.02)


@pytest.mark.parametrize("name", ["mnist-dcgan", "mnist-mlp"])
def test_the_shipped_recipes_for_digits_are_recorded(name: str, cuda: str) -> None:
    """Spectral norm, and dropout that a step draws from its own seed."""
    workload = BUILT_IN[name]
    images = torch.randint(0, 256, (128, 1, 28, 28), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)

    def run(kind: type[GanTraining]) -> list[float]:
        networks = initialise(workload, 0)
        spec = replace(workload.recipe.spec, precision="fp32", batch_size=16)
        given: dict[str, Any] = {"images": images, "sample": workload.inputs.sample, "steps": STEPS, "seed": 0}
        training = kind(*networks, spec, device=cuda, **given)
        found = [training.step() for _ in range(STEPS)]
        return [loss for stats in found for loss in (stats.loss_g, stats.loss_d)]

    assert run(GraphedTraining) == pytest.approx(run(GanTraining), rel=0.02, abs=0.02)


def test_a_processor_has_no_graphs(device: str) -> None:
    with pytest.raises(ValueError, match="CUDA"):
        made(GraphedTraining, "cpu")

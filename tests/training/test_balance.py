"""The balance ratio, and a discriminator that follows it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from bench.training.balance import BalancedDiscriminator, BalanceRule
from bench.training.loop import GanTraining
from bench.workloads.networks import DcganDiscriminator, DummyDiscriminator, DummyGenerator
from bench.workloads.recipe import TrainingSpec

WHITE = torch.full((3, 1, 1, 1), 255, dtype=torch.uint8)
"""Training images of one pixel, 1 everywhere."""


class Level(nn.Module):
    """A generator of images of one pixel with the same brightness."""

    def __init__(self, level: float) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor(level))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.level.expand(len(z), 1, 1, 1)


class Slope(nn.Module):
    """Logit = 3 x brightness + 1, from one weight among six."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(1, 6)
        self.add = nn.Linear(6, 1, bias=False)
        with torch.no_grad():
            self.net.weight.copy_(torch.tensor([[3.0], [0.1], [0.2], [0.3], [0.4], [0.5]]))
            self.net.bias.fill_(0.0)
            self.add.weight.copy_(torch.tensor([[1.0, 0, 0, 0, 0, 0]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.add(self.net(x.flatten(1))).squeeze(1) + 1


def game(before: float, after: float, **rule: Any) -> tuple[BalancedDiscriminator, Any]:
    """The hooks after the first step of a training of two, in which G went from ``before`` to ``after``."""
    hooks = BalancedDiscriminator(WHITE, 2, 0, BalanceRule(adjustments=1, **rule))
    d = Slope()
    training: Any = SimpleNamespace(
        generator=Level(before), discriminator=d, steps=2, opt_d=torch.optim.Adam(d.parameters())
    )
    inputs = (torch.zeros(4, 2),)
    hooks.before_step(0, training)
    assert hooks.extra_loss(0, training, inputs, training.generator(*inputs)) is None  # type: ignore[func-returns-value]
    training.generator = Level(after)
    hooks.after_step(0, training)
    return hooks, training


def test_the_ratio_is_the_share_of_the_distance_that_g_made_good() -> None:
    # Real images are at 1, G went from -1 to -.5: a quarter of the way, whatever D's scale.
    assert game(-1.0, -0.5)[0].ratio == pytest.approx(0.25)


def test_d_too_strong_loses_its_smallest_weights() -> None:
    hooks, training = game(-1.0, -0.9, change=0.25)
    assert hooks.ratio == pytest.approx(0.05)
    assert hooks.density == 0.75  # 3 of 12
    assert int((training.discriminator.add.weight == 0).sum()) == 5  # zeros go first, and are zeros already
    again, _ = game(-1.0, -0.9, change=0.99, floor=0.5)
    assert again.density == 0.5


def test_within_the_bounds_nothing_changes() -> None:
    hooks, _ = game(-1.0, -0.6)
    assert hooks.ratio == pytest.approx(0.2) and hooks.density == 1 and not hooks.masks


def test_d_that_rates_real_images_no_higher_is_too_weak() -> None:
    assert game(1.0, 0.5)[0].ratio == 1.0


def test_d_too_weak_gets_back_the_weights_with_the_largest_gradient() -> None:
    hooks, training = game(-1.0, -0.6)
    d = training.discriminator
    gone = torch.tensor([[True], [False], [False], [False], [False], [True]])
    hooks.masks = {"net": gone, "add": torch.ones(1, 6, dtype=torch.bool)}
    hooks.hold(training)
    d.net.weight.grad = torch.tensor([[9.0], [0.1], [-0.4], [0.2], [0.3], [9.0]])
    d.add.weight.grad = torch.full((1, 6), 9.0)
    training.opt_d.step()
    moments = training.opt_d.state[d.net.weight]
    assert moments["exp_avg"].all()
    hooks.hold(training)
    hooks.grow(training, 2 / 12)
    assert hooks.masks["net"].flatten().tolist() == [True, False, True, False, True, True]
    assert hooks.masks["add"].all()
    assert d.net.weight[2] == d.net.weight[4] == 0  # as in RigL
    assert (moments["exp_avg"] == 0).flatten().tolist() == [False, False, True, False, True, False]
    hooks.grow(training, 1.0)
    assert hooks.density == 1


@pytest.mark.parametrize(("steps", "expected"), [(1, (1, 1)), (10, (1, 1)), (200, (19, 2)), (2_000, (182, 22))])
def test_the_rhythm_of_a_training(steps: int, expected: tuple[int, int]) -> None:
    assert BalanceRule().rhythm(steps) == expected


@pytest.mark.parametrize(("steps", "expected"), [(1, 0), (2, 1), (11, 10), (200, 10), (2_000, 10)])
def test_there_are_ten_adjustments_all_before_the_last_step(steps: int, expected: int) -> None:
    every, _ = BalanceRule().rhythm(steps)
    assert len([step for step in range(1, steps) if step % every == 0]) == expected


def whole(discriminator: nn.Module, hooks: BalancedDiscriminator | None, images: torch.Tensor) -> GanTraining:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = DummyGenerator()
    spec = TrainingSpec(loss="hinge", batch_size=8, lr=1e-3)

    def sample(count: int, rng: torch.Generator) -> tuple[torch.Tensor, ...]:
        return (torch.randn(count, 8, generator=rng),)

    return GanTraining(generator, discriminator, spec, images=images, sample=sample, steps=6, seed=0, hooks=hooks)


class Small(DcganDiscriminator):
    """Spectrally normalised, for images of 8 x 8."""

    def __init__(self) -> None:
        super().__init__(2)
        self.net[-1] = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 1))


@pytest.mark.parametrize("factory", [DummyDiscriminator, Small])
def test_measuring_does_not_disturb_the_training(factory: Any) -> None:
    images = torch.randint(0, 256, (20, 1, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    states = []
    for measured in (True, False):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            d = factory()
        hooks = BalancedDiscriminator(images, 6, 0, BalanceRule(low=-1e9, high=1e9)) if measured else None
        training = whole(d, hooks, images)
        for _ in range(6):
            training.step()
        assert hooks is None or hooks.ratio is not None
        states.append(training.generator.state_dict() | {f"d.{k}": v for k, v in d.state_dict().items()})
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])

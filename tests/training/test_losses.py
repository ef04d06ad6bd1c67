"""Adversarial losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from bench.training.losses import LossName, discriminator_loss, generator_loss


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_the_non_saturating_losses_are_those_of_the_paper() -> None:
    real = torch.tensor([logit(0.8), logit(0.5)], dtype=torch.float64)
    fake = torch.tensor([logit(0.1), logit(0.4)], dtype=torch.float64)
    expected_d = -(math.log(0.8) + math.log(0.5)) / 2 - (math.log(0.9) + math.log(0.6)) / 2
    expected_g = -(math.log(0.1) + math.log(0.4)) / 2
    assert discriminator_loss("non-saturating", real, fake).item() == pytest.approx(expected_d, rel=1e-12)
    assert generator_loss("non-saturating", fake).item() == pytest.approx(expected_g, rel=1e-12)


def test_the_hinge_losses_are_those_of_the_paper() -> None:
    real, fake = torch.tensor([0.25, 3.0]), torch.tensor([-0.5, 2.0, -7.0])
    assert discriminator_loss("hinge", real, fake).item() == pytest.approx(0.75 / 2 + (0.5 + 3.0) / 3)
    assert generator_loss("hinge", torch.tensor([-0.5, 2.0])).item() == -0.75


@pytest.mark.parametrize("name", ["non-saturating", "hinge"])
def test_lambda_weighs_the_term_of_the_generated_images_alone(name: LossName) -> None:
    real, fake = torch.tensor([0.3, -0.2]), torch.tensor([0.1, 0.4])
    without = discriminator_loss(name, real, fake, 0.0)
    whole = discriminator_loss(name, real, fake)
    assert discriminator_loss(name, real, fake, 2.5).item() == pytest.approx(
        (without + 2.5 * (whole - without)).item(), rel=1e-6
    )
    assert torch.equal(without, discriminator_loss(name, real, fake + 5, 0.0))
    assert whole > without > 0


@pytest.mark.parametrize("name", ["non-saturating", "hinge"])
def test_large_logits_give_finite_losses_and_gradients(name: LossName) -> None:
    for sign in (1.0, -1.0):
        real, fake = (torch.full((4,), s * sign * 1e4, requires_grad=True) for s in (-1.0, 1.0))
        loss = discriminator_loss(name, real, fake) + generator_loss(name, fake)
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(real.grad).all() and torch.isfinite(fake.grad).all()  # type: ignore[arg-type]


def test_a_discriminator_that_is_utterly_wrong_still_has_a_gradient() -> None:
    """Where the logarithm of a rounded sigmoid would have none."""
    fake = torch.tensor([-200.0], requires_grad=True)
    generator_loss("non-saturating", fake).backward()
    assert fake.grad is not None and fake.grad.item() == -1.0


@pytest.mark.parametrize("name", ["non-saturating", "hinge"])
def test_the_generator_wants_higher_logits_and_the_discriminator_lower_ones(name: LossName) -> None:
    low, high = torch.tensor([0.1]), torch.tensor([0.9])
    assert generator_loss(name, high) < generator_loss(name, low)
    assert discriminator_loss(name, low, high) > discriminator_loss(name, low, low)
    assert discriminator_loss(name, high, low) < discriminator_loss(name, low, low)


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="no adversarial loss 'wgan'"):
        generator_loss("wgan", torch.zeros(1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no adversarial loss 'wgan'"):
        discriminator_loss("wgan", torch.zeros(1), torch.zeros(1))  # type: ignore[arg-type]

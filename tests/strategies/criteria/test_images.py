"""Criteria that look at generated images: noise inside the content, latents moved apart. By hand; see `hand`."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from strategies.criteria import content, content_aware, diversity
from strategies.criteria.content_aware import noisy
from strategies.criteria.gradients import Differentiable, input_batches
from strategies.criteria.latent_moves import move, principal_moves
from tests.strategies.criteria.hand import KINDS, Z1, Net, W, channels_of, context, weights_of
from tests.strategies.nets import context_of, latents


def test_noise_falls_on_bright_pixels_alone() -> None:
    images = torch.linspace(-0.9, 0.9, 64).view(1, 1, 8, 8).repeat(500, 3, 1, 1)
    images[:, 1] -= 0.05  # the colours differ, a pixel's brightness is their mean
    found = noisy(images, torch.Generator().manual_seed(0))
    hit = found != images
    assert torch.equal(hit[:, 0], hit[:, 1]) and torch.equal(hit[:, 0], hit[:, 2])
    assert not hit[:, :, :4].any()
    assert set(found[hit].tolist()) == {-1.0, 1.0}
    # 500 x 32 bright pixels, 5 % of them; half are salt
    count = int(hit[:, 0].sum())
    assert count == pytest.approx(800, abs=4 * math.sqrt(800))
    assert int((found[:, 0][hit[:, 0]] > 0).sum()) == pytest.approx(count / 2, abs=2 * math.sqrt(count))


def test_an_image_without_content_gets_no_noise() -> None:
    images = torch.full((3, 1, 4, 4), -1.0)
    assert torch.equal(noisy(images, torch.Generator().manual_seed(0)), images)


TWO_PIXELS = torch.tensor([[0.5, -0.25, 0.125], [10.0, 20.0, 30.0]])


@pytest.mark.parametrize("kind", KINDS)
def test_content_is_the_gradient_of_the_distance_to_the_noisy_image(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Noise on pixel 0 alone, above its value: d|x_0' - x_0| = -dx_0, so |g| of W_c is |V_0c| z where the unit is on,
    # and of V_0 it is relu(W z) = (5, 3, 0). Nothing comes from pixel 1, whatever its weights.
    monkeypatch.setattr(content_aware, "noisy", lambda x, rng: x + torch.tensor([1.0, 0.0]))
    scores = weights_of(content, context(Net(kind, W, TWO_PIXELS)))
    assert scores["first"].flatten().tolist() == pytest.approx([0.5, 0.5, 0.25, 0.25, 0.0, 0.0])
    assert scores["last"].flatten().tolist() == pytest.approx([5.0, 3.0, 0.0, 0.0, 0.0, 0.0])
    assert channels_of(content, context(Net(kind, W, TWO_PIXELS))) == pytest.approx([0.5, 0.25, 0.0])


def test_content_takes_the_magnitude_in_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise above the value in one batch and below it in the next would cancel in a mean of gradients."""
    signs = iter([1.0, -1.0] * 4)
    monkeypatch.setattr(content_aware, "noisy", lambda x, rng: x + next(signs))
    assert weights_of(content, context())["first"][0].tolist() == pytest.approx([0.5, 0.5])


SQUARE = ((3.0, 3.0), (3.0, 1.0), (1.0, 3.0), (1.0, 1.0))
"""Latents with the mean (2, 2), a standard deviation of 1 along each axis and no correlation."""


@pytest.mark.parametrize("kind", KINDS)
def test_diversity_is_the_variance_of_a_filters_gradient_over_the_moves(kind: str) -> None:
    # W = diag(2, 1): the first layer varies along the axes, most along the first; V = [[1, 1], [1, -1]], all units on.
    # A move along e1 shifts both pixels one way: |sum_p s_p V_pc| = 2 for unit 0, 0 for unit 1; along e2 it shifts
    # them apart: 0 and 2. Times z, mean 2: filter gradients of 4 and 0, or 0 and 4; the variance of (4, 0) is 4.
    # For V the gradient is +- the mean of W z whatever the move: no variance.
    w, v = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    found = context(Net(kind, w, v), *SQUARE)
    assert channels_of(diversity, found) == pytest.approx([4.0, 4.0], rel=1e-5)
    assert diversity(context(Net(kind, w, v), *SQUARE))["last"].tolist() == pytest.approx([0.0, 0.0], abs=1e-9)


def test_the_moves_follow_the_first_layers_variance() -> None:
    # Variances of W z along e1 and e2 are 4 and 1; covariances with z squared: 4 and 1, shares .8 and .2.
    found = context(Net("linear", torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.ones(1, 2)), *SQUARE)
    directions, shares = principal_moves(Differentiable.of(found), input_batches(found, 4, 16))
    assert directions.abs().round(decimals=4).tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert shares.tolist() == pytest.approx([0.2, 0.8])


def test_a_move_is_two_standard_deviations_long_and_leaves_labels_alone() -> None:
    batch = (torch.tensor([3, 4]), torch.tensor([[0.0, 1.0], [6.0, 1.0]]))
    labels, moved = move(batch, torch.tensor([1.0, 0.0]))
    assert labels.tolist() == [3, 4]
    assert moved.tolist() == [[6.0, 1.0], [12.0, 1.0]]


def test_one_output_value_tells_no_directions_apart() -> None:
    """With one pixel the sign of the change drops out, so each move asks the same of every filter."""
    assert channels_of(diversity, context(Net(), *SQUARE)) == pytest.approx([0.0, 0.0, 0.0], abs=1e-9)


def test_a_generator_that_ignores_its_latents_can_still_be_scored() -> None:
    scores = diversity(context(Net("linear", W * 0), Z1))
    assert all(torch.isfinite(values).all() for values in scores.values())


def test_more_latent_dimensions_than_moves() -> None:
    found = context_of("dcgan")

    def draw(count: int, rng: torch.Generator) -> tuple[Tensor, ...]:
        return (torch.randn(count, latents("dcgan")[0].shape[1], generator=rng),)

    object.__setattr__(found, "draw_inputs", draw)
    assert all((values > 0).any() for values in diversity(found).values())

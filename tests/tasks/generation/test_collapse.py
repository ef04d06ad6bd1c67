"""When images are worth nothing: a property of the images, and of nobody who looks at them."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import bench.tasks.generation.collapse as module
from bench.tasks.generation.collapse import CHUNK, LEAST_DIVERSITY, collapse, constant, diversity

SHAPE = (1, 8, 8)


def balanced(amplitude: int, *, around: int = 128, count: int = 20) -> Tensor:
    """Images ``around +- amplitude`` that are each other's negatives: their diversity is the amplitude."""
    signs = torch.tensor([1, -1]).repeat(32).reshape(SHAPE)
    return torch.stack([around + amplitude * (signs if n % 2 else -signs) for n in range(count)]).to(torch.uint8)


def noise(seed: int, *, low: int = 0, high: int = 256, count: int = 20) -> Tensor:
    return torch.randint(low, high, (count, *SHAPE), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


# How far images differ


@pytest.mark.parametrize("amplitude", [1, 10, 120])
def test_the_diversity_of_images_that_are_each_others_negatives_is_their_amplitude(amplitude: int) -> None:
    assert diversity(balanced(amplitude)) == pytest.approx(amplitude, rel=1e-12)


def test_images_that_differ_in_brightness_alone_have_no_diversity() -> None:
    one = noise(0, high=100)[:1].int()
    assert diversity(torch.cat([one, one + 40, one + 120]).to(torch.uint8)) == pytest.approx(0, abs=1e-5)


def test_a_pattern_that_all_images_share_adds_nothing() -> None:
    shared = noise(1, high=100, count=1).int()
    assert diversity((balanced(10, around=60).int() + shared).to(torch.uint8)) == pytest.approx(10, rel=1e-12)


def test_diversity_is_that_of_the_definition_and_does_not_hang_on_how_images_are_cut() -> None:
    images = noise(2, count=CHUNK + 7)
    left = images.double() - images.double().mean((1, 2, 3), keepdim=True)
    expected = math.sqrt((left - left.mean(0)).square().mean())
    assert diversity(images) == pytest.approx(expected, rel=1e-12)
    assert diversity(images.flip(0)) == pytest.approx(expected, rel=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 3))
def test_diversity_is_finite_and_at_most_half_of_the_scale(seed: int, count: int, channels: int) -> None:
    images = torch.randint(0, 256, (count, channels, 3, 3), generator=torch.Generator().manual_seed(seed))
    assert 0 <= diversity(images.to(torch.uint8)) <= 127.5


# The rule, at both sides of its threshold


def test_a_tenth_of_what_dense_differs_by_is_the_least() -> None:
    """Not a number to be changed in passing: it was looked at (`LEAST_DIVERSITY` says where)."""
    assert LEAST_DIVERSITY == 0.1


@pytest.mark.parametrize(("amplitude", "lost"), [(1, True), (11, True), (12, False), (13, False), (120, False)])
def test_both_sides_of_the_threshold(amplitude: int, lost: bool) -> None:
    """Dense differs by 120 grey levels: a tenth is 12, and what has a tenth is not below it."""
    found = collapse(balanced(amplitude), True, balanced(120))
    assert bool(found) is lost
    if lost:
        assert found == (
            f"the images differ from each other by {amplitude / 120:.3f} of what dense's do, below 0.1: "
            "all images look alike"
        )


def test_grey_grounds_and_faint_strokes_are_no_collapse() -> None:
    """What IS called one image: the same strokes, two fifths as strong, on grey instead of black."""
    strokes = (noise(3) > 200).int() * 255
    assert collapse((100 + strokes * 2 // 5).to(torch.uint8), True, strokes.to(torch.uint8)) == ""


def test_only_dense_s_own_inputs_are_compared() -> None:
    """Dense keeps the first images only; what comes behind them says nothing."""
    first, rest = balanced(1, count=10), balanced(120, count=10)
    assert "look alike" in collapse(torch.cat([first, rest]), True, balanced(120, count=10))
    assert collapse(torch.cat([rest, first]), True, balanced(120, count=10)) == ""


# What needs no dense


def test_an_output_that_is_not_finite_is_collapsed_whatever_the_images() -> None:
    assert collapse(noise(4), False, noise(4)) == "the generator's output is not finite"
    assert collapse(noise(4), False, None) == "the generator's output is not finite"


@pytest.mark.parametrize("images", [
    torch.zeros(4, *SHAPE, dtype=torch.uint8),
    noise(5, count=1).repeat(4, 1, 1, 1),
    torch.tensor([0, 80, 160, 255], dtype=torch.uint8).reshape(4, 1, 1, 1).expand(4, *SHAPE),
], ids=["all the same value", "all the same image", "each of one value"])  # fmt: skip
def test_constant_images_are_collapsed_with_and_without_dense(images: Tensor) -> None:
    assert constant(images)
    assert collapse(images, True, None) == collapse(images, True, noise(6)) == "every image is the same constant"


def test_one_grey_level_of_one_image_is_enough_not_to_be_constant() -> None:
    images = torch.zeros(4, *SHAPE, dtype=torch.uint8)
    images[2, 0, 1, 1] = 1
    assert not constant(images)
    assert collapse(images, True, None) == ""
    assert "look alike" in collapse(images, True, noise(7))


def test_beside_a_dense_without_diversity_nothing_is_a_share() -> None:
    assert collapse(noise(8), True, torch.zeros(20, *SHAPE, dtype=torch.uint8)) == ""


def test_no_judge_is_asked() -> None:
    """Images go in, and nothing that was made of them."""
    assert set(inspect.signature(module.collapse).parameters) == {"images", "finite", "dense"}

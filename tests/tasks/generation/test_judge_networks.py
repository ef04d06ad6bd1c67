"""The judges' networks by their numbers: what they are made of, and what the fixed one says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.measure.complexity import count_macs
from bench.tasks.generation.extractors import EXTRACTORS
from bench.tasks.generation.judge_networks import CifarNet, DummyJudge, LeNet, convolution


def params(model: nn.Module) -> int:
    return sum(x.numel() for x in model.parameters())


def test_the_judge_of_colour_images_has_seven_convolutions_and_29_million_operations() -> None:
    net = CifarNet().eval()
    widths = [(3, 24), (24, 24), (24, 56), (56, 56), (56, 112), (112, 112), (112, 128)]
    # Convolutions without a bias; scale and shift of each norm; two linear layers with a bias.
    expected = sum(9 * a * b + 2 * b for a, b in widths) + (128 * 64 + 64) + (64 * 10 + 10)
    assert params(net) == expected
    sides = [32, 32, 16, 16, 8, 8, 4]
    macs = sum(9 * a * b * side**2 for (a, b), side in zip(widths, sides, strict=True)) + 128 * 64 + 64 * 10
    assert count_macs(net, (torch.zeros(1, 3, 32, 32),)).dense == macs == pytest.approx(29e6, rel=0.03)
    features, logits = net(torch.randn(5, 3, 32, 32))
    assert (features.shape, logits.shape) == ((5, 64), (5, 10))
    assert (features < 0).any()  # a leaky unit is never dead
    for judge in (net, LeNet()):
        assert judge.embed[1](torch.tensor([-1.0, 1.0])).tolist() == pytest.approx([-0.1, 1.0])


def test_the_judge_of_digits_has_three_convolutions_and_64_features() -> None:
    net = LeNet().eval()
    widths = [(1, 16), (16, 32), (32, 32)]
    expected = sum(9 * a * b + b + 2 * b for a, b in widths) + (32 * 49 * 64 + 64) + (64 * 10 + 10)
    assert params(net) == expected
    features, logits = net(torch.randn(3, 1, 28, 28))
    assert (features.shape, logits.shape) == ((3, 64), (3, 10))


def test_a_convolution_keeps_the_side_and_ends_in_what_is_not_negative() -> None:
    layers = nn.Sequential(*convolution(3, 5)).eval()
    out = layers(torch.randn(2, 3, 7, 7))
    assert out.shape == (2, 5, 7, 7) and (out >= 0).all() and (out == 0).any()


def test_the_fixed_judge_names_the_brightest_corner() -> None:
    images = torch.full((4, 1, 8, 8), -1.0)
    for corner, (y, x) in enumerate(((0, 0), (0, 4), (4, 0), (4, 4))):
        images[corner, :, y : y + 4, x : x + 4] = 1.0
    features, logits = DummyJudge().eval()(images)
    assert features.shape == (4, 6)
    # The mean of the four corners is -1/2: the bright one is 3/2 above it, the others 1/2 below.
    assert torch.equal(logits, 30 * (2 * torch.eye(4) - 0.5))


def test_the_shipped_judges_take_images_of_their_data() -> None:
    found = {name: EXTRACTORS[name]() for name in ("mnist-lenet", "cifar-net", "dummy-judge")}
    shapes = {name: (judge.image_shape, judge.width, judge.classes) for name, judge in found.items()}
    assert shapes == {
        "mnist-lenet": ((1, 28, 28), 64, 10),
        "cifar-net": ((3, 32, 32), 64, 10),
        "dummy-judge": ((1, 8, 8), 6, 4),
    }
    assert not any(judge.standard for judge in found.values())

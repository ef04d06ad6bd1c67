"""Distances in a judge's layers: by hand on two layers, properties, and judges that have nothing to look into."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.base.errors import UserError
from bench.tasks.generation.extractors import EXTRACTORS, extractor_of
from bench.tasks.generation.layers import layer_distance


def images(seed: int, count: int = 5, size: int = 28) -> Tensor:
    return torch.randint(0, 256, (count, 1, size, size), generator=torch.Generator().manual_seed(seed)).byte()


class Two(nn.Module):
    """Two channels that a second layer reads, one a half of the image; in-place, as judges are."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.second = nn.Conv2d(1, 2, 1, bias=False), nn.ReLU(inplace=True), nn.Linear(2, 3)
        with torch.no_grad():
            self.first.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        read = self.act(self.first(x)).mean((2, 3))
        found: Tensor = self.second(read)
        read.zero_()  # what came later changes nothing
        return found


def test_by_hand_it_is_the_squared_distance_of_directions_that_the_second_layer_reads() -> None:
    judge = extractor_of("two", Two(), (1, 2, 2))
    white, black = torch.full((1, 1, 2, 2), 255).byte(), torch.zeros(1, 1, 2, 2).byte()
    half = torch.tensor([255, 255, 0, 0]).byte().view(1, 1, 2, 2)
    # The second layer reads (1, 0) of white, (0, 1) of black, (.5, .5) of half.
    found = layer_distance(judge, torch.cat([white, white, half]), torch.cat([black, half, half]))
    np.testing.assert_allclose(found, [2, 2 - np.sqrt(2), 0], atol=1e-6)


def test_every_layer_but_the_first_counts_the_same() -> None:
    """A deeper judge has a mean, not a sum: two equal layers give what one gives."""

    class Three(Two):
        def forward(self, x: Tensor) -> Tensor:
            read = self.act(self.first(x)).mean((2, 3))
            return torch.cat([self.second(read), self.second(read)], 1)

    white, half = torch.full((1, 1, 2, 2), 255).byte(), torch.tensor([255, 255, 0, 0]).byte().view(1, 1, 2, 2)
    one, more = (layer_distance(extractor_of("j", m, (1, 2, 2)), white, half) for m in (Two(), Three()))
    np.testing.assert_allclose(one, more)


def test_equal_images_are_not_apart_and_it_is_symmetric_and_pair_by_pair() -> None:
    judge = EXTRACTORS["mnist-lenet"]()
    a, b = images(0), images(1)
    assert (layer_distance(judge, a, a) == 0).all()
    found = layer_distance(judge, a, b)
    assert ((found > 0) & (found < 4)).all()
    np.testing.assert_allclose(layer_distance(judge, b, a), found, rtol=1e-5)
    np.testing.assert_allclose(layer_distance(judge, a[2:], b[2:]), found[2:], rtol=1e-4)
    np.testing.assert_allclose(layer_distance(replace(judge, batch=2), a, b), found, rtol=1e-4)


def test_more_noise_is_farther_and_the_judge_judges_as_before() -> None:
    judge = EXTRACTORS["mnist-lenet"]()
    a, before = images(2), judge(images(2))[0]
    near = (a.int() + torch.randint(-4, 5, a.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 255).byte()
    assert layer_distance(judge, a, near).mean() < 0.5 * layer_distance(judge, a, images(3)).mean()
    assert torch.equal(judge(a)[0], before)
    assert not any(module._forward_pre_hooks for module in judge.module.modules())


def test_channels_of_tokens_come_last() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.second(self.first(x.flatten(1).view(len(x), 2, 2)) * 0 + x.view(len(x), 2, 2)).mean(1)
            return found

    judge = extractor_of("tokens", Tokens(), (1, 2, 2))
    a, b = (torch.tensor(v).byte().view(1, 1, 2, 2) for v in ([255, 255, 0, 0], [255, 0, 0, 255]))
    # Tokens (1, 1), (-1, -1) against (1, -1), (-1, 1): each at a right angle.
    np.testing.assert_allclose(layer_distance(judge, a, b), [2], atol=1e-2)


def test_a_judge_without_a_second_layer_is_refused_by_name() -> None:
    judge = extractor_of("flat", nn.Sequential(nn.Flatten(), nn.Linear(784, 3)), (1, 28, 28))
    with pytest.raises(
        UserError, match=r"'layer-distance' looks into the layers of extractor 'flat', which has no sec"
    ):
        layer_distance(judge, images(0), images(1))


def test_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one by one"):
        layer_distance(EXTRACTORS["mnist-lenet"](), images(0), images(0)[:3])

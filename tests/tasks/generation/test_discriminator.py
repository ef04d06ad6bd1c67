"""Which share of images D takes for real."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bench.tasks.generation.discriminator import says_real


class Brightness(nn.Module):
    """Real is what is bright; in training mode everything is."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return torch.ones(len(x)) if self.dropout.training else x.mean((1, 2, 3))


def images(*levels: int) -> Tensor:
    return torch.stack([torch.full((1, 2, 2), level, dtype=torch.uint8) for level in levels])


def test_the_share_above_zero_is_counted_over_all_batches() -> None:
    # In [-1, 1], 128 is the first level above zero.
    assert says_real(Brightness().eval(), images(0, 127, 128, 255)) == 0.5
    assert says_real(Brightness().eval(), images(*[255] * 300, *[0] * 100)) == 0.75


def test_d_judges_in_eval_mode_and_is_left_as_it_was() -> None:
    judge = Brightness().train()
    assert says_real(judge, images(0, 0)) == 0
    assert judge.training and judge.dropout.training


@pytest.mark.parametrize("wrong", [torch.zeros(1, 1, 2, 2), torch.zeros(0, 1, 2, 2, dtype=torch.uint8)])
def test_only_uint8_images_are_judged(wrong: Tensor) -> None:
    with pytest.raises(ValueError, match="uint8"):
        says_real(Brightness(), wrong)

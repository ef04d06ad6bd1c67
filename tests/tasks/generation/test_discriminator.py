"""Which share of images D takes for real."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from bench.base.kept import Kept
from bench.tasks.generation import evaluation
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


def test_what_the_shipped_d_says_of_fixed_images_is_asked_once_and_of_a_cell_s_own_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """8 real images, and 4 that a network drew; D says how bright."""
    asked: list[int] = []

    def counted(judging: nn.Module, shown: Tensor, device: object, given: object) -> float:
        asked.append(len(shown))
        return float((shown.float().mean((1, 2, 3)) > 127).double().mean())

    monkeypatch.setattr(evaluation, "says_real", counted)
    condition = SimpleNamespace(of_inputs=lambda inputs: (), fits=lambda labels: True, of_labels=lambda labels: ())
    data = SimpleNamespace(
        name="d", fingerprint="f" * 64, train_labels=torch.zeros(8), train_subset=lambda n: images(*[255] * 6, 0, 0)[:n]
    )
    gan = SimpleNamespace(
        data=data, device="cpu", workload=SimpleNamespace(condition=condition),
        checkpoint=SimpleNamespace(discriminator=Brightness()),
    )  # fmt: skip
    judge = SimpleNamespace(gan=gan, accuracies=Kept())

    def told(levels: tuple[int, ...], own: nn.Module | None = None) -> dict[str, float]:
        seen = SimpleNamespace(images=images(*levels), inputs=())
        dense = {"images": images(0, 0, 255, 255)}
        ask = evaluation.GenerationJudge.discriminator_accuracy
        found = ask(judge, seen, dense, own, "key")  # type: ignore[arg-type]
        return {name: number.value for name, number in found.items()}

    first = told((0, 0, 0, 255))
    assert asked == [4, 4, 4]
    second = told((255, 255, 255, 255))
    assert asked == [4, 4, 4, 4]  # those of the cell alone
    assert sorted(first.values()) == [0.5, 0.75, 1.0]  # rightly named: of dense's, of its own, of the real ones
    assert sorted(second.values()) == [0.0, 0.5, 1.0]
    told((0, 0, 0, 0), Brightness())
    assert asked == [4] * 7  # another D is asked about all


def test_a_logit_of_exactly_zero_calls_nothing_real() -> None:
    class Zero(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((1, 2, 3)) * 0

    assert says_real(Zero().eval(), images(0, 128, 255)) == 0


def test_d_goes_back_to_where_it_was_and_sees_what_it_is_given_with_each_image() -> None:
    class Given(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor, label: Tensor) -> Tensor:
            return self.weight * label.to(self.weight)

    judge = Given().train()
    labels = torch.tensor([1, -1, 1, 1])
    assert says_real(judge, images(0, 0, 0, 0), given=(labels,)) == 0.75
    assert says_real(judge, images(*[0] * 300), given=(torch.arange(300) - 30,)) == 269 / 300
    assert judge.weight.device.type == "cpu" and judge.training

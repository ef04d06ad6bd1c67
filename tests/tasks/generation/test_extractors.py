"""What is made of a network that judges."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.tasks.generation.extractors import extractor_of, nobody


def test_a_judge_is_frozen_in_eval_mode() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.Dropout()).train()
    extractor = extractor_of("mine", module, (1, 8, 8))
    assert not any(part.training for part in extractor.module.modules())
    assert not any(parameter.requires_grad for parameter in extractor.module.parameters())
    assert (extractor.width, extractor.classes) == (3, None)


def test_a_judge_of_any_images_is_seen_on_colours_of_32_by_32() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 5))
    assert extractor_of("mine", module, None).width == 5


@pytest.mark.parametrize(
    "module", [nn.Identity(), nn.Sequential(nn.Flatten(0)), nn.Sequential(nn.Flatten(), nn.Unflatten(1, (2, 32)))]
)
def test_features_of_another_form_are_refused(module: nn.Module) -> None:
    with pytest.raises(ValueError, match="not \\(1, d\\)"):
        extractor_of("mine", module, (1, 8, 8))


def test_its_batches_do_not_change_what_it_sees() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    images = torch.randint(0, 256, (23, 1, 8, 8), dtype=torch.uint8)
    whole, parts = (extractor_of("mine", module, (1, 8, 8), batch=batch)(images)[0] for batch in (250, 5))
    assert torch.allclose(whole, parts, atol=1e-6) and len(parts) == 23


def test_a_judge_may_return_features_alone_in_a_tuple_or_features_and_logits() -> None:
    class Returns(nn.Module):
        def __init__(self, count: int) -> None:
            super().__init__()
            self.count = count

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return (x.flatten(1)[:, :5], x.flatten(1)[:, 5:9])[: self.count]

    alone, both = (extractor_of("mine", Returns(count), (1, 8, 8)) for count in (1, 2))
    assert (alone.width, alone.classes) == (5, None) and (both.width, both.classes) == (5, 4)


def test_a_judge_sees_levels_from_minus_1_to_1_in_parts_and_gives_logits_with_features() -> None:
    seen: list[torch.Tensor] = []

    class Watched(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            seen.append(x)
            return x.flatten(1)[:, :2], x.flatten(1)[:, 1:4]

    judge = extractor_of("mine", Watched(), (1, 2, 2), batch=2)
    seen.clear()
    images = torch.tensor([[0, 255, 51, 204], [255, 0, 0, 0], [0, 0, 0, 255]], dtype=torch.uint8).view(3, 1, 2, 2)
    features, logits = judge(images)
    assert [len(part) for part in seen] == [2, 1]
    assert features.tolist() == [[-1, 1], [1, -1], [-1, -1]]
    assert logits is not None and logits[0].tolist() == pytest.approx([1, -0.6, 0.6])
    assert (judge.batch, judge.standard, extractor_of("mine", Watched(), (1, 2, 2)).batch) == (2, False, 250)
    assert extractor_of("mine", Watched(), (1, 2, 2), standard=True).standard


def test_logits_of_another_form_are_refused_and_a_given_fingerprint_is_kept() -> None:
    class Returns(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x.flatten(1), x

    with pytest.raises(ValueError, match="gives logits of shape"):
        extractor_of("mine", Returns(), (1, 2, 2))
    linear = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    assert extractor_of("mine", linear, (1, 2, 2), fingerprint="f").fingerprint == "f"
    other = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    assert extractor_of("m", linear, (1, 2, 2)).fingerprint != extractor_of("m", other, (1, 2, 2)).fingerprint


def test_nobody_judges_nothing() -> None:
    judge = nobody()
    assert (judge.name, judge.width, judge.classes, judge.image_shape, judge.fingerprint) == (
        "nobody",
        0,
        None,
        None,
        "",
    )

"""What a student is compared with."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.training.distil import Distillation, Weights, reading, relative_distance
from bench.workloads.networks import DummyDiscriminator, DummyGenerator
from strategies.base import NotApplicable
from strategies.slicing import shrink


def networks() -> tuple[nn.Module, nn.Module]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DummyGenerator().eval(), DummyDiscriminator().eval()


def loss(lesson: Any, teacher: nn.Module, student: nn.Module, **options: Any) -> Tensor:
    """Of one step, as the loop calls it."""
    hooks = Distillation(lesson, copy.deepcopy(teacher), **options)
    training: Any = SimpleNamespace(generator=student)
    inputs = (torch.randn(5, 8, generator=torch.Generator().manual_seed(1)),)
    hooks.before_step(0, training)
    return hooks.extra_loss(0, training, inputs, student(*inputs))


def test_the_distance_of_outputs_by_hand() -> None:
    teacher, student = nn.Linear(8, 1), nn.Linear(8, 1)
    student.load_state_dict({"weight": teacher.weight.detach(), "bias": teacher.bias.detach() + 0.25})
    assert loss("output", teacher, student, weights=Weights(output=4.0)).item() == pytest.approx(1.0)


def test_the_relative_distance_by_hand() -> None:
    student = {"a": torch.tensor([[1.0, 2.0]]), "b": torch.tensor([[3.0]])}
    teacher = {"a": torch.tensor([[1.0, 7.0, 4.0]]), "b": torch.tensor([[1.0]]), "c": torch.tensor([[9.0]])}
    kept = {"a": {"in": torch.tensor([0, 2])}}
    # a: ((1-1)^2 + (2-4)^2) / (1 + 16); b: (3-1)^2 / 1
    assert float(relative_distance(student, teacher, kept)) == pytest.approx((4 / 17 + 4) / 2)


def test_layers_of_another_shape_are_left_out_and_without_any_there_is_no_distance() -> None:
    student, teacher = {"a": torch.ones(1, 2), "b": torch.ones(1, 1)}, {"a": torch.ones(1, 3), "b": torch.zeros(1, 1)}
    assert float(relative_distance({"b": student["b"]}, {"b": torch.full((1, 1), 2.0)}, {})) == pytest.approx(0.25)
    with pytest.raises(NotApplicable, match="no layer whose input"):
        relative_distance({"a": student["a"]}, teacher, {})


@pytest.mark.parametrize("lesson", ["output", "feature", "dfeature"])
def test_a_student_that_is_its_teacher_has_nothing_to_learn(lesson: str) -> None:
    teacher, judge = networks()
    assert loss(lesson, teacher, copy.deepcopy(teacher), judge=judge).item() == 0.0


def test_a_smaller_student_is_compared_with_the_channels_that_it_kept() -> None:
    teacher, _ = networks()
    kept = {
        "net.0": {"out": torch.tensor([1, 4, 7])},
        "net.1": {"out": torch.tensor([1, 4, 7])},
        "net.3": {"in": torch.tensor([1, 4, 7])},
    }
    student = shrink(teacher, kept)
    inputs = (torch.randn(5, 8, generator=torch.Generator().manual_seed(1)),)
    seen: dict[str, Tensor] = {}
    aims: dict[str, Tensor] = {}
    with reading(student, seen), reading(teacher, aims):
        image, aim = student(*inputs), teacher(*inputs)
    assert list(seen) == list(aims) == ["net.3", "net.6"]  # all but what reads the latents
    assert torch.equal(seen["net.3"], aims["net.3"][:, [1, 4, 7]])
    expected = [
        ((a - b) ** 2).mean().item() / (b**2).mean().item() for a, b in ((seen["net.6"], aims["net.6"]), (image, aim))
    ]
    found = loss("feature", teacher, student, kept=lambda: kept, weights=Weights(feature=3.0))
    assert found.item() == pytest.approx(sum(expected))  # three layers of which one agrees, times three


def test_the_judge_compares_what_its_layers_read() -> None:
    teacher, judge = networks()
    student = DummyGenerator()
    inputs = (torch.randn(5, 8, generator=torch.Generator().manual_seed(1)),)
    convolution = judge.net[:3]  # type: ignore[index]
    with torch.no_grad():
        images = copy.deepcopy(student)(*inputs)
        one, other = convolution(images), convolution(teacher(*inputs))
    expected = ((one - other) ** 2).mean() / (other**2).mean()
    found = loss("dfeature", teacher, student, judge=judge, weights=Weights(dfeature=1.0))
    assert found.item() == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("lesson", ["output", "feature", "dfeature"])
def test_only_the_student_gets_a_gradient_and_no_hook_is_left(lesson: str) -> None:
    teacher, judge = networks()
    student = DummyGenerator()
    loss(lesson, teacher, student, judge=judge).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in student.parameters())
    assert all(p.grad is None for model in (teacher, judge) for p in model.parameters())
    assert not any(module._forward_pre_hooks for model in (teacher, judge, student) for module in model.modules())


def test_features_of_d_need_a_d() -> None:
    with pytest.raises(NotApplicable, match="there is none"):
        Distillation("dfeature", networks()[0])

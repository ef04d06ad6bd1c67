"""What must hold before anything runs on another device, seen without one."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from bench.base.precision import tf32, use_tf32
from bench.measure import blocks
from bench.measure.backends import BACKENDS
from bench.tasks.generation.discriminator import says_real
from bench.tasks.generation.extractors import EXTRACTORS
from bench.training.graphs import GraphedTraining
from bench.training.loop import GanTraining
from bench.workloads.networks import DummyDiscriminator, DummyGenerator
from strategies.layers import device_of


def test_tf32_is_as_it_was_afterwards() -> None:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    with tf32(True):
        assert torch.backends.cudnn.allow_tf32 and torch.backends.cuda.matmul.allow_tf32
        use_tf32(False)
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before


@pytest.mark.parametrize("backend", ["tf32", "cuda-graph", "nm-2-4"])
def test_backends_of_a_gpu_say_what_they_need(backend: str) -> None:
    assert "CUDA" in BACKENDS[backend].missing(torch.device("cpu"))


def test_a_judge_or_d_that_moves_can_still_be_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A move within inference mode leaves tensors that take no gradient; seen here by when the move happens."""
    moved: list[bool] = []
    true = nn.Module.to

    def to(self: nn.Module, *args: object, **more: object) -> nn.Module:
        moved.append(torch.is_inference_mode_enabled())
        return true(self, *args, **more)

    monkeypatch.setattr(nn.Module, "to", to)
    images = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    says_real(DummyDiscriminator(), images)
    EXTRACTORS["dummy-judge"]()(images)
    assert moved and not any(moved)


def test_a_network_without_tensors_is_on_the_cpu() -> None:
    assert device_of(nn.Tanh()) == torch.device("cpu")
    assert device_of(nn.Linear(1, 1, device="meta")) == torch.device("meta")


def test_a_recorded_training_refuses_what_it_cannot_record() -> None:
    model, judge = DummyGenerator(), DummyDiscriminator()
    from bench.workloads.builtin import BUILT_IN

    dummy = BUILT_IN["dummy"]
    images = torch.zeros(20, 1, 8, 8, dtype=torch.uint8)
    for kind in (GanTraining, GraphedTraining):
        made = lambda kind=kind: kind(  # noqa: E731
            copy.deepcopy(model),
            copy.deepcopy(judge),
            dummy.recipe.spec,
            images=images,
            sample=dummy.inputs.sample,
            steps=2,
            seed=0,
        )
        if kind is GanTraining:
            made().step()
        else:
            with pytest.raises(ValueError, match="CUDA"):
                made()


def test_a_host_that_was_switched_away_for_nothing_is_no_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert blocks._mattered(1.0, 0.5)
    assert not blocks._mattered(1.0, 0.999)

"""Agreement that is asked for by name: its numbers, their errors, and that nobody else is touched."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
import torch

from bench.base.errors import UserError
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.tasks import TASKS
from bench.tasks.evaluation import QualitySettings
from bench.tasks.generation.asked import PairedEvaluation
from bench.tasks.generation.evaluation import GenerationJudge
from bench.tasks.generation.layers import layer_distance
from bench.tasks.generation.paired import PairedJudge
from bench.tasks.generation.ssim import ssim
from bench.workloads.loaded import Gan

COUNT = 60


@functools.cache
def gan(name: str = "mnist-mlp") -> Gan:
    return Workshop(Settings(num_images=COUNT)).load(name, "shipped").gan


def judge(*metrics: str, name: str = "mnist-mlp") -> GenerationJudge:
    found = PairedEvaluation().judge(gan(name), QualitySettings(COUNT, metrics))
    assert isinstance(found, GenerationJudge)
    return found


def worse() -> torch.nn.Module:
    """The generator with noise on its weights."""
    import copy

    made = copy.deepcopy(gan().checkpoint.generator)
    drawn = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in made.parameters():
            weight += 0.3 * weight.std() * torch.randn(weight.shape, generator=drawn)
    return made


@functools.cache
def compared() -> tuple[GenerationJudge, Any, Any, dict[str, Any]]:
    one = judge("fid", "ssim", "layer-distance")
    inputs = one.draw(3)
    dense, seen = one.see(gan().checkpoint.generator, inputs), one.see(worse(), inputs)
    return one, dense, seen, one.agreement(seen, one.compared(dense), "key")


def test_the_tasks_judge_is_another_only_for_who_asks() -> None:
    assert type(judge("fid", "is")) is GenerationJudge
    assert type(judge("fid", "ssim")) is PairedJudge
    made = TASKS["generation"].evaluation().judge(gan(), QualitySettings(COUNT, ("layer-distance",)))
    assert type(made) is PairedJudge


def test_numbers_are_means_over_pairs_with_their_errors() -> None:
    one, dense, seen, numbers = compared()
    expected = {
        "ssim-to-dense": ssim(seen.images, dense.images),
        "layer-distance-to-dense[mnist-lenet]": layer_distance(one.extractor, seen.images, dense.images),
    }
    for name, each in expected.items():
        assert numbers[name].value == pytest.approx(each.mean())
        assert numbers[name].error == pytest.approx(each.std(ddof=1) / math.sqrt(COUNT))
        assert numbers[name].num_images == COUNT
        np.testing.assert_allclose(one.contributions(seen)[name].linear, each - each.mean())
    assert numbers["ssim-to-dense"].version == "ssim-gaussian1.5-uint8-1"
    judged = one.extractor.fingerprint[:12]
    assert numbers["layer-distance-to-dense[mnist-lenet]"].version == f"layer-distance-1/{judged}"
    assert one.versions["ssim"] == f"ssim-gaussian1.5-uint8-1/mnist-lenet-{judged}/n{COUNT}-uint8"


def test_what_is_always_measured_is_as_it_was() -> None:
    one, dense, seen, numbers = compared()
    plain = judge("fid")
    assert plain.agreement(seen, plain.compared(dense), "key").items() <= numbers.items()
    assert plain.numbers(seen) == one.numbers(seen)
    assert set(plain.contributions(seen)) == {"fid-inf[mnist-lenet]"}
    assert plain.versions.items() < one.versions.items()


def test_dense_itself_has_none_and_agrees_with_itself() -> None:
    one, dense, _, _ = compared()
    assert set(one.contributions(dense)) == {"fid-inf[mnist-lenet]"}
    again = one.see(gan().checkpoint.generator, one.draw(3))
    itself = one.agreement(again, one.compared(dense), "key")
    assert itself["ssim-to-dense"].value == pytest.approx(1)
    assert itself["layer-distance-to-dense[mnist-lenet]"].value == 0
    assert itself["layer-distance-to-dense[mnist-lenet]"].error == 0


def test_images_that_the_window_does_not_fit_into_are_refused_before_anything_is_judged() -> None:
    with pytest.raises(
        UserError, match=r"'ssim' needs images of at least 11 x 11 pixels, workload 'dummy' makes 8 x 8"
    ):
        judge("ssim", name="dummy")
    assert judge("layer-distance", name="dummy").metrics == ("layer-distance",)

"""A workload's judge from outside: what it draws, sees, says and refuses."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.base.errors import UserError
from bench.base.seeds import stream
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.tasks.evaluation import QualitySettings
from bench.tasks.generation.evaluation import AGREEMENT_IMAGES, GenerationEvaluation, GenerationJudge, Images
from bench.tasks.generation.extractors import EXTRACTORS
from bench.tasks.generation.frechet import frechet_distance
from bench.workloads.data import Statistics
from bench.workloads.generate import generate
from bench.workloads.loaded import Gan

COUNT = 40


@functools.cache
def gan() -> Gan:
    return Workshop(Settings(num_images=COUNT)).load("dummy", "shipped").gan


def judge(count: int = COUNT, metrics: tuple[str, ...] = ("fid", "is"), **others: Any) -> GenerationJudge:
    return GenerationEvaluation().judge(gan(), QualitySettings(count, metrics, **others))


@functools.cache
def seen_of_dense() -> Images:
    return judge().see(gan().checkpoint.generator, judge().draw(3))


class Draws(nn.Module):
    """The same image for every latent, or what is no number."""

    def __init__(self, value: float | Tensor) -> None:
        super().__init__()
        self.value = torch.as_tensor(value)

    def forward(self, z: Tensor) -> Tensor:
        return self.value.expand(len(z), 1, 8, 8)


def test_inputs_are_those_of_the_seeds_evaluation_and_seen_once() -> None:
    (expected,) = gan().workload.inputs.sample(COUNT, stream(3, "eval"))
    assert torch.equal(judge().draw(3)[0], expected) and not torch.equal(judge().draw(4)[0], expected)
    seen = seen_of_dense()
    images, finite = generate(gan().checkpoint.generator, (expected,))
    assert torch.equal(seen.images, images) and seen.finite is finite is True
    assert seen.judged.features.shape == (COUNT, 6)


def test_what_leads_is_the_distance_to_the_training_images() -> None:
    one = judge()
    expected = frechet_distance(one.reference.train, seen_of_dense().judged.gaussian)
    assert one.leading(gan().checkpoint.generator, one.draw(3)) == pytest.approx(expected)
    assert one.numbers(seen_of_dense())["fid[dummy-judge]"].value == pytest.approx(expected)
    assert one.leading(Draws(torch.nan), one.draw(3)) is None


def test_an_output_that_is_not_finite_has_no_numbers_and_is_no_network() -> None:
    one = judge()
    lost = one.see(Draws(torch.nan), one.draw(3))
    assert not lost.finite
    assert {number.value for number in one.numbers(lost).values()} == {None} and one.contributions(lost) == {}
    assert one.collapse(lost, None, trained=True) == "the generator's output is not finite"


def test_only_metrics_of_the_task_that_are_asked_for_are_measured() -> None:
    asked = judge(metrics=("is", "another-tasks"))
    assert asked.metrics == ("is",)
    assert {name.partition("[")[0] for name in asked.numbers(seen_of_dense())} == {"is"}
    assert judge(metrics=()).extractor.name == "nobody"
    assert judge(metrics=("is",)).floor() == {} and judge(metrics=("fid",)).floor() != {}


def test_as_many_training_images_as_are_generated_are_compared_where_a_metric_compares_them() -> None:
    assert judge(metrics=("fid", "is")).real == 0
    assert judge(metrics=("fid", "kid")).real == COUNT
    assert judge(10**6, metrics=("prc",)).real == len(gan().data.train)


def test_dense_agrees_with_itself_on_the_first_images() -> None:
    one = judge(AGREEMENT_IMAGES + 5)
    many = one.see(gan().checkpoint.generator, one.draw(3))
    dense = one.compared(many)
    assert set(dense) == set(one.compared_names) and len(dense["images"]) == len(dense["features"]) == AGREEMENT_IMAGES
    found = one.agreement(many, dense, "key")
    assert {name.partition("[")[0]: number.value for name, number in found.items()} == {
        "psnr-to-dense": 99.0,
        "feature-distance-to-dense": 0.0,
    }
    assert torch.equal(one.samples(many)["images"], many.images[:16])


def test_a_network_that_draws_one_image_has_collapsed_beside_dense() -> None:
    one = judge()
    picture = torch.linspace(-1, 1, 64).view(1, 8, 8)

    class Nearly(Draws):
        """One picture, of which a single pixel of a single image is another."""

        def forward(self, z: Tensor) -> Tensor:
            made = super().forward(z).clone()
            made[0, 0, 0, 0] = 0.0
            return made

    seen = one.see(Nearly(picture), one.draw(3))
    dense = one.compared(seen_of_dense())
    assert "look alike" in one.collapse(seen, dense, trained=False)
    assert one.collapse(seen_of_dense(), dense, trained=False) == ""
    # Without dense's images a network that was trained is compared with the one that it was before.
    assert "look alike" in one.collapse(seen, None, trained=True)
    assert one.collapse(seen_of_dense(), None, trained=True) == ""
    assert one.collapse(seen, None, trained=False) == ""
    assert one.collapse(seen, {"images": seen.images}, trained=True) == ""  # alike in the same way


@pytest.mark.parametrize(("count", "flagged"), [(9_999, True), (10_000, False)])
def test_few_images_are_flagged(count: int, flagged: bool) -> None:
    one = replace(judge(), settings=QualitySettings(count, ("fid",)))
    assert ("small-n" in one.flags(seen_of_dense())) is flagged


@pytest.mark.parametrize(
    ("count", "metrics", "flagged"), [(6, ("fid",), True), (7, ("fid",), False), (6, ("is",), False)]
)
def test_no_more_images_than_features_are_flagged_where_fid_is_measured(
    count: int, metrics: tuple[str, ...], flagged: bool
) -> None:
    one = judge(count, metrics)
    seen = one.see(gan().checkpoint.generator, one.draw(0))
    assert ("low-rank-fid" in one.flags(seen)) is flagged


def test_judges_of_one_workload_share_what_they_know_of_the_real_images() -> None:
    evaluation = GenerationEvaluation()
    first, again = (evaluation.judge(gan(), QualitySettings(COUNT, ("fid",))) for _ in range(2))
    other = evaluation.judge(gan(), QualitySettings(COUNT + 1, ("fid",)))
    assert first.reference is again.reference is not other.reference
    assert first.extractor is again.extractor
    assert judge(metrics=("fid",)).reference.floor is not None


def test_judges_and_metrics_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match=r"'mnist-lenet' judges images of \(1, 28, 28\)"):
        judge(extractor="mnist-lenet")
    without = replace(EXTRACTORS["dummy-judge"](), classes=None)
    evaluation = GenerationEvaluation()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "_extractor", lambda *_: without)
        with pytest.raises(UserError, match=r"'is' needs class scores"):
            evaluation.judge(gan(), QualitySettings(COUNT, ("fid", "is")))
        assert evaluation.judge(gan(), QualitySettings(COUNT, ("fid",))).metrics == ("fid",)
    numbers = replace(gan().data, statistics=Statistics(np.zeros(6), np.eye(6), None))
    reference = replace(gan(), data=numbers)
    with pytest.raises(UserError, match=r"'kid' compares image with image"):
        GenerationEvaluation().judge(reference, QualitySettings(COUNT, ("fid", "kid")))
    assert GenerationEvaluation().judge(reference, QualitySettings(COUNT, ("fid",))).metrics == ("fid",)

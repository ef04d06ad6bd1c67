"""Numbers of folds: each of its own inputs against its own real images."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bench.base.errors import UserError
from bench.base.seeds import stream
from bench.sweep.resolved import Loaded
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.tasks.generation.extractors import EXTRACTORS
from bench.tasks.generation.folds import GenerationFolds
from bench.tasks.generation.frechet import frechet_distance
from bench.tasks.generation.gaussian import fit
from bench.tasks.generation.quality import inception_score, judge
from bench.workloads.generate import generate

COUNT, IMAGES, SEED = 3, 40, 5


@functools.cache
def loaded() -> Loaded:
    return Workshop(Settings(num_images=IMAGES)).load("dummy", "shipped")


def folds(metric: str) -> GenerationFolds:
    return GenerationFolds(loaded().gan, EXTRACTORS["dummy-judge"](), COUNT, IMAGES, SEED, metric)


def test_the_values_are_those_of_each_part_by_itself() -> None:
    gan, extractor = loaded().gan, EXTRACTORS["dummy-judge"]()
    inputs = gan.workload.inputs.sample(COUNT * IMAGES, stream(SEED, "eval", "tune"))
    order = torch.randperm(len(gan.data.train), generator=stream(SEED, "eval", "tune", "reals"))
    distances, scores = [], []
    for fold, part in enumerate(order.tensor_split(COUNT)):
        images, _ = generate(gan.checkpoint.generator, tuple(x[fold * IMAGES : (fold + 1) * IMAGES] for x in inputs))
        seen, real = judge(extractor, images), judge(extractor, gan.data.train[part])
        assert seen.logits is not None
        distances.append(frechet_distance(fit(real.features), fit(seen.features)))
        scores.append(inception_score(seen.logits))
    assert folds("fid").values(gan.checkpoint.generator) == pytest.approx(distances, rel=1e-4)
    assert folds("is").values(gan.checkpoint.generator) == pytest.approx(scores, rel=1e-4)
    assert len(set(np.round(distances, 6))) == COUNT


def test_an_output_that_is_not_finite_has_no_values() -> None:
    class Lost(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return torch.full((len(z), 1, 8, 8), torch.nan)

    assert folds("fid").values(Lost()) is None


def test_too_few_images_and_a_judge_without_classes_are_refused() -> None:
    gan, extractor = loaded().gan, EXTRACTORS["dummy-judge"]()
    with pytest.raises(UserError, match="too few for so many"):
        GenerationFolds(gan, extractor, 10_000, 5, 0, "fid")
    with pytest.raises(UserError, match="has no classes"):
        GenerationFolds(gan, replace(extractor, classes=None), 2, 5, 0, "is")


def test_two_training_images_a_fold_are_enough_and_every_fold_has_its_own_inputs() -> None:
    gan, extractor = loaded().gan, EXTRACTORS["dummy-judge"]()
    count = len(gan.data.train) // 2
    assert len(GenerationFolds(gan, extractor, count, 1, 0, "is").inputs[0]) == count
    with pytest.raises(UserError, match="too few"):
        GenerationFolds(gan, extractor, count + 1, 1, 0, "is")
    assert GenerationFolds(gan, extractor, 2, 5, 0, "is").reals == []
    assert len(GenerationFolds(gan, extractor, 2, 5, 0, "fid").reals) == 2

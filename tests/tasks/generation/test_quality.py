"""IS against its definition, and what the judge refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax

from bench.tasks.generation.extractors import EXTRACTORS, Extractor
from bench.tasks.generation.quality import (
    Judged,
    Reference,
    gaussian_and_first,
    inception_score,
    is_splits,
    judge,
    quality,
    reference,
)
from bench.workloads.data import dummy_blobs


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return EXTRACTORS["dummy-judge"]()


def logits(rows: int = 300, classes: int = 10) -> NDArray[np.float32]:
    return (3 * np.random.default_rng(0).normal(size=(rows, classes))).astype(np.float32)


def exp_mean_kl(values: NDArray[np.float32]) -> float:
    """IS by its definition: exp of the mean Kullback-Leibler divergence of p(y|x) from p(y)."""
    log_p = log_softmax(values.astype(np.float64), axis=1)
    marginal = np.exp(log_p).mean(0)
    return float(np.exp((np.exp(log_p) * (log_p - np.log(marginal))).sum(1).mean()))


def test_inception_score_is_the_exponential_of_the_mean_divergence() -> None:
    assert inception_score(logits()) == pytest.approx(exp_mean_kl(logits()), rel=1e-12)


def test_inception_score_of_certain_and_even_predictions_is_the_number_of_classes() -> None:
    assert inception_score(np.tile(100 * np.eye(10, dtype=np.float32), (20, 1))) == pytest.approx(10)


def test_inception_score_of_one_class_is_one() -> None:
    assert inception_score(np.tile(100 * np.eye(10, dtype=np.float32)[:1], (50, 1))) == pytest.approx(1)


def test_inception_score_does_not_depend_on_the_order_of_the_images() -> None:
    assert inception_score(logits()[::-1].copy()) == pytest.approx(inception_score(logits()), rel=1e-12)


def test_inception_score_is_split_in_ten_where_each_split_keeps_500_images() -> None:
    assert [is_splits(n) for n in (1_000, 4_999, 5_000, 50_000)] == [1, 1, 10, 10]


def test_judge_refuses_images_that_are_not_uint8(extractor: Extractor) -> None:
    with pytest.raises(TypeError, match="uint8"):
        judge(extractor, torch.zeros(2, 1, 8, 8))


def test_judge_refuses_images_of_another_shape(extractor: Extractor) -> None:
    with pytest.raises(ValueError, match=r"\(1, 8, 8\)"):
        judge(extractor, torch.zeros(2, 1, 9, 9, dtype=torch.uint8))


def test_judged_features_do_not_depend_on_what_else_is_judged(extractor: Extractor) -> None:
    images = dummy_blobs().train[:300]
    alone = judge(extractor, images[:7]).features
    assert judge(extractor, images).features[:7] == pytest.approx(alone, abs=1e-6)


def test_fid_of_the_training_images_to_themselves_is_zero(extractor: Extractor) -> None:
    data = dummy_blobs()
    assert quality(judge(extractor, data.train), reference(extractor, data)).fid == pytest.approx(0, abs=1e-9)


def test_generalisation_gap_is_positive_for_a_copy_of_the_training_subset(extractor: Extractor) -> None:
    data = dummy_blobs()
    copied = quality(judge(extractor, data.train[: len(data.held_out)]), reference(extractor, data))
    assert copied.generalisation_gap == copied.fid_held_out - copied.fid_train_subset
    assert copied.fid_train_subset == pytest.approx(0, abs=1e-9)
    assert copied.generalisation_gap > 0


def test_generalisation_gap_is_negative_for_a_copy_of_the_held_out_images(extractor: Extractor) -> None:
    data = dummy_blobs()
    assert quality(judge(extractor, data.held_out), reference(extractor, data)).generalisation_gap < 0


def test_quality_says_how_many_images_it_saw(extractor: Extractor) -> None:
    data = dummy_blobs()
    judged = judge(extractor, data.train)
    few = Judged(judged.features[:50], judged.logits[:50])
    assert quality(few, reference(extractor, data)).num_images == 50


def test_features_are_the_fields_own_only_where_the_judge_says_so(extractor: Extractor) -> None:
    given = reference(extractor, dummy_blobs())
    assert not given.standard and not Reference(given.train, None, None).standard
    assert reference(replace(extractor, standard=True), dummy_blobs()).standard


def test_many_images_are_seen_in_parts_and_give_the_same(extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    images = dummy_blobs().train[:90]
    whole, first = gaussian_and_first(extractor, images, 25)
    monkeypatch.setattr("bench.tasks.generation.quality.LARGE", 90 * extractor.width - 1)
    monkeypatch.setattr("bench.tasks.generation.quality.CHUNK_ROWS", 20)
    parts, again = gaussian_and_first(extractor, images, 25)
    assert parts.count == whole.count == 90
    assert parts.mean == pytest.approx(whole.mean, abs=1e-6)
    assert parts.covariance == pytest.approx(whole.covariance, abs=1e-6)
    assert first.shape == again.shape == (25, extractor.width)
    assert first == pytest.approx(again, abs=1e-6)
    assert gaussian_and_first(extractor, images, 500)[1].shape == (90, extractor.width)  # no more than there are

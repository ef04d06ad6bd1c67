"""What is said of a judge and a reference before anything runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.tasks.generation.classifier import accuracy
from bench.tasks.generation.extractors import EXTRACTORS, Extractor
from bench.tasks.generation.fitness import of_extractor, of_reference
from bench.workloads.data import ImageData, Statistics, dummy_blobs, split_by_hash

JUDGE = EXTRACTORS["dummy-judge"]()
WIDTH = JUDGE.width


def notes(num_images: int, metrics: tuple[str, ...] = ("fid",)) -> list[str]:
    return [text for kind, text in of_extractor(JUDGE, dummy_blobs(), None, metrics, num_images) if kind == "note"]


@pytest.mark.parametrize(("num_images", "few"), [(WIDTH - 1, True), (WIDTH, True), (WIDTH + 1, False), (1000, False)])
def test_no_more_generated_images_than_features_is_said_before_the_run(num_images: int, few: bool) -> None:
    found = notes(num_images)
    assert bool(found) is few
    if few:
        assert f"{num_images:,} generated images for {WIDTH} features" in found[0] and "`low-rank-fid`" in found[0]


def test_without_fid_nothing_is_said_of_its_rank() -> None:
    assert notes(2, ("kid",)) == []


def test_few_images_of_the_reference_are_said_apart() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (WIDTH, 1, 8, 8)).astype(np.uint8)
    few = split_by_hash("few", images, np.zeros(len(images), np.int64))
    found = [text for kind, text in of_extractor(JUDGE, few, None, ("fid",), WIDTH) if kind == "note"]
    assert [text.partition(":")[0] for text in found] == ["reference", "quality.num_images"]


def test_samples_of_dense_are_not_called_images_of_a_reference() -> None:
    ((_, said),) = of_reference(replace(dummy_blobs(), name="dense-samples"))
    assert "samples of the dense generator itself" in said and "no real images" in said
    assert "samples of the dense generator" not in next(of_reference(dummy_blobs()))[1]


def only(count: int) -> ImageData:
    """A reference of ``count`` images."""
    blobs = dummy_blobs()
    return replace(blobs, train=blobs.train[:1].expand(count, -1, -1, -1))


def said_of_reference(data: ImageData) -> list[str]:
    found = [text for kind, text in of_extractor(JUDGE, data, None, ("fid",), 1000) if kind == "note"]
    return [text for text in found if text.startswith("reference:")]


@pytest.mark.parametrize(("count", "few"), [(WIDTH - 1, True), (WIDTH, True), (WIDTH + 1, False), (1000, False)])
def test_no_more_images_of_the_reference_than_features_is_said(count: int, few: bool) -> None:
    found = said_of_reference(only(count))
    assert bool(found) is few
    assert not few or f"{count:,} images for {WIDTH} features" in found[0]


def statistics(count: int | None, width: int = 4) -> ImageData:
    found = Statistics(np.zeros(width), np.eye(width), count)
    return replace(only(0), statistics=found)


def test_of_statistics_that_come_without_images_nothing_is_said_of_their_number() -> None:
    assert said_of_reference(statistics(None)) == []


@pytest.mark.parametrize(("count", "few"), [(3, True), (4, True), (5, False), (None, False)])
def test_statistics_of_no_more_images_than_features_are_said(count: int | None, few: bool) -> None:
    kinds = [kind for kind, _ in of_reference(statistics(count))]
    assert kinds == (["ok", "note"] if few else ["ok"])


def test_classes_are_named_up_to_ten() -> None:
    names = tuple("abcdefghijk")
    (_, ten), (_, eleven) = (next(of_reference(replace(dummy_blobs(), classes=names[:k]))) for k in (10, 11))
    assert ten.endswith("; 10 classes: a, b, c, d, e, f, g, h, i, j")
    assert eleven.endswith("; 11 classes: a, b, c, d, e, f, g, h, i, j, ...")
    assert "classes" not in next(of_reference(dummy_blobs()))[1]


def test_a_judge_is_described_by_its_numbers_and_how_well_it_names_held_out_images() -> None:
    def said(judge: Extractor, labelled: ImageData | None = None) -> str:
        return next(of_extractor(judge, dummy_blobs(), labelled, ("kid",), 1000))[1]

    assert said(JUDGE) == "extractor: dummy-judge, 6 features, 4 classes"
    assert said(replace(JUDGE, classes=None)) == "extractor: dummy-judge, 6 features, no classes"
    data = dummy_blobs()
    right = accuracy(JUDGE, data)
    assert said(JUDGE, data).endswith(f"; names {right:.0%} of the held-out images rightly")


def test_a_reference_is_described_by_its_images() -> None:
    data = dummy_blobs()
    ((kind, said),) = of_reference(replace(data, classes=()))
    assert (kind, said) == (
        "ok",
        f"reference: {data.name}, {len(data.train):,} images, {len(data.held_out):,} more held out",
    )
    ((_, of_numbers),) = of_reference(statistics(None))
    assert of_numbers.startswith(
        "reference: statistics of 4 features, no images; FID to held-out images, KID, CMMD, MIND, prc and"
    )

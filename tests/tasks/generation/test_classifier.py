"""The judge that is trained on the user's labelled images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.base.errors import UserError
from bench.tasks.generation.classifier import FEATURES, Classifier, Recipe, accuracy, auto_classifier
from bench.workloads.data import ImageData, split_by_hash
from tests.helpers.pictures import pictures

SHORT = Recipe(steps=60, batch=32, width=8)
SHAPE = (3, 16, 16)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANPRUNE_CACHE", str(tmp_path))
    return tmp_path


def data(seed: int = 0, labels: int = 3) -> ImageData:
    images = pictures(90, seed=seed).transpose(0, 3, 1, 2)
    return split_by_hash("bars", np.ascontiguousarray(images), (np.arange(90) % labels).astype(np.int64))


def test_it_learns_to_tell_classes_apart_that_look_different(cache: Path) -> None:
    extractor = auto_classifier(data(), SHAPE, SHORT)
    assert (extractor.name, extractor.width, extractor.classes) == ("auto-classifier", FEATURES, 3)
    assert accuracy(extractor, data()) > 0.9
    assert list(cache.rglob("*.safetensors"))


def test_it_is_trained_once_for_the_same_images_and_labels(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = auto_classifier(data(), SHAPE, SHORT)

    def never(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("bench.tasks.generation.classifier.train_classifier", never)
    assert auto_classifier(data(), SHAPE, SHORT).fingerprint == first.fingerprint
    for other in (data(seed=1), data(labels=2)):
        with pytest.raises(AssertionError, match="trained again"):
            auto_classifier(other, SHAPE, SHORT)


def test_two_trainings_give_the_same_and_leave_the_global_stream_alone(cache: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = auto_classifier(data(), SHAPE, SHORT)
    assert torch.equal(torch.rand(1), expected)
    for file in cache.rglob("*.safetensors"):
        file.unlink()
    assert auto_classifier(data(), SHAPE, SHORT).fingerprint == first.fingerprint


@pytest.mark.parametrize("shape", [(1, 5, 5), (3, 64, 64), (3, 16, 40), (1, 256, 256)])
def test_it_takes_images_of_any_size(shape: tuple[int, int, int]) -> None:
    network = Classifier(shape, 7, 8).eval()
    features, logits = network(torch.zeros(2, *shape))
    assert (tuple(features.shape), tuple(logits.shape)) == ((2, FEATURES), (2, 7))


def test_images_without_labels_are_refused_with_advice() -> None:
    with pytest.raises(UserError, match=r"have no labels to learn from.*one folder of images for each class"):
        auto_classifier(data(labels=1), SHAPE, SHORT)
    with pytest.raises(UserError, match=r"images of \(3, 16, 16\), expected \(1, 16, 16\)"):
        auto_classifier(data(), (1, 16, 16), SHORT)

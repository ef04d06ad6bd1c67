"""The judge that is trained on the user's labelled images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.base.errors import UserError
from bench.tasks.generation import classifier
from bench.tasks.generation.classifier import (
    FEATURES,
    Classifier,
    Recipe,
    _shifted,
    accuracy,
    auto_classifier,
    train_classifier,
)
from bench.tasks.generation.extractors import extractor_of
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


def test_its_network_halves_the_side_to_4_and_doubles_the_width_to_four_times() -> None:
    net = Classifier((3, 64, 48), 7, 8)
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.stride[0]) for c in convolutions] == [
        (3, 8, 2), (8, 16, 2), (16, 32, 2), (32, 32, 2), (32, 32, 1),
    ]  # fmt: skip
    assert all(c.kernel_size == (3, 3) and c.padding == (1, 1) and c.bias is None for c in convolutions)
    features, logits = net.eval()(torch.randn(2, 3, 64, 48))
    assert (features.shape, logits.shape) == ((2, FEATURES), (2, 7)) and FEATURES == 64
    assert net.embed[1](torch.tensor([-1.0, 1.0])).tolist() == pytest.approx([-0.1, 1.0])


@pytest.mark.parametrize(("epochs", "steps", "parts", "done"), [(3, 100, 2, 6), (3, 4, 2, 4), (1, 100, 0.5, 1)])
def test_its_rate_falls_to_nothing_over_the_steps_that_the_images_are_worth(
    epochs: int, steps: int, parts: float, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []

    class Watched(torch.optim.Adam):
        def step(self, closure: object = None) -> None:  # type: ignore[override]
            rates.append(self.param_groups[0]["lr"])
            super().step()

    streams: list[tuple[object, ...]] = []
    drawn = classifier.stream
    monkeypatch.setattr(classifier, "stream", lambda *roles: streams.append(roles) or drawn(*roles))  # type: ignore[func-returns-value]
    monkeypatch.setattr(torch.optim, "Adam", Watched)
    given = data()
    recipe = Recipe(steps=steps, epochs=epochs, batch=int(len(given.train) / parts), width=4, lr=0.5)
    train_classifier(given, 3, recipe)
    assert rates == pytest.approx([0.5 * (1 - step / done) for step in range(done)])
    assert streams == [(0, "train", "classifier", step) for step in range(done)]  # the same for everybody


def test_shifts_reach_an_eighth_of_the_side_and_move_all_images_alike() -> None:
    images = torch.zeros(2, 1, 16, 8)
    images[:, :, 5, 3] = 1.0
    seen = set()
    for seed in range(300):
        moved = _shifted(images, torch.Generator().manual_seed(seed))
        assert torch.equal(moved[0], moved[1]) and moved.sum() == 2
        y, x = (int(where) for where in moved[0, 0].nonzero()[0])
        seen.add((y - 5, x - 3))
    assert seen == {(down, right) for down in range(-2, 3) for right in range(-1, 2)}


def test_images_that_are_not_square_are_learnt_from_in_their_own_shape(cache: Path) -> None:
    given = data()
    wide = replace(given, train=given.train[:, :, :, :12].contiguous())
    shapes: list[tuple[int, ...]] = []

    class Watched(Classifier):
        def __init__(self, shape: tuple[int, int, int], classes: int, width: int) -> None:
            shapes.append((*shape, classes, width))
            super().__init__(shape, classes, width)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "Classifier", Watched)
        train_classifier(wide, 3, Recipe(steps=1, batch=8, width=4))
        train_classifier(wide, 3, Recipe(steps=1, batch=8, width=4))
    assert shapes == [(3, 16, 12, 3, 4)] * 2


@pytest.mark.parametrize(("side", "layers"), [(3, 1), (4, 1), (5, 2), (8, 2), (9, 3), (16, 3), (17, 4), (2**20, 6)])
def test_a_side_is_halved_upwards_until_it_is_4_and_at_most_five_times(side: int, layers: int) -> None:
    net = Classifier((1, 2, side), 2, 4)
    assert sum(isinstance(module, nn.Conv2d) for module in net.modules()) == layers


def test_accuracy_is_the_share_of_held_out_images_that_are_named_rightly() -> None:
    given = data()
    labels = given.held_out_labels

    class Says(nn.Module):
        def __init__(self, wrong: int) -> None:
            super().__init__()
            self.wrong = wrong

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            said = labels[: len(x)].clone()
            said[: self.wrong] += 1
            return x.flatten(1)[:, :1], torch.nn.functional.one_hot(said % 3, 3).float()

    for wrong in (0, 3):
        judge = extractor_of("says", Says(wrong), SHAPE)
        assert accuracy(judge, given) == pytest.approx(1 - wrong / len(labels))

"""A feature network of the user's own: what it may be, what it is called, and what it lacks without logits."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from bench.base.errors import Mistakes, UserError
from bench.experiments import load_experiment
from bench.sweep.plan import settings_of
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.tasks.generation.judges import find_extractor
from strategies.registry import UnknownName
from tests.helpers.cells import NUM_IMAGES, cell, record_of, write_experiment

SHAPE = (1, 8, 8)

MODULE = """
import torch
from torch import nn

def pixels():
    return nn.Sequential(nn.AvgPool2d(2), nn.Flatten())

class Both(nn.Module):
    def forward(self, x):
        flat = x.flatten(1)
        return flat[:, :5], flat[:, 5:9]

def both():
    return Both()

def flat():
    return nn.Identity()

def large():
    return nn.Sequential(nn.Flatten(), nn.Linear(999, 3))

def number():
    return 3
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_judges.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("my_judges", "my_other_judges"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_features_alone_are_enough() -> None:
    extractor = find_extractor("my_judges:pixels", SHAPE)
    features, logits = extractor(torch.full((2, *SHAPE), 255, dtype=torch.uint8))
    assert logits is None and extractor.classes is None
    assert torch.equal(features, torch.ones(2, 16))


def test_features_and_logits_are_both_taken() -> None:
    extractor = find_extractor("my_judges:both", SHAPE)
    assert (extractor.name, extractor.width, extractor.classes) == ("my_judges.both", 5, 4)
    assert not extractor.standard


def test_its_code_is_part_of_its_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "my_other_judges.py").write_text(MODULE.replace("AvgPool2d(2)", "MaxPool2d(2)"))
    one, other = (find_extractor(f"{name}:pixels", SHAPE) for name in ("my_judges", "my_other_judges"))
    assert len(one.fingerprint) == 64
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:f", "must be importable"),
        ("my_judges:nothing", "has no function 'nothing'"),
        ("my_judges:number", "returned int, expected a torch.nn.Module"),
        ("my_judges:flat", r"features of shape \(1, 1, 8, 8\)"),
        ("my_judges:large", r"fails on images \(1, 1, 8, 8\): RuntimeError: mat1 and mat2"),
    ],
)
def test_what_is_no_judge_is_said(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        find_extractor(name, SHAPE)


def test_a_name_that_nobody_has_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="mnist-lenet"):
        find_extractor("mnist-lennet", SHAPE)


def test_the_inception_score_needs_logits_and_the_message_says_so() -> None:
    shop = Workshop(Settings(num_images=NUM_IMAGES, extractor="my_judges:pixels"))
    with pytest.raises(UserError, match=r"'is' needs class scores.*my_judges.pixels.*features only"):
        shop.resolve(cell())


def test_a_cell_is_judged_by_it() -> None:
    shop = Workshop(Settings(num_images=NUM_IMAGES, extractor="my_judges:pixels", metrics=("fid", "kid", "prc")))
    numbers = record_of(cell(), shop).numbers
    assert {
        f"{name}[my_judges.pixels]" for name in ("fid", "kid", "precision", "recall", "density", "coverage")
    } <= set(numbers)
    assert not any(name.startswith("is[") for name in numbers)


def test_an_experiment_may_name_any_kind_of_judge(tmp_path: Path) -> None:
    path = write_experiment(tmp_path)
    for name in ("my_judges:pixels", "package.my_judges:pixels", "inception-v3-compat", "vgg16", "dummy-judge"):
        assert load_experiment(path, [f'quality.extractor="{name}"']).quality.extractor == name


@pytest.mark.parametrize("name", ["inception-v3", "my_judges:", ":pixels", "my judges:pixels"])
def test_an_experiment_with_an_unknown_judge_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Mistakes, match="no extractor"):
        load_experiment(write_experiment(tmp_path), [f'quality.extractor="{name}"'])


def test_every_metric_may_be_asked_for(tmp_path: Path) -> None:
    chosen = load_experiment(write_experiment(tmp_path), ['quality.metrics=["kid", "prc", "fid", "is"]'])
    assert settings_of(chosen).metrics == ("kid", "prc", "fid", "is")


def test_where_weights_come_from_reaches_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain = settings_of(load_experiment(write_experiment(tmp_path)))
    assert (plain.extractor_weights, plain.download, plain.curve) == (None, False, True)
    overrides = ['quality.extractor_weights="some/file.pth"', "quality.download=true", "quality.curve=false"]
    chosen = settings_of(load_experiment(write_experiment(tmp_path), overrides))
    assert (chosen.extractor_weights, chosen.download, chosen.curve) == (tmp_path / "some/file.pth", True, False)

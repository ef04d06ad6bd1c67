"""The numbers that judging images is made of: another number is another method, and no change in passing."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from bench.tasks import DEFAULT, quantity_of, task_named
from bench.tasks.generation.classifier import Recipe
from bench.tasks.generation.metrics import METRICS

NUMBERS: dict[str, dict[str, Any]] = {
    "bench.tasks.generation.agreement": {"PSNR_CAP": 99.0, "UNPAIRED_ROWS": 1_000},
    "bench.tasks.generation.classifier": {"FEATURES": 64},
    "bench.tasks.generation.collapse": {"LEAST_DIVERSITY": 0.1},
    "bench.tasks.generation.evaluation": {"AGREEMENT_IMAGES": 500, "SAMPLE_IMAGES": 16, "SMALL_N": 10_000},
    "bench.tasks.generation.folds": {"FEWEST": 2},
    "bench.tasks.generation.kernel": {"SUBSETS": 100, "SEED": 2020, "LARGEST_SUBSET": 1_000},
    "bench.tasks.generation.neighbours": {"PRECISION_K": 3, "DENSITY_K": 5},
    "bench.tasks.generation.quality": {"UNKNOWN_COUNT": 2**31},
}


@pytest.mark.parametrize("module", NUMBERS)
def test_the_numbers_of_a_method_are_those_that_are_documented(module: str) -> None:
    found = importlib.import_module(module)
    assert {name: getattr(found, name) for name in NUMBERS[module]} == NUMBERS[module]


def test_the_judge_that_is_trained_is_trained_by_this_recipe() -> None:
    assert Recipe() == Recipe(version=1, width=24, steps=1_500, epochs=40, batch=64, lr=2e-3)


def test_what_may_be_lost_and_how_it_is_shown() -> None:
    task = task_named("generation")
    rules = ("scale", "direction", "margin", "tolerated", "bounds", "decimals", "habit")
    found = {q.name: tuple(getattr(q, rule) for rule in rules) for q in task.quantities}
    assert found["fid-inf"] == ("share", "lower", 0.05, None, (0.1, 0.5), 2, None)
    assert found["fid"] == ("log", "lower", 0.05, 10.0, (0.1, 0.5), 2, None)
    assert found["kid"] == ("linear", "lower", None, None, (), 2, 3)
    assert found["is"] == ("log", "higher", 0.05, None, (), 2, None)
    assert (task.leaders, task.beside) == (("fid-inf", "fid", "kid"), ("fid", "is"))
    assert (task.bound, task.area, DEFAULT) == ("fid-inf", "fid", "generation")
    unknown = quantity_of("never-heard-of")
    assert (unknown.name, unknown.direction, unknown.decimals, unknown.margin) == ("never-heard-of", "none", 2, None)


def test_which_metrics_need_classes_and_which_real_images() -> None:
    importlib.import_module("bench.tasks.generation.asked")  # brings those that are measured if asked for
    assert {name for name in METRICS if METRICS[name].needs_logits} == {"is"}
    assert {name for name in METRICS if METRICS[name].needs_real} == {"kid", "prc", "cmmd", "mind"}

"""What only many calls of a generator show, and what a run would refuse, is a problem before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.check.finding import Finding
from bench.check.workload import check
from bench.experiments import Quality
from bench.workloads.spec import WorkloadSpec
from tests.fuzz.misbehaving import HARMLESS, PRELUDE
from tests.helpers.pictures import pictures, write_pictures
from tests.own.conftest import Describe

FID = Quality(metrics=("fid",), num_images=20)


@pytest.fixture
def misbehaving(describe: Describe, tmp_path: Path) -> Any:
    """``misbehaving(name)``: what is said of a generator of `HARMLESS` that is no ``ok``."""

    def found(name: str) -> list[Finding]:
        stem = f"one_{abs(hash(name))}"
        (tmp_path / f"{stem}.py").write_text(PRELUDE + HARMLESS[name][1])
        write_pictures(tmp_path / "photos", pictures(24, 8, 8))
        spec = describe(
            factory=f"{stem}.py:G",
            inputs=[{"kind": "normal", "shape": [8]}],
            extractor=f"{stem}.py:judge",
            folder=str(tmp_path),
        )
        return [f for f in check(spec, FID) if f.kind != "ok"]

    return found


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raises at the third call", "call 2 of the generator fails, on inputs float32 (2, 8): ValueError: third"),
        ("raises at the fiftieth call", "of the generator fails, on inputs float32 (2, 8): ValueError: late"),
        ("raises for batches of 50", "fails, on inputs float32 (50, 8): AssertionError"),
        ("returns None later", "returned NoneType, expected a tensor"),
        ("returns NaN later", "gives values not finite"),
        ("returns complex numbers", "complex64 values"),
        ("returns too few", "made 4 images"),
        ("returns a size by the batch", "after images of (3, 8, 8)"),
        ("patches conv2d", "changes the function torch.nn.functional.conv2d"),
        ("patches at import", "changes the function torch.nn.functional.conv2d"),
        ("sets the default dtype", "changes the default dtype from torch.float32 to torch.float64"),
        ("turns gradients off", "changes whether gradients are taken"),
        ("seeds torch", "a forward pass seeds torch"),
        ("keeps its output", "cannot be copied"),
        ("copies to something else", "shares its tensors"),
        ("returns truth values", "bool values"),
    ],
)
def test_what_a_run_would_fail_with_is_the_one_problem(misbehaving: Any, name: str, said: str) -> None:
    problems = [f.text for f in misbehaving(name) if f.kind == "problem"]
    assert len(problems) == 1
    assert said in problems[0]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("detaches", "gradients: none reach the weights"),
        ("has no backward", "gradients: the backward pass fails: ValueError: one way"),
        ("draws noise", "the same inputs give other images the second time"),
        ("changes its weights", "a forward pass in eval mode changes rgb.weight"),
        ("returns integers", "gradients: none reach the weights from the output (int64)"),
    ],
)
def test_what_works_with_a_restriction_is_a_note(misbehaving: Any, name: str, said: str) -> None:
    found = misbehaving(name)
    assert not [f.text for f in found if f.kind == "problem"]
    assert any(said in f.text for f in found)


def problems(spec: WorkloadSpec, quality: Quality) -> list[str]:
    return [f.text for f in check(spec, quality) if f.kind == "problem"]


def test_a_judge_without_classes_is_said_before_a_run_refuses_it(describe: Describe) -> None:
    assert problems(describe(), FID) == []
    (said,) = problems(describe(), Quality())
    assert "'is' needs class scores" in said and 'metrics = ["fid"]' in said


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        ("failing_judge", "gans.py:failing_judge' fails: ZeroDivisionError"),
        ("judge_that_fails", "fails on images (1, 3, 16, 16): ValueError: not these"),
        ("judge_of_one_image", "fails on images (4, 3, 16, 16): ValueError: one at a time"),
        ("judge_of_nothing", "gives values that are not finite"),
        ("number", "has no function 'number'"),
    ],
)
def test_a_judge_that_fails_is_one_message_with_its_place(describe: Describe, judge: str, said: str) -> None:
    (found,) = problems(describe(extractor=f"gans.py:{judge}"), FID)
    assert said in found and "quality.extractor" in found


def test_the_time_that_it_took_stands_in_the_last_line(describe: Describe) -> None:
    steps: list[str] = []
    found = list(check(describe(), FID, steps.append))
    assert found[-1].text.startswith("time: this check took ")
    assert [step.split()[0] for step in steps] == ["calling", "pruning", "reading"]


def test_a_classifier_of_samples_says_what_it_learns_from(describe: Describe) -> None:
    from tests.own.test_conditional import GENERATOR

    said = GENERATOR | {"reference": {"source": "dense-samples", "limit": 60}, "extractor": "auto:classifier"}
    found = list(check(describe(**said), FID))
    assert not [f.text for f in found if f.kind == "problem"]
    assert any("learns from the dense generator's own images and the labels that it was given" in f.text for f in found)

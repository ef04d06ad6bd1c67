"""Discriminators that want labels: they are given the generator's for its images, and real images' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.base.errors import Mistakes, UserError
from bench.check.workload import check
from bench.experiments import Quality
from bench.workloads.condition import UNCONDITIONAL, Condition
from strategies.base import NotApplicable
from strategies.builtin import STRATEGIES
from tests.helpers.pictures import pictures, write_pictures
from tests.own.conftest import NOISE, Describe
from tests.own.test_own import record

GENERATOR: dict[str, Any] = {
    "factory": "gans.py:Conditional",
    "inputs": [NOISE, {"kind": "labels", "classes": 4}],
    "output": {"pick": "image"},
    "training": {"batch_size": 8},
}
BY_INDEX = GENERATOR | {"discriminator": {"factory": "gans.py:Projection", "labels": True}}
ONE_HOT = {"form": "one-hot"}
BY_ONE_HOT = GENERATOR | {
    "arguments": ONE_HOT,
    "inputs": [NOISE, {"kind": "labels", "classes": 4, "form": "one-hot"}],
    "discriminator": {"factory": "gans.py:Projection", "arguments": ONE_HOT, "labels": True},
}


def test_labels_in_the_form_that_the_generator_is_given() -> None:
    labels = torch.tensor([2, 0])
    index, one_hot = Condition(1, 3), Condition(1, 3, one_hot=True)
    assert index.of_labels(labels)[0].tolist() == [2, 0]
    assert one_hot.of_labels(labels)[0].tolist() == [[0, 0, 1], [1, 0, 0]]
    assert index.of_inputs((torch.zeros(2, 5), labels)) == (labels,)
    assert UNCONDITIONAL.of_labels(labels) == () == UNCONDITIONAL.of_inputs((labels,))


@pytest.mark.parametrize(
    ("labels", "why"),
    [([0, 0, 0], "has no labels"), ([0, 3], "go from 0 to 3, the generator has 3 classes"), ([-1, 1], "go from -1")],
)
def test_labels_that_the_generator_does_not_have_are_refused(labels: list[int], why: str) -> None:
    with pytest.raises(NotApplicable, match=why):
        Condition(1, 3).check(torch.tensor(labels), "photos")
    assert not Condition(1, 3).fits(torch.tensor(labels))
    assert UNCONDITIONAL.fits(torch.tensor(labels))


@pytest.mark.parametrize("said", [BY_INDEX, BY_ONE_HOT], ids=["index", "one-hot"])
@pytest.mark.parametrize(
    "recovery",
    [
        *("finetune-2", "finetune-3-d.adapt", "finetune-2-d.reset", "finetune-2-d.pruned"),
        *("distil-2-dfeature", "finetune-2-distil.dfeature"),
    ],
)
def test_every_recovery_trains_against_it(describe: Describe, said: dict[str, Any], recovery: str) -> None:
    found = record(describe(**said), recovery=recovery)
    assert (found.status, found.cost.train_steps) == ("ok", int(recovery.split("-")[1]))
    assert found.cost.training_macs and found.cost.training_macs > 0


ASKING = {"discriminator", "inputs"}
"""What a criterion needs that shows D the generator's images."""
GUIDED = [name for name in STRATEGIES if STRATEGIES[name].needs >= ASKING and not STRATEGIES[name].schedule]


@pytest.mark.parametrize("strategy", GUIDED)
def test_every_criterion_asks_it_with_the_generator_s_labels(describe: Describe, strategy: str) -> None:
    assert record(describe(**BY_INDEX), strategy, sparsity=0.3).status == "ok"


def test_real_images_come_with_their_own_labels(describe: Describe) -> None:
    found = record(describe(**BY_INDEX | {"discriminator": {"factory": "gans.py:Witness", "labels": True}}))
    assert found.numbers["d-accuracy-real"].value == 1.0  # the bar of every picture lies where its class says
    generated = found.numbers["d-accuracy-generated"].value
    assert generated is not None and 0.5 < generated <= 1.0  # the label of a generated picture says nothing of its bar


def test_without_labels_there_is_no_training_but_scores(describe: Describe, folder: Path) -> None:
    write_pictures(folder / "plain", pictures(), labelled=False)
    unlabelled = BY_INDEX | {"reference": "plain"}
    found = record(describe(**unlabelled), recovery="finetune-2")
    assert found.status == "not-applicable"
    assert "labelled training images, plain has no labels" in found.reason
    found = record(describe(**unlabelled), "dguided-channel-global", sparsity=0.3)
    assert found.status == "ok" and "d-accuracy-real" not in found.numbers


def test_a_generator_without_labels_has_none_to_give(describe: Describe) -> None:
    with pytest.raises((UserError, Mistakes), match="0 parts of kind 'labels', expected 1"):
        describe(discriminator={"factory": "gans.py:Projection", "labels": True})


FID = Quality(metrics=("fid",))
"""The judge of these tests has no classes."""


def test_the_check_says_what_works_and_what_is_missing(describe: Describe, folder: Path) -> None:
    assert not [f.text for f in check(describe(**BY_INDEX), FID) if f.kind != "ok"]
    alone = BY_INDEX | {"discriminator": {"factory": "gans.py:Projection"}}
    (problem,) = [f.text for f in check(describe(**alone), FID) if f.kind == "problem"]
    assert "discriminator.labels = true" in problem
    write_pictures(folder / "plain", pictures(), labelled=False)
    notes = [f.text for f in check(describe(**BY_INDEX, reference="plain"), FID)]
    assert any("has no labels" in note and "finetune" in note for note in notes)

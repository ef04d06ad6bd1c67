"""`docs/bring-your-own-gan.md` stays true: its tables are understood, short, and name every key."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from bench.experiments import check_workloads
from bench.workloads.spec import (
    CheckpointSpec,
    DiscriminatorSpec,
    InputPart,
    OutputSpec,
    ReferenceSpec,
    TrainingTable,
    WorkloadSpec,
)

GUIDE = (Path(__file__).parents[2] / "docs" / "bring-your-own-gan.md").read_text()
BLOCKS = [block for block in re.findall(r"```toml\n(.*?)```", GUIDE, flags=re.DOTALL) if "[[workload]]" in block]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: tomllib.loads(block)["workload"][0]["name"])
def test_every_table_of_the_guide_is_understood_and_has_at_most_fifteen_lines(block: str) -> None:
    check_workloads(tomllib.loads(block)["workload"], "guide")
    assert len(block.strip().splitlines()) <= 15


def test_there_are_a_plain_a_conditional_and_an_image_to_image_one() -> None:
    kinds = [{part["kind"] for part in tomllib.loads(block)["workload"][0]["inputs"]} for block in BLOCKS]
    assert {"normal"} in kinds and {"truncated", "labels"} in kinds and {"images"} in kinds


@pytest.mark.parametrize(
    "model",
    [WorkloadSpec, CheckpointSpec, DiscriminatorSpec, InputPart, OutputSpec, ReferenceSpec, TrainingTable],
    ids=lambda model: model.__name__,
)
def test_every_key_stands_in_the_guide(model: type) -> None:
    keys = list(model.model_fields)  # type: ignore[attr-defined]
    assert not [key for key in keys if f"`{key}`" not in GUIDE and f"`{key} = " not in GUIDE]


def test_every_kind_of_input_stands_in_the_guide() -> None:
    kinds = get_args(InputPart.model_fields["kind"].annotation)
    assert len(kinds) == 6
    assert not [kind for kind in kinds if f"| `{kind}` |" not in GUIDE]

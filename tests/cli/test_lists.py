"""`ganprune list`, `show` and `env`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from strategies.builtin import STRATEGIES
from tests.helpers.command import Command

FIELDS = {
    "strategies": ["name", "criterion", "granularity", "allocation", "schedule", "needs", "levels", "source"],
    "criteria": ["name", "formula", "needs", "random", "source"],
    "workloads": ["name", "summary", "data", "extractor", "parameters", "fid", "num_images", "checkpoints"],
    "experiments": ["name", "summary"],
    "metrics": ["name", "unit", "direction", "kind", "summary"],
}


@pytest.mark.parametrize("kind", FIELDS)
def test_a_list_in_json_is_a_list_of_objects(kind: str, ganprune: Command) -> None:
    answer = ganprune("list", kind, "--json")
    rows = json.loads(answer.out)
    assert answer.code == 0 and rows
    assert all(list(row) == FIELDS[kind] for row in rows)
    assert len({row["name"] for row in rows}) == len(rows)


@pytest.mark.parametrize("kind", FIELDS)
def test_a_list_for_people_has_the_same_rows(kind: str, ganprune: Command) -> None:
    names = [row["name"] for row in json.loads(ganprune("list", kind, "--json").out)]
    lines = ganprune("list", kind).out.splitlines()
    first = [line.split()[0] for line in lines[3:] if line[1:2].strip()]  # a wrapped cell begins with a blank
    assert first == names


def test_all_strategies_are_listed_and_dense_before_them(ganprune: Command) -> None:
    names = [row["name"] for row in json.loads(ganprune("list", "strategies", "--json").out)]
    assert names == ["dense", *STRATEGIES]


def test_the_shipped_experiments_are_listed(ganprune: Command) -> None:
    assert {"quick", "ci"} <= {row["name"] for row in json.loads(ganprune("list", "experiments", "--json").out)}


def test_the_metrics_of_a_record_are_listed(ganprune: Command, finished: Path) -> None:
    listed = {row["name"] for row in json.loads(ganprune("list", "metrics", "--json").out)}
    records = (finished / "results" / "runs" / "mini" / "main" / "cells").glob("*.json")
    found = {name.split("[")[0] for path in records for name in json.loads(path.read_text())["numbers"]}
    assert found <= listed


def test_a_strategy_is_shown_with_its_formula_and_source(ganprune: Command) -> None:
    out = ganprune("show", "strategy", "rownorm-channel+everystep").out
    for part in ("rownorm-channel+everystep", "||W_row||_2", "everystep", "training", "threshold = VALUE"):
        assert part in out


@pytest.mark.parametrize("name", ["dense", *STRATEGIES])
def test_every_listed_strategy_can_be_shown(name: str, ganprune: Command) -> None:
    answer = ganprune("show", "strategy", name)
    assert answer.code == 0 and answer.out.startswith(name)


def test_the_environment_is_json(ganprune: Command) -> None:
    found = json.loads(ganprune("env").out)
    assert found["libraries"]["torch"] == torch.__version__.split("+")[0]
    assert set(found) >= {"machine", "git", "cuda"}

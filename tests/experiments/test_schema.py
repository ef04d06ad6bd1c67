"""The manifest's copy of an experiment gives the same one again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from bench.experiments import Experiment, dump, schema
from bench.experiments.schema import Sweep
from bench.tables import claim, naming
from tests.experiments.known import HEAD, Load, mistakes
from tests.experiments.sweeps import sweeps


@given(sweeps)
def test_the_dump_survives_json_and_gives_the_same_experiment(sweep: Sweep) -> None:
    experiment = Experiment(
        experiment=sweep,
        gate={"error": 0.01, "margins": {"is": 0.1}, "cells": [{"workload": "digits", "strategy": "dense"}]},
    )
    text = json.dumps(dump(experiment), allow_nan=False)
    assert Experiment.model_validate(json.loads(text)) == experiment


def test_two_ways_to_write_the_same_experiment_have_the_same_dump(load: Load) -> None:
    short = load(HEAD)
    long = load(HEAD + "seeds = [0, 1, 2]\n[report]\nreference = 'l1-weight-global'\n[quality]\n[gate]")
    assert json.dumps(dump(short)) == json.dumps(dump(long))


def test_the_dump_keeps_the_levels_of_a_table(load: Load) -> None:
    experiment = load(HEAD, "strategies=['rownorm', {name = 'quantised', levels = [{bits = 3}]}]")
    assert dump(experiment)["experiment"]["strategies"] == [
        "rownorm",
        {"name": "quantised", "levels": [{"bits": 3.0}]},
    ]


@pytest.mark.parametrize("name", [naming.DENSE, claim.BEST, "rownorm"])
def test_the_reference_is_a_strategy_or_dense_or_the_best_of_each_level(load: Load, name: str) -> None:
    assert load(HEAD, f"reference={name}").report.reference == name


def test_the_names_that_are_no_strategies_are_those_of_the_tables() -> None:
    assert (schema.DENSE, schema.BEST) == (naming.DENSE, claim.BEST)


def test_the_best_of_each_level_is_no_strategy_to_sweep(load: Load) -> None:
    assert mistakes(load, HEAD, "strategies=['best']")[0].startswith(
        "--set experiment.strategies[0]: no strategy 'best'."
    )

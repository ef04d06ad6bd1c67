"""The manifest's copy of an experiment gives the same one again."""

from __future__ import annotations

import json

from hypothesis import given

from bench.experiments import Experiment, dump
from bench.experiments.schema import Sweep
from tests.experiments.known import HEAD, Load
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

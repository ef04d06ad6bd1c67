"""The numbers that cutting and scheduling is made of: another number is another method, and no change in passing."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from strategies.schedules import SCHEDULES

NUMBERS: dict[str, dict[str, Any]] = {
    "strategies.allocation": {
        "SENSITIVITY_SHARES": (0.1, 0.25, 0.5, 0.75, 0.9, 1.0),
        "SENSITIVITY_INPUTS": 32,
        "FIRST_LAYERS_UP_TO": 0.9,
    },
    "strategies.granularity.channel": {"FORECAST_ERROR": 1e-9, "TWIN_TOLERANCE": 1e-9},
    "strategies.granularity.graph": {"LIMIT_SECONDS": 60.0},
    "strategies.granularity.proof": {"PROBE_TOLERANCE": 1e-9, "RANDOM_TRIES": 3, "LIMIT_SECONDS": 1800.0},
    "strategies.granularity.quantised": {"ROUNDS": 25},
    "strategies.schedule": {"LAST_EVENT_SHARE": 0.75},
    "strategies.schedules.bnprox": {"RHO": 1.0},
    "strategies.schedules.dynamic": {"UPDATES": 11, "SET_FRACTION": 0.3, "RIGL_ALPHA": 0.3},
    "strategies.schedules.gradual": {"ROUNDS": 5, "CUBIC_EVENTS": 10},
    "strategies.schedules.greg": {"GROWTHS": 10, "DECAY": 7.0},
    "strategies.schedules.grouplasso": {"RHO": 1.0},
    "strategies.schedules.performance": {"EVENTS": 20, "MEMORY": 0.9, "KEEPS_UP_BELOW": 0.8, "D_WINS_ABOVE": 0.95},
}


@pytest.mark.parametrize("module", NUMBERS)
def test_the_numbers_of_a_method_are_those_that_are_documented(module: str) -> None:
    found = importlib.import_module(module)
    assert {name: getattr(found, name) for name in NUMBERS[module]} == NUMBERS[module]


def test_which_schedules_draw_at_random() -> None:
    assert {name for name, schedule in SCHEDULES.items() if schedule.random} == {"set", "reinit"}

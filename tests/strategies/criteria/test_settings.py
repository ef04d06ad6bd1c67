"""The numbers that criteria is made of: another number is another method, and no change in passing."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

NUMBERS: dict[str, dict[str, Any]] = {
    "strategies.criteria.activations": {"BATCHES": 16, "BATCH": 16},
    "strategies.criteria.content_aware": {"NOISE": 0.05},
    "strategies.criteria.flow": {"ROUNDS": 100},
    "strategies.criteria.gradients": {"BATCHES": 8, "BATCH": 32},
    "strategies.criteria.latent_moves": {
        "DIRECTIONS": 10,
        "STRENGTH": 2.0,
        "NEVER_ZERO": 1e-9,
        "SURVEY": 16,
        "BATCHES": 4,
        "BATCH": 16,
    },
    "strategies.criteria.loss": {"FISHER_SAMPLES": 64},
    "strategies.criteria.one_layer": {"BATCHES": 2, "BATCH": 32, "SHARE": 0.5},
    "strategies.criteria.ranks": {"SHARE": 0.5},
    "strategies.criteria.reconstruction": {"LATENTS": 256, "MOST": 32, "LEAST": 4},
    "strategies.criteria.structure": {"INPUTS": 32},
}


@pytest.mark.parametrize("module", NUMBERS)
def test_the_numbers_of_a_method_are_those_that_are_documented(module: str) -> None:
    found = importlib.import_module(module)
    assert {name: getattr(found, name) for name in NUMBERS[module]} == NUMBERS[module]

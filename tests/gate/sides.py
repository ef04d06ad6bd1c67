"""Sides of comparisons that nobody had to measure."""

from __future__ import annotations

import json
from typing import Any

from bench.experiments.places import Place
from bench.gate.contents import CellValues, Contents, Environment, Shape, Terms, key_of
from bench.gate.sides import Side

HERE = Environment(libraries={"torch": "2.14.1"}, machine={"device": "a CPU"}, device="cpu", threads=1)
PLACE = Place("digits", "shipped", "l1-channel-global", "params", "0.5", "none")
DENSE = Place("digits", "shipped", "dense", "params", "0", "none")
SEEDS = [0, 1, 2]
SHAPES = {
    "wide": Shape(widths={"a": (8, 4)}, sizes={}),
    "narrow": Shape(widths={"a": (4, 4)}, sizes={"a": {"out": 4}}),
}
TERMS = {
    "params": Terms(unit="parameters", direction="lower", kind="exact", version="params-1", num_images=None),
    "macs_effective": Terms(unit="MACs", direction="lower", kind="exact", version="macs-1", num_images=None),
    "macs_fvcore": Terms(unit="MACs", direction="lower", kind="exact", version="fvcore-1", num_images=None),
    "fid[judge]": Terms(unit="distance", direction="lower", kind="stochastic", version="fid-1", num_images=50),
    "is[judge]": Terms(unit="classes", direction="higher", kind="stochastic", version="is-1", num_images=50),
}
GATE: dict[str, Any] = {
    "cells": [
        {"workload": "digits", "strategy": "dense"},
        {"workload": "digits", "strategy": "l1-channel-global", "level": 0.5},
    ],
    "prior": {"fid": {"sd": 0.02, "degrees": 4.0}, "is": {"sd": 0.02, "degrees": 4.0}},
}
TIMED = [{"workload": "digits", "strategy": "l1-channel-global", "level": 0.5}]


def cell(
    *,
    fid: tuple[float, ...] = (10.0, 11.0, 12.0),
    inception: tuple[float, ...] = (5.0, 5.1, 5.2),
    params: int = 100,
    macs: int = 1_000,
    fvcore: int = 1_000,
    shape: str = "narrow",
    status: tuple[str, ...] = ("ok", "ok", "ok"),
    varies: str = "eval",
) -> CellValues:
    """One cell with three seeds, or as many as it has FIDs."""
    n = len(fid)
    return CellValues(
        seeds=SEEDS[:n],
        varies=varies,
        status=list(status[:n]),
        reason=["" if one == "ok" else f"{one} for a reason" for one in status[:n]],
        architecture=[shape] * n,
        values={
            "params": [params] * n,
            "macs_effective": [macs] * n,
            "macs_fvcore": [fvcore] * n,
            "fid[judge]": list(fid),
            "is[judge]": list(inception)[:n],
        },
    )


def contents(
    pruned: CellValues | None = None,
    *,
    gate: dict[str, Any] | None = None,
    name: str = "mini",
    environment: Environment = HERE,
    inputs: str | None = "the same",
    checkpoint: str = "weights",
    terms: dict[str, Terms] | None = None,
    without: tuple[Place, ...] = (),
    more: dict[Place, CellValues] | None = None,
) -> Contents:
    """Two cells: dense, and a pruned one."""
    cells = {DENSE: cell(shape="wide", params=200, macs=4_000), PLACE: pruned or cell()} | (more or {})
    sweep = {"name": name, "target": "params", "checkpoints": ["shipped"], "recovery": ["none"]}
    return Contents(
        experiment={"experiment": sweep, "gate": GATE if gate is None else gate},
        cells={key_of(place): values for place, values in cells.items() if place not in without},
        terms={"digits": terms or TERMS},
        shapes=SHAPES,
        checkpoints={"digits shipped": checkpoint},
        inputs={f"digits {seed}": f"{inputs} {seed}" for seed in SEEDS} if inputs else {},
        environments=[environment],
        git=["abc"],
    )


def side(*args: Any, **kwargs: Any) -> Side:
    """The same as a side of a comparison."""
    return Side("a side", contents(*args, **kwargs))


def elsewhere(**changes: Any) -> Environment:
    """Another environment."""
    return Environment.model_validate(json.loads(HERE.model_dump_json()) | changes)

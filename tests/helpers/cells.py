"""Cells of the `dummy` workload and the experiments that hold them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bench.experiments import Experiment, load_experiment
from bench.records import Cell, PlannedCell, Record
from bench.sweep.cell import run_cell
from bench.sweep.workshop import Workshop

NUM_IMAGES = 50


def cell(
    strategy: str = "l1-weight-global",
    sparsity: float = 0.5,
    *,
    workload: str = "dummy",
    recovery: str = "none",
    seed: int = 0,
    level: dict[str, float] | None = None,
    target: str = "params",
) -> Cell:
    """A cell of the dummy workload."""
    return Cell.model_validate(
        {
            "workload": workload,
            "strategy": strategy,
            "level": level or {"sparsity": 0.0 if strategy == "dense" else sparsity},
            "recovery": recovery,
            "seed": seed,
            "target": target,
        }
    )


def planned(thing: Cell, shop: Workshop) -> PlannedCell:
    return PlannedCell(cell=thing, keys=shop.resolve(thing).keys)


def record_of(thing: Cell, shop: Workshop) -> Record:
    """Run one cell in this process."""
    return run_cell(thing, shop)


def write_experiment(
    folder: Path,
    *,
    name: str = "mini",
    strategies: Sequence[str] = ("l1-weight-global",),
    sparsities: Sequence[float] = (0.5,),
    seeds: Sequence[int] = (0,),
    recovery: Sequence[str] = ("none",),
    latency: bool = False,
) -> Path:
    """An experiment file over the dummy workload."""
    lines = [
        "[experiment]",
        f'name = "{name}"',
        'workloads = ["dummy"]',
        f"strategies = {json.dumps(list(strategies))}",
        f"sparsities = {list(sparsities)}",
        f"seeds = {list(seeds)}",
        f"recovery = {json.dumps(list(recovery))}",
        "[quality]",
        f"num_images = {NUM_IMAGES}",
        "[latency]",
        f"enabled = {str(latency).lower()}",
        "batches = [1]",
    ]
    path = folder / f"{name}.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def experiment(folder: Path, *overrides: str, **fields: object) -> Experiment:
    """The same, loaded."""
    return load_experiment(write_experiment(folder, **fields), overrides)  # type: ignore[arg-type]

"""Sparsity layer by layer, as it is drawn: averaged over the seeds, a block for each workload and level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from bench.records import Record
from bench.tables import strategy_order
from bench.tables.naming import DENSE


@dataclass
class LayerBlock:
    """One workload at one level: a row for each strategy, a column for each layer."""

    workload: str
    title: str
    layers: list[str]
    shares: list[float]
    rows: dict[str, list[float]] = field(default_factory=dict)
    """Label -> sparsity of each layer, NaN where nothing is known."""
    physical: dict[str, bool] = field(default_factory=dict)


def layer_blocks(records: Sequence[Record]) -> list[LayerBlock]:
    """Blocks by workload and level; levels that are no sparsity come last, together."""
    found: dict[tuple[str, float], LayerBlock] = {}
    sums: dict[tuple[str, float], dict[str, list[Record]]] = {}
    for record in records:
        cell = record.cell
        if cell.strategy == DENSE or not record.layers:
            continue
        level = cell.level.get("sparsity", math.inf)
        label = cell.strategy if level < math.inf else f"{cell.strategy} {cell.level_label}"
        sums.setdefault((cell.workload, level), {}).setdefault(label, []).append(record)
    for key in sorted(sums):
        workload, level = key
        names = list(dict.fromkeys(layer.name for group in sums[key].values() for r in group for layer in r.layers))
        weights = {layer.name: layer.weights for group in sums[key].values() for r in group for layer in r.layers}
        total = sum(weights.values()) or 1
        title = "own levels" if level == math.inf else f"level {level:g}"
        block = LayerBlock(workload, title, names, [weights[name] / total for name in names])
        physical = {label: any(record.physical for record in group) for label, group in sums[key].items()}
        for label in sorted(sums[key], key=lambda name: (physical[name], strategy_order(name.split(" ")[0]), name)):
            block.rows[label] = [_sparsity(sums[key][label], name) for name in names]
            block.physical[label] = physical[label]
        found[key] = block
    return _with_all_rows(list(found.values()))


def _with_all_rows(blocks: list[LayerBlock]) -> list[LayerBlock]:
    """The blocks of a workload's sparsities show the same strategies, so that they share their labels."""
    result = []
    for block in blocks:
        shared = [b for b in blocks if b.workload == block.workload and b.title != "own levels"]
        if block in shared:
            physical = {label: value for b in shared for label, value in b.physical.items()}
            order = sorted(physical, key=lambda name: (physical[name], strategy_order(name)))
            empty = [math.nan] * len(block.layers)
            rows = {label: block.rows.get(label, empty) for label in order}
            block = replace(block, rows=rows, physical={label: physical[label] for label in order})
        result.append(block)
    return result


def _sparsity(records: Sequence[Record], name: str) -> float:
    layers = [layer for record in records for layer in record.layers if layer.name == name and layer.weights]
    values = [1 - layer.kept / layer.weights for layer in layers]
    return fmean(values) if values else math.nan

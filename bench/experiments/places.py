"""A cell without its seed, and which one a rule of the gate means."""

from __future__ import annotations

from typing import Any, NamedTuple

from bench.experiments.gate import GatedCell, GatedTiming
from bench.records import Cell

DENSE = "dense"


class Place(NamedTuple):
    """A cell without its seed."""

    workload: str
    checkpoint: str
    strategy: str
    target: str
    level: str
    """As in `Cell.level_label`."""
    recovery: str

    @property
    def label(self) -> str:
        """In one line, what is usual left out."""
        unusual = [x for x in (self.checkpoint, self.target) if x not in {"shipped", "params"}]
        level = [] if self.strategy == DENSE else [f"@{self.level}"]
        return " ".join([self.workload, self.strategy, *level, self.recovery, *unusual])


def place_of_cell(cell: Cell) -> Place:
    return Place(cell.workload, cell.checkpoint, cell.strategy, cell.target, cell.level_label, cell.after)


def chosen(rule: GatedCell | GatedTiming, experiment: dict[str, Any]) -> Place:
    """The place that a rule means in an experiment, given as in a manifest."""
    sweep = experiment["experiment"]
    knob, value = next(iter(rule.level.items())) if isinstance(rule.level, dict) else ("sparsity", rule.level)
    label = f"{value:g}" if knob == "sparsity" else f"{knob}-{value:g}"
    dense = rule.strategy == DENSE
    return Place(
        rule.workload,
        rule.checkpoint or sweep["checkpoints"][0],
        rule.strategy,
        "params" if dense else sweep["target"],
        label,
        rule.recovery or sweep["recovery"][0],
    )

"""The tasks. `TASKS` is all that the rest of the benchmark needs to know of them."""

from __future__ import annotations

from bench.tasks.base import Quantity, Scale, Task
from bench.tasks.generation import GENERATION

__all__ = ["DEFAULT", "GATED", "TASKS", "Quantity", "Scale", "Task", "known_quantity", "quantity_of"]

TASKS: dict[str, Task] = {task.name: task for task in (GENERATION,)}
"""All tasks by name."""

DEFAULT = GENERATION.name
"""The task of a workload, and of a record, that names none."""


GATED = tuple(dict.fromkeys(name for task in TASKS.values() for name in task.gated))
"""What the gate tests, of whatever task."""


def known_quantity(family: str) -> Quantity | None:
    """The quantity of that name, whichever task it belongs to; None where no task has it."""
    found = (quantity for task in TASKS.values() for quantity in task.quantities if quantity.name == family)
    return next(found, None)


def quantity_of(family: str) -> Quantity:
    """The quantity of that name; one that no task knows keeps its own word and stands on a linear scale."""
    return known_quantity(family) or Quantity(family, family, "", "none", "")

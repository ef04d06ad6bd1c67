"""The tasks. `TASKS` is all that the rest of the benchmark needs to know of them."""

from __future__ import annotations

from bench.base.errors import UserError
from bench.tasks.base import Quantity, Scale, Task
from bench.tasks.generation import GENERATION

__all__ = [
    "BOUNDS",
    "DEFAULT",
    "GATED",
    "TASKS",
    "Quantity",
    "Scale",
    "Task",
    "is_public",
    "known_quantity",
    "quantity_of",
    "task_named",
]

TASKS: dict[str, Task] = {task.name: task for task in (GENERATION,)}
"""All tasks by name."""

DEFAULT = GENERATION.name
"""The task of a workload, and of a record, that names none."""


GATED = tuple(dict.fromkeys(name for task in TASKS.values() for name in task.gated))
"""What the gate tests, of whatever task."""

BOUNDS = tuple(dict.fromkeys(task.bound for task in TASKS.values() if task.bound not in GATED))
"""What it compares beside, for information: where N differs, these alone."""


def task_named(name: str) -> Task:
    """The task of that name.

    Raises:
        UserError: there is none; a record may come from another version.
    """
    if name not in TASKS:
        raise UserError(f"no task {name!r}; there are {', '.join(TASKS)}.")
    return TASKS[name]


def is_public(judge: str) -> bool:
    """Whether numbers by this judge go by their plain title in papers."""
    return judge != "" and judge in {task.public_judge for task in TASKS.values()}


def known_quantity(family: str) -> Quantity | None:
    """The quantity of that name, whichever task it belongs to; None where no task has it."""
    found = (quantity for task in TASKS.values() for quantity in task.quantities if quantity.name == family)
    return next(found, None)


def quantity_of(family: str) -> Quantity:
    """The quantity of that name; one that no task knows keeps its own word and stands on a linear scale."""
    return known_quantity(family) or Quantity(family, family, "", "none", "", decimals=2)

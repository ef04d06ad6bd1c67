"""What is wrong with the constraints of an experiment's strategies, and what these are called under them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from bench.experiments.known import Known
from bench.experiments.schema import DENSE, Experiment, StrategyChoice
from bench.experiments.wording import Found, Loc, shown, values_at


def wrong_constraints(raw: dict[str, Any], known: Known) -> Iterator[Found]:
    """Constraints that say nothing about what their strategy removes."""
    for loc, choice in _choices(raw):
        if not choice.constraints:
            continue
        if choice.name == DENSE:
            yield loc, f"{DENSE!r} has no constraints: it is the unpruned generator."
        elif choice.name in known.strategies and (reason := known.refuses(choice.name, choice.constraints)):
            yield loc, reason


def wrong_labels(experiment: Experiment, known: Known) -> Iterator[Found]:
    """Constraints that would not be told apart in tables and paths."""
    seen: dict[str, str] = {}
    for i, choice in enumerate(experiment.sweep.strategies):
        loc: Loc = ("experiment", "strategies", i)
        if choice.constraints and choice.label in known.strategies:
            yield loc, f"under these constraints it is called {choice.label!r}, as another strategy is."
        elif choice.label in seen:
            yield (
                loc,
                f"{shown(choice.name)} with {choice.constraints.words} is called {choice.label!r}, as with "
                f"{seen[choice.label]}: names have six digits.",
            )
        seen.setdefault(choice.label, choice.constraints.words)


def labels_of(raw: dict[str, Any]) -> list[str]:
    """What the strategies of the experiment that are under constraints are called."""
    return [choice.label for _, choice in _choices(raw) if choice.constraints]


def without_levels(choice: dict[str, Any]) -> object:
    """What tells a strategy of the experiment from another: its name, and its constraints where it has any."""
    rest = {key: value for key, value in choice.items() if key != "levels"}
    return rest if len(rest) > 1 else rest.get("name")


def _choices(raw: dict[str, Any]) -> Iterator[tuple[Loc, StrategyChoice]]:
    """The strategies with keys that can be understood."""
    for loc, choice in values_at(raw, ("experiment", "strategies")):
        if isinstance(choice, dict):
            try:
                yield loc, StrategyChoice.model_validate(choice)
            except (ValidationError, RecursionError):
                continue

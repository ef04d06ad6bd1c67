"""Checking: shape by the models, names by the registries. Both look at the whole file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from bench.base.containment import contained
from bench.base.errors import MOST_TOLD, UserError
from bench.base.limits import A_CALL
from bench.experiments.constraints import labels_of, without_levels, wrong_constraints, wrong_labels
from bench.experiments.expanding import MOST_CELLS, cell_count, expand, own_levels
from bench.experiments.gate import GatedCell, GatedTiming
from bench.experiments.known import Known
from bench.experiments.places import chosen, place_of_cell
from bench.experiments.schema import BEST, DENSE, OWN_EXTRACTOR, TABLES, Experiment, checked_sparsity, dump
from bench.experiments.sentences import in_words, rank
from bench.experiments.wording import Found, Loc, hint, shown, values_at
from bench.records.finishes import NO_FINISH, finish_in
from bench.workloads.spec import CLASSIFIER
from strategies.registry import UnknownName

if TYPE_CHECKING:
    from strategies.base import Levels


def checked(raw: dict[str, Any], known: Known, *, whole: bool) -> tuple[Experiment | None, list[Found]]:
    """The experiment, or None, and every mistake in the order of the file format.

    ``whole``: without overrides, which may take away cells that the file gates; `ganprune compare` calls those missing.
    """
    everything = replace(known, workloads=(*known.workloads, *_own_names(raw)))
    names = _first_told(_wrong_names(raw, everything))
    found = [
        *wrong_own(raw, known),
        *names,
        *_wrong_levels(raw, known),
        *wrong_constraints(raw, known),
        *_repeated(raw),
    ]
    experiment = None
    try:
        experiment = Experiment.model_validate(raw)
    except ValidationError as error:
        found += told(error)
    if experiment is not None and not found:
        found += [*_too_many(experiment, known), *wrong_labels(experiment, known)]
    if experiment is not None and not found and whole and not unknown_strategies(experiment, known):
        found += _wrong_gate(experiment, known)
    return experiment, sorted(found, key=lambda mistake: rank(mistake[0]))


def told(error: ValidationError) -> list[Found]:
    """What is wrong, in words, in the order of the format. Of very many mistakes only the first are put into words:
    the others are only counted.
    """
    details = sorted(error.errors(include_url=False), key=lambda detail: rank(detail["loc"]))
    return [in_words(dict(d)) if i < MOST_TOLD else (d["loc"], NOT_TOLD) for i, d in enumerate(details)]


def _first_told(found: Iterator[tuple[Loc, Callable[[], str]]]) -> list[Found]:
    """The same for mistakes whose sentences take a search for what was meant."""
    return [(loc, sentence() if i < MOST_TOLD else NOT_TOLD) for i, (loc, sentence) in enumerate(found)]


NOT_TOLD = "is wrong as well."


def _too_many(experiment: Experiment, known: Known) -> Iterator[Found]:
    """More cells than a run can hold."""
    sweep = experiment.sweep
    count = cell_count(experiment, known)
    if count > MOST_CELLS:
        sizes = [f"{len(getattr(sweep, axis)):,} {axis}" for axis in ("workloads", "checkpoints", "recovery", "seeds")]
        yield (
            ("experiment",),
            f"{count:,} cells ({', '.join(sizes)}, strategies with their levels); at most {MOST_CELLS:,}: a run's "
            "manifest is read and written as a whole. Make several experiments.",
        )


def broken_plugins(raw: dict[str, Any]) -> Iterator[Found]:
    """Load the plug-ins, so that the names they bring are known; what is wrong with those that cannot be."""
    for loc, name in values_at(raw, ("experiment", "plugins")):
        if isinstance(name, str):
            from strategies.plugins import PluginError, load_plugin

            try:
                with contained(f"plug-in {name!r}", A_CALL):
                    load_plugin(name)
            except PluginError as error:
                yield loc, f"{error}. Mend it, or take it out."
            except UserError as error:
                yield loc, str(error)


def absent_plugins(raw: dict[str, Any]) -> Iterator[Found]:
    """Files of plug-ins that are not there. Runs none."""
    for loc, name in values_at(raw, ("experiment", "plugins")):
        if isinstance(name, str) and name.endswith(".py") and not is_file(Path(name)):
            yield loc, f"plug-in {name!r}: no such file. Mend it, or take it out."


def is_file(path: Path) -> bool:
    """Whether there is such a file; no for what cannot be a path."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def unknown_strategies(experiment: Experiment, known: Known) -> list[str]:
    """Strategies of the experiment that may be those of plug-ins which were not run."""
    return [choice.name for choice in experiment.sweep.strategies if choice.name != DENSE and known.may_be(choice.name)]


def _own_names(raw: dict[str, Any]) -> list[str]:
    """The names of the ``[[workload]]`` tables; '' for one without."""
    names = [table.get("name") for _, table in own_tables(raw)]
    return [name if isinstance(name, str) else "" for name in names]


def wrong_own(raw: dict[str, Any], known: Known) -> Iterator[Found]:
    """Names in the user's own workloads: taken ones, and extractors that do not exist."""
    before: set[str] = set()
    for i, table in own_tables(raw):
        name, judge = table.get("name"), table.get("extractor")
        if isinstance(name, str) and name in known.built_in:
            yield ("workload", i, "name"), f"a built-in workload is called {name!r}. Take another name."
        if isinstance(name, str) and name in before:
            yield ("workload", i, "name"), f"{shown(name)} is the name of two tables."
        before |= {name} if isinstance(name, str) else set()
        if isinstance(judge, str) and judge not in known.extractors and not OWN_EXTRACTOR.fullmatch(judge):
            yield ("workload", i, "extractor"), UnknownName("extractor", judge, [CLASSIFIER, *known.extractors]).message


def own_tables(raw: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The ``[[workload]]`` tables that are tables, each with its place."""
    tables = raw.get("workload")
    for i, table in enumerate(tables if isinstance(tables, list) else []):
        if isinstance(table, dict):
            yield i, table


def _wrong_names(raw: dict[str, Any], known: Known) -> Iterator[tuple[Loc, Callable[[], str]]]:
    strategies = {DENSE: None, **known.strategies}
    kinds: dict[Loc, tuple[str, Collection[str]]] = {
        ("experiment", "workloads"): ("workload", dict.fromkeys(known.workloads)),
        ("experiment", "strategies"): ("strategy", strategies),
        ("experiment", "finish"): ("finish", known.finishes),
        ("quality", "metrics"): ("metric", known.metrics),
        ("quality", "extractor"): ("extractor", ("workload", *known.extractors)),
        ("latency", "backends"): ("backend", known.backends),
        ("report", "reference"): ("strategy", (*strategies, BEST, *labels_of(raw))),
    }
    for place, (kind, names) in kinds.items():
        for loc, value in values_at(raw, place):
            if isinstance(value, dict) and kind == "strategy":
                loc, value = (*loc, "name"), value.get("name")
            if not isinstance(value, str) or value in names:
                continue
            own = kind == "extractor" and OWN_EXTRACTOR.fullmatch(value)
            if not own and not (kind == "strategy" and known.may_be(value)):
                yield loc, partial(_no_such, kind, value, names)
    for loc, value in values_at(raw, ("experiment", "recovery")):
        try:
            if isinstance(value, str):
                known.parse_recovery(value)
        except ValueError as error:
            yield loc, partial(str, error)


def _no_such(kind: str, name: str, names: Collection[str]) -> str:
    return UnknownName(kind, name, list(names)).message


def _wrong_levels(raw: dict[str, Any], known: Known) -> Iterator[Found]:
    """Levels that a strategy does not have."""
    for loc, choice in values_at(raw, ("experiment", "strategies")):
        name = choice.get("name") if isinstance(choice, dict) else choice
        own = choice.get("levels") if isinstance(choice, dict) else None
        if name == DENSE and own is not None:
            yield (*loc, "levels"), f"{DENSE!r} has no levels: it is the unpruned generator."
        if not isinstance(name, str) or name not in known.strategies or name == DENSE:
            continue
        levels = known.strategies[name]
        if own is None and not own_levels(levels, (0.5,)):
            example = f"{{name = {name!r}, levels = [{{{levels.knob} = 0.1}}]}}"
            yield loc, f"{name!r} has no sparsity to sweep, but a knob of its own. Write {example}."
        for i, level in enumerate(own if isinstance(own, list) else []):
            if isinstance(level, dict):
                for part, sentence in _wrong_level(name, levels, level):
                    yield (*loc, "levels", i, *part), sentence


def _wrong_level(name: str, levels: Levels, level: dict[str, Any]) -> Iterator[Found]:
    """What is wrong with one level of a strategy, seen from that level."""
    knobs = ["sparsity"] if levels.continuous or levels.knob is None else []
    knobs += [levels.knob] if levels.knob else []
    if len(level) != 1:
        yield (), f"{len(level):,} knobs; a level is one knob and its value, {{{knobs[0]} = 0.1}}."
    for knob, value in list(level.items())[:MOST_TOLD]:
        if knob not in knobs:
            yield (knob,), f"{name!r} has no such knob. {hint(knob, knobs)}"
        elif knob == "sparsity" and _is_number(value):
            try:
                checked_sparsity(value)
            except ValueError as error:
                yield (knob,), str(error)
            else:
                if not levels.continuous and value not in levels.fixed:
                    reached = ", ".join(f"{x:g}" for x in levels.fixed)
                    yield (knob,), f"{name!r} cannot reach {value!r}, only {reached}."


def _repeated(raw: dict[str, Any]) -> Iterator[Found]:
    """Entries that stand twice in one list."""
    lists: list[Loc] = [(table, key) for table, model in TABLES.items() for key in model.model_fields]
    for i, choice in enumerate(value for _, value in values_at(raw, ("experiment", "strategies"))):
        if isinstance(choice, dict) and isinstance(choice.get("levels"), list):
            lists.append(("experiment", "strategies", i, "levels"))
    for place in lists:
        seen: set[str] = set()
        for loc, value in values_at(raw, place):
            named = isinstance(value, dict) and place == ("experiment", "strategies")
            same = _identity(without_levels(value) if named else value)
            if same in seen:
                advice = " Put all its levels into one table." if named else ""
                yield loc, f"{shown(value.get('name') if named else value)} is listed twice.{advice}"
            seen.add(same)


def _identity(value: object) -> str:
    """Equal for values that make the same cell; floats are told apart by the six digits that labels show."""
    if isinstance(value, dict):
        return repr({key: _identity(float(x) if _is_number(x) and abs(x) < 1e300 else x) for key, x in value.items()})
    return f"{value:g}" if isinstance(value, float) else repr(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong_gate(experiment: Experiment, known: Known) -> Iterator[Found]:
    """Gated cells that the experiment does not have, or that could be one of several."""
    sweep = experiment.sweep
    table = dump(experiment)
    cells = {place_of_cell(cell) for cell in expand(experiment, known)}
    rules: dict[str, Sequence[GatedCell | GatedTiming]] = {
        "cells": experiment.gate.cells,
        "latency": experiment.gate.latency,
    }
    for key, chosen_ones in rules.items():
        seen = set()
        for i, rule in enumerate(chosen_ones):
            place = chosen(rule, table)
            what = (place, rule.batch, rule.device, rule.backend) if isinstance(rule, GatedTiming) else place
            for name, several in (("recovery", sweep.recovery), ("checkpoint", sweep.checkpoints)):
                if getattr(rule, name) is None and len(several) > 1:
                    yield ("gate", key, i, name), f"missing: the experiment has {len(several)} of them."
            if finish_in(place.recovery) != NO_FINISH:
                yield ("gate", key, i, "recovery"), "a network with a finish is not gated; gate the one without."
            elif place not in cells:
                yield ("gate", key, i), f"the experiment has no such cell: {place.label}."
            elif what in seen:
                yield ("gate", key, i), f"{place.label} is gated twice."
            seen.add(what)
    for i, metric in enumerate(experiment.gate.metrics):
        if metric not in experiment.quality.metrics and experiment.gate.cells:
            yield ("gate", "metrics", i), f"{metric!r} is not measured: it is not in quality.metrics."

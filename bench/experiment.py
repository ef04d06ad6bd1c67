"""The experiment file: read, checked as a whole, and expanded into cells. `quick.toml` explains every key."""

from __future__ import annotations

import difflib
import itertools
import math
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_serializer,
)

from bench.base.errors import Mistakes
from bench.experiments.gate import Gate, GatedCell, GatedTiming, Margins, PriorRule
from bench.experiments.places import chosen, place_of_cell
from bench.records import Cell
from bench.workloads.spec import CLASSIFIER, FACTORY, WorkloadSpec
from strategies.registry import SAFE_NAME, UnknownName

if TYPE_CHECKING:
    from bench.workloads.catalogue import Catalogue
    from strategies.base import Levels

DENSE = "dense"
"""The unpruned generator: always in, never swept."""

METRICS = ("fid", "is")
"""The metrics of an experiment that names none. Agreement with dense and cost are always measured."""

OWN_EXTRACTOR = FACTORY
"""``module:function`` or ``file.py:function``: a feature network of the user's own."""

Target = Literal["params", "macs"]

Device = Literal["cpu", "cuda"]
"""Where latency can be measured; whether the machine has the device is seen when the run starts."""

Loc = tuple[str | int, ...]
"""Place of a value in the file: ``("experiment", "seeds", 0)``."""

Found = tuple[Loc, str]
"""A mistake: its place and a sentence."""


# What a value may be. Each check returns the value or raises ValueError with a sentence that names it.


def _safe_name(value: str) -> str:
    if not SAFE_NAME.fullmatch(value) or ".." in value or len(value) > 100:
        raise ValueError(
            f"{_shown(value)} is not usable in a path: at most 100 letters, digits and + . _ - (no ..), "
            "a letter or digit first."
        )
    return value


def _sparsity(value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"{value!r} is not in [0, 1).")
    if value == 0:
        raise ValueError(f"only {DENSE!r} has sparsity 0, and it is always in. Leave it out.")
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number.")
    return value


def _at_least(low: int) -> Callable[[int], int]:
    def check(value: int) -> int:
        if not low <= value < 2**63:
            raise ValueError(f"{value} is not a whole number from {low} to 2^63 - 1.")
        return value

    return check


T = TypeVar("T")


def _not_empty(value: tuple[T, ...]) -> tuple[T, ...]:
    if not value:
        raise ValueError("is empty; at least one is needed.")
    return value


Many = Annotated[tuple[T, ...], Field(strict=False), AfterValidator(_not_empty)]
SafeName = Annotated[str, AfterValidator(_safe_name)]
Sparsity = Annotated[float, AfterValidator(_sparsity)]
Knob = Annotated[float, AfterValidator(_finite)]


# The file, table by table.


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class StrategyChoice(_Table):
    """A strategy of the experiment; ``levels`` replaces the sweep for it, ``[{"threshold": 0.2}]``."""

    name: str
    levels: Many[dict[str, Knob]] | None = None

    @model_serializer
    def _as_written(self) -> str | dict[str, Any]:
        """A bare name where that says it all."""
        if self.levels is None:
            return self.name
        return {"name": self.name, "levels": [dict(level) for level in self.levels]}


def _name_or_table(value: object) -> object:
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, dict | StrategyChoice):
        raise ValueError(f"{_shown(value)} is neither a name nor a table {{name = ..., levels = [...]}}.")
    return value


Choice = Annotated[StrategyChoice, BeforeValidator(_name_or_table)]


def _without_dense(value: tuple[StrategyChoice, ...]) -> tuple[StrategyChoice, ...]:
    others = tuple(choice for choice in value if choice.name != DENSE)
    return others or (StrategyChoice(name=DENSE),)


class Sweep(_Table):
    """``[experiment]``: the axes that span the cells."""

    name: SafeName
    plugins: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Modules (``package.module`` or ``file.py``) that bring strategies of the user's own."""
    workloads: Many[str]
    checkpoints: Many[str] = ("shipped",)
    strategies: Annotated[Many[Choice], AfterValidator(_without_dense)]
    """Without ``dense``, which is always in; ``dense`` alone where the file lists nothing else."""
    target: Target = "params"
    sparsities: Many[Sparsity] = (0.3, 0.5, 0.7, 0.9)
    recovery: Many[str] = ("bn-recalibrate",)
    seeds: Many[Annotated[int, AfterValidator(_at_least(0))]] = (0, 1, 2)


class Quality(_Table):
    """``[quality]``: how generated images are judged."""

    metrics: Many[str] = METRICS
    extractor: str = "workload"
    extractor_weights: str | None = None
    download: bool = False
    curve: bool = True
    num_images: Annotated[int, AfterValidator(_at_least(2))] = 1000


class Latency(_Table):
    """``[latency]``: where and how inference is timed."""

    enabled: bool = True
    devices: Many[Device] = ("cpu",)
    batches: Many[Annotated[int, AfterValidator(_at_least(1))]] = (1, 16)
    backends: Many[str] = ("eager",)


class Report(_Table):
    """``[report]``: how results are compared."""

    reference: str = "l1-weight-global"


class Experiment(_Table):
    """An experiment file as it was understood. Names are checked by `load_experiment`, not by the model."""

    sweep: Sweep = Field(alias="experiment")
    quality: Quality = Quality()
    latency: Latency = Latency()
    gate: Gate = Gate()
    report: Report = Report()
    workload: Annotated[tuple[WorkloadSpec, ...], Field(strict=False)] = ()
    """``[[workload]]``: the user's own."""

    @property
    def name(self) -> str:
        """The experiment's name, safe in paths."""
        return self.sweep.name

    @cached_property
    def catalogue(self) -> Catalogue:
        """The workloads that its names mean: built-in ones and its own. Imports torch, reads nothing."""
        from bench.workloads.builtin import BUILT_IN

        return BUILT_IN.with_own(self.workload)


TABLES: dict[str, type[BaseModel]] = {
    "experiment": Sweep,
    "quality": Quality,
    "latency": Latency,
    "gate": Gate,
    "report": Report,
}
"""The tables of the file."""


@dataclass(frozen=True)
class Known:
    """The names that an experiment may use."""

    workloads: Collection[str]
    strategies: Mapping[str, Levels]
    extractors: Collection[str]
    metrics: Collection[str]
    backends: Collection[str]
    parse_recovery: Callable[[str], object]
    """Raises ValueError, with a sentence, for what is not a recovery."""
    built_in: Collection[str] = ()
    """Names of workloads that a table of the user's cannot have."""

    @classmethod
    def installed(cls) -> Known:
        """What this installation offers. Imports the registries, and with them torch."""
        from bench.measure.backends import BACKENDS
        from bench.tasks.generation.extractors import EXTRACTORS
        from bench.tasks.generation.metrics import METRICS as REGISTERED
        from bench.tasks.generation.public import PUBLIC
        from bench.training.recovery import parse_recovery
        from bench.workloads.builtin import BUILT_IN
        from strategies.catalog import STRATEGIES
        from strategies.plugins import installed_plugins

        installed_plugins()
        return cls(
            workloads=tuple(BUILT_IN),
            strategies={name: STRATEGIES[name].levels for name in STRATEGIES},
            extractors=(*EXTRACTORS, *PUBLIC),
            metrics=tuple(REGISTERED),
            backends=tuple(BACKENDS),
            parse_recovery=parse_recovery,
            built_in=tuple(BUILT_IN),
        )


# From a file to an experiment.


def shipped_experiments() -> dict[str, str]:
    """Name -> text of the experiment files that come with the package."""
    folder = resources.files("bench") / "experiments"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda f: f.name)
    return {file.name.removesuffix(".toml"): file.read_text("utf-8") for file in files}


def load_experiment(
    name_or_path: str | Path,
    overrides: Sequence[str] = (),
    *,
    own: Sequence[WorkloadSpec] = (),
    known: Known | None = None,
) -> Experiment:
    """Read a shipped experiment (by name) or a TOML file (by path), with ``key=value`` overrides applied.

    A key is dotted (``experiment.seeds``, ``gate.margin``) or short (``seeds``); the value is TOML, a bare
    word a text. ``key+=[...]`` adds to a list. ``own`` stand beside the ``[[workload]]`` tables; ``known`` defaults
    to what is installed.

    Raises:
        Mistakes: all that is wrong with the file and the overrides, each with its place.
    """
    text, label = _read(name_or_path)
    raw = _parse(text, label)
    _place_workloads(raw, _folder_of(name_or_path))
    if own and isinstance(raw.setdefault("workload", []), list):
        raw["workload"] += [spec.model_dump(mode="json", exclude_unset=True) for spec in own]
    overridden: set[Loc] = set()
    wrong: list[str] = []
    for override in overrides:
        try:
            overridden.update(_override(raw, override))
        except ValueError as error:
            wrong.append(str(error))
    wrong += [f"{_place(loc, label, overridden)}: {sentence}" for loc, sentence in _broken_plugins(raw)]
    try:
        experiment, found = _check(raw, known or Known.installed(), whole=not overrides)
    except RecursionError:
        raise Mistakes([f"{label}: nested too deeply."]) from None
    wrong += [f"{_place(loc, label, overridden)}: {sentence}" for loc, sentence in found]
    if experiment is None or wrong:
        raise Mistakes(wrong)
    return experiment


def load_workloads(path: str | Path) -> tuple[tuple[WorkloadSpec, ...], Quality]:
    """The ``[[workload]]`` tables of a TOML file and its ``[quality]``, whatever else is in it.

    Raises:
        Mistakes: all that is wrong with the tables, each with its place.
    """
    text, label = _read(Path(path))
    raw = _parse(text, label)
    if not raw.get("workload"):
        raise Mistakes([f"{label}: has no [[workload]] table."], "nothing was checked")
    _place_workloads(raw, _folder_of(Path(path)))
    try:
        quality = Quality.model_validate(raw.get("quality", {}))
    except ValidationError:
        quality = Quality()  # what is wrong with it, `validate` says
    return check_workloads(raw["workload"], label), quality


def check_workloads(raw: object, label: str) -> tuple[WorkloadSpec, ...]:
    """Tables, as TOML or Python gives them, understood. Raises `Mistakes`."""
    try:
        found = _Workloads.model_validate({"workload": raw}).workload
    except ValidationError as error:
        details = [_plain(dict(detail)) for detail in error.errors(include_url=False)]
        raise Mistakes([f"{_place(loc, label, set())}: {sentence}" for loc, sentence in details]) from None
    wrong = list(_wrong_own({"workload": raw}, Known.installed()))
    if wrong:
        raise Mistakes([f"{_place(loc, label, set())}: {sentence}" for loc, sentence in wrong])
    return found


class _Workloads(_Table):
    workload: Annotated[tuple[WorkloadSpec, ...], Field(strict=False)]


def _folder_of(name_or_path: str | Path) -> Path:
    """Where the relative names of an experiment's file start."""
    shipped = isinstance(name_or_path, str) and name_or_path in shipped_experiments()
    return Path() if shipped else Path(name_or_path).parent


def _place_workloads(raw: dict[str, Any], folder: Path) -> None:
    """Say in every ``[[workload]]`` where its relative names start: at ``folder``, the place of the file."""
    for _, table in _tables(raw):
        own = table.get("folder", ".")
        table["folder"] = str(folder / own) if isinstance(own, str) else own


def dump(experiment: Experiment) -> dict[str, Any]:
    """The experiment as a JSON-able table for the manifest, every default written out.

    ``Experiment.model_validate`` of it gives an equal experiment.
    """
    return experiment.model_dump(mode="json", by_alias=True, exclude=set() if experiment.workload else {"workload"})


def expand(experiment: Experiment, known: Known) -> tuple[Cell, ...]:
    """Every cell once, ordered by workload, checkpoint, recovery, strategy (dense first), level, seed."""
    sweep = experiment.sweep
    points: list[tuple[str, Target, dict[str, float]]] = [(DENSE, "params", {"sparsity": 0.0})]
    for choice in (choice for choice in sweep.strategies if choice.name != DENSE):
        levels = choice.levels or _own_levels(known.strategies[choice.name], sweep.sparsities)
        points += [(choice.name, sweep.target, level) for level in levels]
    cells: dict[str, Cell] = {}
    for workload, checkpoint, recovery, (strategy, target, level), seed in itertools.product(
        sweep.workloads, sweep.checkpoints, sweep.recovery, points, sweep.seeds
    ):
        cell = Cell(
            workload=workload,
            checkpoint=checkpoint,
            strategy=strategy,
            target=target,
            level=dict(level),
            recovery=recovery,
            seed=seed,
        )
        cells.setdefault(cell.model_dump_json(), cell)
    return tuple(cells.values())


def _own_levels(levels: Levels, sparsities: Sequence[float]) -> list[dict[str, float]]:
    """The levels of a strategy for which the experiment names none."""
    if levels.continuous:
        return [{"sparsity": value} for value in sparsities]
    return [{levels.knob or "sparsity": value} for value in levels.fixed]


# Reading.


def _read(name_or_path: str | Path) -> tuple[str, str]:
    """Text of the experiment and the name that messages use for it."""
    shipped = shipped_experiments()
    label = str(name_or_path)
    if isinstance(name_or_path, str) and name_or_path in shipped:
        return shipped[name_or_path], f"{name_or_path}.toml"
    try:
        return Path(name_or_path).read_bytes().decode("utf-8-sig"), label
    except FileNotFoundError:
        hint = UnknownName("shipped experiment", label, list(shipped)).message
        raise Mistakes([f"{label}: no such file, and {hint}"]) from None
    except UnicodeDecodeError as error:
        raise Mistakes([f"{label}: not a text in UTF-8 (byte {error.start})."]) from None
    except OSError as error:
        raise Mistakes([f"{label}: cannot be read: {error.strerror}."]) from None
    except ValueError as error:
        raise Mistakes([f"{label!r}: not a path: {error}."]) from None


def _parse(text: str, label: str) -> dict[str, Any]:
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason, line = _toml_reason(error)
        raise Mistakes([f"{label}{line}: not valid TOML: {reason}."]) from None
    raw.setdefault("experiment", {})
    return raw


def _toml_reason(error: ValueError | RecursionError) -> tuple[str, str]:
    """What the TOML parser says, and ``, line 3, column 5`` where it says that."""
    if isinstance(error, RecursionError):
        return "nested too deeply", ""
    at = re.fullmatch(r"(.*) \(at (.*)\)", str(error), flags=re.DOTALL)
    return (at[1], f", {at[2]}") if at else (str(error).split(";")[0], "")


# Overrides.


def _override(raw: dict[str, Any], override: str) -> list[Loc]:
    """Put ``key=value`` into ``raw``, or for ``key+=value`` the elements of a list behind those that are there.

    Returns the places that now come from it. ValueError holds the message.
    """
    key, equals, text = (part.strip() for part in override.partition("="))
    if not equals:
        raise ValueError(f"--set {override!r}: no value. Write key=value.")
    adds, key = key.endswith("+"), key.removesuffix("+").rstrip()
    path = _full_key(key)
    value = _override_value(key, text)
    if adds and not isinstance(value, list):
        raise ValueError(f"--set {key}+: {_shown(text)} is not a list, and only a list can be added to.")
    places: list[Loc] = [path]
    table = raw
    for i, part in enumerate(path[:-1]):
        if part not in table:
            table[part] = {}
            places.append(path[: i + 1])
        table = table[part]
        if not isinstance(table, dict):
            raise ValueError(f"--set {key}: {'.'.join(path[: i + 1])!r} is not a table.")
    if adds:
        before = table.setdefault(path[-1], [])
        if not isinstance(before, list):
            raise ValueError(f"--set {key}+: {'.'.join(path)!r} is not a list, and only a list can be added to.")
        places = [(*path, i) for i in range(len(before), len(before) + len(value))]
        value = before + value
    table[path[-1]] = value
    return places


def _full_key(key: str) -> tuple[str, ...]:
    """``seeds`` -> ``("experiment", "seeds")``; dotted keys and table names stay as they are."""
    parts = tuple(key.split("."))
    if "" in parts:
        raise ValueError(f"--set {key!r}: not a key. Write experiment.seeds=[0], or seeds=[0].")
    if len(parts) > 1 or key in TABLES:
        return parts
    # The gate's keys are named in full: its `metrics` are others than those of `quality`.
    homes = [table for table, model in TABLES.items() if key in model.model_fields and table != "gate"]
    if len(homes) > 1:
        choice = " or ".join(f"{home}.{key}" for home in homes)
        raise ValueError(f"--set {key}: ambiguous. Write {choice}.")
    if not homes:
        keys = [name for model in TABLES.values() for name in model.model_fields]
        raise ValueError(f"--set {key}: no such key. {_hint(key, keys)}")
    return (homes[0], key)


def _override_value(key: str, text: str) -> Any:
    """The value as TOML; a bare word is a text."""
    try:
        table = tomllib.loads(f"value = {text}")
        if set(table) == {"value"}:
            return table["value"]
        reason = "more than one line"
    except (ValueError, RecursionError) as error:
        if SAFE_NAME.fullmatch(text):
            return text
        reason, _ = _toml_reason(error)
    raise ValueError(
        f"--set {key}: {_shown(text)} is not a TOML value ({reason}). "
        "Text needs quotes inside lists: --set 'workloads=[\"mnist-mlp\"]'."
    )


# Checking: shape by the models, names by the registries. Both look at the whole file.


def _check(raw: dict[str, Any], known: Known, *, whole: bool) -> tuple[Experiment | None, list[Found]]:
    """The experiment, or None, and every mistake in the order of the file format.

    ``whole``: without overrides, which may take away cells that the file gates; `ganprune compare` calls those missing.
    """
    everything = replace(known, workloads=(*known.workloads, *_own_names(raw)))
    found = [*_wrong_own(raw, known), *_wrong_names(raw, everything), *_wrong_levels(raw, known), *_repeated(raw)]
    experiment = None
    try:
        experiment = Experiment.model_validate(raw)
    except ValidationError as error:
        found += [_plain(dict(detail)) for detail in error.errors(include_url=False)]
    if experiment is not None and not found and whole:
        found += _wrong_gate(experiment, known)
    return experiment, sorted(found, key=lambda mistake: _rank(mistake[0]))


def _own_names(raw: dict[str, Any]) -> list[str]:
    """The names of the ``[[workload]]`` tables; '' for one without."""
    names = [table.get("name") for _, table in _tables(raw)]
    return [name if isinstance(name, str) else "" for name in names]


def _wrong_own(raw: dict[str, Any], known: Known) -> Iterator[Found]:
    """Names in the user's own workloads: taken ones, and extractors that do not exist."""
    names = _own_names(raw)
    for i, table in _tables(raw):
        name, judge = table.get("name"), table.get("extractor")
        if isinstance(name, str) and name in known.built_in:
            yield ("workload", i, "name"), f"a built-in workload is called {name!r}. Take another name."
        if isinstance(name, str) and name in [n for k, n in enumerate(names) if k < i]:
            yield ("workload", i, "name"), f"{name!r} is the name of two tables."
        if isinstance(judge, str) and judge not in known.extractors and not OWN_EXTRACTOR.fullmatch(judge):
            yield ("workload", i, "extractor"), UnknownName("extractor", judge, [CLASSIFIER, *known.extractors]).message


def _tables(raw: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The ``[[workload]]`` tables that are tables, each with its place."""
    tables = raw.get("workload")
    for i, table in enumerate(tables if isinstance(tables, list) else []):
        if isinstance(table, dict):
            yield i, table


def _rank(loc: Loc) -> list[int]:
    """Sorts places by table and key as the format has them; unknown keys last."""
    order = [*TABLES, "workload"]
    tables: list[type[BaseModel]] = [*TABLES.values(), StrategyChoice, WorkloadSpec]
    order += [name for table in tables for name in table.model_fields]
    return [part if isinstance(part, int) else order.index(part) if part in order else 99 for part in loc]


_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a text in quotes",
    "bool_type": "true or false",
    "tuple_type": "a list in [ ]",
    "dict_type": "a table",
    "model_type": "a table",
}


def _plain(detail: dict[str, Any]) -> Found:
    """A pydantic error in the words of someone who writes TOML."""
    kind, loc, value = str(detail["type"]), tuple(detail["loc"]), detail["input"]
    if kind == "missing":
        return loc, "missing; this key has no default."
    if kind == "extra_forbidden":
        return loc, f"no such key. {_key_hint(loc)}"
    if kind == "value_error":
        return loc, str(detail["ctx"]["error"])
    if kind == "literal_error":
        return loc, f"{_shown(value)} is not {detail['ctx']['expected']}."
    if kind in _WANTED:
        advice = f" Write [{_shown(value)}]." if kind == "tuple_type" and not isinstance(value, dict) else ""
        return loc, f"{_shown(value)} is not {_WANTED[kind]}.{advice}"
    return loc, f"{_shown(value)}: {detail['msg']}."


def _key_hint(loc: Loc) -> str:
    """What the unknown key at ``loc`` may have been meant to be."""
    key = str(loc[-1])
    if loc[0] == "workload" and len(loc) > 1:
        model: Any = WorkloadSpec
        for part in loc[1:-1]:
            model = _table_at(model, part) if isinstance(part, str) else model
        return _hint(key, list(model.model_fields))
    if len(loc) > 2:
        return _hint(key, _keys_inside(loc))
    here = list(TABLES[str(loc[0])].model_fields) if len(loc) == 2 else [*TABLES, "workload"]
    elsewhere = [table for table, model in TABLES.items() if key in model.model_fields]
    return f"It belongs in [{elsewhere[0]}]." if elsewhere else _hint(key, here)


def _broken_plugins(raw: dict[str, Any]) -> Iterator[Found]:
    """Load the plug-ins, so that the names they bring are known; what is wrong with those that cannot be."""
    for loc, name in _values(raw, ("experiment", "plugins")):
        if isinstance(name, str):
            from strategies.plugins import PluginError, load_plugin

            try:
                load_plugin(name)
            except PluginError as error:
                yield loc, f"{error}. Mend it, or take it out."


def _table_at(model: type[BaseModel], key: str) -> type[BaseModel]:
    """The model of the table at ``key``; ``model`` itself where it is none."""
    kinds: list[Any] = [model.model_fields[key].annotation] if key in model.model_fields else []
    while kinds:
        kind = kinds.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
        kinds += get_args(kind)
    return model


def _keys_inside(loc: Loc) -> list[str]:
    """The keys of the table inside of a table that the unknown key at ``loc`` stands in."""
    inside: dict[Loc, type[BaseModel]] = {
        ("gate", "cells"): GatedCell,
        ("gate", "latency"): GatedTiming,
        ("gate", "margins"): Margins,
        ("gate", "prior"): PriorRule,
    }
    model = inside.get(loc[:2], StrategyChoice)
    return [field.alias or name for name, field in model.model_fields.items()]


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
            if place not in cells:
                yield ("gate", key, i), f"the experiment has no such cell: {place.label}."
            elif what in seen:
                yield ("gate", key, i), f"{place.label} is gated twice."
            seen.add(what)
    for i, metric in enumerate(experiment.gate.metrics):
        if metric not in experiment.quality.metrics and experiment.gate.cells:
            yield ("gate", "metrics", i), f"{metric!r} is not measured: it is not in quality.metrics."


def _wrong_names(raw: dict[str, Any], known: Known) -> Iterator[Found]:
    strategies = {DENSE: None, **known.strategies}
    kinds: dict[Loc, tuple[str, Collection[str]]] = {
        ("experiment", "workloads"): ("workload", known.workloads),
        ("experiment", "strategies"): ("strategy", strategies),
        ("quality", "metrics"): ("metric", known.metrics),
        ("quality", "extractor"): ("extractor", ("workload", *known.extractors)),
        ("latency", "backends"): ("backend", known.backends),
        ("report", "reference"): ("strategy", strategies),
    }
    for place, (kind, names) in kinds.items():
        for loc, value in _values(raw, place):
            if isinstance(value, dict) and kind == "strategy":
                loc, value = (*loc, "name"), value.get("name")
            own = kind == "extractor" and isinstance(value, str) and OWN_EXTRACTOR.fullmatch(value)
            if isinstance(value, str) and value not in names and not own:
                yield loc, UnknownName(kind, value, list(names)).message
    for loc, value in _values(raw, ("experiment", "recovery")):
        try:
            if isinstance(value, str):
                known.parse_recovery(value)
        except ValueError as error:
            yield loc, str(error)


def _wrong_levels(raw: dict[str, Any], known: Known) -> Iterator[Found]:
    """Levels that a strategy does not have."""
    for loc, choice in _values(raw, ("experiment", "strategies")):
        name = choice.get("name") if isinstance(choice, dict) else choice
        own = choice.get("levels") if isinstance(choice, dict) else None
        if name == DENSE and own is not None:
            yield (*loc, "levels"), f"{DENSE!r} has no levels: it is the unpruned generator."
        if not isinstance(name, str) or name not in known.strategies or name == DENSE:
            continue
        levels = known.strategies[name]
        if own is None and not _own_levels(levels, (0.5,)):
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
        yield (), f"{len(level)} knobs; a level is one knob and its value, {{{knobs[0]} = 0.1}}."
    for knob, value in level.items():
        if knob not in knobs:
            yield (knob,), f"{name!r} has no such knob. {_hint(knob, knobs)}"
        elif knob == "sparsity" and _is_number(value):
            try:
                _sparsity(value)
            except ValueError as error:
                yield (knob,), str(error)
            else:
                if not levels.continuous and value not in levels.fixed:
                    reached = ", ".join(f"{x:g}" for x in levels.fixed)
                    yield (knob,), f"{name!r} cannot reach {value!r}, only {reached}."


def _repeated(raw: dict[str, Any]) -> Iterator[Found]:
    """Entries that stand twice in one list."""
    lists: list[Loc] = [(table, key) for table, model in TABLES.items() for key in model.model_fields]
    for i, choice in enumerate(value for _, value in _values(raw, ("experiment", "strategies"))):
        if isinstance(choice, dict) and isinstance(choice.get("levels"), list):
            lists.append(("experiment", "strategies", i, "levels"))
    for place in lists:
        seen: set[str] = set()
        for loc, value in _values(raw, place):
            named = isinstance(value, dict) and place == ("experiment", "strategies")
            same = _identity(value.get("name") if named else value)
            if same in seen:
                advice = " Put all its levels into one table." if named else ""
                yield loc, f"{_shown(value.get('name') if named else value)} is listed twice.{advice}"
            seen.add(same)


def _identity(value: object) -> str:
    """Equal for values that make the same cell; floats are told apart by the six digits that labels show."""
    if isinstance(value, dict):
        return repr({key: _identity(float(x) if _is_number(x) else x) for key, x in value.items()})
    return f"{value:g}" if isinstance(value, float) else repr(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _values(raw: dict[str, Any], place: Loc) -> Iterator[tuple[Loc, Any]]:
    """What stands at ``place``: each item of a list with its own place, or the one value, or nothing."""
    value: Any = raw
    for part in place:
        inside = isinstance(value, dict) if isinstance(part, str) else isinstance(value, list)
        if not inside or (isinstance(part, str) and part not in value):
            return
        value = value[part]
    if isinstance(value, list):
        yield from (((*place, i), item) for i, item in enumerate(value))
    else:
        yield place, value


# Words.


def _place(loc: Loc, label: str, overridden: set[Loc]) -> str:
    """``quick.toml, experiment.strategies[2]``, or ``--set experiment.seeds[0]`` where an override put it."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += ("." if path else "") + (part if re.fullmatch(r"[\w-]+", part) else repr(part))
    from_override = any(loc[:i] in overridden for i in range(1, len(loc) + 1))
    return f"--set {path}" if from_override else f"{label}, {path}"


def _hint(word: str, words: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, words, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(words)}."


def _shown(value: object) -> str:
    """A value as a person would write it, at most 60 characters."""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, list):
        text = f"[{', '.join(map(_shown, value[:20]))}]"
    elif isinstance(value, dict):
        text = f"{{{', '.join(f'{key} = {_shown(item)}' for key, item in value.items())}}}"
    else:
        text = repr(value) if isinstance(value, str | float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

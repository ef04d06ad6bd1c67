"""From a file to an experiment, with all mistakes at once, each with its place."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from bench.base.errors import Mistakes
from bench.base.outside import EXPERIMENTS, Damaged, Unreadable, read_text
from bench.base.printable import shortened
from bench.base.ranges import path_text
from bench.experiments.checking import (
    absent_plugins,
    broken_plugins,
    checked,
    own_tables,
    told,
    wrong_own,
)
from bench.experiments.known import Known
from bench.experiments.overrides import apply_override
from bench.experiments.schema import Experiment, Quality, StrictTable
from bench.experiments.trust import untrusted
from bench.experiments.wording import Found, Loc, placed, toml_reason, values_at
from bench.workloads.spec import WorkloadSpec
from strategies.registry import UnknownName

MOST_PARTS = 100
"""Of a dotted key: the parser takes time that grows with their square."""

_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{MOST_PARTS}}}")


def shipped_experiments() -> dict[str, str]:
    """Name -> text of the experiment files that come with the package."""
    folder = resources.files("bench.experiments")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda f: f.name)
    return {file.name.removesuffix(".toml"): file.read_text("utf-8") for file in files}


def load_experiment(
    name_or_path: str | Path,
    overrides: Sequence[str] = (),
    *,
    own: Sequence[WorkloadSpec] = (),
    known: Known | None = None,
    trust: Sequence[str] = (),
) -> Experiment:
    """Read a shipped experiment (by name) or a TOML file (by path), with ``key=value`` overrides applied.

    A key is dotted (``experiment.seeds``, ``gate.margin``) or short (``seeds``); the value is TOML, a bare
    word a text. ``key+=[...]`` adds to a list. ``own`` stand beside the ``[[workload]]`` tables; ``known`` defaults
    to what is installed. The plug-ins that it names are run, unless they stand where nobody trusts them (``trust``,
    see `bench.experiments.trust`).

    Raises:
        Mistakes: all that is wrong with the file and the overrides, each with its place.
    """
    draft = _draft(name_or_path, overrides, own, trust)
    broken = [] if draft.wrong else draft.said(broken_plugins(draft.raw))
    return _understood(draft, known or Known.installed(), broken)


def read_experiment(
    name_or_path: str | Path, overrides: Sequence[str] = (), *, trust: Sequence[str] = ()
) -> tuple[Experiment, Known]:
    """As `load_experiment`, and runs nothing of anybody's: names of strategies that may be a plug-in's are left.

    Returns:
        The experiment, and the names that it was read by.

    Raises:
        Mistakes: all that is wrong with the file and the overrides, each with its place.
    """
    from strategies.plugins import installed_names

    draft = _draft(name_or_path, overrides, (), trust)
    named = [name for _, name in values_at(draft.raw, ("experiment", "plugins")) if isinstance(name, str)]
    known = Known.ours(unread=[*named, *installed_names()])
    return _understood(draft, known, draft.said(absent_plugins(draft.raw))), known


@dataclass(frozen=True)
class _Draft:
    """An experiment as it was written."""

    raw: dict[str, Any]
    label: str
    """Its file, as messages call it."""
    overridden: set[Loc]
    wrong: list[str]

    def said(self, found: Iterable[Found]) -> list[str]:
        return placed(found, self.label, self.overridden)


def _draft(
    name_or_path: str | Path, overrides: Sequence[str], own: Sequence[WorkloadSpec], trust: Sequence[str]
) -> _Draft:
    text, label = _read(name_or_path)
    raw = _parse(text, label)
    folder = _folder_of(name_or_path)
    _place_workloads(raw, folder)
    foreign = list(untrusted(raw, folder, trust))  # what is said besides the file is the user's own word
    overridden: set[Loc] = set()
    wrong: list[str] = []
    for override in overrides:
        try:
            overridden.update(apply_override(raw, override))
        except ValueError as error:
            wrong.append(str(error))
    draft = _Draft(raw, label, overridden, wrong)
    wrong += draft.said(foreign)
    if own and isinstance(raw.setdefault("workload", []), list):
        raw["workload"] += [spec.model_dump(mode="json", exclude_unset=True) for spec in own]
    return draft


def _understood(draft: _Draft, known: Known, wrong: list[str]) -> Experiment:
    try:
        experiment, found = checked(draft.raw, known, whole=not draft.overridden)
    except RecursionError:
        raise Mistakes([f"{draft.label}: nested too deeply."]) from None
    wrong = [*draft.wrong, *wrong, *draft.said(found)]
    if experiment is None or wrong:
        raise Mistakes(wrong)
    return experiment


def load_workloads(path: str | Path, *, trust: Sequence[str] = ()) -> tuple[tuple[WorkloadSpec, ...], Quality]:
    """The ``[[workload]]`` tables of a TOML file and its ``[quality]``, whatever else is in it.

    Args:
        trust: see `load_experiment`.

    Raises:
        Mistakes: all that is wrong with the tables, each with its place.
    """
    text, label = _read(Path(path))
    raw = _parse(text, label)
    if not raw.get("workload"):
        raise Mistakes([f"{label}: has no [[workload]] table."], "nothing was checked")
    _place_workloads(raw, _folder_of(Path(path)))
    tables: dict[str, Any] = {key: raw[key] for key in ("workload", "quality") if key in raw}
    if wrong := _Draft(raw, label, set(), []).said(untrusted(tables, _folder_of(Path(path)), trust)):
        raise Mistakes(wrong, "nothing was checked")
    try:
        quality = Quality.model_validate(raw.get("quality", {}))
    except ValidationError:
        quality = Quality()  # what is wrong with it, `validate` says
    try:
        return check_workloads(raw["workload"], label), quality
    except RecursionError:
        raise Mistakes([f"{label}: nested too deeply."]) from None


def check_workloads(raw: object, label: str) -> tuple[WorkloadSpec, ...]:
    """Tables, as TOML or Python gives them, understood. Raises `Mistakes`."""
    try:
        found = _Workloads.model_validate({"workload": raw}).workload
    except ValidationError as error:
        raise Mistakes(placed(told(error), label, set())) from None
    wrong = list(wrong_own({"workload": raw}, Known.installed()))
    if wrong:
        raise Mistakes(placed(wrong, label, set()))
    return found


class _Workloads(StrictTable):
    workload: Annotated[tuple[WorkloadSpec, ...], Field(strict=False)]


def _folder_of(name_or_path: str | Path) -> Path:
    """Where the relative names of an experiment's file start."""
    shipped = isinstance(name_or_path, str) and name_or_path in shipped_experiments()
    return Path() if shipped else Path(name_or_path).parent


def _place_workloads(raw: dict[str, Any], folder: Path) -> None:
    """Say in every ``[[workload]]`` where its relative names start: at ``folder``, the place of the file."""
    for _, table in own_tables(raw):
        own = table.get("folder", ".")
        table["folder"] = str(folder / own) if isinstance(own, str) else own


def _read(name_or_path: str | Path) -> tuple[str, str]:
    """Text of the experiment and the name that messages use for it."""
    shipped = shipped_experiments()
    label = str(name_or_path)
    if isinstance(name_or_path, str) and name_or_path in shipped:
        return shipped[name_or_path], f"{name_or_path}.toml"
    try:
        path_text(label)
        return read_text(name_or_path, EXPERIMENTS), label
    except ValueError as error:
        raise Mistakes([str(error)]) from None
    except Damaged as error:
        place = f" (byte {cause.start})" if isinstance(cause := error.__cause__, UnicodeDecodeError) else ""
        raise Mistakes([f"{label}: not a text in UTF-8{place}."]) from None
    except Unreadable as error:
        if isinstance(error.__cause__, FileNotFoundError):
            hint = UnknownName("shipped experiment", label, list(shipped)).message
            raise Mistakes([f"{label}: no such file, and {hint}"]) from None
        raise Mistakes([str(error)]) from None


def _parse(text: str, label: str) -> dict[str, Any]:
    try:
        if _LONG_KEY.search(text):
            raise RecursionError
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason, line = toml_reason(error)
        raise Mistakes([f"{label}{line}: not valid TOML: {shortened(reason, 200)}."]) from None
    raw.setdefault("experiment", {})
    return raw

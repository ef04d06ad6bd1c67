"""From a file to an experiment, with all mistakes at once, each with its place."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from bench.base.errors import Mistakes
from bench.base.outside import EXPERIMENTS, Damaged, Unreadable, read_text
from bench.base.printable import shortened
from bench.base.ranges import path_text
from bench.experiments.checking import broken_plugins, checked, own_tables, told, wrong_own
from bench.experiments.known import Known
from bench.experiments.overrides import apply_override
from bench.experiments.schema import Experiment, Quality, StrictTable
from bench.experiments.wording import Loc, placed, toml_reason
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
            overridden.update(apply_override(raw, override))
        except ValueError as error:
            wrong.append(str(error))
    wrong += placed(broken_plugins(raw), label, overridden)
    try:
        experiment, found = checked(raw, known or Known.installed(), whole=not overrides)
    except RecursionError:
        raise Mistakes([f"{label}: nested too deeply."]) from None
    wrong += placed(found, label, overridden)
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

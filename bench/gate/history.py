"""How the numbers of the accepted baselines drifted, from git's history of the baseline's files."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from bench.base.errors import UserError
from bench.experiments.places import chosen
from bench.gate.baseline import BaselineHead, baseline_folder, read_baseline
from bench.gate.contents import CellValues, Contents, gate_of
from bench.gate.source import extract, git, top_of
from bench.tasks import TASKS

LEADING = tuple(task.watching.name for task in TASKS.values())


@dataclass(frozen=True)
class Accepted:
    """One accepted baseline."""

    commit: str | None
    """None: the files as they lie here, not committed."""
    head: BaselineHead
    contents: Contents


def history(results: Path, experiment: str, limit: int = 50) -> tuple[list[Accepted], list[str]]:
    """The accepted baselines of an experiment, oldest first, and what could not be read, in words.

    Raises:
        UserError: there is no baseline, here or in git.
    """
    folder = baseline_folder(results.absolute(), experiment)
    found: list[Accepted] = []
    skipped: list[str] = []
    repository = top_of(Path.cwd())
    if repository is not None and folder.is_relative_to(repository):
        inside = folder.relative_to(repository).as_posix()
        commits = git(repository, "log", "--format=%H", f"-{limit}", "--", inside).decode().split()
        for commit in reversed(commits):
            with tempfile.TemporaryDirectory(prefix="ganprune-history-") as place:
                if not extract(repository, commit, [inside], Path(place)):
                    continue  # the commit that took it away
                try:
                    found.append(Accepted(commit, *read_baseline(Path(place) / inside)))
                except UserError as error:
                    skipped.append(f"{commit[:12]}: {str(error).replace(place + '/', '')}")
    if folder.exists():
        head, contents = read_baseline(folder)
        if not found or head != found[-1].head:
            found.append(Accepted(None, head, contents))
    if not found:
        raise UserError(f"{folder}: no baseline, here or in git's history.")
    return found, skipped


@dataclass(frozen=True)
class Series:
    """One number over the accepted baselines: mean over seeds, None where a baseline does not have it."""

    cell: str
    metric: str
    values: tuple[float | None, ...]
    versions: tuple[str | None, ...]
    """A line is broken where the version changes: numbers of different versions are not put side by side."""


def drift(accepted: Sequence[Accepted]) -> list[Series]:
    """What leads, parameters and MACs of the cells that the newest baseline gates (of all where it gates none)."""
    newest = accepted[-1].contents
    rules = gate_of(newest, "the newest baseline").cells
    places = [chosen(rule, newest.experiment) for rule in rules] or list(newest.places)
    found = []
    for place in places:
        names = [n for n in newest.terms.get(place.workload, {}) if n.partition("[")[0] in LEADING]
        for name in [*names, "params_nonzero", "macs_effective"]:
            cells = [one.contents.places.get(place) for one in accepted]
            terms = [one.contents.terms.get(place.workload, {}).get(name) for one in accepted]
            values = tuple(_mean(cell, name) for cell in cells)
            if any(value is not None for value in values):
                found.append(Series(place.label, name, values, tuple(t.version if t else None for t in terms)))
    return found


def _mean(cell: CellValues | None, metric: str) -> float | None:
    values = [x for x in cell.values.get(metric, []) if x is not None] if cell else []
    return fmean(values) if values else None

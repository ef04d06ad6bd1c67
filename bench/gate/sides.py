"""BASE and HEAD as they are named on the command line: runs, baselines, or revisions with a baseline in them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.base.errors import UserError
from bench.base.printable import shortened
from bench.gate.baseline import HEAD_FILE, DamagedBaseline, baseline_folder, read_baseline, read_images
from bench.gate.contents import Contents, contents_of_records, records_of_run
from bench.gate.images import Images, images_of_run, no_images
from bench.gate.source import PACKAGES, commit_of, extract, same_source, top_of
from bench.records.paths import RunPaths, safe
from bench.report.loading import newest_run

LONGEST = 4096
"""No path and no revision has more characters."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison."""

    label: str
    contents: Contents | None
    """None: there is one, but it cannot be used; ``problem`` says why."""
    problem: str = ""
    source: Path | None = None
    """The folder with this side's own packages, where it is a revision that differs from what runs here."""
    revision: bool = False
    images: Images = no_images
    """What its images contribute to its numbers."""


@contextmanager
def opened(base: str, head: str, results: Path) -> Iterator[tuple[Side, Side]]:
    """Both sides; what was taken from git lies in a temporary folder until the end of the ``with``.

    A side is the folder of a run or of a baseline; or the name of an experiment: as BASE its accepted baseline,
    where there is one, else (and as HEAD) its newest run; or a git revision, then the baseline in that revision of
    the other side's experiment. ``NAME@REVISION`` names the experiment too.

    Raises:
        UserError: it is none of these.
    """
    with tempfile.TemporaryDirectory(prefix="ganprune-compare-") as folder:
        last = _side(head, results, Path(folder) / "head", baseline_first=False, experiment=None)
        name = last.contents.name if last and last.contents else None
        first = _side(base, results, Path(folder) / "base", baseline_first=True, experiment=name)
        if last is None and first is not None and first.contents is not None:
            name = first.contents.name
            last = _side(head, results, Path(folder) / "head", baseline_first=False, experiment=name)
        for side, given in ((first, base), (last, head)):
            if side is None:
                named = shortened(given, 200) or repr("")
                raise UserError(
                    f"{named}: neither the folder of a run or of a baseline, nor an experiment with one in "
                    f"{results}, nor a git revision with a baseline of the other side's experiment."
                )
        assert first is not None and last is not None
        yield first, last


def _side(given: str, results: Path, folder: Path, *, baseline_first: bool, experiment: str | None) -> Side | None:
    if not given or "\0" in given or len(given) > LONGEST:
        return None
    path = Path(given)
    if os.path.exists(path / HEAD_FILE):  # noqa: PTH110  (False also for what is no path)
        return _baseline(path, f"baseline {path}")
    if os.path.exists(RunPaths(path).manifest):  # noqa: PTH110
        return _run(path)
    accepted = baseline_folder(results, given)
    named = safe(given) == given
    newest = newest_run(results, given)
    if named and (accepted / HEAD_FILE).exists() and (baseline_first or newest is None):
        return _baseline(accepted, f"baseline {accepted}")
    if newest is not None:
        return _run(newest)
    name, at, revision = given.rpartition("@")
    return _revision(revision, (name if at else experiment), results, folder)


def _run(folder: Path) -> Side:
    try:
        manifest, records = records_of_run(folder)
        return Side(f"run {folder}", contents_of_records(manifest, records), images=images_of_run(folder, records))
    except UserError as error:
        return Side(f"run {folder}", None, str(error))


def _baseline(folder: Path, label: str) -> Side:
    try:
        head, contents = read_baseline(folder)
        images = read_images(folder, head)
    except DamagedBaseline as error:
        return Side(label, None, str(error))
    return Side(f"{label} (accepted {head.accepted[:10]})", contents, images=images)


def _revision(revision: str, experiment: str | None, results: Path, folder: Path) -> Side | None:
    """The baseline of ``experiment`` in a revision, and that revision's source where it has one."""
    repository = top_of(Path.cwd())
    commit = commit_of(repository, revision) if repository else None
    if repository is None or commit is None or experiment is None:
        return None
    here = baseline_folder(results.absolute(), experiment)
    if not here.is_relative_to(repository):
        raise UserError(f"{revision}: --results {results} is outside of the checkout {repository}.")
    inside = here.relative_to(repository).as_posix()
    folder.mkdir()
    there = extract(repository, commit, [inside, *PACKAGES], folder)
    label = f"revision {revision} ({commit[:12]})"
    if inside not in there:
        return Side(label, None, f"{label} has no {inside}: nothing was accepted there.", revision=True)
    whole = (folder / "bench" / "gate" / "rebuild.py").exists() and set(PACKAGES) <= set(there)
    source = folder if whole and not same_source(folder) else None
    side = _baseline(folder / inside, f"baseline of {label}")
    problem = side.problem.replace(f"{folder}/", f"{label}: ")
    return replace(side, problem=problem, source=source, revision=whole)

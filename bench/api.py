"""The same as the command line, from Python: what `ganprune.run`, `load_run` and `draw_report` are.

`ganprune.workload` describes a workload of the user's own, which `ganprune.run` takes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.base.errors import UserError
from bench.base.files import check_writable
from bench.base.limits import BY_DEFAULT, Limits
from bench.executors.local import start_server

if TYPE_CHECKING:
    import pandas as pd

    from bench.report.power import Power
    from bench.sweep.progress import Progress
    from bench.sweep.run import Outcome
    from bench.workloads.base import Workload


def run(
    experiment: str | Path,
    overrides: Sequence[str] = (),
    *,
    workloads: Sequence[str | Workload] | None = None,
    results: Path | str = "results",
    reports: Path | str | None = "reports",
    draw: bool = True,
    run: str | None = None,
    fresh: bool = False,
    jobs: int = 2,
    device: str = "cpu",
    save: bool = False,
    progress: Progress | None = None,
    trust: Sequence[str] = (),
    limits: Limits = BY_DEFAULT,
) -> Outcome:
    """Run what is missing of an experiment (a shipped name or a TOML file) and draw its report.

    Args:
        overrides: ``key=value`` as for ``--set``.
        workloads: those to measure, names or what `workload` gave; None: the experiment's.
        reports: None draws no report.
        draw: False only makes sure that the report can be written; who calls draws it.
        trust: modules or files outside of the experiment's folder whose code it may name (`docs/security.md`).
        limits: what one cell may take.

    Raises:
        UserError: anything that the user must mend, with its place.
    """
    start_server()  # it imports for as long as this process does
    from bench.experiments import load_experiment
    from bench.records.paths import report_folder
    from bench.sweep.run import run_experiment

    own = [thing.own.spec for thing in workloads or () if not isinstance(thing, str) and thing.own is not None]
    names = [thing if isinstance(thing, str) else thing.name for thing in workloads or ()]
    chosen = [] if workloads is None else [f"experiment.workloads={json.dumps(names)}"]
    loaded = load_experiment(experiment, [*overrides, *chosen], own=own, trust=trust)
    if reports is not None:
        _check_reports(report_folder(Path(reports), loaded.name))
    outcome = run_experiment(
        loaded,
        results=Path(results),
        run=run,
        fresh=fresh,
        jobs=jobs,
        device=device,
        save=save,
        progress=progress,
        limits=limits,
    )
    if reports is not None and draw:
        draw_report(outcome.folder, results=results, reports=reports)
    return outcome


def _check_reports(folder: Path) -> None:
    try:
        check_writable(folder)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}). Nothing was run; "
            "mend that, or name another folder with --reports."
        ) from error


def workload(name: str, factory: Callable[..., Any] | str, **table: Any) -> Workload:
    """A workload of your own, to be given to `run`. Nothing of it is read or run yet.

    The keys are those of a ``[[workload]]`` table (`docs/bring-your-own-gan.md`). Factories may be given as functions
    or classes; worker processes find them again by file and name, so they stand at the top of a file. Relative names
    of files start at the working directory.

    Raises:
        Mistakes: everything that is wrong, each with its place.
        UserError: a factory that no other process could find.
    """
    from bench.experiments import check_workloads
    from bench.workloads.described import workload_of
    from bench.workloads.factories import name_of

    said: dict[str, Any] = {"name": name, "factory": name_of(factory), **table}
    judge = said.get("discriminator")
    if callable(judge):
        said["discriminator"] = {"factory": name_of(judge)}
    elif isinstance(judge, dict) and callable(judge.get("factory")):
        said["discriminator"] = {**judge, "factory": name_of(judge["factory"])}
    if callable(said.get("extractor")):
        said["extractor"] = name_of(said["extractor"])
    return workload_of(check_workloads([said], "ganprune.workload")[0])


def load_run(name: str | Path, *, results: Path | str = "results") -> pd.DataFrame:
    """The finished cells of a run as a tidy table: one row for each cell and metric, see `bench.tables.tidy`."""
    from bench.report.loading import find_run, read_run
    from bench.tables import tidy

    return tidy(read_run(find_run(name, results)).records)


def claims(name: str | Path, reference: str | None = None, *, results: Path | str = "results") -> pd.DataFrame:
    """What a run allows to be said, as its report says it: one row for each comparison, see `bench.tables.claim`.

    Args:
        reference: the strategy that others are compared with, ``dense``, or ``best`` (the best of each level); None:
            the experiment's.

    Raises:
        UserError: no such run, or no such strategy in it.
    """
    from bench.report.inputs import check_reference, reference_of
    from bench.report.loading import find_run, read_run
    from bench.tables import claims_of, tidy

    inputs = read_run(find_run(name, results))
    frame = tidy(inputs.records)
    if reference is not None:
        check_reference(frame, reference)
    return claims_of(frame, reference or reference_of(inputs.experiment), inputs.evidence).table()


def power(
    name: str | Path,
    difference: str | float = "10%",
    *,
    reference: str | None = None,
    results: Path | str = "results",
) -> tuple[Power, ...]:
    """What the comparisons of a run can tell, and what must be added so that those not decided tell ``difference``
    (``"10%"``: that share of dense's value; ``"1.5"`` or a number: that amount); see `bench.report.power`."""
    from bench.report.power import power as found

    return found(name, difference, reference=reference, results=results)


def draw_report(name: str | Path, *, results: Path | str = "results", reports: Path | str = "reports") -> Path:
    """Draw the report of a run anew; returns the path of its page."""
    from bench.report.loading import draw_report as draw

    return draw(name, results=results, reports=reports)

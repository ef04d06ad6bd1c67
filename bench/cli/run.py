"""`ganprune run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import (
    CELL_SECONDS,
    REPORTS,
    RESULTS,
    CellMemoryOption,
    CellSecondsOption,
    DeviceOption,
    ExperimentArgument,
    JobsOption,
    PluginOption,
    ReportsOption,
    ResultsOption,
    RunOption,
    SetOption,
    TrustOption,
    limits_of,
)
from bench.cli.plugins import with_plugins

if TYPE_CHECKING:
    from bench.sweep.run import Outcome


def run(
    experiment: ExperimentArgument,
    overrides: SetOption = None,
    jobs: JobsOption = 2,
    device: DeviceOption = "cpu",
    results: ResultsOption = RESULTS,
    reports: ReportsOption = REPORTS,
    name: RunOption = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin a new, time-stamped run.")] = False,
    save: Annotated[bool, typer.Option("--save", help="Keep the weights of every pruned network.")] = False,
    plugins: PluginOption = None,
    trust: TrustOption = None,
    cell_seconds: CellSecondsOption = CELL_SECONDS,
    cell_memory: CellMemoryOption = None,
) -> None:
    """Run what is missing of an experiment, then report.

    Interrupted? The same command continues.
    """
    from bench import api
    from bench.cli.progress import TerminalProgress
    from bench.cli.terminal import console, print_outcome

    limits = limits_of(cell_seconds, cell_memory)
    with TerminalProgress(console) as progress:
        outcome: Outcome = api.run(
            experiment,
            with_plugins(overrides, plugins),
            results=results,
            reports=reports,
            draw=False,
            run=name,
            fresh=fresh,
            jobs=jobs,
            device=device,
            save=save,
            progress=progress,
            trust=[*(trust or ()), *(plugins or ())],
            limits=limits,
        )
    page = api.draw_report(outcome.folder, results=results, reports=reports)
    print_outcome(outcome, page)
    if outcome.failed or outcome.failed_timings:
        raise typer.Exit(1)

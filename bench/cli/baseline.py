"""`ganprune baseline`: accept, show, history."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.group import new_group
from bench.cli.options import REPORTS, RESULTS, FinishedRunArgument, ReportsOption, ResultsOption

group = new_group("Accepted results, kept in git.")


@group.command()
def accept(
    run: FinishedRunArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; reviewers read it.")],
    results: ResultsOption = RESULTS,
) -> None:
    """Make a run the baseline of its experiment; commit the files."""
    from bench.cli.terminal import say
    from bench.gate.command import accept_run

    say(accept_run(run, reason=reason, results=results))


@group.command("show")
def show_baseline(
    experiment: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Its name, or the folder of a baseline.")],
    results: ResultsOption = RESULTS,
) -> None:
    """What was accepted: when, why, where, and the gated numbers."""
    from bench.cli.terminal import say
    from bench.gate.command import show

    say(show(experiment, results=results))


@group.command()
def history(
    experiment: Annotated[str, typer.Argument(metavar="EXPERIMENT")],
    results: ResultsOption = RESULTS,
    reports: ReportsOption = REPORTS,
) -> None:
    """How the accepted numbers drifted, as a table and a plot."""
    from bench.cli.terminal import say
    from bench.gate.command import show_history

    say(show_history(experiment, results=results, reports=reports))

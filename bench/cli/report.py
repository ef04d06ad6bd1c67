"""`ganprune report`."""

from __future__ import annotations

import typer

from bench.cli.options import REPORTS, RESULTS, FinishedRunArgument, ReportsOption, ResultsOption


def report(
    run: FinishedRunArgument,
    results: ResultsOption = RESULTS,
    reports: ReportsOption = REPORTS,
) -> None:
    """Draw the report of a run anew."""
    from bench import api

    typer.echo(str(api.draw_report(run, results=results, reports=reports)))

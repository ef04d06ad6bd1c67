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
    from bench.report.pictures import Artists

    with Artists() as artists:  # they import while this process does
        from bench.report.loading import draw_report  # not `bench.api`, which needs PyTorch

        typer.echo(str(draw_report(run, results=results, reports=reports, artists=artists)))

"""`ganprune report`."""

from __future__ import annotations

from bench.cli.options import REPORTS, RESULTS, FinishedRunArgument, ReportsOption, ResultsOption


def report(
    run: FinishedRunArgument,
    results: ResultsOption = RESULTS,
    reports: ReportsOption = REPORTS,
) -> None:
    """Draw the report of a run anew."""
    from bench.cli.terminal import say
    from bench.report.pictures import Artists

    with Artists() as artists:  # they import while this process does
        from bench.report.loading import draw_report  # not `bench.api`, which needs PyTorch

        say(str(draw_report(run, results=results, reports=reports, artists=artists)))

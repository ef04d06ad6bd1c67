"""`ganprune power`."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.options import RESULTS, FinishedRunArgument, JsonOption, ResultsOption


def power(
    run: FinishedRunArgument,
    difference: Annotated[
        str, typer.Option("--difference", metavar="X", help="To be told: a share of dense, 10%, or an amount, 1.5.")
    ] = "10%",
    reference: Annotated[
        str | None,
        typer.Option("--reference", metavar="NAME", help="A strategy, dense or best (default: the experiment's)."),
    ] = None,
    results: ResultsOption = RESULTS,
    as_json: JsonOption = False,
) -> None:
    """What a run can tell, and what to add so that it tells a difference: cheapest first."""
    from bench.cli.power_tables import print_power
    from bench.report.power import power as found  # not `bench.api`, which needs PyTorch
    from bench.report.power import wanted_of

    wanted = wanted_of(difference, "--difference")
    print_power(found(run, wanted, reference=reference, results=results), as_json)

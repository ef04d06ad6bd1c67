"""`ganprune check-strategy`."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.base.errors import UserError
from bench.cli.options import CELL_SECONDS, CellMemoryOption, CellSecondsOption, PluginOption, limits_of
from bench.cli.plugins import load_plugins


def check_strategy(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    plugins: PluginOption = None,
    workloads: Annotated[
        list[str] | None, typer.Option("--workload", metavar="W", help="Where to try it; default: dummy, mnist-mlp.")
    ] = None,
    cell_seconds: CellSecondsOption = CELL_SECONDS,
    cell_memory: CellMemoryOption = None,
) -> None:
    """Try a strategy against everything that the benchmark expects of one."""
    from bench.base.containment import contained
    from bench.check.strategy import check_strategy, failures
    from bench.cli.terminal import print_checks
    from bench.workloads.builtin import BUILT_IN
    from strategies.registry import UnknownName

    limits = limits_of(cell_seconds, cell_memory)
    load_plugins(plugins)
    try:
        for workload in workloads or ():
            BUILT_IN[workload]
        with contained(f"strategy {name!r}", limits):
            checks = check_strategy(name, tuple(workloads)) if workloads else check_strategy(name)
    except UnknownName as error:
        raise UserError(str(error)) from error
    print_checks(name, checks)
    if failures(checks):
        raise typer.Exit(1)

"""`ganprune check-strategy`."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.base.errors import UserError
from bench.cli.options import PluginOption
from bench.cli.plugins import load_plugins


def check_strategy(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    plugins: PluginOption = None,
    workloads: Annotated[
        list[str] | None, typer.Option("--workload", metavar="W", help="Where to try it; default: dummy, mnist-mlp.")
    ] = None,
) -> None:
    """Try a strategy against everything that the benchmark expects of one."""
    from bench.check.strategy import check_strategy, failures
    from bench.cli.terminal import print_checks
    from bench.workloads.builtin import BUILT_IN
    from strategies.registry import UnknownName

    load_plugins(plugins)
    try:
        for workload in workloads or ():
            BUILT_IN[workload]
        checks = check_strategy(name, tuple(workloads)) if workloads else check_strategy(name)
    except UnknownName as error:
        raise UserError(str(error)) from error
    print_checks(name, checks)
    if failures(checks):
        raise typer.Exit(1)

"""`ganprune check-workload`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.base.errors import UserError
from bench.cli.options import CELL_SECONDS, CellMemoryOption, CellSecondsOption, TrustOption, limits_of


def check_workload(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="TOML with [[workload]] tables of your own.")],
    trust: TrustOption = None,
    cell_seconds: CellSecondsOption = CELL_SECONDS,
    cell_memory: CellMemoryOption = None,
) -> None:
    """Try a GAN of your own: what will work, what will not, and why."""
    from bench.base.containment import contained
    from bench.check.finding import Finding
    from bench.check.workload import check
    from bench.cli.terminal import print_finding, print_step, say
    from bench.experiments import load_workloads

    works = True
    limits = limits_of(cell_seconds, cell_memory)
    specs, quality = load_workloads(file, trust=trust or ())
    for spec in specs:
        say(spec.name)
        try:
            with contained(f"workload {spec.name!r}", limits):
                for finding in check(spec, quality, print_step):
                    print_finding(finding)
                    works = works and finding.kind != "problem"
        except UserError as error:
            print_finding(Finding("problem", str(error)))
            works = False
    if not works:
        raise typer.Exit(2)

"""`ganprune check-workload`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check_workload(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="TOML with [[workload]] tables of your own.")],
) -> None:
    """Try a GAN of your own: what will work, what will not, and why."""
    from bench.check.workload import check
    from bench.cli.terminal import print_finding, print_step
    from bench.experiments import load_workloads

    works = True
    specs, quality = load_workloads(file)
    for spec in specs:
        typer.echo(spec.name)
        for finding in check(spec, quality, print_step):
            print_finding(finding)
            works = works and finding.kind != "problem"
    if not works:
        raise typer.Exit(2)

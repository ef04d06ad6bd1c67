"""``python -m bench.gate.calibration.statistics``: collect in pieces, put them together, then write the tables."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated

import typer

from bench.base.errors import UserError
from bench.gate.calibration.statistics.cells import WORKLOADS

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
DATA = Path("results/calibration")
SEEDS = "0:48"
DataOption = Annotated[Path, typer.Option("--data", help="Where the collected data is kept.")]


@app.command()
def collect(
    data: DataOption = DATA,
    workload: Annotated[list[str] | None, typer.Option(help="Only this one; may be given again.")] = None,
    seeds: Annotated[str, typer.Option(help="FIRST:END, without END.")] = SEEDS,
    part: Annotated[str, typer.Option(help="Into statistics-PART.*, so that several processes collect.")] = "",
    num_images: int = 1_000,
    seconds: Annotated[float, typer.Option(help="Begin nothing new after so long.")] = float("inf"),
) -> None:
    """Measure what is missing; continues where it was stopped."""
    from bench.gate.calibration.statistics.collect import collect as collected

    found = re.fullmatch(r"(\d{1,6}):(\d{1,6})", seeds)
    if not found:
        raise UserError(f"--seeds {seeds}: expected FIRST:END, as in 0:48.")
    for name in workload or []:
        if name not in WORKLOADS:
            raise UserError(f"--workload {name}: not one of {', '.join(WORKLOADS)}.")
    which = range(int(found[1]), int(found[2]))
    for seed, name in collected(data, part, workload or WORKLOADS, which, num_images=num_images, seconds=seconds):
        typer.echo(f"{time.strftime('%H:%M:%S')} seed {seed}, {name}")


@app.command()
def merge(data: DataOption = DATA) -> None:
    """Put the parts of several processes into statistics.csv and statistics.npz; the parts stay where they are."""
    from bench.gate.calibration.statistics.collect import merge as merged

    typer.echo(f"{merged(data, '')} rows")


if __name__ == "__main__":
    try:
        app()
    except UserError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(2) from None

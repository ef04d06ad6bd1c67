"""``python -m bench.gate.calibration``: collect in pieces, then write the page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from bench.base.errors import UserError
from bench.gate.calibration.quality import SEEDS
from bench.gate.calibration.timing import PROCESSES, Condition

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
DATA, PAGE = Path("results/calibration"), Path("docs/calibration.md")
SecondsOption = Annotated[float, typer.Option(help="Begin nothing new after so long.")]
DataOption = Annotated[Path, typer.Option("--data", help="Where the collected data is kept.")]


@app.command()
def quality(
    data: DataOption = DATA,
    seeds: int = SEEDS,
    num_images: int = 500,
    seconds: SecondsOption = float("inf"),
) -> None:
    """Quality after real changes; continues where it was stopped."""
    from bench.gate.calibration.quality import collect

    for seed, workload in collect(data / "quality.csv", num_images=num_images, seconds=seconds, seeds=seeds):
        typer.echo(f"{time.strftime('%H:%M:%S')} seed {seed}, {workload}")


@app.command()
def timing(
    condition: Condition, data: DataOption = DATA, processes: int = PROCESSES, seconds: SecondsOption = float("inf")
) -> None:
    """Ratios of times in fresh processes, idle or beside a busy process; continues where it was stopped."""
    from bench.gate.calibration.timing import collect

    for index in collect(data, condition, processes, seconds):
        typer.echo(f"{time.strftime('%H:%M:%S')} {condition}, process {index + 1} of {processes}")


@app.command()
def write(data: DataOption = DATA, page: Path = PAGE) -> None:
    """Write the page from whatever is collected."""
    from bench.gate.calibration.document import document

    page.write_text(document(data), encoding="utf-8")
    typer.echo(str(page))


if __name__ == "__main__":
    try:
        app()
    except UserError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(2) from None

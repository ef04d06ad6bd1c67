"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.base.errors import UserError
from bench.base.limits import BY_DEFAULT, Limits, parse_bytes, parse_seconds

ExperimentArgument = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="A shipped name or a TOML file.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a value of the experiment, 'seeds=[0,1]', or add to a list, 'seeds+=[2]'.",
    ),
]
FinishedRunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="The folder of a run, or an experiment's newest one.")
]
ResultsOption = Annotated[Path, typer.Option("--results", help="Where runs are kept.")]
ReportsOption = Annotated[Path, typer.Option("--reports", help="Where reports are written.")]
RunOption = Annotated[str | None, typer.Option("--run", metavar="NAME", help="Name of the run (default: main).")]
JobsOption = Annotated[int, typer.Option("--jobs", min=1, help="Worker processes, one thread each.")]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu or cuda.")]
PluginOption = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="MODULE", help="A module or file.py that brings strategies of your own."),
]
TrustOption = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        metavar="MODULE",
        help="A module or file.py outside of the experiment's folder whose code may run (docs/security.md).",
    ),
]
CellSecondsOption = Annotated[
    float, typer.Option("--cell-seconds", metavar="S", help="Longest time for one cell or probe; then it is ended.")
]
CellMemoryOption = Annotated[
    str | None,
    typer.Option(
        "--cell-memory",
        metavar="SIZE",
        help="Most memory of one cell's process, 4GiB (default: 80 % of the machine's).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="A JSON list of objects.")]

RESULTS, REPORTS = Path("results"), Path("reports")

CELL_SECONDS = BY_DEFAULT.seconds


def limits_of(seconds: float, memory: str | None) -> Limits:
    """What a cell may take, as it was said. Raises UserError."""
    try:
        parse_seconds(seconds)
    except ValueError as error:
        raise UserError(f"--cell-seconds: {error}") from None
    try:
        return Limits(seconds, parse_bytes(memory) if memory is not None else None)
    except ValueError as error:
        raise UserError(f"--cell-memory: {error}") from None

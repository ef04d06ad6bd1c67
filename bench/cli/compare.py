"""`ganprune compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import RESULTS, ResultsOption


def compare(
    base: Annotated[str, typer.Argument(metavar="BASE", help="A baseline, a run, an experiment, or a git revision.")],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="The same; an experiment means its newest run.")],
    strict: Annotated[bool, typer.Option("--strict", help="Fail also where nothing could be decided.")] = False,
    form: Annotated[str, typer.Option("--format", help="table, markdown, json or junit.")] = "table",
    write: Annotated[
        list[Path] | None, typer.Option("--write", metavar="FILE", help="Also to .md, .json, .xml or .txt; repeatable.")
    ] = None,
    timing: Annotated[bool, typer.Option("--timing/--no-timing", help="Time BASE against HEAD.")] = True,
    results: ResultsOption = RESULTS,
) -> None:
    """Say whether HEAD is worse than BASE.

    Exit code 0 ok, 1 regression, 2 usage, 3 a gated cell is missing or cannot be compared.
    """
    from bench.cli.terminal import console, print_text
    from bench.gate.command import compare_and_write

    result, text = compare_and_write(
        base,
        head,
        results=results,
        strict=strict,
        form=form,
        write_to=write or [],
        timing=timing,
        width=max(console.width, 100),
        colour=console.is_terminal,
    )
    print_text(text)
    if result.exit_code:
        raise typer.Exit(result.exit_code)

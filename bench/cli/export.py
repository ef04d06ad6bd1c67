"""`ganprune export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An artefact of `prune`, or one that a run kept.")],
    onnx: Annotated[Path, typer.Option("--onnx", metavar="FILE", help="The file to write.")],
    factory: Annotated[
        str | None,
        typer.Option(
            "--factory", metavar="PLACE:FUNCTION", help="Makes a dense network of your own: a module's, or a file.py's."
        ),
    ] = None,
    workload_file: Annotated[
        Path | None, typer.Option("--workload-file", metavar="FILE", help="TOML with its [[workload]] table instead.")
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="Fix the batch size (default: any).")] = None,
) -> None:
    """Write a saved generator as ONNX, checked with ONNX Runtime."""
    from bench.artifact.onnx import export_artifact, factory_in, factory_named
    from bench.base.errors import UserError
    from bench.cli.terminal import print_exported

    if factory and workload_file:
        raise UserError("--factory and --workload-file both say what makes the network: leave one out.")
    make = factory_in(workload_file, folder) if workload_file else factory_named(factory) if factory else None
    print_exported(export_artifact(folder, onnx, factory=make, batch=batch))

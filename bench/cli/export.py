"""`ganprune export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import CELL_SECONDS, CellMemoryOption, CellSecondsOption, TrustOption, limits_of


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
    trust: TrustOption = None,
    cell_seconds: CellSecondsOption = CELL_SECONDS,
    cell_memory: CellMemoryOption = None,
) -> None:
    """Write a saved generator as ONNX, checked with ONNX Runtime."""
    from bench.artifact.onnx import export_artifact, factory_in, factory_named
    from bench.base.containment import contained
    from bench.base.errors import UserError
    from bench.cli.terminal import print_exported
    from bench.experiments import load_workloads

    if factory and workload_file:
        raise UserError("--factory and --workload-file both say what makes the network: leave one out.")
    with contained(f"export of {folder}", limits_of(cell_seconds, cell_memory)):
        make = factory_named(factory) if factory else None
        if workload_file:
            make = factory_in(load_workloads(workload_file, trust=trust or ())[0], folder)
        exported = export_artifact(folder, onnx, factory=make, batch=batch)
    print_exported(exported)

"""`ganprune export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An artefact of `prune`, or one that a run kept.")],
    onnx: Annotated[Path, typer.Option("--onnx", metavar="FILE", help="The file to write.")],
    factory: Annotated[
        str | None, typer.Option("--factory", metavar="MODULE:FUNCTION", help="Makes a dense network of your own.")
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="Fix the batch size (default: any).")] = None,
) -> None:
    """Write a saved generator as ONNX, checked with ONNX Runtime."""
    from bench.artifact.onnx import export_artifact, factory_named
    from bench.cli.terminal import print_exported

    print_exported(export_artifact(folder, onnx, factory=factory_named(factory) if factory else None, batch=batch))

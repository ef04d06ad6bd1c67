"""`ganprune train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import DeviceOption


def train(
    workload: Annotated[str, typer.Argument(metavar="WORKLOAD", help="A built-in workload, or mnist-lenet.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the weights; an unfinished training continues.")],
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1)] = 0,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, max=10**8, help="Default: the workload's recipe.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="Image source, e.g. mnist (downloads), or a folder; default: the workload's."),
    ] = None,
    device: DeviceOption = "cpu",
) -> None:
    """Train a built-in GAN or its judge."""
    from bench.cli.progress import TerminalProgress
    from bench.cli.terminal import console, print_card
    from bench.training.command import train as train_anything

    with TerminalProgress(console) as progress:
        card = train_anything(
            workload, out, seed=seed, steps=steps, data=data, device=device, progress=progress.count, note=progress.note
        )
    print_card(card, out)

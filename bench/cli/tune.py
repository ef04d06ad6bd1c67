"""`ganprune tune`."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.options import (
    CELL_SECONDS,
    CellMemoryOption,
    CellSecondsOption,
    DeviceOption,
    JsonOption,
    PluginOption,
    limits_of,
)
from bench.cli.plugins import load_plugins


def tune(
    workload: Annotated[str, typer.Argument(metavar="WORKLOAD")],
    strategies: Annotated[
        list[str] | None, typer.Option("--strategy", metavar="S", help="One or more; default: all that fit.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", metavar="X", help="Largest loss, a share of the dense quality.")
    ] = 0.1,
    metric: Annotated[
        str | None, typer.Option("--metric", help="A quantity that the gate tests; default: the one that leads.")
    ] = None,
    folds: Annotated[int, typer.Option("--folds", help="Disjoint parts of real images and inputs.")] = 5,
    num_images: Annotated[int, typer.Option("--num-images", help="Generated images in each fold.")] = 1000,
    recovery: Annotated[str, typer.Option("--recovery")] = "bn-recalibrate",
    checkpoint: Annotated[
        str, typer.Option("--checkpoint", help="shipped, seed-K, or a folder of `train`.")
    ] = "shipped",
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1)] = 0,
    device: DeviceOption = "cpu",
    plugins: PluginOption = None,
    as_json: JsonOption = False,
    cell_seconds: CellSecondsOption = CELL_SECONDS,
    cell_memory: CellMemoryOption = None,
) -> None:
    """The highest sparsity that keeps quality within a tolerance, by cross-validation."""
    from bench.base.containment import contained
    from bench.base.machine import check_device
    from bench.cli.terminal import console, print_tuned
    from bench.sweep.tune import tune as search
    from strategies.builtin import STRATEGIES

    limits = limits_of(cell_seconds, cell_memory)
    load_plugins(plugins)
    check_device(device)
    with console.status("") as status, contained(f"tuning on {workload}", limits):
        found = search(
            workload,
            strategies or [name for name in STRATEGIES if STRATEGIES[name].schedule is None],
            tolerance=tolerance,
            metric=metric,
            folds=folds,
            num_images=num_images,
            recovery=recovery,
            checkpoint=checkpoint,
            seed=seed,
            device=device,
            plugins=tuple(plugins or ()),
            progress=status.update,
        )
    print_tuned(found, tolerance, metric or "quality", as_json)

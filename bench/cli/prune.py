"""`ganprune prune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.constraints import (
    AtLeastOption,
    CapOption,
    ExcludeOption,
    MultipleOption,
    RatioOption,
    constraints_of,
)
from bench.cli.options import (
    CELL_SECONDS,
    CellMemoryOption,
    CellSecondsOption,
    DeviceOption,
    PluginOption,
    TrustOption,
    limits_of,
)
from bench.cli.plugins import load_plugins


def prune(
    workload: Annotated[str, typer.Argument(metavar="WORKLOAD")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the artefact.")],
    strategy: Annotated[str, typer.Option("--strategy", metavar="S")],
    sparsity: Annotated[float | None, typer.Option("--sparsity", metavar="X", help="In (0, 1).")] = None,
    level: Annotated[
        str | None, typer.Option("--level", metavar="KNOB=VALUE", help="The strategy's own knob instead.")
    ] = None,
    recovery: Annotated[str, typer.Option("--recovery")] = "bn-recalibrate",
    finish: Annotated[
        str, typer.Option("--finish", help="none, bf16, int8-onnx or int8-openvino: what is shipped.")
    ] = "none",
    target: Annotated[str, typer.Option("--target", help="params or macs.")] = "params",
    checkpoint: Annotated[
        str, typer.Option("--checkpoint", help="shipped, seed-K, or a folder of `train`.")
    ] = "shipped",
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1)] = 0,
    device: DeviceOption = "cpu",
    plugins: PluginOption = None,
    workload_file: Annotated[
        Path | None, typer.Option("--workload-file", metavar="FILE", help="TOML with [[workload]] tables of your own.")
    ] = None,
    trust: TrustOption = None,
    exclude: ExcludeOption = None,
    cap: CapOption = None,
    ratio: RatioOption = None,
    multiple: MultipleOption = None,
    at_least: AtLeastOption = None,
    cell_seconds: CellSecondsOption = CELL_SECONDS,
    cell_memory: CellMemoryOption = None,
) -> None:
    """Prune one generator and save it (see `ganprune.load`)."""
    limits = limits_of(cell_seconds, cell_memory)
    constraints = constraints_of(exclude, cap, ratio, multiple, at_least)
    load_plugins(plugins)
    from bench.base.containment import contained
    from bench.cli.terminal import print_pruned
    from bench.experiments import load_workloads
    from bench.sweep.prune import prune_to_folder
    from bench.workloads.builtin import BUILT_IN

    with contained(f"{strategy} on {workload}", limits):
        made = prune_to_folder(
            out,
            workload=workload,
            checkpoint=checkpoint,
            strategy=strategy,
            sparsity=sparsity,
            level=level,
            target=target,
            recovery=recovery,
            finish=finish,
            seed=seed,
            device=device,
            constraints=constraints,
            catalogue=BUILT_IN.with_own(load_workloads(workload_file, trust=trust or ())[0] if workload_file else ()),
        )
    print_pruned(made, out)

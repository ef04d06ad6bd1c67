"""What `ganprune train` trains: a workload, or the feature network that judges it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from bench.base.errors import UserError
from bench.base.machine import check_device
from bench.training.judge import train_lenet
from bench.training.train import train_workload
from bench.workloads.builtin import BUILT_IN
from bench.workloads.data import DATA_SOURCES
from bench.workloads.spec import FOLDER
from strategies.registry import UnknownName

JUDGE = "mnist-lenet"


def _source(name: str, data: str | None) -> str | None:
    """The name of the images: a registered source, or ``folder:PATH``. Raises UserError."""
    learns_any = name in BUILT_IN and BUILT_IN[name].image_shape is not None
    if data is None and learns_any:
        raise UserError(f"{name} learns from your images: name their folder with --data FOLDER.")
    if data is None or (data in DATA_SOURCES and not learns_any):
        return data
    if not learns_any:
        found = [other for other in BUILT_IN if BUILT_IN[other].image_shape is not None]
        raise UserError(
            f"--data: {UnknownName('data source', data, [*DATA_SOURCES])} "
            f"Folders are for {', '.join(found)}; {name} has its own images."
        )
    if not Path(data).is_dir():
        raise UserError(f"--data {data}: no such folder.")
    return f"{FOLDER}{Path(data).absolute()}"


def train(
    name: str,
    out: Path,
    *,
    seed: int,
    steps: int | None,
    data: str | None = None,
    device: str,
    progress: Callable[[int, int, str], None],
    note: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Train ``name`` into ``out`` on one thread and return its card. Raises UserError."""
    check_device(device)
    torch.set_num_threads(1)
    if name != JUDGE and name not in BUILT_IN:
        raise UserError(str(UnknownName("workload", name, [*BUILT_IN, JUDGE])))
    data = _source(name, data)
    try:
        if name == JUDGE:
            if steps is not None or data is not None:
                raise UserError(f"--steps, --data: {JUDGE} is trained in one way only; leave them out.")
            return train_lenet(out, seed=seed, progress=progress)
        workload = BUILT_IN[name] if data is None else replace(BUILT_IN[name], data=data)
        return train_workload(workload, out, seed=seed, steps=steps, device=device, progress=progress, note=note)
    except OSError as error:
        raise UserError(
            f"--out {out}: cannot be written ({error.strerror}). The training continues from its last saved state."
        ) from error

"""The second phase of a run: latency of each distinct architecture, alone on the machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from bench.executors import Work
from bench.keys import latency_key
from bench.measure.latency import device_model, measure_latency
from bench.records import LatencyRecord, Record
from bench.seeds import stream
from bench.workloads.builtin import WORKLOADS
from bench.workloads.checkpoints import load_checkpoint
from bench.workloads.own import define
from bench.workloads.spec import WorkloadSpec
from bench.workshop import libraries, machine
from strategies.catalog import DENSE
from strategies.slicing import shrink

DTYPE = "float32"
THREADS = 1


@dataclass(frozen=True)
class LatencyTask:
    """One pair (dense, pruned) of architectures to be timed in one way."""

    key: str
    workload: str
    checkpoint: str
    architecture: str
    dense_architecture: str
    kept: tuple[tuple[str, str, tuple[int, ...]], ...]
    """(module, side, indices): what is left of each resized module."""
    device: str
    batch: int
    backend: str


def latency_tasks(
    records: Iterable[Record], *, devices: Iterable[str], batches: Iterable[int], backends: Iterable[str]
) -> list[LatencyTask]:
    """One task for each distinct architecture and way of timing, however many cells share it.

    Masked networks have the architecture of dense, so they share the task (dense, dense): it shows what masks
    bring on dense kernels, which is nothing, and how far two equal networks are apart here.
    """
    records = [record for record in records if record.architecture is not None]
    dense = {
        (record.cell.workload, record.cell.checkpoint): record.architecture.hash
        for record in records
        if record.cell.strategy == DENSE and record.architecture
    }
    models = {device: device_model(device) for device in devices}
    tasks: dict[str, LatencyTask] = {}
    for record in records:
        cell, architecture = record.cell, record.architecture
        assert architecture is not None
        base = dense.get((cell.workload, cell.checkpoint))
        if base is None:
            continue
        kept = tuple(
            (module, side, tuple(indices))
            for module, sides in architecture.kept.items()
            for side, indices in sides.items()
        )
        for device, model in models.items():
            for batch in batches:
                for backend in backends:
                    key = latency_key(
                        base,
                        architecture.hash,
                        inputs=repr(WORKLOADS[cell.workload].inputs),
                        device=model,
                        backend=backend,
                        batch=batch,
                        dtype=DTYPE,
                        threads=THREADS,
                    )
                    task = LatencyTask(
                        key,
                        cell.workload,
                        cell.checkpoint,
                        architecture.hash,
                        base,
                        kept,
                        device,
                        batch,
                        backend,
                    )
                    tasks.setdefault(key, task)
    return list(tasks.values())


@dataclass(frozen=True)
class LatencySetup:
    """Picklable: makes the work of a latency process."""

    workloads: tuple[WorkloadSpec, ...] = ()
    """The user's own, which the process makes again."""

    def __call__(self) -> Work:
        define(self.workloads)
        torch.set_num_threads(THREADS)
        return time_task


def time_task(task: LatencyTask) -> LatencyRecord:
    """Rebuild both networks, time them against each other."""
    workload = WORKLOADS[task.workload]
    dense = load_checkpoint(workload, task.checkpoint).generator
    kept: dict[str, dict[str, torch.Tensor]] = {}
    for module, side, indices in task.kept:
        kept.setdefault(module, {})[side] = torch.tensor(indices, dtype=torch.long)
    pruned = shrink(dense, kept)
    inputs = workload.inputs.sample(task.batch, stream(0, "eval", "latency"))
    timed: dict[str, Any] = measure_latency(
        dense, pruned, inputs, device=task.device, batch=task.batch, backend=task.backend
    )
    return LatencyRecord(
        latency_key=task.key,
        workload=task.workload,
        checkpoint=task.checkpoint,
        architecture=task.architecture,
        dense_architecture=task.dense_architecture,
        provenance={"libraries": libraries(), "machine": machine(task.device)},
        **timed,
    )

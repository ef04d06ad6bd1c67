"""The second phase of a run: latency of each distinct architecture, alone on the machine."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bench.artifact.finishes import FINISH
from bench.base.machine import device_model, libraries, machine, versions
from bench.base.seeds import stream
from bench.executors import Work
from bench.measure.backends.finished import backend_named
from bench.measure.latency import measure_latency
from bench.records import LatencyRecord, Record
from bench.records.finishes import NO_FINISH, TIMED_AS
from bench.records.zeros import Zeros, zeros_of
from bench.sweep.finishing import finished_again, packages_of
from bench.sweep.keys import latency_key
from bench.workloads.base import Workload
from bench.workloads.catalogue import Catalogue
from bench.workloads.checkpoints import load_checkpoint
from strategies.baking import plain
from strategies.builtin import DENSE
from strategies.granularity.nm import pattern
from strategies.layers import in_dim, prunable_layers, widths
from strategies.slicing import bypass, shrink
from strategies.sorting import stable_order

THREADS = 1


@dataclass(frozen=True)
class LatencyTask:
    """One pair (dense, pruned) of architectures to be timed in one way."""

    key: str
    workload: str
    checkpoint: str
    architecture: str
    dense_architecture: str
    widths: tuple[tuple[str, int, int], ...]
    """(layer, out, in) of the pruned network, to be sure that it is the one that is timed."""
    kept: tuple[tuple[str, str, tuple[int, ...]], ...]
    """(module, side, indices): what is left of each resized module."""
    bypassed: tuple[str, ...]
    device: str
    batch: int
    backend: str
    zeros: Zeros
    """Empty for backends that multiply by zeros like by any other number."""
    finish: str = NO_FINISH
    """Of the pruned network; it is timed as what it is shipped for runs it, against dense in float32 there."""


def latency_tasks(
    records: Iterable[Record],
    catalogue: Catalogue,
    *,
    devices: Iterable[str],
    batches: Iterable[int],
    backends: Iterable[str],
) -> list[LatencyTask]:
    """One task for each distinct architecture and way of timing, however many cells share it.

    Masked networks have the architecture of dense, so they share the task (dense, dense): it shows what masks
    bring on dense kernels, which is nothing, and how far two equal networks are apart here. Where a backend skips
    zeros there is one task for each distinct density of the layers as well.
    """
    records = [record for record in records if record.architecture is not None]
    dense = {
        (record.cell.workload, record.cell.checkpoint): record.architecture.hash
        for record in records
        if record.cell.strategy == DENSE and record.cell.finish == NO_FINISH and record.architecture
    }
    models = {device: device_model(device) for device in devices}
    ways = list(itertools.product(models.items(), batches, backends))
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
        finish = FINISH[cell.finish] if cell.finish != NO_FINISH else None
        own = [(where, batch, TIMED_AS[finish.name]) for where, batch, _ in ways if where[0] == "cpu"] if finish else []
        for (device, model), batch, name in dict.fromkeys(own) if finish else ways:
            backend = backend_named(name)
            zeros = zeros_of(record) if backend.skips_zeros else Zeros(())
            key = latency_key(
                base,
                architecture.hash,
                inputs=repr(catalogue[cell.workload].inputs),
                device=model,
                backend=name,
                prepare=backend.prepare,
                batch=batch,
                dtype=backend.dtype,
                threads=THREADS,
                zeros=zeros.hash,
                finish=finish,
            )
            if key not in tasks:
                tasks[key] = LatencyTask(
                    key=key,
                    workload=cell.workload,
                    checkpoint=cell.checkpoint,
                    architecture=architecture.hash,
                    dense_architecture=base,
                    widths=tuple((name, *width) for name, width in architecture.widths.items()),
                    kept=kept,
                    bypassed=tuple(architecture.bypassed),
                    device=device,
                    batch=batch,
                    backend=name,
                    zeros=zeros,
                    finish=cell.finish,
                )
    return list(tasks.values())


@dataclass(frozen=True)
class LatencySetup:
    """Picklable: makes the work of a latency process."""

    catalogue: Catalogue

    def __call__(self) -> Work:
        torch.set_num_threads(THREADS)

        @functools.cache
        def dense_of(workload: str, checkpoint: str) -> nn.Module:
            return dense_network(self.catalogue[workload], checkpoint)

        return lambda task: time_task(task, self.catalogue[task.workload], dense_of(task.workload, task.checkpoint))


def dense_network(workload: Workload, checkpoint: str) -> nn.Module:
    """The generator to time against, plain as the pruned one is: that is no speed-up."""
    return plain(load_checkpoint(workload, checkpoint).generator)


def time_task(task: LatencyTask, workload: Workload, dense: nn.Module) -> LatencyRecord:
    """Rebuild the pruned network, time it against ``dense``, which is left alone.

    Raises:
        RuntimeError: the pruned network cannot be rebuilt from its record; timing another would be wrong.
    """
    pruned = rebuilt(dense, task)
    if task.finish != NO_FINISH:
        pruned = finished_again(task.finish, pruned, workload.inputs)
    inputs = workload.inputs.sample(task.batch, stream(0, "eval", "latency"))
    timed: dict[str, Any] = measure_latency(
        dense,
        pruned,
        inputs,
        device=task.device,
        batch=task.batch,
        backend=backend_named(task.backend, (dense, inputs)),
    )
    return LatencyRecord(
        latency_key=task.key,
        workload=task.workload,
        checkpoint=task.checkpoint,
        architecture=task.architecture,
        dense_architecture=task.dense_architecture,
        zeros=task.zeros.hash,
        provenance={
            "libraries": libraries() | versions(*PACKAGES.get(task.backend, ()), *packages_of(task.finish)),
            "machine": machine(task.device),
        },
        **timed,
    )


PACKAGES = {"onnx": ("onnxruntime", "onnx"), "openvino": ("openvino", "onnx")}
"""Packages that time is spent in, whose versions belong to a timing."""


def rebuilt(dense: nn.Module, task: LatencyTask) -> nn.Module:
    """A network of the architecture of ``task``, its weights those of ``dense``, with zeros where a backend skips them.

    Raises:
        RuntimeError: the record's kept indices and bypassed modules do not give the record's widths.
    """
    kept: dict[str, dict[str, torch.Tensor]] = {}
    for module, side, indices in task.kept:
        kept.setdefault(module, {})[side] = torch.tensor(indices, dtype=torch.long)
    pruned = shrink(dense, kept)
    if task.bypassed:
        pruned = bypass(pruned, task.bypassed)
    found = tuple((name, *width) for name, width in widths(pruned).items())
    if task.architecture != task.dense_architecture and found != task.widths:
        raise RuntimeError(f"architecture {task.architecture} cannot be rebuilt from its record: not timed")
    plant(pruned, task.zeros)
    return pruned


@torch.no_grad()
def plant(model: nn.Module, zeros: Zeros) -> None:
    """Zero, in place, the smallest weights of each layer until its density is that of ``zeros``.

    Which weights a strategy chose is not known here, and matters little to a kernel that skips zeros: how many does.
    """
    layers = prunable_layers(model)
    for name, density in zeros.density:
        weight = layers[name].weight
        if zeros.n_of_m:
            weight.mul_(pattern(weight.abs(), in_dim(layers[name]), *zeros.n_of_m))
        else:
            smallest = stable_order(weight.abs().flatten())[: round((1 - density) * weight.numel())]
            weight.mul_(torch.ones_like(weight).flatten().index_fill(0, smallest, 0.0).view_as(weight))

"""What the pytest plug-in times, and what identifies the result."""

from __future__ import annotations

from typing import Any

from bench.base.errors import UserError
from bench.base.machine import device_model, libraries, machine
from bench.gate.contents import shape_of
from bench.gate.rebuild import prepare
from bench.measure.backends import BACKENDS, Call
from bench.records import Cell
from bench.sweep.cell import make
from bench.sweep.counts import architecture_of
from bench.sweep.keys import latency_key
from bench.sweep.settings import Settings
from bench.sweep.timing import THREADS
from bench.sweep.workshop import Workshop
from bench.training.recovery import Recovered
from strategies.registry import UnknownName


def prepared(
    workload: str, strategy: str, level: dict[str, float], *, checkpoint: str, batch: int, backend: str, device: str
) -> tuple[Call, dict[str, Any]]:
    """The call of one pruned generator, and the table that identifies its timing: key, machine, and what it is.

    Raises:
        UserError: no such workload or strategy.
    """
    shop = Workshop(Settings(num_images=2, curve=False))
    cell = Cell(workload=workload, checkpoint=checkpoint, strategy=strategy, level=level, recovery="none", seed=0)
    try:
        todo = shop.resolve(cell)
    except UnknownName as error:
        raise UserError(str(error)) from error
    gan = todo.gan
    pruned = architecture_of(gan.workload, make(todo, shop, watch=False).recovered)
    dense = architecture_of(gan.workload, Recovered(gan.checkpoint.generator, None))
    shape = shape_of(pruned)
    call = prepare(workload, checkpoint, shape.sizes, shape.widths, device=device, backend=backend, batch=batch)
    key = latency_key(
        dense.hash,
        pruned.hash,
        inputs=repr(gan.workload.inputs),
        device=device_model(device),
        backend=backend,
        prepare=BACKENDS[backend].prepare,
        batch=batch,
        dtype=BACKENDS[backend].dtype,
        threads=THREADS,
    )
    about = {
        "latency_key": key,
        "machine": machine(device),
        "libraries": libraries(),
        "threads": THREADS,
        "workload": workload,
        "strategy": strategy,
        "level": cell.level_label,
        "batch": batch,
        "backend": backend,
        "architecture": pruned.hash,
    }
    return call, about

"""How long what is missing of a run will take: from timing one small image set of each workload here and now."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench.base.machine import one_thread
from bench.base.seeds import stream
from bench.executors.local import keep_freed_memory
from bench.measure.latency import expected_seconds
from bench.records.store import DamagedFile, RunStore
from bench.sweep.groups import MASKED, cell_cost, image_cost
from bench.sweep.plan import Plan, devices_here
from bench.sweep.resolved import ResolvedCell
from bench.sweep.steady import calling
from bench.sweep.timing import latency_tasks
from bench.sweep.workshop import Workshop
from strategies.allocation import uniform

Training = tuple[str, str]
"""Workload and checkpoint."""


def estimate_seconds(plan: Plan, missing: Sequence[ResolvedCell], jobs: int) -> float:
    """How long the missing cells will take with ``jobs`` processes."""
    shop = Workshop(replace(plan.settings, run=None))
    cost = cell_cost(shop)
    with calling(missing):
        rates = _rates(shop, missing)
        return sum(cost(todo) * rates[_training(todo)] for todo in missing) / max(1, jobs)


def estimate_latency_seconds(plan: Plan, missing: Sequence[ResolvedCell], store: RunStore) -> float:
    """How long the missing timings will take, one after the other: each is counted as long as one of dense.

    The architectures of cells without a record are not known yet: those that may differ are counted as different,
    and cells that will turn out not to be applicable are counted all the same.
    """
    latency = plan.experiment.latency
    if not latency.enabled:
        return 0.0
    shop = Workshop(replace(plan.settings, run=None))
    devices = devices_here(plan.experiment)
    unknown = {todo.keys.eval for todo in missing}
    finished = [todo for todo in plan.todo if todo.keys.eval not in unknown]
    networks = _networks(missing) - _networks(finished)
    ways = len(devices) * len(latency.backends)
    wanted = [(training, batch) for training, _ in networks for batch in latency.batches for _ in range(ways)]
    planned = [planned for planned in plan.cells if planned.keys.eval not in unknown]
    records = [record for one in planned if (record := store.read_record(one)) is not None]
    tasks = latency_tasks(
        records, plan.settings.catalogue, devices=devices, batches=latency.batches, backends=latency.backends
    )
    wanted += [
        ((task.workload, task.checkpoint), task.batch)
        for task in tasks
        if not _timed(store, task.workload, task.batch, task.key)
    ]
    needed = {training for training, _ in wanted}
    gans = {_training(todo): todo.gan for todo in plan.todo}
    with calling(plan.todo):
        rates = _rates(shop, [todo for todo in plan.todo if _training(todo) in needed])
        calls = [(rates[training] * image_cost(shop, gans[training]), batch) for training, batch in wanted]
    return sum(expected_seconds(seconds * batch) for seconds, batch in calls)


def _timed(store: RunStore, workload: str, batch: int, key: str) -> bool:
    try:
        known = store.read_latency(workload, batch, key)
    except DamagedFile:
        return False
    return known is not None and known.status != "invalid"


def _networks(cells: Iterable[ResolvedCell]) -> set[tuple[Training, tuple[str, ...]]]:
    """What tells the architectures of these cells apart: of which training they are, and how they were pruned."""
    found: set[tuple[Training, tuple[str, ...]]] = set()
    for todo in cells:
        cell, strategy = todo.cell, todo.strategy
        if strategy is None or strategy.granularity.name in MASKED:
            found.add((_training(todo), ()))
            continue
        how: tuple[str, ...] = (cell.strategy, cell.target, cell.level_label)
        if strategy.schedule is not None:
            how = (*how, cell.recovery, str(cell.seed))
        elif strategy.allocation is uniform and "sparsity" in cell.level:
            # As many channels of each group whatever their scores: the same widths by any criterion, for any seed.
            how = (strategy.granularity.name, "uniform", cell.target, cell.level_label)
        elif todo.draws:
            how = (*how, str(cell.seed))
        found.add((_training(todo), how))
    return found


def _training(todo: ResolvedCell) -> Training:
    return todo.cell.workload, todo.cell.checkpoint


def _rates(shop: Workshop, cells: Iterable[ResolvedCell]) -> dict[Training, float]:
    """Seconds for one MAC (of `image_cost`) of each training, on one thread."""
    keep_freed_memory()  # as workers do
    with one_thread():
        return {training: _seconds_per_mac(shop, *training) for training in {_training(todo) for todo in cells}}


def _seconds_per_mac(shop: Workshop, workload: str, checkpoint: str) -> float:
    loaded = shop.load(workload, checkpoint)
    gan = loaded.gan
    inputs = gan.workload.inputs.sample(100, stream(0, "eval", "estimate"))
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        loaded.judge.see(gan.checkpoint.generator, inputs)
        seconds.append(time.perf_counter() - start)
    return min(seconds) / (image_cost(shop, gan) * len(inputs[0]))

"""How long what is missing of a run will take: from timing one small image set of each workload here and now."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench.base.machine import one_thread
from bench.base.seeds import stream
from bench.measure.latency import expected_seconds
from bench.records import Cell, PlannedCell
from bench.records.store import DamagedFile, RunStore
from bench.sweep.run import Plan, cell_cost, devices_here
from bench.sweep.timing import latency_tasks
from bench.sweep.workshop import Workshop
from bench.tasks.generation.quality import judge
from bench.workloads.generate import generate
from strategies.allocation import uniform

MASKED = {"weight", "nm"}
"""Granularities that leave zeros in tensors of the old size: their networks have the dense architecture."""

Training = tuple[str, str]
"""Workload and checkpoint."""


def estimate_seconds(plan: Plan, missing: Sequence[PlannedCell], jobs: int) -> float:
    """How long the missing cells will take with ``jobs`` processes."""
    shop = Workshop(replace(plan.settings, run=None))
    cost = cell_cost(shop)
    rates = _rates(shop, missing)
    return sum(cost(p.cell) * rates[_training(p.cell)] for p in missing) / max(1, jobs)


def estimate_latency_seconds(plan: Plan, missing: Sequence[PlannedCell], store: RunStore) -> float:
    """How long the missing timings will take, one after the other: each is counted as long as one of dense.

    The architectures of cells without a record are not known yet: those that may differ are counted as different,
    and cells that will turn out not to be applicable are counted all the same.
    """
    latency = plan.experiment.latency
    if not latency.enabled:
        return 0.0
    shop = Workshop(replace(plan.settings, run=None))
    devices = devices_here(plan.experiment)
    unknown = {planned.keys.eval for planned in missing}
    finished = [planned for planned in plan.cells if planned.keys.eval not in unknown]
    networks = _networks(missing, shop) - _networks(finished, shop)
    ways = len(devices) * len(latency.backends)
    wanted = [(training, batch) for training, _ in networks for batch in latency.batches for _ in range(ways)]
    records = [record for planned in finished if (record := store.read_record(planned)) is not None]
    tasks = latency_tasks(
        records, plan.settings.catalogue, devices=devices, batches=latency.batches, backends=latency.backends
    )
    wanted += [
        ((task.workload, task.checkpoint), task.batch)
        for task in tasks
        if not _timed(store, task.workload, task.batch, task.key)
    ]
    needed = {training for training, _ in wanted}
    rates = _rates(shop, [planned for planned in plan.cells if _training(planned.cell) in needed])
    return sum(expected_seconds(rates[training] * shop.layer_macs(*training) * batch) for training, batch in wanted)


def _timed(store: RunStore, workload: str, batch: int, key: str) -> bool:
    try:
        known = store.read_latency(workload, batch, key)
    except DamagedFile:
        return False
    return known is not None and known.status != "invalid"


def _networks(cells: Iterable[PlannedCell], shop: Workshop) -> set[tuple[Training, tuple[str, ...]]]:
    """What tells the architectures of these cells apart: of which training they are, and how they were pruned."""
    found: set[tuple[Training, tuple[str, ...]]] = set()
    for planned in cells:
        cell = planned.cell
        strategy = shop.strategy(cell.strategy)
        if strategy is None or strategy.granularity.name in MASKED:
            found.add((_training(cell), ()))
            continue
        how: tuple[str, ...] = (cell.strategy, cell.target, cell.level_label)
        if strategy.schedule is not None:
            how = (*how, cell.recovery, str(cell.seed))
        elif strategy.allocation is uniform and "sparsity" in cell.level:
            # As many channels of each group whatever their scores: the same widths by any criterion, for any seed.
            how = (strategy.granularity.name, "uniform", cell.target, cell.level_label)
        elif "prune" in shop.streams(cell):
            how = (*how, str(cell.seed))
        found.add((_training(cell), how))
    return found


def _training(cell: Cell) -> Training:
    return cell.workload, cell.checkpoint


def _rates(shop: Workshop, cells: Iterable[PlannedCell]) -> dict[Training, float]:
    """Seconds for one MAC of each training, on one thread."""
    with one_thread():
        return {training: _seconds_per_mac(shop, *training) for training in {_training(p.cell) for p in cells}}


def _seconds_per_mac(shop: Workshop, workload: str, checkpoint: str) -> float:
    loaded = shop.load(workload, checkpoint)
    inputs = loaded.workload.inputs.sample(100, stream(0, "eval", "estimate"))
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        images, _ = generate(loaded.checkpoint.generator, inputs)
        judge(loaded.extractor, images)
        seconds.append(time.perf_counter() - start)
    return min(seconds) / (shop.layer_macs(workload, checkpoint) * len(inputs[0]))

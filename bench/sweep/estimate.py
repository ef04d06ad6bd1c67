"""How long what is missing of a run will take: from timing one small image set of each workload here and now.

Where others compute on this machine at the same time, a wall clock times them too: what counts on a CPU is the time
that the probe had itself, and how much of a core that was is said.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from bench.base.containment import contained
from bench.base.limits import BY_DEFAULT, Limits
from bench.base.machine import one_thread
from bench.base.seeds import stream
from bench.executors.local import keep_freed_memory
from bench.measure.latency import expected_seconds
from bench.records.finishes import NO_FINISH
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


QUIET = 0.8
"""The share of a core that a probe has on a machine where nothing else computes is above this."""


@dataclass(frozen=True)
class Probe:
    """One small image set, generated and judged on one thread."""

    seconds_per_mac: float
    """Of `image_cost`, as on an idle machine."""
    share: float
    """Of a core, that it had."""


class Speeds:
    """How fast the trainings of a plan are here, each probed when it is first asked for."""

    def __init__(self, plan: Plan, limits: Limits = BY_DEFAULT) -> None:
        self.shop = Workshop(replace(plan.settings, run=None))
        self.limits = limits
        self.probes: dict[Training, Probe] = {}

    def of(self, training: Training) -> float:
        """Seconds for one MAC. Raises UserError: its generator or judge fails, or is over the limits."""
        if training not in self.probes:
            workload, checkpoint = training
            with contained(f"workload {workload!r}, checkpoint {checkpoint!r}", self.limits), one_thread():
                self.probes[training] = _probe(self.shop, *training)
        return self.probes[training].seconds_per_mac

    @property
    def disturbed(self) -> float | None:
        """The smallest share of a core that a probe had, where others took part of it; None: none did."""
        least = min((probe.share for probe in self.probes.values()), default=1.0)
        return least if least < QUIET else None


def estimate_seconds(speeds: Speeds, missing: Sequence[ResolvedCell], jobs: int) -> float:
    """How long the missing cells will take with ``jobs`` processes."""
    with calling(missing):
        cost = cell_cost(speeds.shop)
        return sum(cost(todo) * speeds.of(_training(todo)) for todo in missing) / max(1, jobs)


def estimate_latency_seconds(plan: Plan, speeds: Speeds, missing: Sequence[ResolvedCell], store: RunStore) -> float:
    """How long the missing timings will take, one after the other: each is counted as long as one of dense.

    The architectures of cells without a record are not known yet: those that may differ are counted as different,
    and cells that will turn out not to be applicable are counted all the same.
    """
    latency = plan.experiment.latency
    if not latency.enabled:
        return 0.0
    devices = devices_here(plan.experiment)
    unknown = {todo.keys.eval for todo in missing}
    finished = [todo for todo in plan.todo if todo.keys.eval not in unknown]
    networks = _networks(missing) - _networks(finished)
    ways = len(devices) * len(latency.backends)
    wanted = [
        (training, batch)
        for training, _, finish in networks
        for batch in latency.batches
        for _ in range(ways if finish == NO_FINISH else devices.count("cpu"))  # in its own way alone
    ]
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
    gans = {_training(todo): todo.gan for todo in plan.todo}
    with calling(plan.todo):
        calls = [(speeds.of(training) * image_cost(speeds.shop, gans[training]), batch) for training, batch in wanted]
    return sum(expected_seconds(seconds * batch) for seconds, batch in calls)


def _timed(store: RunStore, workload: str, batch: int, key: str) -> bool:
    try:
        known = store.read_latency(workload, batch, key)
    except DamagedFile:
        return False
    return known is not None and known.status != "invalid"


def _networks(cells: Iterable[ResolvedCell]) -> set[tuple[Training, tuple[str, ...], str]]:
    """What tells the architectures of these cells apart: of which training they are, how they were pruned, and their
    finish."""
    found: set[tuple[Training, tuple[str, ...], str]] = set()
    for todo in cells:
        cell, strategy = todo.cell, todo.strategy
        if strategy is None or strategy.granularity.name in MASKED:
            found.add((_training(todo), (), cell.finish))
            continue
        how: tuple[str, ...] = (cell.strategy, cell.target, cell.level_label)
        if strategy.schedule is not None:
            how = (*how, cell.recovery, str(cell.seed))
        elif strategy.allocation is uniform and "sparsity" in cell.level and not cell.constraints:
            # As many channels of each group whatever their scores: the same widths by any criterion, for any seed.
            how = (strategy.granularity.name, "uniform", cell.target, cell.level_label)
        elif todo.draws:
            how = (*how, str(cell.seed))
        found.add((_training(todo), how, cell.finish))
    return found


def _training(todo: ResolvedCell) -> Training:
    return todo.cell.workload, todo.cell.checkpoint


def _probe(shop: Workshop, workload: str, checkpoint: str) -> Probe:
    keep_freed_memory()  # as workers do
    loaded = shop.load(workload, checkpoint)
    gan = loaded.gan
    inputs = gan.workload.inputs.sample(100, stream(0, "eval", "estimate"))
    on_cpu = torch.device(shop.settings.device).type == "cpu"
    own, wall = [], []
    for _ in range(3):
        start, began = time.perf_counter(), time.thread_time()
        loaded.judge.see(gan.checkpoint.generator, inputs)
        own.append(time.thread_time() - began)
        wall.append(time.perf_counter() - start)
    seconds = min(own if on_cpu else wall)  # a GPU's work is not this thread's
    share = min(1.0, sum(own) / sum(wall)) if on_cpu else 1.0
    return Probe(seconds / (image_cost(shop, gan) * len(inputs[0])), share)

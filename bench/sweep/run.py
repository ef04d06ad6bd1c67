"""A whole experiment: which cells are missing, in which order, carried out and kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import torch

from bench.base.errors import UserError
from bench.base.machine import check_device, git_revision, libraries, machine
from bench.executors import Done, Executor, Failed, Work
from bench.executors.local import LocalExecutor
from bench.experiments import Experiment, Known, dump, expand
from bench.records import (
    NOT_TIMED_YET,
    Cell,
    Failure,
    LatencyFailure,
    LatencyRecord,
    Manifest,
    PlannedCell,
    Record,
    RunEnvironment,
)
from bench.records.paths import run_folder, safe
from bench.records.store import DamagedFile, RunStore
from bench.sweep.cell import run_cell
from bench.sweep.keys import KEYS_VERSION
from bench.sweep.timing import LatencySetup, LatencyTask, latency_tasks
from bench.sweep.workshop import Settings, Workshop
from strategies.catalog import DENSE

T = TypeVar("T")

MAIN = "main"
GROUPS_PER_JOB = 6
"""How finely the cells are dealt out: enough groups that no worker waits long for the last one."""


class Progress(Protocol):
    """Who watches a run."""

    def phase(self, name: str, total: int) -> None: ...

    def advance(self, label: str) -> None: ...

    def note(self, text: str) -> None: ...


class Silent:
    """Nobody watches."""

    def phase(self, name: str, total: int) -> None:
        """Nothing to show."""

    def advance(self, label: str) -> None:
        """Nothing to show."""

    def note(self, text: str) -> None:
        """Nothing to show."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    folder: Path
    cells: int
    finished_before: int
    failed: int
    """Cells that raised; they stand in ``failures/``."""
    seconds: float
    failed_timings: int = 0
    """Timings that raised; they stand in ``failures/`` as well."""


@dataclass(frozen=True)
class Plan:
    """The cells of an experiment with their keys, in the order of the experiment."""

    experiment: Experiment
    settings: Settings
    cells: tuple[PlannedCell, ...]


def settings_of(
    experiment: Experiment, *, device: str = "cpu", run: Path | None = None, save: bool = False
) -> Settings:
    """The part of the experiment that says how cells are measured."""
    quality = experiment.quality
    return Settings(
        num_images=quality.num_images,
        extractor=quality.extractor,
        extractor_weights=Path(quality.extractor_weights).absolute() if quality.extractor_weights else None,
        download=quality.download,
        curve=quality.curve,
        metrics=tuple(quality.metrics),
        device=device,
        run=run,
        sample_seed=experiment.sweep.seeds[0],
        save=save,
        plugins=tuple(_absolute(name) for name in experiment.sweep.plugins),
        catalogue=experiment.catalogue,
    )


def _absolute(plugin: str) -> str:
    """A file's full path; a module's name as it is."""
    return str(Path(plugin).resolve()) if plugin.endswith(".py") else plugin


def make_plan(experiment: Experiment, settings: Settings, shop: Workshop | None = None) -> Plan:
    """Expand the experiment and give every cell its keys.

    Every checkpoint is loaded, so what is wrong with one shows before any work is done.
    """
    check_device(settings.device)
    shop = shop or Workshop(settings)
    cells = expand(experiment, Known.installed())
    return Plan(experiment, settings, tuple(PlannedCell(cell=cell, keys=shop.keys(cell)) for cell in cells))


def devices_here(experiment: Experiment) -> list[str]:
    """Those of the experiment's latency devices that this machine has."""
    return [device for device in experiment.latency.devices if device != "cuda" or torch.cuda.is_available()]


def device_note(experiment: Experiment) -> str:
    """What is to be said where the experiment times on a device that is not here; empty where it does not.

    No mistake: the same file is good on the machine that has one, and all cells can be measured here.
    """
    latency = experiment.latency
    absent = sorted(set(latency.devices) - set(devices_here(experiment))) if latency.enabled else []
    return f"latency on {', '.join(absent)} is left out: no such device here." if absent else ""


class CellSetup:
    """Picklable: makes the work of a quality worker."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self) -> Work:
        shop = Workshop(self.settings)
        return lambda planned: run_cell(planned.cell, planned.keys, shop)


def groups(
    cells: Sequence[PlannedCell], jobs: int, cost: Callable[[Cell], float], draws: Callable[[Cell], bool]
) -> list[list[PlannedCell]]:
    """Cells that share work together, the costliest groups first.

    A group shares workload, checkpoint, strategy, target and recovery. Within it come in a row: where the strategy
    ``draws``, the levels of a seed, which share a score; elsewhere the seeds of a level, which share a cut (and all of
    them a score). Cells of one pruned network are never torn apart. Large groups are cut so that all workers end at
    about the same time.
    """

    def place(network: list[PlannedCell]) -> tuple[int, str]:
        cell = network[0].cell
        return (cell.seed, "") if draws(cell) else (0, cell.level_label)

    together: dict[tuple[str, ...], dict[str, list[PlannedCell]]] = {}
    for planned in cells:
        cell = planned.cell
        family = (cell.workload, cell.checkpoint, cell.strategy, cell.target, cell.recovery)
        together.setdefault(family, {}).setdefault(planned.keys.prune, []).append(planned)
    limit = sum(cost(planned.cell) for planned in cells) / max(1, jobs * GROUPS_PER_JOB)
    found: list[list[PlannedCell]] = []
    for networks in together.values():
        current: list[PlannedCell] = []
        for network in sorted(networks.values(), key=place):
            if current and sum(cost(p.cell) for p in [*current, *network]) > limit:
                found.append(current)
                current = []
            current = [*current, *network]
        found.append(current)
    return sorted(found, key=lambda group: -sum(cost(planned.cell) for planned in group))


def cell_cost(shop: Workshop) -> Callable[[Cell], float]:
    """A rough cost of a cell in MACs, for dealing out groups."""

    def cost(cell: Cell) -> float:
        generator = shop.layer_macs(cell.workload, cell.checkpoint)
        return float(generator * 2 * shop.settings.num_images + shop.training_macs(cell))

    return cost


def run_experiment(
    experiment: Experiment,
    *,
    results: Path,
    run: str | None = None,
    fresh: bool = False,
    jobs: int = 2,
    device: str = "cpu",
    save: bool = False,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> Outcome:
    """Run what is missing of ``experiment`` and keep every cell as soon as it is finished.

    Three stages with a barrier between them: dense cells, which the others are compared with; all other cells; and
    latency, alone on the machine.

    Raises:
        UserError: something that the user must mend; finished cells are kept.
    """
    start = time.perf_counter()
    progress = progress or Silent()
    name = experiment.sweep.name
    run = run or (_new_name(results, name) if fresh else MAIN)
    if safe(run) != run:
        raise UserError(f"--run {run!r}: not usable as a folder name; letters, digits and + . _ - only.")
    folder = run_folder(results, name, run).absolute()
    if fresh and RunStore(folder).paths.manifest.exists():
        raise UserError(f"--fresh --run {run}: {folder} exists already. Name another, or leave out --fresh.")
    settings = settings_of(experiment, device=device, run=folder, save=save)
    store = RunStore(folder)
    store.check_version()
    shop = Workshop(settings)
    plan = make_plan(experiment, settings, shop)
    executor = executor or LocalExecutor(jobs)
    with store.writing():
        _warn_about_versions(store, progress)
        _warn_about_keys(store, progress)
        manifest = Manifest(keys_version=KEYS_VERSION, experiment=dump(experiment), run=run, cells=list(plan.cells))
        store.write_manifest(manifest, environment(settings, jobs))
        missing = missing_cells(plan, store, progress.note)
        failed = _run_cells(missing, store, shop, jobs, executor, progress)
        failed_timings = _run_latency(experiment, store, plan, executor, progress)
    finished_before = len(plan.cells) - len(missing)
    return Outcome(folder, len(plan.cells), finished_before, failed, time.perf_counter() - start, failed_timings)


def missing_cells(plan: Plan, store: RunStore, note: Callable[[str], None]) -> list[PlannedCell]:
    """The cells of ``plan`` without a usable record; a damaged one is noted and counts as none.

    Raises:
        UserError: a record that cannot be read, or of another schema version.
    """
    return [planned for planned in plan.cells if _or_none(partial(store.read_record, planned), note) is None]


def _new_name(results: Path, experiment: str) -> str:
    """The time, to the second; numbered where that second already has a run."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    names = [stamp, *(f"{stamp}-{count}" for count in range(2, 100))]
    return next(name for name in names if not run_folder(results, experiment, name).exists())


def _or_none(read: Callable[[], T | None], note: Callable[[str], None]) -> T | None:
    """What ``read`` gives; None, and a note, where the file is damaged: it will be made again."""
    try:
        return read()
    except DamagedFile as error:
        note(f"{error.found} It is measured again.")
        return None


def _run_cells(
    missing: list[PlannedCell],
    store: RunStore,
    shop: Workshop,
    jobs: int,
    executor: Executor,
    progress: Progress,
) -> int:
    if not missing:
        return 0
    progress.phase("quality", len(missing))
    failed = 0
    stages = [
        groups([p for p in missing if (p.cell.strategy == DENSE) is dense], jobs, cell_cost(shop), shop.draws)
        for dense in (True, False)
    ]
    for outcome in executor.run(CellSetup(shop.settings), stages):
        planned: PlannedCell = outcome.item
        if isinstance(outcome, Done):
            record: Record = outcome.result
            store.write_record(record)
        else:
            failed += 1
            _keep_failure(store, planned, outcome)
            progress.note(f"failed: {planned.cell.label}: {outcome.error}")
        progress.advance(planned.cell.label)
    return failed


def _keep_failure(store: RunStore, planned: PlannedCell, outcome: Failed) -> None:
    before = store.read_failure(planned)
    store.write_failure(
        Failure(
            keys=planned.keys,
            cell=planned.cell,
            error=outcome.error,
            traceback=outcome.traceback,
            attempt=before.attempt + 1 if before else 1,
        )
    )


def _run_latency(experiment: Experiment, store: RunStore, plan: Plan, executor: Executor, progress: Progress) -> int:
    latency = experiment.latency
    if not latency.enabled:
        return 0
    found = [_or_none(partial(store.read_record, planned), Silent().note) for planned in plan.cells]
    records = [record for record in found if record is not None]
    devices = devices_here(experiment)
    if skipped := device_note(experiment):
        progress.note(skipped)
    tasks = latency_tasks(
        records, plan.settings.catalogue, devices=devices, batches=latency.batches, backends=latency.backends
    )
    timed = {
        task.key: _or_none(partial(store.read_latency, task.workload, task.batch, task.key), progress.note)
        for task in tasks
    }
    # A timing that others disturbed is no result, and packages can be installed: the next run tries again.
    missing = [task for task in tasks if (known := timed[task.key]) is None or known.status in NOT_TIMED_YET]
    if not missing:
        return 0
    progress.phase("latency", len(missing))
    failed = 0
    alone = LocalExecutor(1) if isinstance(executor, LocalExecutor) else executor
    for outcome in alone.run(LatencySetup(plan.settings.catalogue), [[missing]]):
        task: LatencyTask = outcome.item
        if isinstance(outcome, Done):
            timing: LatencyRecord = outcome.result
            store.write_latency(timing)
        else:
            failed += 1
            _keep_latency_failure(store, task, outcome)
            progress.note(f"failed: latency of {task.workload} {task.architecture}: {outcome.error}")
        progress.advance(f"{task.workload} batch {task.batch}")
    return failed


def _keep_latency_failure(store: RunStore, task: LatencyTask, outcome: Failed) -> None:
    before = store.read_latency_failure(task.workload, task.batch, task.key)
    store.write_latency_failure(
        LatencyFailure(
            latency_key=task.key,
            workload=task.workload,
            checkpoint=task.checkpoint,
            architecture=task.architecture,
            device=task.device,
            backend=task.backend,
            batch=task.batch,
            error=outcome.error,
            traceback=outcome.traceback,
            attempt=before.attempt + 1 if before else 1,
        )
    )


def environment(settings: Settings, jobs: int) -> RunEnvironment:
    """Where a run was made: for the report, never part of a key."""
    return {
        "libraries": libraries(),
        "machine": machine(settings.device),
        "git": git_revision(),
        "jobs": jobs,
        "threads": 1,
        "device": settings.device,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _warn_about_keys(store: RunStore, progress: Progress) -> None:
    """One sentence where the run's cells have keys of another version: they are all measured again."""
    if store.paths.manifest.exists() and (version := store.read_manifest().keys_version) != KEYS_VERSION:
        progress.note(
            f"this run has keys of version {version}, this ganprune makes version {KEYS_VERSION}, which name all code "
            "that numbers come from: its records are left where they are, and every cell is measured again."
        )


def _warn_about_versions(store: RunStore, progress: Progress) -> None:
    if not store.paths.environment.exists():
        return
    try:
        from bench.workloads.store import read_json

        before = read_json(store.paths.environment)["libraries"]
    except (UserError, KeyError, TypeError):
        return
    now = libraries()
    changed = [f"{name} {before[name]} -> {now[name]}" for name in now if before.get(name, now[name]) != now[name]]
    if changed:
        progress.note(
            f"this run was begun with other versions: {', '.join(changed)}. Finished cells are kept as they are; "
            "use --fresh to measure all under the same."
        )

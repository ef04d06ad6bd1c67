"""A whole experiment: which cells are missing, in which order, carried out and kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from bench.base.containment import contained
from bench.base.errors import UserError
from bench.base.limits import BY_DEFAULT, Limits
from bench.base.machine import git_revision, libraries, machine, one_thread
from bench.base.outside import read_table, there
from bench.base.printable import shortened
from bench.executors import Done, Executor, Failed, Resources, Stage, Work, stage
from bench.executors.local import LocalExecutor
from bench.experiments import Experiment, dump
from bench.records import (
    NOT_TIMED_YET,
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
from bench.sweep.groups import cell_cost, groups
from bench.sweep.keys import KEYS_VERSION
from bench.sweep.plan import Plan, announce_training, device_note, devices_here, make_plan, settings_of
from bench.sweep.progress import Progress, Silent
from bench.sweep.resolved import ResolvedCell
from bench.sweep.settings import Settings
from bench.sweep.steady import calling, flagged, unsteady
from bench.sweep.timing import LatencySetup, LatencyTask, latency_tasks
from bench.sweep.workshop import Workshop
from bench.workloads.described import notes_of

T = TypeVar("T")

MAIN = "main"


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


class CellSetup:
    """Picklable: makes the work of a quality worker."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self) -> Work:
        shop = Workshop(self.settings)
        return lambda planned: _planned(run_cell(planned.cell, shop), planned)


def _planned(record: Record, planned: PlannedCell) -> Record:
    """``record``, if it is what was planned. Raises UserError where another process has other code or files."""
    if record.keys != planned.keys:
        raise UserError(
            f"{planned.cell.label}: the worker has other code, weights or images than the plan was made with. "
            "Nothing may change while a sweep runs; run the same command again."
        )
    return record


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
    limits: Limits = BY_DEFAULT,
) -> Outcome:
    """Run what is missing of ``experiment`` and keep every cell as soon as it is finished.

    Two stages with a barrier between them: cells, each after the dense cell that it is compared with; and latency,
    alone on the machine.

    Args:
        limits: what one cell, one timing and the loading of one workload may take; a cell that is over it has failed.

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
    with contained("the experiment's plug-ins", limits):
        shop = Workshop(settings)
    with one_thread():  # it is little, and workers' cores are not this process's to fill
        announce_training(experiment, progress.note)
        plan = make_plan(experiment, settings, shop, limits=limits)
    executor = executor or LocalExecutor(jobs)
    with store.writing():
        store.clear_leftovers(plan.cells)
        _warn_about_versions(store, progress)
        _warn_about_keys(store, progress)
        _say_what_was_left_out(plan, progress)
        manifest = Manifest(keys_version=KEYS_VERSION, experiment=dump(experiment), run=run, cells=list(plan.cells))
        store.write_manifest(manifest, environment(settings, jobs))
        missing = missing_cells(plan, store, progress.note)
        with one_thread():
            drawing = unsteady(missing, progress.note, limits)
        failed = _run_cells(missing, store, shop, executor, progress, limits, drawing)
        failed_timings = _run_latency(experiment, store, plan, executor, progress, limits)
    finished_before = len(plan.cells) - len(missing)
    return Outcome(folder, len(plan.cells), finished_before, failed, time.perf_counter() - start, failed_timings)


def missing_cells(plan: Plan, store: RunStore, note: Callable[[str], None]) -> list[ResolvedCell]:
    """The cells of ``plan`` without a usable record; a damaged one is noted and counts as none.

    Raises:
        UserError: a record that cannot be read, or of another schema version.
    """
    cells = zip(plan.todo, plan.cells, strict=True)
    return [todo for todo, planned in cells if _or_none(partial(store.read_record, planned), note) is None]


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
    missing: list[ResolvedCell],
    store: RunStore,
    shop: Workshop,
    executor: Executor,
    progress: Progress,
    limits: Limits,
    drawing: frozenset[tuple[str, str]],
) -> int:
    if not missing:
        return 0
    progress.phase("quality", len(missing))
    failed = 0
    with calling(missing):
        dealt = groups(missing, cell_cost(shop))
    needs = Resources(device=shop.settings.device, limits=limits)
    for outcome in executor.run([Stage(CellSetup(shop.settings), dealt, needs)]):
        planned: PlannedCell = outcome.item
        if isinstance(outcome, Done):
            record: Record = flagged(outcome.result, drawing)
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


def _run_latency(
    experiment: Experiment, store: RunStore, plan: Plan, executor: Executor, progress: Progress, limits: Limits
) -> int:
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
    # One process for all that is timed on a device, alone on its machine.
    timings = [
        stage(
            LatencySetup(plan.settings.catalogue),
            [task for task in missing if task.device == device],
            resources=Resources(device=device, exclusive=True, limits=limits),
        )
        for device in dict.fromkeys(task.device for task in missing)
    ]
    for outcome in executor.run(timings):
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


def _say_what_was_left_out(plan: Plan, progress: Progress) -> None:
    """Files and pictures that are not, or not just as they are, among the images of the plan's workloads."""
    gans = {todo.gan.workload.name: todo.gan for todo in plan.todo}
    for name, gan in gans.items():
        for note in notes_of(gan.workload, gan.data):
            progress.note(f"workload {name!r}, {note}.")


def _warn_about_keys(store: RunStore, progress: Progress) -> None:
    """One sentence where the run's cells have keys of another version: they are all measured again."""
    if there(store.paths.manifest) and (version := store.read_manifest().keys_version) != KEYS_VERSION:
        progress.note(
            f"this run has keys of version {version}, this ganprune makes version {KEYS_VERSION}, which name all code "
            "that numbers come from: its records are left where they are, and every cell is measured again."
        )


def _warn_about_versions(store: RunStore, progress: Progress) -> None:
    if not there(store.paths.environment):
        return
    try:
        before = read_table(store.paths.environment).get("libraries")
    except UserError:
        return  # it is written anew
    now = libraries()
    known = {name: shortened(str(it), 40) for name, it in before.items()} if isinstance(before, dict) else {}
    changed = [f"{name} {known[name]} -> {now[name]}" for name in now if known.get(name, now[name]) != now[name]]
    if changed:
        progress.note(
            f"this run was begun with other versions: {', '.join(changed)}. Finished cells are kept as they are; "
            "use --fresh to measure all under the same."
        )

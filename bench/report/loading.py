"""From a run's folder to what tables and reports are made of. Imports neither the sweep nor any cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import UserError
from bench.records import Failure, PlannedCell, Record
from bench.records.store import RunStore
from bench.report.inputs import ReportInputs
from bench.workloads.store import read_json, read_weights


def read_run(folder: Path) -> ReportInputs:
    """Every finished cell of the run's manifest, its timings, failures and samples.

    Records that the manifest does not name (of an earlier definition, or of cells that the experiment no longer
    has) are not read.

    Raises:
        UserError: a damaged file, with its place.
    """
    store = RunStore(folder)
    manifest = store.read_manifest()
    records: list[Record] = []
    failures: list[Failure] = []
    excluded = list(manifest.excluded)
    unfinished = 0
    for planned in manifest.cells:
        record = store.read_record(planned)
        if record is not None:
            records.append(record)
        elif failure := store.read_failure(planned):
            failures.append(failure)
        else:
            unfinished += 1
    if unfinished:
        excluded.append(f"{unfinished} of {len(manifest.cells)} cells are not finished; run the experiment again.")
    architectures = {record.architecture.hash for record in records if record.architecture}
    recovery, samples = _samples(store, manifest.cells, records)
    return ReportInputs(
        experiment=manifest.experiment,
        run=manifest.run,
        records=records,
        latency=[timing for timing in store.latencies() if timing.architecture in architectures],
        failures=failures,
        failed_timings=[failure for failure in store.latency_failures() if failure.architecture in architectures],
        excluded=excluded,
        samples=samples,
        environment=read_json(store.paths.environment) if store.paths.environment.exists() else {},
        samples_recovery=recovery,
    )


def _samples(
    store: RunStore, cells: list[PlannedCell], records: list[Record]
) -> tuple[str | None, dict[tuple[str, str, str], NDArray[np.uint8]]]:
    """The kept images of the experiment's last recovery: the one that the numbers are most often quoted for."""
    if not cells:
        return None, {}
    recovery = cells[-1].cell.recovery
    found = {}
    for record in records:
        cell = record.cell
        path = store.paths.cell_samples(record.keys.eval)
        if cell.recovery != recovery or not path.exists():
            continue
        try:
            images = read_weights(path)["images"].numpy()
        except (UserError, KeyError):
            continue  # a damaged picture is no reason to lose the report
        found[(cell.workload, cell.strategy, cell.level_label)] = images
    return recovery, found

"""From a run's folder to what tables and reports are made of. Imports neither the sweep, nor any cell, nor PyTorch."""

from __future__ import annotations

import glob
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from bench.base.errors import UserError
from bench.records import Failure, PlannedCell, Record
from bench.records.paths import RunPaths, report_folder
from bench.records.store import RunStore
from bench.report.build import build_report
from bench.report.inputs import ReportInputs
from bench.report.pictures import Artists
from bench.tables.places import place_names


def find_run(name: str | Path, results: Path | str = "results") -> Path:
    """The folder of a run: a path, or an experiment's newest run.

    Raises:
        UserError: neither.
    """
    path = Path(name)
    if RunPaths(path).manifest.exists():
        return path
    candidates = [m.parent for m in (Path(results) / "runs").glob(f"{_escaped(str(name))}/*/manifest.json")]
    if not candidates:
        raise UserError(
            f"{name}: neither the folder of a run nor an experiment with a run in {Path(results) / 'runs'}. "
            f"Make one with `ganprune run {name}`."
        )
    return max(candidates, key=lambda folder: RunPaths(folder).manifest.stat().st_mtime)


def _escaped(name: str) -> str:
    return glob.escape(name) if "/" not in name and ".." not in name else "[no such run]"


def draw_report(
    name: str | Path,
    *,
    results: Path | str = "results",
    reports: Path | str = "reports",
    artists: Artists | None = None,
) -> Path:
    """Draw the report of a run anew, by ``artists`` where there are some already; returns the path of its page."""
    inputs = read_run(find_run(name, results))
    folder = report_folder(Path(reports), str(inputs.experiment["experiment"]["name"]))
    return build_report(inputs, folder, artists=artists)


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
        environment=_environment(store.paths.environment),
        samples_recovery=recovery,
    )


def _environment(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: damaged, not JSON ({error}).") from error


def _samples(
    store: RunStore, cells: list[PlannedCell], records: list[Record]
) -> tuple[str | None, dict[tuple[str, str, str], NDArray[np.uint8]]]:
    """The kept images of the experiment's last recovery: the one that the numbers are most often quoted for."""
    if not cells:
        return None, {}
    recovery = cells[-1].cell.recovery
    found = {}
    names = place_names((record.cell.workload, record.cell.checkpoint) for record in records)
    for record in records:
        cell = record.cell
        path = store.paths.cell_samples(record.keys.eval)
        if cell.recovery != recovery or not path.exists():
            continue
        try:
            images = load(path.read_bytes())["images"]
        except (OSError, SafetensorError, ValueError, KeyError):
            continue  # a damaged picture is no reason to lose the report
        found[(names[cell.workload, cell.checkpoint], cell.strategy, cell.level_label)] = images
    return recovery, found

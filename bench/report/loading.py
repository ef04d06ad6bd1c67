"""From a run's folder to what tables and reports are made of. Imports neither the sweep, nor any cell, nor PyTorch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from bench.base.errors import UserError
from bench.base.outside import WEIGHTS, read_bytes, read_table, there
from bench.base.printable import cleaned, one_line, shortened
from bench.records import Failure, PlannedCell, Record
from bench.records.contributions import KeptContributions
from bench.records.paths import RunPaths, report_folder, safe
from bench.records.store import RunStore, for_people, writable
from bench.report.build import build_report
from bench.report.inputs import ReportInputs, name_of
from bench.report.pictures import Artists
from bench.tables.evidence import Evidence
from bench.tables.latency import latest
from bench.tables.places import place_names


def find_run(name: str | Path, results: Path | str = "results") -> Path:
    """The folder of a run: a path, or an experiment's newest run.

    Raises:
        UserError: neither.
    """
    path = Path(name)
    if str(name) and os.path.exists(RunPaths(path).manifest):  # noqa: PTH110  (False also for what is no path)
        return path
    newest = newest_run(results, str(name))
    if newest is None:
        said = shortened(str(name), 200)
        raise UserError(
            f"{said or repr('')}: neither the folder of a run nor an experiment with a run in "
            f"{Path(results) / 'runs'}. Make one with `ganprune run {said or 'EXPERIMENT'}`."
        )
    return newest


def newest_run(results: Path | str, experiment: str) -> Path | None:
    """The folder of the newest run of an experiment; None where there is none, or where that is no name of one."""
    if safe(experiment) != experiment or len(experiment) > 100:
        return None
    found = [manifest.parent for manifest in (Path(results) / "runs" / experiment).glob("*/manifest.json")]
    return max(found, key=lambda folder: RunPaths(folder).manifest.stat().st_mtime, default=None)


def draw_report(
    name: str | Path,
    *,
    results: Path | str = "results",
    reports: Path | str = "reports",
    artists: Artists | None = None,
) -> Path:
    """Draw the report of a run anew, by ``artists`` where there are some already; returns the path of its page."""
    inputs = read_run(find_run(name, results))
    folder = report_folder(Path(reports), name_of(inputs.experiment))
    with writable(folder, "The results are kept; mend that, or name another folder with --reports, and draw it again."):
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
            records.append(for_people(record))
        elif failure := store.read_failure(planned):
            failures.append(for_people(failure))
        else:
            unfinished += 1
    if unfinished:
        excluded.append(f"{unfinished} of {len(manifest.cells)} cells are not finished; run the experiment again.")
    architectures = {record.architecture.hash for record in records if record.architecture}
    timings = store.latencies(note=excluded.append)
    contributions = KeptContributions(store.paths, [record.keys.eval for record in records])
    lost = sum(_has_errors(record) and record.keys.eval not in contributions for record in records)
    if lost:
        excluded.append(
            f"{lost} of {len(records)} cells have lost what their images contribute ({store.paths.images}: missing or "
            "damaged): their differences are taken as unpaired, so intervals are wider. --fresh measures them anew."
        )
    recovery, samples = _samples(store, manifest.cells, records)
    return ReportInputs(
        experiment=cleaned(manifest.experiment),
        run=one_line(manifest.run),
        records=records,
        latency=[for_people(timing) for timing in latest(timings) if timing.architecture in architectures],
        failures=failures,
        failed_timings=[for_people(one) for one in store.latency_failures() if one.architecture in architectures],
        excluded=[one_line(text) for text in excluded],
        samples=samples,
        environment=_environment(store.paths.environment),
        evidence=Evidence(contributions),
        samples_recovery=recovery,
    )


def _has_errors(record: Record) -> bool:
    """Whether contributions were kept when it was measured."""
    return any(number.error is not None for number in record.numbers.values())


def _environment(path: Path) -> dict[str, Any]:
    return dict(cleaned(read_table(path))) if there(path) else {}


def _samples(
    store: RunStore, cells: list[PlannedCell], records: list[Record]
) -> tuple[str | None, dict[tuple[str, str, str], NDArray[np.uint8]]]:
    """The kept images of the experiment's last recovery: the one that the numbers are most often quoted for."""
    if not cells:
        return None, {}
    recovery = cells[-1].cell.after
    found = {}
    names = place_names((record.cell.workload, record.cell.checkpoint) for record in records)
    shapes: dict[str, tuple[int, ...]] = {}
    for record in records:
        cell = record.cell
        path = store.paths.cell_samples(record.keys.eval)
        if cell.after != recovery or not path.exists():
            continue
        try:
            images = load(read_bytes(path, WEIGHTS))["images"]
        except (UserError, SafetensorError, ValueError, KeyError):
            continue  # a damaged picture is no reason to lose the report
        if not _are_images(images) or shapes.setdefault(cell.workload, images.shape) != images.shape:
            continue
        found[(names[cell.workload, cell.checkpoint], cell.strategy, cell.level_label)] = images
    return recovery, found


def _are_images(images: NDArray[Any]) -> bool:
    """Whether it can be drawn: uint8 ``(n, 1 or 3, H, W)``."""
    return images.ndim == 4 and images.dtype == np.uint8 and images.size > 0 and images.shape[1] in (1, 3)

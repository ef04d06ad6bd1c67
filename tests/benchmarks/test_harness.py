"""The harness's own speed: `make bench-harness`.

Ratios are measured side by side in one run; nothing is asserted on time.
"""

from __future__ import annotations

import importlib
import multiprocessing
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bench.sweep.measuring
import bench.tasks.generation.evaluation
import bench.training.recovery.finish
from bench.base.seeds import stream
from bench.experiments import load_experiment
from bench.records import Cell, Record
from bench.records.store import RunStore
from bench.sweep.cell import run_cell
from bench.sweep.plan import make_plan, settings_of
from bench.sweep.resolved import ResolvedCell
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.tasks.generation.frechet import frechet_distance
from bench.tasks.generation.gaussian import fit
from bench.training.recovery.finish import CALIBRATION_BATCH, CALIBRATION_IMAGES
from strategies.composition import Strategy
from strategies.granularity.channel import ChannelRemoval
from strategies.granularity.weight import WeightRemoval
from tests.benchmarks.counting import NETWORKS, counted

IMAGES = 1_000

LIBRARIES = "bench.sweep.run, torch_fidelity.metric_isc, fvcore.nn, torch_pruning"
"""What a worker imports, some of it at its first cell."""

PRUNING = [(Strategy, "rank"), (Strategy, "decide"), (WeightRemoval, "apply"), (ChannelRemoval, "apply")]
"""Scoring, ordering, cutting, and the check against the masked twin."""


def report(benchmark: Any) -> None:
    """pytest-benchmark keeps `extra_info` for its JSON files only; say it as well."""
    print(f"\n{benchmark.name}: " + ", ".join(f"{key}: {value}" for key, value in benchmark.extra_info.items()))


def test_help(benchmark: Any) -> None:
    """`ganprune --help`, the whole process."""
    command = [str(Path(sys.executable).parent / "ganprune"), "--help"]
    benchmark.pedantic(lambda: subprocess.run(command, check=True, capture_output=True), rounds=7, warmup_rounds=1)


@pytest.fixture(scope="module")
def features() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(2048, 2048)) / 45
    return rng.normal(size=(4_000, 2048)) @ mix, rng.normal(0.1, 1, size=(4_000, 2048)) @ mix


def test_frechet_distance_at_2048_dimensions(benchmark: Any, features: tuple[np.ndarray, np.ndarray]) -> None:
    """One comparison with a known reference, beside the general matrix square root of torch-fidelity."""
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    real, fake = fit(features[0]), fit(features[1])
    real.root  # noqa: B018 - the reference's side is computed once for a whole sweep
    ours = benchmark.pedantic(lambda: frechet_distance(real, fake), rounds=3, warmup_rounds=1)
    start = time.perf_counter()
    stats = [{"mu": g.mean, "sigma": g.covariance} for g in (real, fake)]
    theirs = fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"]
    seconds = time.perf_counter() - start
    benchmark.extra_info["torch-fidelity / ours, seconds"] = round(seconds / benchmark.stats.stats.median, 2)
    report(benchmark)
    assert ours == pytest.approx(theirs, rel=1e-6)


def bare(shop: Workshop, cell: Cell) -> float:
    """CPU seconds of a loop that only runs the networks over as many images, with nothing of the harness."""
    loaded = shop.load(cell.workload, cell.checkpoint)
    generator = loaded.gan.checkpoint.generator.to(memory_format=torch.channels_last)
    inputs = loaded.gan.workload.inputs.sample(IMAGES, stream(0, "eval"))[0]
    calibration = inputs[:CALIBRATION_IMAGES]
    judge = loaded.judge.extractor.module
    start = time.process_time()
    with torch.inference_mode():
        for z in calibration.split(CALIBRATION_BATCH):
            generator(z)
        images = [((generator(z) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8) for z in inputs.split(100)]
        for x in torch.cat(images).split(250):
            judge(x.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last))
    return time.process_time() - start


def test_overhead_of_a_cell(benchmark: Any) -> None:
    """Masked cells of `mnist-dcgan`, in turn with a bare loop over the same number of images."""
    torch.set_num_threads(1)
    shop = Workshop(Settings(num_images=IMAGES))
    names = ["l1-weight-global", "l1-weight-uniform", "random-weight-global"]
    cells = [
        Cell(
            workload="mnist-dcgan",
            strategy=name,
            level={"sparsity": level},
            recovery="bn-recalibrate",
            seed=0,
        )
        for name in names
        for level in (0.3, 0.5, 0.7, 0.9)
    ]
    dense = shop.resolve(cells[0]).dense
    assert dense is not None
    reference = make_dense_once(shop, dense)
    loops = [
        (bench.tasks.generation.evaluation, "generate"),
        (bench.tasks.generation.evaluation, "judge"),
        (bench.training.recovery.finish, "recalibrate"),
    ]
    inside: list[float] = []
    by_discriminator: list[float] = []
    total: list[float] = []
    loop: list[float] = []

    def sweep() -> None:
        for cell in cells:
            loop.append(bare(shop, cell))
            start = time.process_time()
            told = [(bench.tasks.generation.evaluation, "says_real")]
            with counted(loops, inside), counted(told, by_discriminator), reference():
                run_cell(cell, shop)
            total.append(time.process_time() - start)

    benchmark.pedantic(sweep, rounds=2)
    networks = sum(inside) + sum(by_discriminator)
    benchmark.extra_info["share of CPU outside the networks"] = round(1 - networks / sum(total), 3)
    benchmark.extra_info["share of D"] = round(sum(by_discriminator) / sum(total), 3)
    benchmark.extra_info["inside / bare loop"] = round(sum(inside) / sum(loop), 3)
    report(benchmark)


def test_share_of_quick(benchmark: Any, tmp_path: Path) -> None:
    """Every cell of `quick` with one seed, in one worker that writes its records: CPU time outside the networks.

    By kind of cell, and how much of it is pruning. What a worker takes to import its libraries is given apart,
    and the share with it: it is the same for one seed and for ten.
    """
    with multiprocessing.get_context("spawn").Pool(1) as worker:  # a new process: its first uses are part of it
        spent = benchmark.pedantic(lambda: worker.apply(sweep_quick, (tmp_path / "run",)), rounds=1)
    spent["all"] = [cell for kind in spent.values() for cell in kind]
    for kind, times in spent.items():
        total, outside, pruning = (sum(column) for column in zip(*times, strict=True))
        benchmark.extra_info[f"\n  {kind} ({len(times)} cells)"] = (
            f"{outside / total:.1%} of {total:.2f} CPU s outside the networks, {pruning / total:.1%} pruning"
        )
    command = [sys.executable, "-W", "ignore", "-c", f"import {LIBRARIES}, time; print(time.process_time())"]
    start = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    total, outside, _ = (sum(column) for column in zip(*spent["all"], strict=True))
    benchmark.extra_info["\n  imports of a worker, CPU s"] = round(start, 2)
    benchmark.extra_info["share with them"] = round((outside + start) / (total + start), 3)
    report(benchmark)


def sweep_quick(folder: Path) -> dict[str, list[tuple[float, float, float]]]:
    """Kind of cell -> CPU seconds of each: all, outside the networks, pruning."""
    torch.set_num_threads(1)
    for name in LIBRARIES.split(", "):
        importlib.import_module(name)
    experiment = load_experiment("quick", ["seeds=[0]"])
    settings = settings_of(experiment, run=folder)
    cells = sorted(make_plan(experiment, settings).cells, key=lambda planned: planned.cell.strategy != "dense")
    store, shop = RunStore(folder), Workshop(settings)
    spent: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for planned in cells:
        inside: list[float] = []
        pruning: list[float] = []
        start = time.process_time()
        with counted(NETWORKS, inside), counted(PRUNING, pruning):
            record = run_cell(planned.cell, shop)
        store.write_record(record)
        total = time.process_time() - start
        spent[kind_of(record)].append((total, total - sum(inside), sum(pruning)))
    return spent


def kind_of(record: Record) -> str:
    """`mnist-dcgan masks`, ...: what decides how a cell's time is spent."""
    if record.cell.strategy == "dense":
        return f"{record.cell.workload} dense, and first uses"
    if record.architecture is None:
        return f"{record.cell.workload} {record.status}"
    return f"{record.cell.workload} {'channels' if record.physical else 'masks'}"


def make_dense_once(shop: Workshop, dense: ResolvedCell) -> Callable[[], Any]:
    """As in a run, where dense's images are read from disk: they are made once, outside what is measured."""
    from bench.sweep.cell import make

    made = make(dense, shop).recovered
    found = bench.sweep.measuring.dense_outputs(dense, shop, lambda: made)

    @contextmanager
    def remembered() -> Iterator[None]:
        before = bench.sweep.measuring.dense_outputs
        bench.sweep.measuring.dense_outputs = lambda *_: found
        try:
            yield
        finally:
            bench.sweep.measuring.dense_outputs = before

    return remembered

"""The same cells by the obvious script and by the sweep, on two cores, side by side."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from bench.base.machine import one_thread
from bench.experiments import Experiment
from bench.report.loading import read_run
from bench.sweep.run import run_experiment
from bench.tasks.generation.extractors import BATCH
from tests.benchmarks.obvious import judge_one_after_the_other
from tests.benchmarks.test_harness import report

WORKLOADS = ["mnist-dcgan", "mnist-mlp"]
STRATEGIES = ["random-weight-global", "l1-weight-global", "l1-channel-uniform", "l1-channel-global"]
LEVELS = [0.3, 0.5, 0.7, 0.9]
SEEDS = [0, 1]
IMAGES = 1_000


def test_the_obvious_script(benchmark: Any, tmp_path: Path) -> None:
    """Everything counts for both: imports of the workers, the dense cells that the script leaves out, the files."""
    experiment = Experiment.model_validate(
        {
            "experiment": {
                "name": "comparison",
                "workloads": WORKLOADS,
                "strategies": STRATEGIES,
                "sparsities": LEVELS,
                "recovery": ["bn-recalibrate"],
                "seeds": SEEDS,
            },
            "quality": {"num_images": IMAGES},
            "latency": {"enabled": False},
        }
    )
    outcome = benchmark.pedantic(
        lambda: run_experiment(experiment, results=tmp_path, jobs=2, fresh=True), rounds=1, iterations=1
    )
    ours = benchmark.stats.stats.median
    start = time.perf_counter()
    judged = judge_one_after_the_other(WORKLOADS, STRATEGIES, LEVELS, SEEDS, IMAGES)
    theirs = time.perf_counter() - start
    benchmark.extra_info |= {
        "cells": len(judged),
        "script, seconds": round(theirs, 1),
        "sweep, seconds": round(ours, 1),
        "script / sweep": round(theirs / ours, 2),
    }
    report(benchmark)
    with one_thread():  # as in a worker, and in its batches: else features differ in the last bits of float32
        cells = (WORKLOADS, STRATEGIES[1:3], LEVELS[:1], SEEDS)
        expected = judge_one_after_the_other(*cells, IMAGES, batch_size=BATCH)
    records = {
        (r.cell.workload, r.cell.strategy, r.cell.level["sparsity"], r.cell.seed): r.numbers
        for r in read_run(outcome.folder).records
        if r.cell.strategy != "dense"
    }
    assert set(records) == set(judged)
    for key, (fid, score) in expected.items():
        assert records[key]["fid[mnist-lenet]"].value == pytest.approx(fid, rel=1e-6), key
        assert records[key]["is[mnist-lenet]"].value == pytest.approx(score, rel=1e-6), key

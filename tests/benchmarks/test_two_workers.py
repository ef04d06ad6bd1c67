"""What the second worker is worth: the cells of `quick` with one and with two, in turn, beside bare generator loops."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.base.seeds import stream
from bench.executors import Done, Work, stage
from bench.executors.local import LocalExecutor
from bench.experiments import load_experiment
from bench.sweep.run import run_experiment
from bench.workloads.builtin import BUILT_IN
from bench.workloads.checkpoints import load_checkpoint
from bench.workloads.generate import generate
from tests.benchmarks.clocked import ClockedExecutor
from tests.benchmarks.test_harness import report

ROUNDS = 2
"""With one worker and with two, in turn, so that both see the same neighbours."""
LOOPS = 6
"""Image sets that a bare loop makes."""


@dataclass(frozen=True)
class BareLoop:
    """Picklable: makes ``LOOPS`` sets of 1,000 images of `mnist-dcgan` and says when it did."""

    def __call__(self) -> Work:
        workload = BUILT_IN["mnist-dcgan"]
        generator = load_checkpoint(workload, "shipped").generator
        inputs = workload.inputs.sample(1_000, stream(0, "eval"))
        generate(generator, inputs)

        def loop(_: object) -> tuple[float, float]:
            begin = time.monotonic()
            for _ in range(LOOPS):
                generate(generator, inputs)
            return begin, time.monotonic()

        return loop


def bare_rate(jobs: int) -> float:
    """Loops a second."""
    spans = [
        o.result
        for o in LocalExecutor(jobs).run([stage(BareLoop(), *[[i] for i in range(jobs)])])
        if isinstance(o, Done)
    ]
    assert len(spans) == jobs
    return jobs / (max(end for _, end in spans) - min(begin for begin, _ in spans))


def test_two_workers(benchmark: Any, tmp_path: Path) -> None:
    """Of `quick`, one seed, without timings: seconds from the first cell that is begun to the last record."""
    experiment = load_experiment("quick", ["seeds=[0]", "latency.enabled=false"])
    taken: dict[int, list[ClockedExecutor]] = {1: [], 2: []}
    whole: dict[int, list[float]] = {1: [], 2: []}
    bare: list[float] = []

    def both() -> None:
        bare.append(bare_rate(2) / bare_rate(1))
        for jobs in (1, 2):
            executor = ClockedExecutor(jobs)
            outcome = run_experiment(experiment, results=tmp_path, executor=executor, fresh=True)
            assert outcome.failed == 0
            taken[jobs].append(executor)
            whole[jobs].append(outcome.seconds)

    benchmark.pedantic(both, rounds=ROUNDS, iterations=1)
    one, two = ([executor.seconds for executor in taken[jobs]] for jobs in (1, 2))
    benchmark.extra_info |= {
        "bare loops, two against one": [round(ratio, 2) for ratio in bare],
        "cells, two against one": [round(a / b, 2) for a, b in zip(one, two, strict=True)],
        "cells, seconds with one, with two": [round(statistics.median(seconds), 1) for seconds in (one, two)],
        "cells, CPU seconds with one, with two": [
            round(statistics.median(e.cpu for e in taken[jobs]), 1) for jobs in (1, 2)
        ],
        "workers at an item, of two": [round(executor.busy, 2) for executor in taken[2]],
        "whole sweep, two against one": [round(a / b, 2) for a, b in zip(whole[1], whole[2], strict=True)],
    }
    report(benchmark)

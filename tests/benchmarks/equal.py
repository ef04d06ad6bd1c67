"""A/A of the sweep's timings: how far dense is from itself, in fresh processes.

    python -m tests.benchmarks.equal [--processes 18] [--batches 1 16] [--workloads ...] [--neighbours 0]

Of equal networks the speed-up is 1, so every number that is printed is the timing's own error.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch

from bench.base.machine import device_model
from bench.base.seeds import stream
from bench.gate.calibration.timing import neighbour
from bench.measure.latency import measure_latency
from bench.sweep.timing import dense_network
from bench.workloads.builtin import BUILT_IN
from bench.workloads.checkpoints import SHIPPED

Way = tuple[str, int]
"""Workload and batch."""
HEADERS = ["workload", "batch", "ok", "mean", "sd", "median half width", "intervals with 1", "by CPU time, sd", "s"]


def time_all(ways: Sequence[Way]) -> list[tuple[Way, dict[str, Any]]]:
    """Dense against itself in each way once, in this process."""
    torch.set_num_threads(1)
    found = []
    for workload, batch in ways:
        dense = dense_network(BUILT_IN[workload], SHIPPED)
        inputs = BUILT_IN[workload].inputs.sample(batch, stream(0, "eval", "latency"))
        begun = time.monotonic()
        fields = measure_latency(dense, dense, inputs, batch=batch)
        found.append(((workload, batch), fields | {"seconds": time.monotonic() - begun}))
    return found


def row_of(way: Way, mine: Sequence[dict[str, Any]]) -> list[str]:
    """One line of the table: ratios and shares, and the seconds of a measurement."""
    ok = [fields for fields in mine if fields["status"] == "ok"]
    logs = [math.log(fields["speedup"]) for fields in ok]
    cpu = [math.log(fields["speedup_cpu"]) for fields in mine if fields["speedup_cpu"]]
    halves = [math.log(fields["speedup_high"] / fields["speedup_low"]) / 2 for fields in ok]
    inside = sum(fields["speedup_low"] <= 1 <= fields["speedup_high"] for fields in ok)
    return [
        way[0],
        str(way[1]),
        f"{len(ok)} of {len(mine)}",
        f"{math.exp(statistics.fmean(logs)):.3f}" if logs else "—",
        _percent(statistics.stdev(logs)) if len(logs) > 1 else "—",
        _percent(statistics.median(halves)) if halves else "—",
        f"{inside} of {len(ok)}",
        _percent(statistics.stdev(cpu)) if len(cpu) > 1 else "—",
        f"{statistics.fmean(fields['seconds'] for fields in mine):.1f}",
    ]


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--processes", type=int, default=18)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--workloads", nargs="+", default=["mnist-dcgan", "mnist-mlp"])
    parser.add_argument("--neighbours", type=int, default=0, help="processes beside it that keep a core busy")
    given = parser.parse_args()
    ways = [(workload, batch) for workload in given.workloads for batch in given.batches]
    found: list[tuple[Way, dict[str, Any]]] = []
    loads = []
    with contextlib.ExitStack() as busy:
        for _ in range(given.neighbours):
            busy.enter_context(neighbour())
        for _ in range(given.processes):
            with multiprocessing.get_context("spawn").Pool(1) as pool:  # one after the other
                found += pool.apply(time_all, (ways,))
            loads.append(os.getloadavg()[0])
    print(f"{device_model()}, {os.cpu_count()} cores, one thread, torch {torch.__version__}, ", end="")
    print(f"{given.processes} processes, load {min(loads):.1f} to {max(loads):.1f}.\n")
    for line in (HEADERS, ["---"] * len(HEADERS), *(row_of(w, [f for way, f in found if way == w]) for w in ways)):
        print("| " + " | ".join(line) + " |")


if __name__ == "__main__":
    main()

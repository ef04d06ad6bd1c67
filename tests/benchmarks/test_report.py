"""What a report costs: the process that computes it, and those that draw. Printed, never asserted."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.report.build import build_report
from bench.report.inputs import ReportInputs
from bench.report.pictures import Artists
from tests.benchmarks.test_harness import report
from tests.report.synthetic import make_latency, make_records

HEAVY = ("torch", "matplotlib", "scipy.stats")
IMPORTS = f"import sys, bench.report.loading; print([name for name in {HEAVY} if name in sys.modules])"


def cpu() -> float:
    """CPU seconds of this process and of those that have ended."""
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def timed(inputs: ReportInputs, folder: Path, jobs: int) -> tuple[float, float]:
    """Wall and CPU seconds of a whole report drawn by this many processes."""
    wall, spent = time.perf_counter(), cpu()
    build_report(inputs, folder, artists=Artists(jobs))
    return time.perf_counter() - wall, cpu() - spent


def test_report_with_one_process_and_with_two(benchmark: Any, tmp_path: Path) -> None:
    """Eight strategies on two workloads, drawn here and in two processes, in turn."""
    records = make_records()
    inputs = ReportInputs({"name": "x"}, "main", records, make_latency(records))
    timed(inputs, tmp_path, 1)  # imports
    pairs: list[tuple[tuple[float, float], tuple[float, float]]] = []
    benchmark.pedantic(lambda: pairs.append((timed(inputs, tmp_path, 1), timed(inputs, tmp_path, 2))), rounds=3)
    here, there = min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
    benchmark.extra_info["here, seconds"] = round(here[0], 2)
    benchmark.extra_info["two processes, seconds with their imports"] = round(there[0], 2)
    benchmark.extra_info["wall, two / here"] = round(there[0] / here[0], 2)
    benchmark.extra_info["CPU, two / here"] = round(there[1] / here[1], 2)
    report(benchmark)


def test_imports_of_the_process_that_computes_it(benchmark: Any) -> None:
    """A new interpreter that imports all of the report but what draws."""
    command = [sys.executable, "-c", IMPORTS]
    run = lambda: subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: E731
    found = benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    benchmark.extra_info["of torch, matplotlib and scipy.stats it has"] = found.stdout.strip()
    report(benchmark)

"""Of all CPU time of a sweep, how much is spent outside the networks: `python -m tests.benchmarks.whole_sweep quick`.

Everything of every process counts: starting, imports, planning, records. Inside are the generators' and judges'
forward passes over images, recalibration, the networks' forward passes that are timed, and training steps.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from bench.executors import Done, Failed, Setup, Stage, Work
from bench.executors.local import LocalExecutor
from bench.experiments import load_experiment
from bench.sweep.run import run_experiment


class Counted:
    """Picklable: the work of ``setup``, and after each item what this process has spent, in ``folder``."""

    def __init__(self, setup: Setup, folder: Path) -> None:
        self.setup, self.folder = setup, folder

    def __call__(self) -> Work:
        import os
        import time

        import bench.measure.latency
        from bench.training.loop import GanTraining
        from tests.benchmarks.counting import NETWORKS, counted

        started = time.process_time()
        inside: list[float] = []
        places = [*NETWORKS, (GanTraining, "step"), (bench.measure.latency, "time_built")]
        work = self.setup()

        def measured(item: Any) -> Any:
            try:
                with counted(places, inside):
                    return work(item)
            finally:
                kind, now = type(self.setup).__name__, time.process_time()
                spent = {"kind": kind, "start": started, "total": now, "inside": sum(inside)}
                (self.folder / f"{os.getpid()}.json").write_text(json.dumps(spent), encoding="utf-8")

        return measured


class CountingExecutor:
    """The local one, whose workers say what they have spent."""

    def __init__(self, jobs: int, folder: Path) -> None:
        self.jobs, self.folder = jobs, folder

    def run(self, stages: Iterable[Stage]) -> Iterator[Done | Failed]:
        """As the local one does it."""
        setups: dict[int, Setup] = {}  # workers are kept while the setup is the same object

        def counted(stage: Stage) -> Stage:
            return replace(stage, setup=setups.setdefault(id(stage.setup), Counted(stage.setup, self.folder)))

        return LocalExecutor(self.jobs).run(counted(stage) for stage in stages)


def main() -> None:
    """Run the experiment, without its report, and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment")
    parser.add_argument("settings", nargs="*", help="key=value, as with `ganprune run --set`")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "spent").mkdir()
        experiment = load_experiment(asked.experiment, asked.settings)
        executor = CountingExecutor(asked.jobs, folder / "spent")
        outcome = run_experiment(experiment, results=folder, executor=executor, fresh=True)
        workers = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / "spent").iterdir())]
    forkserver._forkserver._stop()  # type: ignore[attr-defined]  # its CPU time, and its forks', is known when it has ended
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    parent = own.ru_utime + own.ru_stime
    total = parent + children.ru_utime + children.ru_stime
    inside = sum(worker["inside"] for worker in workers)
    print(f"{outcome.cells} cells, {outcome.failed} failed, {outcome.seconds:.1f} s")
    for worker in workers:
        share = 1 - worker["inside"] / worker["total"]
        print(f"  {worker['kind']}: {worker['total']:.1f} CPU s, {worker['start']:.1f} to start, {share:.1%} outside")
    others = total - parent - sum(worker["total"] for worker in workers)
    print(f"  parent: {parent:.1f} CPU s; what workers are forked from, and their ends: {others:.1f} CPU s")
    print(f"all: {total:.1f} CPU s, {inside:.1f} inside the networks, {1 - inside / total:.1%} outside")


if __name__ == "__main__":
    from tests.benchmarks import whole_sweep  # workers find `Counted` by the name of its module

    whole_sweep.main()

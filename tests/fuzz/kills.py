"""Sweeps that are killed at random moments and continued, again and again.

After each kill the records that were finished are there and as they were; the temporary files of killed writes are
gone with the next run; and when the sweep has come to its end, its numbers are those of one that nobody disturbed, to
the last bit. Sweeps run in forks of this process, which has the libraries imported, so that a kill costs half a second.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.base.files import unfinished
from bench.sweep.run import run_experiment
from tests.fuzz.tally import Tally
from tests.helpers.cells import experiment
from tests.helpers.executor import InProcess

SWEEP: dict[str, Any] = {
    "strategies": ["random-weight-global", "l1-channel-global", "l1-weight-global+cubic"],
    "sparsities": [0.3, 0.6],
    "seeds": [0, 1],
    "recovery": ["none", "finetune-4"],
}


def attempts(seed: int, count: int, folder: Path) -> Tally:
    """``count`` kills, over as many sweeps as they need."""
    tally = Tally("kills")
    rng = random.Random(seed)
    whole = _Sweep(folder / "undisturbed")
    whole.until(lambda: False)
    expected, longest = whole.numbers(), whole.seconds
    number = 0
    while tally.tried < count and not tally.wrong:
        sweep = _Sweep(folder / f"sweep-{number}")
        number += 1
        kept: dict[str, bytes] = {}
        while tally.tried < count:
            moment = time.monotonic() + rng.uniform(0.05, longest / 4)
            killed = sweep.until(lambda moment=moment: time.monotonic() > moment)  # type: ignore[misc]
            now = sweep.records()
            lost = [name for name in kept if now.get(name) != kept[name]]
            if lost:
                tally.wrong.append(f"seed {seed}, kill {tally.tried}: records lost or changed: {', '.join(lost)}")
                break
            kept = now
            if not killed:
                break
            tally.outcomes["killed"] += 1
        sweep.until(lambda: False)
        if sweep.code != 0:
            tally.wrong.append(f"seed {seed}, sweep {number}: ended with exit code {sweep.code}")
        elif sweep.numbers() != expected:
            tally.wrong.append(f"seed {seed}, sweep {number}: other numbers than undisturbed")
        elif left := sweep.leftovers():
            tally.wrong.append(f"seed {seed}, sweep {number}: temporary files stay: {', '.join(left)}")
    return tally


class _Sweep:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.run = folder / "results" / "runs" / "mini" / "main"
        self.code = -1
        self.seconds = 0.0

    def until(self, stop: Callable[[], bool]) -> bool:
        """Run what is missing in a fork, and kill it when ``stop`` says so; whether it was killed."""
        start = time.monotonic()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            self._in_child()
        while True:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                self.code, self.seconds = os.waitstatus_to_exitcode(status), time.monotonic() - start
                return False
            if stop():
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return True
            time.sleep(0.002)

    def _in_child(self) -> None:
        code = 1
        try:
            thing = experiment(self.folder, **SWEEP)
            outcome = run_experiment(thing, results=self.folder / "results", executor=InProcess())
            code = 1 if outcome.failed else 0
        finally:
            os._exit(code)

    def records(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.run / "cells").glob("*.json")}

    def numbers(self) -> dict[str, Any]:
        return {name: json.loads(content)["numbers"] for name, content in self.records().items()}

    def leftovers(self) -> list[str]:
        folders = [self.run, *(path for path in self.run.rglob("*") if path.is_dir())]
        return sorted(path.name for folder in folders for path in unfinished(folder))

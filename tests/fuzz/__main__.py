"""`python -m tests.fuzz`: every kind of attempt, with a table and exit code 1 where something got through.

Kinds run side by side in processes; each is reproducible from the seed: `python -m tests.fuzz --seed 7 --only files`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.tally import Tally

Attempts = Callable[[int, int, Path], Tally]

COUNTS = {"configurations": 500, "files": 2_000, "images": 300, "generators": 160, "commands": 30, "kills": 50}
"""Kind, a file of this folder -> how many attempts, at least."""

SHOWN = 2_000
"""Characters of each thing that went wrong."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=COUNTS, help="one kind, in this process")
    parser.add_argument("--scale", type=float, default=1.0, help="times as many attempts")
    parser.add_argument("--jobs", type=int, default=2)
    chosen = parser.parse_args()
    if chosen.only:
        return _one(chosen.only, chosen.seed, max(1, round(COUNTS[chosen.only] * chosen.scale)))
    return _all(chosen.seed, chosen.scale, chosen.jobs)


def _one(kind: str, seed: int, count: int) -> int:
    import importlib

    import torch

    torch.set_num_threads(1)
    attempts: Attempts = importlib.import_module(f"tests.fuzz.{kind}").attempts
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        os.environ["GANPRUNE_CACHE"] = str(Path(folder) / "cache")
        tally = attempts(seed, count, Path(folder))
    said = ", ".join(f"{number} {outcome}" for outcome, number in tally.outcomes.most_common())
    print(f"{kind:<15} {tally.tried:>5} tried: {said}; {len(tally.wrong)} wrong; {time.monotonic() - start:.0f} s")
    for text in tally.wrong:
        print(f"  wrong: {text[:SHOWN]}")
    if tally.tried < count:
        print(f"  wrong: {count} were to be tried")
    return 1 if tally.wrong or tally.tried < count else 0


def _all(seed: int, scale: float, jobs: int) -> int:
    """The longest first, ``jobs`` at a time."""
    waiting = list(COUNTS)
    running: dict[str, subprocess.Popen[bytes]] = {}
    code = 0
    while waiting or running:
        while waiting and len(running) < jobs:
            kind = waiting.pop()
            command = [sys.executable, "-m", "tests.fuzz", "--only", kind, "--seed", str(seed), "--scale", str(scale)]
            running[kind] = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
        time.sleep(0.1)
        for kind in [kind for kind, process in running.items() if process.poll() is not None]:
            code = max(code, min(1, abs(running.pop(kind).returncode)))
    print("nothing got through" if code == 0 else "something got through")
    return code


if __name__ == "__main__":
    sys.exit(main())

"""Sweeps in real processes that are killed, and go on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.cells import write_experiment
from tests.helpers.processes import alive, children, wait_until
from tests.helpers.sweeps import Sweeps

RUN = """
import sys
from pathlib import Path
from bench.experiments import load_experiment
from bench.sweep.run import run_experiment
run_experiment(load_experiment(sys.argv[1]), results=Path("results"), jobs=2)
"""


class Processes:
    """Runs one experiment by worker processes, in a folder of its own."""

    def __init__(self, folder: Path, path: Path) -> None:
        self.folder, self.path = folder, path
        self.records = folder / "results" / "runs" / "mini" / "main" / "cells"

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *(command or ("-c", RUN)), str(self.path)],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Whoever starts the tests in the background hands down an ignored SIGINT.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # type: ignore[arg-type,return-value]
        )

    def count(self) -> int:
        return len(list(self.records.glob("*.json")))

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.records.glob("*.json")}


def numbers(files: dict[str, bytes]) -> dict[str, Any]:
    return {name: json.loads(content)["numbers"] for name, content in files.items()}


SLOW: dict[str, Any] = {
    "strategies": ["random-weight-global", "l1-channel-global"],
    "sparsities": [0.3, 0.5, 0.7],
    "seeds": [0, 1],
    "recovery": ["finetune-8"],
}


@pytest.fixture
def undisturbed(sweep: Sweeps) -> dict[str, Any]:
    """The numbers of all cells of the slow experiment, measured in this process."""
    sweep(**SLOW)
    return numbers({name: content for name, (_, content) in sweep.files().items()})


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed_a_run_has_the_numbers_of_an_undisturbed_one(
    undisturbed: dict[str, Any], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    processes = Processes(tmp_path_factory.mktemp("killed"), write_experiment(tmp_path, **SLOW))
    rng = random.Random(20)
    kept: dict[str, bytes] = {}
    for _ in range(3):
        with processes.start() as parent:
            target = processes.count() + rng.randint(1, 3)
            wait_until(lambda target=target: processes.count() >= target)  # type: ignore[misc]
            time.sleep(rng.random() * 0.1)
            workers = children(parent.pid)
            parent.kill()
        assert workers
        wait_until(lambda workers=workers: not any(map(alive, workers)), seconds=60)  # type: ignore[misc]
        now = processes.files()
        assert {name: now[name] for name in kept} == kept  # what was finished is not touched again
        kept = now
    assert 3 <= len(kept) < len(undisturbed)
    with processes.start() as parent:
        _, err = parent.communicate(timeout=240)
    assert (parent.returncode, err) == (0, "")
    assert numbers(processes.files()) == undisturbed


@pytest.mark.slow
def test_ctrl_c_exits_130_says_how_to_go_on_and_leaves_what_is_finished(
    undisturbed: dict[str, Any], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    processes = Processes(tmp_path_factory.mktemp("interrupted"), write_experiment(tmp_path, **SLOW))
    with processes.start("-m", "bench.cli", "run") as parent:
        wait_until(lambda: processes.count() >= 2)
        workers = children(parent.pid)
        os.kill(parent.pid, signal.SIGINT)
        _, err = parent.communicate(timeout=240)
    assert (parent.returncode, err) == (
        130,
        "ganprune: interrupted; what is finished is kept, the same command continues.\n",
    )
    wait_until(lambda: not any(map(alive, workers)), seconds=60)
    before = processes.count()
    assert 2 <= before < len(undisturbed)
    sweep = Sweeps(tmp_path)
    sweep.results = processes.folder / "results"
    assert sweep(**SLOW).finished_before == before
    assert numbers(processes.files()) == undisturbed

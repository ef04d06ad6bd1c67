"""The pytest plug-in, in a pytest of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.base.errors import UserError
from bench.gate.pytest_timing import prepared
from bench.sweep.timing import latency_tasks
from bench.sweep.workshop import Workshop
from tests.helpers.cells import cell, record_of

ROOT = Path(__file__).parents[2]
OPTIONS = {"checkpoint": "shipped", "batch": 4, "backend": "eager", "device": "cpu"}

TEST = """
def test_pruned(time_pruned):
    assert time_pruned("dummy", "l1-channel-global", 0.5, batch=4).shape == (4, 1, 8, 8)
"""


@pytest.mark.slow
def test_a_result_carries_its_key_and_its_machine(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    plugins = [] if _installed() else ["-p", "bench.pytest_plugin"]
    # Benchmarks are off in a worker of pytest-xdist, and this suite runs in such workers.
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "--benchmark-json=out.json", "--benchmark-max-time=0.05",
         "--rootdir", str(tmp_path), "test_it.py"],
        cwd=tmp_path, env=alone | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = json.loads((tmp_path / "out.json").read_text())["benchmarks"]
    _, about = prepared("dummy", "l1-channel-global", {"sparsity": 0.5}, **OPTIONS)
    assert result["extra_info"] == about
    assert len(result["stats"]["data"]) >= 5


def _installed() -> bool:
    from importlib.metadata import entry_points

    return any(entry.value == "bench.pytest_plugin" for entry in entry_points(group="pytest11"))


def test_the_key_is_that_of_the_latency_phase(shop: Workshop) -> None:
    records = [record_of(cell(name, 0.5), shop) for name in ("dense", "l1-channel-global")]
    tasks = latency_tasks(records, shop.settings.catalogue, devices=["cpu"], batches=[4], backends=["eager"])
    keys = {task.architecture: task.key for task in tasks}
    for name, level in (("dense", 0.0), ("l1-channel-global", 0.5)):
        call, about = prepared("dummy", name, {"sparsity": level}, **OPTIONS)
        assert about["latency_key"] == keys[about["architecture"]]
        assert call().shape == (4, 1, 8, 8)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("workload", "strategy"), [("dumy", "dense"), ("dummy", "l1-chanel-global")])
def test_what_is_not_there_is_said(workload: str, strategy: str) -> None:
    with pytest.raises(UserError, match="Did you mean"):
        prepared(workload, strategy, {"sparsity": 0.5}, **OPTIONS)

"""`ganprune compare` and `ganprune baseline` as a user meets them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import bench
from bench.cli import command
from bench.gate.baseline import CELLS_FILE, baseline_folder
from tests.helpers.executor import InProcess

EXPERIMENT = """
[experiment]
name = "mini"
workloads = ["dummy"]
strategies = ["l1-weight-global", "l1-channel-global"]
sparsities = [0.5]
seeds = [0, 1, 2]
recovery = ["none"]
[quality]
num_images = 50
[latency]
enabled = false
[gate]
cells = [
    {workload = "dummy", strategy = "dense"},
    {workload = "dummy", strategy = "l1-channel-global", level = 0.5},
]
latency = [{workload = "dummy", strategy = "l1-channel-global", level = 0.5}]
"""

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of `mini`, and a run `worse` in which more is left of the channels."""
    folder = tmp_path_factory.mktemp("measured")
    (folder / "mini.toml").write_text(EXPERIMENT)
    (folder / "worse.toml").write_text(EXPERIMENT.replace("0.5", "0.4"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("bench.sweep.run.LocalExecutor", InProcess)
        bench.run("mini.toml", reports=None)
        bench.run("worse.toml", reports=None, run="worse")
    return folder


@pytest.fixture
def ganprune(
    measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command in a copy of the folder."""
    shutil.copytree(measured, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ganprune", *arguments])
        code = command()
        out, err = capsys.readouterr()
        return code, out, err

    return call


MAIN = "results/runs/mini/main"


def test_accept_show_compare(ganprune: Command) -> None:
    code, out, _ = ganprune("baseline", "accept", MAIN, "--reason", "the first")
    assert code == 0 and "3 cells" in out
    code, out, _ = ganprune("baseline", "show", "mini")
    assert code == 0 and "reason: the first" in out and "dummy l1-channel-global @0.5 none" in out
    code, out, _ = ganprune("compare", "mini", MAIN)
    assert code == 0 and out.splitlines()[-1].startswith("mini: no regression")


def test_a_run_is_compared_with_an_accepted_one_by_what_the_images_of_both_contribute(ganprune: Command) -> None:
    """HEAD says of the same images that FID is half as large again; without its contributions that is less sure."""
    ganprune("baseline", "accept", MAIN, "--reason", "the first")
    for path in Path(MAIN, "cells").glob("dummy--l1-channel*"):
        record = json.loads(path.read_text())
        name = next(name for name in record["numbers"] if name.startswith("fid["))
        record["numbers"][name]["value"] *= 1.5
        path.write_text(json.dumps(record))

    def compared() -> tuple[dict[str, Any], list[str]]:
        _, out, _ = ganprune("compare", "mini", MAIN, "--format", "json")
        result = json.loads(out)
        (row,) = [row for row in result["rows"] if row["gated"] and row["metric"] == name and row["change"]]
        return row, result["notes"]

    row, notes = compared()
    assert row["verdict"] == "regression"
    assert "no contributions" not in row["reason"] and notes == []
    assert row["high"] - row["low"] < 0.2
    shutil.rmtree(Path(MAIN, "images"))
    row, notes = compared()
    assert "no contributions of its images in HEAD" in row["reason"] and len(notes) == 1


def test_every_output_from_one_comparison(ganprune: Command) -> None:
    ganprune("baseline", "accept", MAIN, "--reason", "the first")
    code, out, _ = ganprune("compare", "mini", MAIN, "--format", "json", "--write", "a.md", "--write", "a.xml")
    assert code == 0 and json.loads(out)["exit_code"] == 0
    assert Path("a.md").read_text().startswith("### mini: no regression")
    assert ET.parse("a.xml").getroot().tag == "testsuites"


def test_another_level_is_missing_and_new_and_exits_3(ganprune: Command) -> None:
    code, out, _ = ganprune("compare", MAIN, "results/runs/mini/worse", "--format", "json")
    verdicts = {row["cell"]: row["verdict"] for row in json.loads(out)["rows"] if row["metric"] == ""}
    assert code == 3
    assert verdicts["dummy l1-channel-global @0.5 none"] == "missing"
    assert verdicts["dummy l1-channel-global @0.4 none"] == "new"


def test_a_tampered_baseline_exits_3(ganprune: Command) -> None:
    ganprune("baseline", "accept", MAIN, "--reason", "the first")
    path = baseline_folder(Path("results"), "mini") / CELLS_FILE
    path.write_text(path.read_text().replace("ok", "collapsed", 1))
    code, out, _ = ganprune("compare", "mini", MAIN)
    assert code == 3 and "UNDECIDED" in out and "is not what was" in out


def test_a_run_that_is_damaged_is_not_comparable(ganprune: Command) -> None:
    ganprune("baseline", "accept", MAIN, "--reason", "the first")
    next(Path(MAIN, "cells").glob("*.json")).write_text("{")
    code, out, _ = ganprune("compare", "mini", MAIN)
    assert code == 3 and "UNDECIDED" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compare", "nothing", MAIN], "nothing: neither the folder of a run"),
        (["compare", MAIN, MAIN, "--format", "pdf"], "--format pdf: known are table, markdown, json, junit"),
        (["compare", MAIN, MAIN, "--write", "a.html"], "no format for '.html'"),
        (["baseline", "accept", MAIN, "--reason", " "], "--reason: is empty"),
        (["baseline", "accept", "nothing", "--reason", "x"], "nothing: neither"),
        (["baseline", "show", "mini"], "no baseline"),
        (["baseline", "history", "mini"], "no baseline"),
    ],
)
def test_mistakes_exit_2(ganprune: Command, arguments: list[str], words: str) -> None:
    code, out, err = ganprune(*arguments)
    assert (code, out) == (2, "")
    assert words in err and "Traceback" not in err


def test_an_unfinished_run_is_not_accepted(ganprune: Command) -> None:
    next(Path(MAIN, "cells").glob("*channel*")).unlink()
    code, _, err = ganprune("baseline", "accept", MAIN, "--reason", "x")
    assert code == 2 and "not finished" in err and "nothing was accepted" in err
    assert not Path("results/baselines").exists()


def commit(message: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for arguments in (["add", "-A"], [*who, "commit", "-q", "-m", message]):
        subprocess.run(["git", *arguments], check=True)


def test_a_revision_is_its_baseline_and_history_is_drift(ganprune: Command) -> None:
    subprocess.run(["git", "init", "-q", "-b", "trunk", "."], check=True)
    ganprune("baseline", "accept", MAIN, "--reason", "the first")
    commit("one")
    code, out, _ = ganprune("compare", "trunk", MAIN)
    assert code == 0 and "baseline of revision trunk" in out
    code, out, _ = ganprune("compare", "mini@trunk", MAIN)
    assert code == 0 and "baseline of revision trunk" in out
    ganprune("baseline", "accept", "results/runs/mini/worse", "--reason", "the second")
    code, out, _ = ganprune("compare", "trunk", "mini")
    assert code == 3  # HEAD is the newest run, which has other levels
    code, out, err = ganprune("baseline", "history", "mini", "--reports", "reports")
    assert code == 0, err
    assert "the first" in out and "uncommitted" in out and "the second" in out
    dense = next(line for line in out.splitlines() if line.startswith("dummy dense none") and "params" in line)
    assert dense.split()[-2:] == ["2,799", "2,799"]
    assert Path("reports/mini/history.svg").exists()


def test_a_revision_without_a_baseline_is_not_comparable(ganprune: Command) -> None:
    subprocess.run(["git", "init", "-q", "-b", "trunk", "."], check=True)
    commit("no baseline")
    code, out, _ = ganprune("compare", "trunk", MAIN)
    assert code == 3 and "nothing was accepted there" in " ".join(out.split())

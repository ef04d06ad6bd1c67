"""The command line as a user meets it: what it prints, where it puts things, and how it says no."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
import typer.main
from rich.console import Console

import bench
import bench.cli
import bench.cli.terminal
from bench.cli import app
from bench.records import SCHEMA_VERSION
from tests.helpers.cells import write_experiment
from tests.helpers.command import Command

ROOT = Path(__file__).parents[2]


# The interface

HELP_ALONE = """
import sys
sys.argv = ["ganprune", *sys.argv[1:]]
from bench.cli import command
assert command() == 0
heavy = {"torch", "pandas", "numpy", "matplotlib", "torch_pruning", "torch_fidelity"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["compare", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", HELP_ALONE, *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert "Usage: ganprune" in answer.stdout


OPTIONS = {
    "run": {"EXPERIMENT", "--set", "--jobs", "--device", "--results", "--reports", "--run", "--fresh"},
    "validate": {"EXPERIMENT"},
    "plan": {"EXPERIMENT"},
    "report": {"RUN"},
    "power": {"RUN", "--difference", "--reference", "--results", "--json"},
    "compare": {"BASE", "HEAD", "--strict", "--format", "--write", "--timing", "--results"},
    "baseline accept": {"RUN", "--reason"},
    "baseline show": {"EXPERIMENT"},
    "baseline history": {"EXPERIMENT"},
    "list strategies": {"--json"},
    "list criteria": {"--json"},
    "list workloads": {"--json"},
    "list experiments": {"--json"},
    "list metrics": {"--json"},
    "show strategy": {"NAME"},
    "train": {"WORKLOAD"},
    "prune": {"WORKLOAD", "--strategy", "--sparsity", "--out"},
    "export": {"DIR", "--onnx", "--factory", "--workload-file", "--batch"},
    "env": set(),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_command_is_there_with_its_options(name: str) -> None:
    command = typer.main.get_command(app)
    for part in name.split():
        command = command.commands[part]  # type: ignore[attr-defined]
    found = {option for parameter in command.params for option in [*parameter.opts, parameter.metavar]}
    assert found >= OPTIONS[name]
    assert command.help


def test_without_a_command_the_help_is_shown(ganprune: Command) -> None:
    answer = ganprune()
    assert "Usage: ganprune" in answer.out + answer.err


def test_the_version_is_that_of_the_distribution(ganprune: Command) -> None:
    answer = ganprune("--version")
    assert (answer.code, answer.out) == (0, f"ganprune {version('ganprune')}\n")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["lsit"], "no command 'lsit'. Did you mean 'list'?"),
        (["list", "strategy"], "no list command 'strategy'. Did you mean 'strategies'?"),
        (["show", "strategies", "dense"], "no show command 'strategies'. Did you mean 'strategy'?"),
        (
            ["list", "zebras"],
            "no list command 'zebras'. Known: strategies, criteria, workloads, experiments, metrics, plugins.",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_unknown_command_is_answered_with_a_suggestion(
    arguments: Sequence[str], part: str, ganprune: Command
) -> None:
    ganprune(*arguments).refused(part)


def test_the_installed_command_is_this_one() -> None:
    """Through a real process: exit code, streams and all."""
    answer = subprocess.run(
        [sys.executable, "-m", "bench.cli", "show", "strategy", "l1-chanel-global"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == "ganprune: no strategy 'l1-chanel-global'. Did you mean 'l1-channel-global'?\n"


def test_a_reader_that_has_read_enough_is_no_error() -> None:
    answer = subprocess.run(
        f"{sys.executable} -m bench.cli list metrics --json | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (answer.stdout, answer.stderr) == ("[", "")


# Experiments that are wrong

WRONG = """
[experiment]
name = "wrong"
workloads = ["dummi"]
strategies = ["l1-chanel-global"]
sparsities = [1.2]
seeds = []
[quality]
num_imags = 5
"""


@pytest.mark.parametrize("command", ["run", "validate", "plan"])
def test_all_mistakes_of_an_experiment_are_told_at_once(command: str, ganprune: Command, tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text(WRONG)
    answer = ganprune(command, "wrong.toml")
    answer.refused(
        "wrong.toml, experiment.workloads[0]: no workload 'dummi'. Did you mean 'dummy'?",
        "wrong.toml, experiment.strategies[0]: no strategy 'l1-chanel-global'. Did you mean 'l1-channel-global'?",
        "wrong.toml, experiment.sparsities[0]: 1.2 is not in [0, 1).",
        "wrong.toml, experiment.seeds: is empty",
        "wrong.toml, quality.num_imags: no such key. Did you mean 'num_images'?",
        "5 mistakes; nothing was run.",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wrong.toml"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["run", "quik"], "Did you mean 'quick'?"),
        (["run", "mini.toml", "--set", "sparsities=[2]"], "--set experiment.sparsities[0]: 2"),
        (["run", "mini.toml", "--set", "seeds"], "--set 'seeds': no value"),
        (["run", "mini.toml", "--run", "../elsewhere"], "--run '../elsewhere': not usable as a folder name"),
        (["run", "mini.toml", "--set", 'checkpoints=["nowhere"]'], "checkpoint 'nowhere' of workload 'dummy'"),
        (["plan", "mini.toml", "--device", "tpu"], "--device tpu: "),
        (["run", "mini.toml", "--device", "meta"], "--device meta: only cpu and cuda"),
        (["report", "nothing"], "nothing: neither the folder of a run nor an experiment with a run"),
        (["report", "../.."], "neither the folder of a run"),
        (["report", "x" * 5000], "neither the folder of a run"),
        (["show", "strategy", "l1"], "no strategy 'l1'"),
        (["train", "mnist-gan", "--out", "here"], "no workload 'mnist-gan'"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_is_not_there_is_one_message(
    arguments: Sequence[str], part: str, ganprune: Command, tmp_path: Path
) -> None:
    write_experiment(tmp_path)
    ganprune(*arguments).refused(part)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mini.toml"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
@pytest.mark.parametrize("command", ["run", "plan", "prune", "train"])
def test_cuda_without_a_gpu_is_one_message(command: str, ganprune: Command, tmp_path: Path) -> None:
    write_experiment(tmp_path)
    rest = {
        "prune": ["dummy", "--strategy", "l1-weight-global", "--sparsity", "0.5", "--out", "out"],
        "train": ["dummy", "--out", "out"],
    }
    ganprune(command, *rest.get(command, ["mini.toml"]), "--device", "cuda").refused(
        "--device cuda: ", "sees no CUDA device here. Use --device cpu."
    )


@pytest.mark.parametrize("command", ["validate", "plan"])
@pytest.mark.parametrize("here", [False, True], ids=["no-gpu", "gpu"])
def test_timing_on_a_device_that_is_not_here_is_noted_and_no_mistake(
    here: bool, command: str, ganprune: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: here)
    monkeypatch.setattr("bench.sweep.estimate.latency_tasks", lambda *_, **__: [])  # would ask for the device's name
    write_experiment(tmp_path, latency=True)
    answer = ganprune(command, "mini.toml", "--set", 'latency.devices=["cpu", "cuda"]')
    assert (answer.code, answer.err) == (0, "")
    assert ("latency on cuda is left out: no such device here." in answer.out) is not here
    assert "left out" not in ganprune(command, "mini.toml").out


@pytest.mark.parametrize("jobs", ["0", "-1", "two"])
def test_a_number_of_workers_that_is_none_is_a_usage_error(jobs: str, ganprune: Command) -> None:
    answer = ganprune("run", "quick", "--jobs", jobs)
    assert answer.code == 2
    assert "Invalid value for '--jobs'" in answer.err and "Traceback" not in answer.err


def test_an_unknown_option_is_a_usage_error(ganprune: Command) -> None:
    answer = ganprune("run", "quick", "--job", "2")
    assert answer.code == 2
    assert "--job" in answer.err and "--jobs" in answer.err and "Traceback" not in answer.err


# run, plan, validate, report


def test_validate_runs_no_plug_in_and_says_what_it_could_not_check(ganprune: Command, tmp_path: Path) -> None:
    write_experiment(tmp_path, strategies=["theirs-weight-global", "l1-weight-global"])
    (tmp_path / "theirs.py").write_text("open('ran', 'w')\nraise SystemExit(0)\n")
    answer = ganprune("validate", "mini.toml", "--plugin", "theirs.py")
    assert (answer.code, answer.err) == (0, "")
    assert "2 cells." in answer.out
    assert "Not checked and not counted: theirs-weight-global, which may be of a plug-in (theirs.py" in answer.out
    assert not (tmp_path / "ran").exists()
    ganprune("run", "mini.toml", "--plugin", "theirs.py").refused("plug-in 'theirs.py'", "SystemExit: 0")


def test_a_file_alone_runs_no_code_of_elsewhere(ganprune: Command, tmp_path: Path) -> None:
    path = write_experiment(tmp_path)
    path.write_text(
        path.read_text().replace("[experiment]", '[experiment]\nplugins = ["antigravity"]')
        + '[[workload]]\nname = "w"\nfactory = "os:system"\narguments = {command = "touch ran"}\n'
        'inputs = [{kind = "normal", shape = [4]}]\nreference = "dense-samples"\n'
    )
    for command in ("validate", "plan", "run"):
        ganprune(command, "mini.toml").refused(
            "mini.toml, workload[0].factory: 'os:system' is code outside of the file's folder", "--trust os",
            "mini.toml, experiment.plugins[0]: 'antigravity' is code outside", "2 mistakes",
        )  # fmt: skip
    ganprune("check-workload", "mini.toml").refused("'os:system' is code outside", "nothing was checked")
    answer = ganprune("check-workload", "mini.toml", "--trust", "os")
    assert answer.code == 2
    assert "is no function, but a builtin_function_or_method" in answer.out
    assert not (tmp_path / "ran").exists()


def test_validate_counts_the_cells(ganprune: Command, tmp_path: Path) -> None:
    write_experiment(tmp_path)
    assert ganprune("validate", "mini.toml").out == "mini: no mistakes; 2 cells.\n"
    assert ganprune("validate", "mini.toml", "--set", 'strategies=["dense"]').out == "mini: no mistakes; 1 cell.\n"


@pytest.mark.parametrize("name", ["quick", "ci"])
def test_the_shipped_experiments_have_no_mistakes(name: str, ganprune: Command) -> None:
    assert f"{name}: no mistakes" in ganprune("validate", name).out


def test_a_run_ends_with_a_table_a_summary_and_the_path_of_the_report(ganprune: Command, tmp_path: Path) -> None:
    write_experiment(tmp_path)
    answer = ganprune("run", "mini.toml", "--results", "r", "--reports", "p", "--run", "one", "--jobs", "1")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert [word for word in ("strategy", "level", "params", "MACs", "FID") if word not in answer.out] == []
    assert any(line.split()[:2] == ["l1-weight-global", "0.5"] for line in lines)
    assert lines[-2].startswith("2 of 2 cells finished; ")
    page = tmp_path / lines[-1]
    assert page.is_file() and page.is_relative_to(tmp_path / "p" / "mini")
    assert len(list((tmp_path / "r" / "runs" / "mini" / "one" / "cells").iterdir())) == 2


def test_a_run_that_goes_on_says_what_was_there(ganprune: Command, run: Path) -> None:
    answer = ganprune("run", "mini.toml")
    assert "3 of 3 cells finished, 3 of them before; " in answer.out


def test_a_run_with_a_failed_cell_exits_1_and_says_where_it_stands(
    ganprune: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no idea")

    monkeypatch.setattr("bench.sweep.run.run_cell", fail)
    answer = ganprune("run", "mini.toml", "--set", "sparsities=[0.5, 0.7]")
    assert answer.code == 1
    assert "failed: dummy l1-weight-global @0.7 none seed 0: ValueError: no idea" in answer.out
    assert "3 of 5 cells finished" in answer.out
    assert "2 failed" in answer.out and str(run / "failures") in answer.out
    assert "Traceback" not in answer.out + answer.err
    assert Path(answer.out.splitlines()[-1]).is_file()  # the report comes all the same


def test_a_run_with_a_failed_timing_exits_1_and_has_all_its_cells(
    ganprune: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoClock:
        def __init__(self, workloads: object) -> None:
            """A picklable setup, as the real one."""

        def __call__(self) -> Callable[[object], object]:
            def fail(_: object) -> object:
                raise ValueError("no clock")

            return fail

    monkeypatch.setattr("bench.sweep.run.LatencySetup", NoClock)
    answer = ganprune("run", "mini.toml", "--set", "latency.enabled=true")
    assert answer.code == 1
    assert "3 of 3 cells finished" in answer.out
    assert "2 latency measurements failed; they are in" in answer.out
    assert str(run / "failures") in answer.out.replace("\n", "")
    page = Path(answer.out.splitlines()[-1])
    for text in (page.read_text(), page.with_name("report.md").read_text()):
        assert "These timings raised" in text and "dummy latency of " in text and "ValueError: no clock" in text


def test_a_plan_counts_done_and_missing_and_estimates_the_rest(ganprune: Command, run: Path) -> None:
    answer = ganprune("plan", "mini.toml", "--set", "sparsities=[0.5, 0.7]")
    assert "5 cells: 3 done, 2 missing." in answer.out and str(run) in answer.out
    assert "The missing cells about " in answer.out
    rows = {line.split()[1]: line.split()[-3:] for line in answer.out.splitlines() if line.startswith(" dummy")}
    assert rows == {
        "dense": ["1", "1", "0"],
        "l1-weight-global": ["2", "1", "1"],
        "l1-channel-global": ["2", "1", "1"],
    }


def test_a_plan_runs_and_writes_nothing(ganprune: Command, tmp_path: Path) -> None:
    write_experiment(tmp_path)
    assert "2 cells: 0 done, 2 missing." in ganprune("plan", "mini.toml").out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mini.toml"]


def test_a_plan_of_a_finished_run_estimates_nothing(ganprune: Command, run: Path) -> None:
    answer = ganprune("plan", "mini.toml")
    assert "3 cells: 3 done, 0 missing." in answer.out and "report not included" not in answer.out


def test_a_plan_estimates_latency_too(ganprune: Command, run: Path) -> None:
    answer = ganprune("plan", "mini.toml", "--set", "latency.enabled=true")
    assert "0 missing" in answer.out
    assert "Latency about " in answer.out and "report not included." in answer.out


def test_a_plan_notes_a_damaged_record(ganprune: Command, run: Path) -> None:
    record = next((run / "cells").glob("*l1-weight*"))
    record.write_text("{")
    answer = ganprune("plan", "mini.toml")
    assert answer.code == 0
    assert record.name in answer.out.replace("\n", "")
    assert "3 cells: 2 done, 1 missing." in answer.out


@pytest.mark.parametrize("name", ["mini", "results/runs/mini/main"])
def test_a_report_is_drawn_anew_by_name_and_by_path(name: str, ganprune: Command, run: Path) -> None:
    answer = ganprune("report", name)
    assert answer.code == 0
    page = Path(answer.out.strip())
    assert page.is_file() and page.parent == Path("reports/mini")


def test_a_report_by_name_is_of_the_newest_run(ganprune: Command, run: Path) -> None:
    other = run.parent / "zebra"
    shutil.copytree(run, other)
    manifest = other / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"run": "main"', '"run": "zebra"'))
    os.utime(run / "manifest.json", (1, 1))
    page = Path(ganprune("report", "mini").out.strip())
    assert "zebra" in page.read_text()


# Results that cannot be read, reports that cannot be written


@pytest.mark.parametrize("content", [b"", b"{", bytes(range(256))], ids=["empty", "cut", "binary"])
def test_a_report_of_a_damaged_record_names_it(content: bytes, ganprune: Command, run: Path) -> None:
    record = next((run / "cells").glob("*l1-weight*"))
    record.write_bytes(content)
    ganprune("report", "mini").refused(record.name, "Run the experiment again: the next `ganprune run` makes it anew")


@pytest.mark.parametrize("command", ["run", "plan", "report"])
@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"{", "manifest.json: damaged, not JSON"),
        (b'{"schema_version": 99}', f"has schema version 99, this ganprune writes {SCHEMA_VERSION}"),
    ],
    ids=["cut", "other-schema"],
)
def test_a_manifest_that_cannot_be_used_is_named(
    command: str, content: bytes, part: str, ganprune: Command, run: Path
) -> None:
    (run / "manifest.json").write_bytes(content)
    ganprune(command, "mini" if command == "report" else "mini.toml").refused("manifest.json: ", part)


def test_a_report_needs_no_pictures_and_no_environment(ganprune: Command, run: Path) -> None:
    for path in (run / "samples").iterdir():
        path.write_bytes(b"damaged")
    (run / "environment.json").unlink()
    assert ganprune("report", "mini").code == 0


@pytest.mark.parametrize("command", [["run", "mini.toml"], ["report", "mini"]], ids=["run", "report"])
def test_a_report_that_cannot_be_written_is_one_message(
    command: list[str], ganprune: Command, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "reports").write_text("a file is in the way")
    answer = ganprune(*command)
    assert answer.code == 2
    assert answer.err.startswith("ganprune: reports") and answer.err.count("\n") == 1


def test_reports_that_cannot_be_written_are_found_before_any_cell_runs(ganprune: Command, tmp_path: Path) -> None:
    write_experiment(tmp_path)
    (tmp_path / "there").write_text("a file is in the way")
    ganprune("run", "mini.toml", "--reports", "there/deep").refused(
        "there/deep/mini: cannot be written (", "Nothing was run", "--reports"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mini.toml", "there"]


def test_no_permission_for_the_report_is_one_message(
    ganprune: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    monkeypatch.setattr(Path, "mkdir", refuse)
    ganprune("report", "mini").refused("reports/mini", "Permission denied")


def test_results_that_cannot_be_written_are_one_message(ganprune: Command, tmp_path: Path) -> None:
    write_experiment(tmp_path)
    (tmp_path / "results").write_text("a file is in the way")
    ganprune("run", "mini.toml").refused("results/runs/mini/main: cannot be written", "--results")


def test_an_interrupted_command_exits_130(ganprune: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    write_experiment(tmp_path)
    monkeypatch.setattr("bench.sweep.run.run_cell", interrupt)
    answer = ganprune("run", "mini.toml")
    assert answer.code == 130
    assert answer.err == "ganprune: interrupted; what is finished is kept, the same command continues.\n"


# What it looks like


def test_the_final_table_fits_a_terminal_of_80_columns(
    finished: Path, ganprune: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.cli.terminal, "console", Console(highlight=False, width=80))
    lines = ganprune("run", "mini.toml").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    assert any(line.split()[:2] == ["l1-channel-global", "0.5"] for line in lines)


def test_columns_without_a_value_are_left_out_of_the_final_table(ganprune: Command, run: Path) -> None:
    (heading,) = [line for line in ganprune("run", "mini.toml").out.splitlines() if "strategy" in line]
    assert "params" in heading and "faster" not in heading


def test_levels_are_listed_in_words(ganprune: Command) -> None:
    out = ganprune("list", "strategies").out
    assert "any sparsity or threshold = X" in out and "True" not in out

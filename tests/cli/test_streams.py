"""What the shell made of a command's streams and folder: closed, full, ASCII only, gone; and hostile arguments."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.cells import write_experiment
from tests.helpers.command import Command

COMMAND = f"{sys.executable} -m bench.cli"


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"], capture_output=True, text=True, cwd=folder, check=False, timeout=120
    )


SHELLS = {
    "closed": (f"{COMMAND} list strategies >&-", 0, ""),
    "full": (f"{COMMAND} list strategies > /dev/full", 2, "the disk is full"),
    "nobody": (f"{COMMAND} list strategies | true", None, ""),
    "closed stderr": (f"{COMMAND} report nothing 2>&-", 2, ""),
    "gone": (f"mkdir gone; cd gone; rmdir ../gone; {COMMAND} list strategies", 2, "the working folder was deleted"),
}


@pytest.mark.parametrize(("line", "code", "words"), SHELLS.values(), ids=SHELLS)
def test_no_stream_and_no_folder_makes_a_traceback(
    line: str, code: int | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{root}:{root / 'bench' / 'distribution'}")
    answer = shell(line, tmp_path)
    assert code is None or answer.returncode == code, answer
    assert "Traceback" not in answer.stderr
    assert "Exception ignored" not in answer.stderr
    assert words in answer.stderr


def test_a_terminal_of_ascii_gets_ascii(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{root}:{root / 'bench' / 'distribution'}")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    answer = shell(f"{COMMAND} list metrics", tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.isascii()


@pytest.mark.parametrize("argument", ["", ".", "/", "\x1b[31mred", "x" * 5000, "mini.toml", "*"])
@pytest.mark.parametrize("command", ["report", "validate", "check-workload", "compare", "baseline show", "export"])
def test_every_argument_is_answered_in_a_sentence(
    command: str, argument: str, tmp_path: Path, ganprune: Command
) -> None:
    write_experiment(tmp_path)
    second = {"compare": [argument], "export": ["--onnx", "x.onnx"]}.get(command.split()[0], [])
    if command == "validate" and argument == "mini.toml":
        return
    answer = ganprune(*command.split(), argument, *second)
    answer.refused()
    assert "\x1b" not in answer.err
    assert len(answer.err) < 10_000


def test_an_unknown_option_is_printed_as_it_is_seen(ganprune: Command) -> None:
    answer = ganprune("report", "--\x1b[31mred")
    assert answer.code == 2
    assert "\x1b" not in answer.err
    assert "--\\x1b[31mred" in answer.err


def test_a_full_disk_while_the_report_is_written_names_the_file(
    ganprune: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bench.base.files._write", full)
    ganprune("report", "mini").refused("reports/mini: cannot be written (the disk is full)", "The results are kept")
    assert list((run / "cells").iterdir())


def test_results_that_vanish_while_it_runs_are_told(
    ganprune: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.sweep import run as sweep

    before = sweep._run_cells

    def vanish(*arguments: object) -> int:
        shutil.rmtree(run.parents[2])
        return before(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("bench.sweep.run._run_cells", vanish)
    answer = ganprune("run", "mini.toml")
    assert answer.code == 2, answer
    assert "Traceback" not in answer.err
    assert "results" in answer.err

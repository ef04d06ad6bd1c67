"""One change, tried: a copy of the tree, one process, and a time limit."""

from __future__ import annotations

import functools
import importlib
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import time
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from typing import Literal

from tests.mutants.changes import Change
from tests.mutants.rooms import ROOT

Outcome = Literal["noticed", "survived", "timed out"]

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", "runs", ".hypothesis", ".mutants", ".mypy_cache", ".ruff_cache"
)
MEMORY = 24 * 2**30
"""Bytes of addresses (PyTorch alone takes a few GB of them): a change may ask for any amount."""

FAR_LESS = 4
"""What the unchanged code must be quicker by than the limit that a change did not end within, to be told from it."""

LIBRARIES = (
    "torch", "torchvision", "torch_pruning", "torch_fidelity", "fvcore.nn", "scipy.stats", "pandas", "seaborn",
    "matplotlib.figure", "pydantic", "typer", "rich", "jinja2", "safetensors.torch", "pytest",
)  # fmt: skip
"""What every process would import again."""
NOT_PASSED = ("FAILED ", "ERROR ")
"""How pytest begins the line of a test that did not pass."""
OURS = {"bench", "strategies", "ganprune", "tests"}


@dataclass(frozen=True)
class Base:
    """What a room's tests do without a change."""

    seconds: dict[str, float]
    """By file, of those that have a test that passes."""
    failing: list[str]
    """Tests that fail without a change: they notice nothing."""


def copy_of_tree(folder: Path) -> Path:
    """A copy that may be changed, in ``folder``, which must not be there yet."""
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    return folder


def base_of(copy: Path, tests: Sequence[str], limit: float) -> Base:
    """Run a room's tests as they are."""
    report = copy / "report.xml"
    report.unlink(missing_ok=True)
    _pytest(copy, [*tests, f"--junitxml={report}"], limit)
    seconds: dict[str, float] = {}
    failing = []
    for case in ET.parse(report).iter("testcase"):
        name = case.get("classname", "").replace(".", "/")
        while name and not (copy / f"{name}.py").is_file():
            name = name.rpartition("/")[0]
        file = f"{name}.py"
        if case.find("failure") is not None or case.find("error") is not None:
            failing.append(f"{file}::{case.get('name')}")
        else:
            seconds[file] = seconds.get(file, 0.0) + float(case.get("time", 0))
    return Base(seconds, failing)


def outcome_of(
    copy: Path, file: str, change: Change, tests: Sequence[str], failing: Sequence[str], limit: float
) -> tuple[Outcome, str]:
    """Whether one of ``tests`` fails after the change, and the last line that pytest said.

    A change that does not end within ``limit`` has timed out, and is noticed by whoever waits, only if the same tests
    without it end in a fourth of that time, here and now. If not, the machine was slow: it has survived.
    """
    arguments = ["-x", *(f"--deselect={name}" for name in failing), *tests]
    with _changed(copy / file, change):
        code, said = _pytest(copy, arguments, limit)
    if code is None:
        begun = time.monotonic()
        if _pytest(copy, arguments, limit / FAR_LESS)[0] is None:
            return "survived", f"after {limit:.0f} s; without the change not done in {limit / FAR_LESS:.0f} s either"
        return "timed out", f"after {limit:.0f} s; {time.monotonic() - begun:.0f} s without the change"
    lines = [line for line in said.splitlines() if line.startswith(NOT_PASSED)] or said.splitlines()[-1:]
    return ("survived" if code == 0 else "noticed"), lines[0][:200] if lines else f"exit code {code}"


def outcome_of_whole(
    copy: Path, file: str, change: Change, tests: Sequence[str], failing: Sequence[str], limit: float
) -> tuple[Outcome, str]:
    """The same with the slow tests too, for a change that survived the others: what is cut off has survived.

    A test that fails is asked again without the change; where it fails then, too, it has noticed nothing.
    """
    left_out, end = list(failing), time.monotonic() + limit
    while (left := end - time.monotonic()) > 0:
        with _changed(copy / file, change):
            code, said = _pytest(copy, ["-m", "", "-x", *(f"--deselect={name}" for name in left_out), *tests], left)
        if code is None:
            break
        failed = [line.split(" ", 1)[1].split(" - ")[0] for line in said.splitlines() if line.startswith(NOT_PASSED)]
        if code == 0 or (failed and failed[0] in left_out):
            return "survived", "by all tests of its folders"
        if not failed or _pytest(copy, ["-m", "", failed[0]], limit)[0] == 0:
            return "noticed", (failed or [f"exit code {code}"])[0][:200]
        left_out.append(failed[0])
    return "survived", f"cut off after {limit:.0f} s"


@contextmanager
def _changed(path: Path, change: Change) -> Iterator[None]:
    source = path.read_bytes()
    compiled = Path(cache_from_source(str(path)))  # known by time and size, which may both be the same
    try:
        compiled.unlink(missing_ok=True)
        path.write_bytes(change.of(source))
        yield
    finally:
        compiled.unlink(missing_ok=True)
        path.write_bytes(source)


def _pytest(copy: Path, arguments: Sequence[str], limit: float) -> tuple[int | None, str]:
    """Exit code and output of pytest in the copy; None where it took longer than ``limit`` seconds."""
    preload()
    said = copy / "said.txt"
    command = ["-q", "-m", "not slow", "--tb=no", "-p", "no:cacheprovider", *arguments]
    process = multiprocessing.get_context("fork").Process(target=_child, args=(copy, command, said))
    process.start()
    try:
        process.join(limit)
        code = process.exitcode
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid or 0, signal.SIGKILL)  # and all that it started
        process.join()
    return code, said.read_text(encoding="utf-8", errors="replace")


@functools.cache
def preload() -> None:
    """Import what is not changed, once: it takes longer than most tests do."""
    for name in LIBRARIES:
        with suppress(ImportError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(name)


def _child(copy: Path, command: Sequence[str], said: Path) -> None:
    """Run pytest as if in a fresh process: nothing of ours is loaded but what lies in the copy."""
    os.setsid()
    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.stdout = sys.stderr = os.fdopen(out, "w")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.chdir(copy)
    paths = [str(copy), str(copy / "bench" / "distribution")]
    os.environ |= {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    original = {ROOT, ROOT / "bench" / "distribution"}
    sys.path[:] = [*paths, *(path for path in sys.path if Path(path).resolve() not in original)]
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    importlib.invalidate_caches()
    code = 2
    try:
        import pytest

        code = int(pytest.main(list(command)))
    finally:
        sys.stdout.flush()
        os._exit(code)

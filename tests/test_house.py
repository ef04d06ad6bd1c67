"""The shape of the house: rooms, sizes, who may name a metric. Who imports whom is import-linter's (`make lint`)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("bench", "strategies")

LOOSE = {"__init__.py", "api.py", "pytest_plugin.py"}
"""What stands in no room of `bench`: its public names, and the name that pytest knows."""

MOST_LINES = 500

METRIC = re.compile(
    r"\b(fid|kid|frechet|psnr|prc)\b|\b(fid|kid)_|_(fid|kid)\b|inception.?score|[\"'](recall|coverage)[\"']",
    re.IGNORECASE,
)
"""Names of metrics, in code, texts and comments."""
SCORE = re.compile(r"\bIS\b|[\"']is[\"']")
"""The metric that is called as a word of the language is; only so is it meant."""


def sources(*endings: str, packages: tuple[str, ...] = PACKAGES) -> list[Path]:
    return sorted(path for package in packages for end in endings for path in (ROOT / package).rglob(f"*{end}"))


def test_nothing_stands_loose_in_bench() -> None:
    assert {path.name for path in (ROOT / "bench").glob("*.py")} == LOOSE


@pytest.mark.parametrize(
    "path", sources(".py", packages=(*PACKAGES, "tests")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_file_is_too_long_to_be_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_no_metric_is_named_outside_of_the_tasks() -> None:
    found = []
    for path in sources(".py", ".j2", ".js", ".css"):
        if path.is_relative_to(ROOT / "bench" / "tasks"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if METRIC.search(line) or SCORE.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert found == []


def test_the_tests_mirror_the_rooms() -> None:
    rooms = {path.name for path in (ROOT / "bench").iterdir() if (path / "__init__.py").exists()}
    own = {"architectures", "benchmarks", "fuzz", "gpu", "helpers", "mutants", "own", "strategies"}
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders - own <= rooms

"""`import ganprune`: the name of the distribution, its public names, and what a wheel of it holds."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import bench
import ganprune
from tests.helpers.processes import ROOT, SOURCES

PUBLIC = ["UserError", "claims", "draw_report", "load", "load_run", "power", "run", "workload"]


def test_its_names_are_the_public_ones_and_no_others() -> None:
    assert dir(ganprune) == ganprune.__all__ == bench.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_that_of_the_harness(name: str) -> None:
    assert getattr(ganprune, name) is getattr(bench, name)
    assert getattr(ganprune, name).__doc__


@pytest.mark.parametrize("module", [ganprune, bench], ids=["ganprune", "bench"])
def test_only_what_is_there_can_be_imported(module: object) -> None:
    with pytest.raises(AttributeError, match="no attribute 'prune_it'"):
        module.prune_it  # type: ignore[attr-defined]  # noqa: B018


def test_its_version_is_that_of_the_distribution_and_of_the_citation() -> None:
    assert ganprune.__version__ == version("ganprune")
    assert f"\nversion: {ganprune.__version__}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.parametrize("module", ["bench", "ganprune"])
def test_importing_it_imports_nothing_heavy(module: str) -> None:
    code = (
        f"import sys, {module} as it; dir(it); assert not {{'torch', 'pandas', 'numpy', 'typer', 'pydantic'}} & "
        "set(sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": SOURCES}, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr


@pytest.mark.slow
def test_a_wheel_holds_three_packages_with_their_types_and_data(tmp_path: Path) -> None:
    if importlib.util.find_spec("build") is None:
        pytest.skip("build is not installed")
    made = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"ganprune-{ganprune.__version__}-")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "installed")
    assert len(names) == len(set(names))
    packages = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert packages == {"bench", "strategies", "ganprune"}
    assert {f"{package}/{file}" for package in packages for file in ("__init__.py", "py.typed")} <= set(names)
    assert not [name for name in names if name.startswith("bench/distribution/")]
    tracked = subprocess.run(
        ["git", "ls-files", "bench", "strategies"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {name.removeprefix("bench/distribution/") for name in tracked} <= set(names)
    where = subprocess.run(
        [sys.executable, "-c", "import ganprune; print(ganprune.__file__); ganprune.UserError"],
        env={"PYTHONPATH": str(tmp_path / "installed")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.strip() == str(tmp_path / "installed" / "ganprune" / "__init__.py")

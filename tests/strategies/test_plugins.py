"""Strategies of others: found, used, hashed into keys, and harmless where they are broken."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from strategies.builtin import STRATEGIES
from strategies.criteria import CRITERIA
from strategies.plugins import PluginError, load_plugin

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "adding-a-strategy.md").read_text("utf-8")
OWN = re.search(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)[1]  # type: ignore[index]
"""The guide's own example."""


def ganprune(*arguments: str, where: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    places = [str(ROOT), *([str(path)] if path else [])]
    return subprocess.run(
        [sys.executable, "-m", "bench.cli", *arguments],
        cwd=where,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(places), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "my_pruning.py").write_text(OWN)
    return tmp_path


def names(answer: subprocess.CompletedProcess[str]) -> list[str]:
    return [row["name"] for row in json.loads(answer.stdout)]


def distribution(folder: Path, name: str, module: str, source: str) -> None:
    """An installed distribution with an entry point, as pip leaves it."""
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[ganprune.strategies]\n{module} = {module}\n")


@pytest.mark.parametrize("plugin", ["my_pruning", "my_pruning.py"])
def test_the_guides_criterion_passes_every_check(mine: Path, plugin: str) -> None:
    answer = ganprune("check-strategy", "maxabs-channel-global", "--plugin", plugin, "--workload", "dummy", where=mine)
    assert answer.returncode == 0, answer.stderr
    assert "9 of 9 checks passed" in answer.stdout


@pytest.mark.slow
def test_a_plugged_in_strategy_is_swept_by_worker_processes(mine: Path) -> None:
    (mine / "e.toml").write_text(
        '[experiment]\nname = "e"\nplugins = ["my_pruning.py"]\nworkloads = ["dummy"]\n'
        'strategies = ["maxabs-channel-global"]\nsparsities = [0.5]\nrecovery = ["none"]\nseeds = [0]\n'
        "[quality]\nnum_images = 64\n[latency]\nenabled = false\n"
    )
    answer = ganprune("run", "e.toml", where=mine)
    assert answer.returncode == 0, answer.stderr
    records = [json.loads(p.read_text()) for p in (mine / "results/runs/e/main/cells").rglob("*.json")]
    assert {r["cell"]["strategy"]: r["status"] for r in records} == {"dense": "ok", "maxabs-channel-global": "ok"}


def test_a_changed_formula_has_another_key(mine: Path) -> None:
    script = textwrap.dedent("""
        from bench.records import Cell
        from bench.sweep.settings import Settings
        from bench.sweep.workshop import Workshop
        shop = Workshop(Settings(num_images=64, plugins=("my_pruning.py",)))
        cell = Cell(workload="dummy", strategy="maxabs-channel-global", level={"sparsity": .5}, recovery="none", seed=0)
        print(shop.resolve(cell).keys.prune)
    """)

    def key() -> str:
        answer = subprocess.run(
            [sys.executable, "-c", script],
            cwd=mine,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return answer.stdout.strip()

    first = key()
    (mine / "my_pruning.py").write_text(OWN.replace('"""The largest', '"""The very largest') + "\n# a comment\n")
    assert key() == first
    (mine / "my_pruning.py").write_text(OWN.replace("weight.abs()", "weight.abs() + 1"))
    assert key() != first


def test_an_installed_distribution_needs_no_option(tmp_path: Path) -> None:
    distribution(tmp_path, "good", "good_pruning", OWN)
    answer = ganprune("list", "strategies", "--json", where=tmp_path, path=tmp_path)
    assert "maxabs-channel-global" in names(answer)
    assert answer.stderr == ""
    (row,) = json.loads(ganprune("list", "plugins", "--json", where=tmp_path, path=tmp_path).stdout)
    assert row == {"name": "good_pruning", "from": "good", "strategies": ["maxabs-channel-global"], "error": ""}


def test_a_broken_plug_in_is_reported_leaves_nothing_behind_and_breaks_nothing(tmp_path: Path) -> None:
    distribution(tmp_path, "bad", "bad_pruning", OWN.replace("maxabs", "halfway") + "\nraise ZeroDivisionError('oh')\n")
    distribution(tmp_path, "good", "good_pruning", OWN)
    answer = ganprune("list", "strategies", "--json", where=tmp_path, path=tmp_path)
    assert answer.returncode == 0
    assert "maxabs-channel-global" in names(answer)
    assert "halfway-channel-global" not in names(answer)
    assert "plug-in 'bad_pruning' of bad is left out: ZeroDivisionError: oh" in answer.stderr


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("def broken(:", "SyntaxError"),
        (OWN.replace("maxabs-channel-global", "l1-weight-global"), "already registered"),
        (OWN.replace("maxabs-channel-global", "../up"), "not usable in a path"),
    ],
    ids=["import", "syntax", "taken", "unsafe"],
)
def test_a_broken_plug_in_that_was_asked_for_ends_with_one_message(tmp_path: Path, source: str, reason: str) -> None:
    (tmp_path / "broken.py").write_text(source)
    answer = ganprune("list", "strategies", "--plugin", "broken.py", where=tmp_path)
    assert answer.returncode == 2
    assert "plug-in 'broken.py'" in answer.stderr and reason in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_missing_plug_in_is_a_mistake_in_the_experiment(tmp_path: Path) -> None:
    answer = ganprune("validate", "ci", "--plugin", "nowhere.py", where=tmp_path)
    assert answer.returncode == 2
    assert "experiment.plugins[0]: plug-in 'nowhere.py'" in answer.stderr


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("from strategies.builtin import STRATEGIES as S\nS.add('mine', 5)\n", "registers int as the strategy 'mine'"),
        ("from strategies.criteria import CRITERIA\nCRITERIA.add('mine', print)\n", "as the criterion 'mine'"),
        ("import sys\nsys.exit(0)\n", "SystemExit: 0"),
    ],
)  # fmt: skip
def test_a_plug_in_that_registers_something_else_or_leaves_is_named_and_leaves_nothing_behind(
    tmp_path: Path, source: str, words: str
) -> None:
    path = tmp_path / f"plugin_{len(source)}.py"
    path.write_text(source)
    with pytest.raises(PluginError, match=rf"plug-in '.*{path.name}'") as found:
        load_plugin(str(path))
    assert words in str(found.value)
    assert "mine" not in STRATEGIES and "mine" not in CRITERIA

"""The source of a revision, beside ours in one process."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.base.errors import UserError
from bench.gate.rebuild import prepare
from bench.gate.source import commit_of, extract, git, load, same_source, top_of
from bench.gate.timing import Network, Ratio, Task, take
from tests.gate.test_timing import DENSE

ALIAS = "ganprune_test_alias"
FILES = {
    "bench/__init__.py": "",
    "bench/one.py": (
        "import bench.two\nimport bench.two as second\nfrom bench import two\nfrom bench.two import VALUE\n"
        "import strategies.three, json\nfrom . import two as relative\n"
        "def late():\n    from strategies.three import THREE\n    return THREE\n"
        "SAME = bench.two is second is two is relative\nTHREE = strategies.three.THREE\n"
    ),
    "bench/two.py": "VALUE = 'theirs'\n",
    "strategies/__init__.py": "",
    "strategies/three.py": "import bench.two\nTHREE = 3, bench.two.VALUE\n",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with two commits of a miniature of our packages."""
    folder = tmp_path / "repository"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run(["git", "init", "-q", "-b", "trunk", str(folder)], check=True)
    commit(folder)
    (folder / "bench/two.py").write_text("VALUE = 'newer'\n")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for arguments in (["add", "-A"], [*who, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True)


def test_every_import_inside_of_a_revision_stays_inside(repository: Path, tmp_path: Path) -> None:
    first = commit_of(repository, "trunk~1")
    assert first is not None
    assert extract(repository, first, ["bench", "strategies", "docs"], tmp_path / "old") == ["bench", "strategies"]
    ours = set(sys.modules)
    module = load(tmp_path / "old", ALIAS, "bench.one")
    assert (module.VALUE, module.SAME, module.THREE, module.late()) == ("theirs", True, (3, "theirs"), (3, "theirs"))
    assert module.__name__ == f"{ALIAS}.bench.one"
    assert module.json is sys.modules["json"]
    new = {name for name in sys.modules if name not in ours}
    assert all(name.split(".")[0] == ALIAS for name in new)
    with pytest.raises(ValueError, match="already the source"):
        load(tmp_path, ALIAS, "bench.one")


def test_what_is_no_revision_is_none(repository: Path) -> None:
    assert commit_of(repository, "nothing") is None
    assert commit_of(repository, "--help") is None  # no option gets through
    assert commit_of(repository, "trunk") == git(repository, "rev-parse", "HEAD").decode().strip()


def test_outside_of_a_checkout(tmp_path: Path) -> None:
    assert top_of(tmp_path) is None
    with pytest.raises(UserError, match="git log"):
        git(tmp_path, "log")


def test_our_own_source_is_the_same_source(tmp_path: Path) -> None:
    ours = Path(__file__).parents[2]
    assert same_source(ours)
    for package in ("bench", "strategies"):
        for path in (ours / package).rglob("*.py"):
            copy = tmp_path / path.relative_to(ours)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    assert same_source(tmp_path)
    (tmp_path / "bench/base/seeds.py").write_text("changed = True\n")
    assert not same_source(tmp_path)


FORWARD = "        image: Tensor = self.net(z[:, :, None, None])"


def test_a_generator_is_built_from_the_source_of_its_side(tmp_path: Path) -> None:
    """A whole copy of the packages in which generators return sevens: BASE is built from it, HEAD from ours."""
    ours = Path(__file__).parents[2]
    for package in ("bench", "strategies"):
        shutil.copytree(ours / package, tmp_path / package, ignore=shutil.ignore_patterns("*.safetensors", "*.npz"))
    path = tmp_path / "bench/workloads/networks.py"
    changed = path.read_text().replace(FORWARD, f"{FORWARD} * 0 + 7")
    assert changed != path.read_text()
    path.write_text(changed)
    arguments = ("dummy", "shipped", {}, DENSE.widths)
    options = {"device": "cpu", "backend": "eager", "batch": 2}
    theirs = load(tmp_path, ALIAS, "bench.gate.rebuild").prepare(*arguments, **options)()
    assert bool((theirs == 7).all())
    assert not bool((prepare(*arguments, **options)() == 7).any())  # type: ignore[arg-type, attr-defined]
    network = Network("dummy", "shipped", DENSE)
    (found,) = take(Task((Ratio(network, network, 1),), tmp_path, None))
    assert (found.error, found.own_source) == ("", True)

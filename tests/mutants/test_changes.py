"""What `make mutants` changes, where, and what it makes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.mutants import __main__ as command
from tests.mutants import trial
from tests.mutants.changes import Change, changes_of, is_change
from tests.mutants.rooms import EQUIVALENT, ROOMS, ROOT, Room, duties_of, files_of, whole_of
from tests.mutants.trial import base_of, outcome_of, outcome_of_whole


def made(source: str) -> set[str]:
    """The lines that a source of one line becomes."""
    return {change.of(source.encode()).decode() for change in changes_of(source.encode())}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", {"a <= b", "a >= b"}),
        ("a >= b", {"a > b", "a < b"}),
        ("a is  not b", {"a is b"}),
        ("a not in b", {"a in b"}),
        ("(a) + (b)", {"(a) - (b)"}),
        ("a ** b", {"a * b"}),
        ("a // b", {"a * b"}),
        ("a -= b", {"a += b"}),
        ("a and b or c", {"a or b or c", "a and b and c"}),
        ("-a", {"a"}),
        ("not a", {"a"}),
        ("x = True", {"x = False"}),
        ("x = 7", {"x = 8"}),
        ("x = 0.5", {"x = 0.75"}),
        ("x = 0.0", {"x = 1.0"}),
        ("x = 1e-12", {"x = 1e-06"}),
        ("x.mean()", {"x.sum()"}),
        ("max(a, b)", {"min(a, b)"}),
        ("sorted(a, reverse=b)", {"sorted(a)"}),
        ("x = a if b(c) else d", {"x = a if (not (b(c))) else d"}),
        ("[a for a in b if c(a)]", {"[a for a in b if (not (c(a)))]"}),
        ("if a < b: c()", {"if a <= b: c()", "if a >= b: c()"}),
        ("while a: break", {"while (not (a)): break", "while a: continue"}),
        ("'é' < b", {"'é' <= b", "'é' >= b"}),
    ],
)
def test_what_becomes_of_a_line(source: str, expected: set[str]) -> None:
    assert made(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""Words, 1 < 2."""',
        "x: Literal[1, 2]",
        "def f(a: Annotated[int, 3]) -> Array[4]: ...",
        "@cached(5)\ndef f(): ...",
        'x = f"{a + 1}"',
        'x = "a" + b',
        "x = [a] + b",
        'raise ValueError(f"{a}" if a > 1 else 2)',
        "assert a > 1",
        "zip(a, b, strict=True)",
        "progress(1 + 2)",
        "analysis.tracer_warnings(1)",
        "torch.argsort(x, stable=True)",
        "table.groupby(name, sort=True)",
        "__all__ = [a < b]",
    ],
)
def test_what_is_left_alone(source: str) -> None:
    assert made(source) == set()


def test_a_change_knows_its_function_and_its_line() -> None:
    source = b"class A:\n    def f(self):\n        return 1\n"
    assert changes_of(source) == [Change("constant", "A.f", 3, 41, 42, "1", "2")]


def test_what_is_no_other_program_is_no_change() -> None:
    source = b"x = (1)"
    assert is_change(source, Change("constant", "", 1, 5, 6, "1", "2"))
    assert not is_change(source, Change("constant", "", 1, 4, 7, "(1)", "1"))
    assert not is_change(source, Change("constant", "", 1, 4, 7, "(1)", "("))


def test_every_change_of_the_code_is_python_and_another_program() -> None:
    wrong, count = [], 0
    for room in ROOMS.values():
        for file in files_of(room)[::6]:
            source = (ROOT / file).read_bytes()
            for change in changes_of(source)[::5]:
                count += 1
                if not is_change(source, change):
                    wrong.append(f"{file}:{change.line}: {change.old!r} -> {change.new!r}")
    assert wrong == [] and count > 50


def test_a_sample_is_drawn_from_all_rooms_and_stays_where_other_lines_change() -> None:
    mutants = command.mutants_of()
    drawn = command.sample(mutants, 0, 100)
    assert {one.room for one in drawn} == set(ROOMS) and len(set(drawn)) == 100
    assert command.sample(mutants, 0, 9) == drawn[:9] != command.sample(mutants, 1, 9)
    without = [one for one in mutants if one.file != drawn[0].file]
    kept = [one for one in drawn[:9] if one.file != drawn[0].file]
    assert command.sample(without, 0, len(kept)) == kept


SOURCE = "def f(x: float) -> float:\n    return x * 2 if x > 0 else 0.0\n"
TESTS = """
import os
from code_here import f

def test_of_a_positive_number():
    assert f(1) == 2

def test_that_fails():
    assert os.environ.get("NEVER")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "code_here.py").write_text(SOURCE)
    (tmp_path / "test_f.py").write_text(TESTS)
    (tmp_path / "bench").mkdir()  # the plug-in for pytest of the installed package is looked for in the copy
    (tmp_path / "bench" / "__init__.py").touch()
    (tmp_path / "bench" / "pytest_plugin.py").touch()
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\npythonpath = ['.']\nmarkers = ['slow: x']\n")
    return tmp_path


def test_a_change_is_noticed_or_not_and_the_copy_is_as_before(tree: Path) -> None:
    base = base_of(tree, ["test_f.py"], 60)
    assert (list(base.seconds), base.failing) == (["test_f.py"], ["test_f.py::test_that_fails"])
    outcomes = {}
    for change in changes_of(SOURCE.encode()):
        if change.new in ("/", ">="):
            outcome, _ = outcome_of(tree, "code_here.py", change, ["test_f.py"], base.failing, 60)
            outcomes[change.new] = outcome
    assert outcomes == {"/": "noticed", ">=": "survived"}
    assert (tree / "code_here.py").read_text() == SOURCE


def test_a_change_that_hangs_is_told_from_tests_that_take_long(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "FAR_LESS", 1)  # a fourth of seconds is too little for a busy machine
    loop = "def f(x: int) -> int:\n    while x > 0:\n        x -= 1\n    return x\n"
    (tree / "code_here.py").write_text(loop)
    (change,) = (change for change in changes_of(loop.encode()) if change.new == "+")
    (tree / "test_f.py").write_text("from code_here import f\ndef test_down():\n    assert f(3) == 0\n")
    outcome, said = outcome_of(tree, "code_here.py", change, ["test_f.py"], [], 6)
    assert outcome == "timed out" and said.startswith("after 6 s; ") and said.endswith(" s without the change")
    (tree / "test_f.py").write_text("import time\ndef test_long():\n    time.sleep(600)\n")
    outcome, said = outcome_of(tree, "code_here.py", change, ["test_f.py"], [], 1)
    assert outcome == "survived" and said.endswith("without the change not done in 1 s either")


def test_tests_that_name_the_module_come_first_and_the_quick_ones_before_the_slow(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    for name, text in (("a", ""), ("b", "from bench.x import y"), ("c", "import bench.x"), ("x", ""), ("d", "")):
        (tmp_path / "tests" / f"test_{name}.py").write_text(text)
    seconds = {f"tests/test_{name}.py": time for name, time in zip("abcx", (1.0, 5.0, 2.0, 3.0), strict=True)}
    found = duties_of(Room((), ("tests",)), "bench/x.py", seconds, tmp_path)
    assert found == [f"tests/test_{name}.py" for name in "cxba"]  # d has no test that passes
    long = Room((), ("tests/test_a.py",), also=("tests/test_b.py", "tests/test_d.py"))
    assert duties_of(long, "bench/x.py", seconds, tmp_path) == ["tests/test_b.py", "tests/test_a.py"]
    assert duties_of(long, "bench/z.py", seconds, tmp_path) == ["tests/test_a.py"]


def test_the_table_counts_and_shows_who_survived(tmp_path: Path) -> None:
    results = command.Results(tmp_path)
    drawn = command.sample(command.mutants_of(), 0, 3)
    for one, outcome in zip(drawn, ("noticed", "survived", "timed out"), strict=True):
        results.keep(one.name, {"outcome": outcome, "difference": "- a\n+ b"})
    text, share = command.table(drawn, results)
    assert share == pytest.approx(2 / 3)
    assert "| all | 3 | 1 | 1 | 1 |" in text
    assert f"survived: {command.described(drawn[1])}\n- a\n+ b" in text


def test_the_command_continues_with_what_it_has(tmp_path: Path) -> None:
    (one,) = command.sample(command.mutants_of(), 0, 1)
    command.Results(tmp_path).keep(one.name, {"outcome": "noticed", "difference": ""})
    arguments = ["--count", "1", "--results", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutants", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "1 of 1 tried" in done.stdout, done.stderr
    assert [json.loads(path.read_text())["outcome"] for path in tmp_path.iterdir()] == ["noticed"]


def test_what_the_quick_tests_did_not_notice_is_tried_against_all(tree: Path) -> None:
    """Slow tests too; one that fails without the change has noticed nothing."""
    (tree / "test_slow.py").write_text(
        "import pytest\nfrom code_here import f\n@pytest.mark.slow\ndef test_zero():\n    assert str(f(0)) == '0.0'\n"
    )
    outcomes = {}
    for change in changes_of(SOURCE.encode()):
        if change.new in (">=", "1.0", "<="):
            found = outcome_of_whole(tree, "code_here.py", change, ["test_f.py", "test_slow.py"], [], 60)
            outcomes[change.new] = found
    assert outcomes[">="] == ("noticed", "test_slow.py::test_zero")
    (tree / "test_slow.py").unlink()
    again = next(change for change in changes_of(SOURCE.encode()) if change.new == ">=")
    assert outcome_of_whole(tree, "code_here.py", again, ["test_f.py"], [], 60)[0] == "survived"
    assert outcome_of_whole(tree, "code_here.py", again, ["test_f.py"], [], 0)[1] == "cut off after 0 s"


def test_every_room_has_folders_in_which_all_its_tests_lie() -> None:
    for room in ROOMS.values():
        whole = set(whole_of(room, room.files[0]))
        assert whole and all((ROOT / name).is_file() for name in whole)
        assert {name for name in room.tests if name.endswith(".py")} <= whole


def test_changes_that_change_nothing_are_still_in_the_code_and_not_drawn() -> None:
    def places(changes: Iterable[tuple[str, Change]]) -> set[tuple[str, str, str]]:
        return {(file, lines[file][change.line - 1].strip(), change.new) for file, change in changes}

    lines = {file: (ROOT / file).read_text(encoding="utf-8").splitlines() for file, *_ in EQUIVALENT}
    possible = [(file, change) for file in lines for change in changes_of((ROOT / file).read_bytes())]
    drawn = [(one.file, one.change) for one in command.mutants_of() if one.file in lines]
    assert places(possible) >= EQUIVALENT
    assert not places(drawn) & EQUIVALENT and len(drawn) < len(possible)

"""Worker processes: every item has an outcome, whatever happens to them, and none outlives its parent.

What any executor does is in `test_conformance`.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import UserError
from bench.base.limits import Limits
from bench.executors import Done, Failed, Resources, Stage, stage
from bench.executors.local import PRELOADED, THREAD_VARIABLES, LocalExecutor
from tests.helpers.processes import alive, wait_until
from tests.helpers.work import QuittingSetup, Setup

Item = tuple[str, Any]


def one(*groups: Sequence[Item]) -> list[Stage]:
    """The only stage of a run."""
    return [stage(Setup(), *groups)]


def outcomes(jobs: int, *groups: Sequence[Item]) -> dict[Item, Done | Failed]:
    return {outcome.item: outcome for outcome in LocalExecutor(jobs).run(one(*groups))}


@pytest.mark.parametrize("jobs", [0, -1])
def test_no_workers_are_refused(jobs: int) -> None:
    with pytest.raises(UserError, match=f"--jobs: {jobs} "):
        LocalExecutor(jobs)


def test_nothing_to_do_starts_no_process() -> None:
    assert outcomes(2) == {}
    assert active_children() == []


def test_no_worker_is_left_when_all_is_done() -> None:
    outcomes(2, [("square", 1)], [("square", 2)])
    assert active_children() == []


def test_a_worker_cleans_up_when_all_is_done(tmp_path: Path) -> None:
    outcomes(1, [("leave", str(tmp_path / "cleaned"))])
    assert (tmp_path / "cleaned").exists()


def test_a_worker_that_is_killed_costs_its_item_only() -> None:
    found = outcomes(1, [("square", 1), ("die", 0), ("square", 2)], [("exit", 3), ("square", 3)])
    died, left = found["die", 0], found["exit", 3]
    assert isinstance(died, Failed) and "SIGKILL" in died.error and "out of memory" in died.error
    assert isinstance(left, Failed) and "exit code 3" in left.error
    assert {item for item, outcome in found.items() if isinstance(outcome, Done)} == {
        ("square", number) for number in (1, 2, 3)
    }


def test_a_worker_has_one_thread_and_the_parent_keeps_its_environment() -> None:
    before = os.environ.get("OMP_NUM_THREADS")
    found = outcomes(1, [("threads", 0)])
    assert found["threads", 0] == Done(("threads", 0), (1, "1"))
    assert os.environ.get("OMP_NUM_THREADS") == before


@pytest.mark.parametrize("threads, together", [(1, 2), (2, 1), (3, 1)])
def test_there_are_as_many_workers_as_cores_for_their_threads(threads: int, together: int) -> None:
    needs = Resources(threads=threads)
    asked = [("threads", 0), ("parent", 0), ("who", 1), ("span", 0.3), ("span", 0.31)]
    found = {o.item: o for o in LocalExecutor(2).run([stage(Setup(), *[[item] for item in asked], resources=needs)])}
    assert found["threads", 0] == Done(("threads", 0), (threads, str(threads)))
    first, second = sorted(found["span", seconds].result for seconds in (0.3, 0.31))  # type: ignore[union-attr]
    assert (second[0] < first[1]) is (together == 2)


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")


@on_linux
def test_a_forked_worker_has_the_environment_of_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ("environment", "GANPRUNE_TEST")
    for value in ("one", "two", None):
        if value:
            monkeypatch.setenv("GANPRUNE_TEST", value)
        else:
            monkeypatch.delenv("GANPRUNE_TEST")
        assert outcomes(1, [asked])[asked] == Done(asked, value)


@on_linux
def test_a_fresh_worker_is_nobody_s_fork() -> None:
    asked = ("parent", 0)
    (forked,) = outcomes(1, [asked]).values()
    (fresh,) = LocalExecutor(1, fresh=True).run(one([asked]))
    assert fresh == Done(asked, os.getpid())
    assert isinstance(forked, Done) and forked.result != os.getpid()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
def test_a_worker_keeps_freed_memory_and_one_that_is_timed_is_like_any_process() -> None:
    asked = ("pages", 10 * 2**20)  # 40 MB in 10,240 pages, or 20 huge ones
    setup = Setup()
    stages = [stage(setup, [asked]), stage(setup, [asked], resources=Resources(exclusive=True))]
    kept, given_back = (o.result for o in LocalExecutor(1).run(stages) if isinstance(o, Done))
    assert min(kept) * 10 < min(given_back)  # the heap may grow a few times before it has room enough


@on_linux
def test_what_workers_are_forked_from_has_one_thread_and_no_cuda() -> None:
    code = (
        f"import os, torch, {', '.join(PRELOADED)}\n"
        "print(len(os.listdir('/proc/self/task')), torch.cuda.is_initialized())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | dict.fromkeys(THREAD_VARIABLES, "1"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == ["1", "False"]
    assert found.stderr == ""


def test_whoever_stops_listening_ends_the_workers() -> None:
    running = LocalExecutor(1).run(one([("square", 1), ("span", 60)]))
    assert next(running) == Done(("square", 1), 1)
    running.close()  # type: ignore[attr-defined]
    assert active_children() == []


UNGUARDED = """
import sys
from bench.executors import stage
from bench.executors.local import LocalExecutor
from tests.helpers.work import QuittingSetup, Setup
print("begun")
stages = [stage(Setup(), [("square", 2)], [("square", 3)])]
found = list(LocalExecutor(2, fresh=sys.argv[1] == "fresh").run(stages))
print(sorted(outcome.result for outcome in found))
"""


@pytest.mark.parametrize("method", ["fresh", "forked"])
def test_a_script_without_a_guard_is_not_run_again_by_its_workers(tmp_path: Path, method: str) -> None:
    (tmp_path / "script.py").write_text(UNGUARDED)
    found = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), method],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.splitlines() == ["begun", "[4, 9]"]


@pytest.mark.parametrize("method", ["fresh", "forked"])
def test_a_package_of_that_name_in_the_working_folder_is_not_imported(tmp_path: Path, method: str) -> None:
    """Who works in a folder with a `bench` or `strategies` of their own gets neither theirs run nor ours mixed up."""
    for name in ("bench", "strategies"):
        (tmp_path / "work" / name).mkdir(parents=True)
        (tmp_path / "work" / name / "__init__.py").write_text("open('executed', 'w').close()")
    (tmp_path / "script.py").write_text(UNGUARDED)
    found = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), method],
        cwd=tmp_path / "work",
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not (tmp_path / "work" / "executed").exists()
    assert (found.returncode, found.stdout.splitlines()) == (0, ["begun", "[4, 9]"]), found.stderr


PARENT = """
import sys
from pathlib import Path
from bench.executors import stage
from bench.executors.local import LocalExecutor
from tests.helpers.work import QuittingSetup, Setup
if __name__ == "__main__":
    list(LocalExecutor(2).run([stage(Setup(Path(sys.argv[1])), [("hang", 1)], [("hang", 2)])]))
"""


def parent_of(pid: int) -> int:
    """From the fourth field of its stat; the second is a name in brackets."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "pids").mkdir()
    (tmp_path / "parent.py").write_text(PARENT)
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py"), str(tmp_path / "pids")], env=os.environ | {"PYTHONPATH": root}
    ) as parent:
        try:
            wait_until(lambda: len(list((tmp_path / "pids").iterdir())) == 2)
            workers = [int(path.name) for path in (tmp_path / "pids").iterdir()]
            assert all(map(alive, workers))
            if sys.platform == "linux":  # and so does what they were forked from
                workers.append(parent_of(workers[0]))
                assert workers[-1] != parent.pid
        finally:
            parent.kill()
    wait_until(lambda: not any(map(alive, workers)), seconds=60)


@pytest.mark.parametrize(
    ("item", "limits", "reason"),
    [
        (("span", 600), Limits(seconds=2.0), "took longer than 2 s (--cell-seconds) and was ended"),
        (("hungry", 2**31), Limits(memory=2**30), "needed more than 1 GiB of memory (--cell-memory) and was ended"),
    ],
)
def test_an_item_over_its_limit_is_ended_and_the_others_go_on(item: Item, limits: Limits, reason: str) -> None:
    needs = Resources(limits=limits)
    asked = stage(Setup(), [("square", 1), item, ("square", 2)], [("square", 3)], resources=needs)
    found = {outcome.item: outcome for outcome in LocalExecutor(2).run([asked])}
    assert found.pop(item) == Failed(item, reason, "")
    assert found == {("square", n): Done(("square", n), n * n) for n in (1, 2, 3)}
    assert active_children() == []


def test_the_limit_is_of_each_item_and_not_of_all() -> None:
    items = [("span", 0.4 + i / 1000) for i in range(8)]
    found = LocalExecutor(1).run([stage(Setup(), items, resources=Resources(limits=Limits(seconds=2.5)))])
    assert all(isinstance(outcome, Done) for outcome in found)


def test_a_worker_that_leaves_before_any_work_is_a_mistake() -> None:
    with pytest.raises(UserError, match="a worker could not begin: SystemExit: 0"):
        list(LocalExecutor(1).run([stage(QuittingSetup(), [("square", 1)])]))


def test_an_item_that_forks_has_one_outcome() -> None:
    found = list(LocalExecutor(1).run(one([("fork", 1), ("square", 2), ("fork", 3)])))
    assert found == [Done(("fork", 1), 1), Done(("square", 2), 4), Done(("fork", 3), 3)]

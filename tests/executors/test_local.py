"""The process pool: every item has an outcome, whatever happens to the workers, and none outlives its parent."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import UserError
from bench.executors import Done, Executor, Failed
from bench.executors.local import PRELOADED, THREAD_VARIABLES, LocalExecutor
from tests.helpers.executor import InProcess
from tests.helpers.processes import alive, wait_until
from tests.helpers.work import BrokenSetup, Setup

Item = tuple[str, Any]


def outcomes(jobs: int, *stages: Sequence[Sequence[Item]]) -> dict[Item, Done | Failed]:
    return {outcome.item: outcome for outcome in LocalExecutor(jobs).run(Setup(), stages)}


def test_the_executor_of_the_tests_satisfies_the_protocol() -> None:
    executor: Executor = InProcess()
    found = list(executor.run(Setup(), [[[("square", 2)], [("raise", 1)]]]))
    assert found[0] == Done(("square", 2), 4)
    assert isinstance(found[1], Failed)


@pytest.mark.parametrize("jobs", [0, -1])
def test_no_workers_are_refused(jobs: int) -> None:
    with pytest.raises(UserError, match=f"--jobs: {jobs} "):
        LocalExecutor(jobs)


def test_nothing_to_do_starts_no_process() -> None:
    assert outcomes(2, [], [[]]) == {}
    assert active_children() == []


def test_every_item_of_every_group_and_stage_has_its_result() -> None:
    items = [("square", number) for number in range(9)]
    found = outcomes(2, [items[:3], items[3:4]], [items[4:8], items[8:]])
    assert found == {item: Done(item, item[1] ** 2) for item in items}


def test_no_worker_is_left_when_all_is_done() -> None:
    outcomes(2, [[("square", 1)], [("square", 2)]])
    assert active_children() == []


def test_a_worker_cleans_up_when_all_is_done(tmp_path: Path) -> None:
    outcomes(1, [[("leave", str(tmp_path / "cleaned"))]])
    assert (tmp_path / "cleaned").exists()


def test_an_item_that_raises_fails_with_its_traceback_and_the_rest_of_its_group_goes_on() -> None:
    found = outcomes(1, [[("square", 1), ("raise", "idea"), ("square", 2)]])
    failed = found["raise", "idea"]
    assert isinstance(failed, Failed)
    assert failed.error == "ValueError: no idea"
    assert 'raise ValueError(f"no {argument}")' in failed.traceback
    assert isinstance(found["square", 1], Done) and isinstance(found["square", 2], Done)


def test_a_worker_that_is_killed_costs_its_item_only() -> None:
    found = outcomes(1, [[("square", 1), ("die", 0), ("square", 2)], [("exit", 3), ("square", 3)]])
    died, left = found["die", 0], found["exit", 3]
    assert isinstance(died, Failed) and "SIGKILL" in died.error and "out of memory" in died.error
    assert isinstance(left, Failed) and "exit code 3" in left.error
    assert {item for item, outcome in found.items() if isinstance(outcome, Done)} == {
        ("square", number) for number in (1, 2, 3)
    }


def test_a_mistake_of_the_user_ends_the_run_with_its_message() -> None:
    with pytest.raises(UserError, match="checkpoint: damaged"):
        outcomes(1, [[("square", 1), ("mistake", "checkpoint"), ("square", 2)]])
    assert active_children() == []


def test_workers_that_cannot_begin_end_the_run_with_the_reason() -> None:
    with pytest.raises(UserError, match="could not begin"):
        list(LocalExecutor(1).run(BrokenSetup(), [[[("square", 1)]]]))
    assert active_children() == []


def test_a_stage_begins_when_the_one_before_has_ended() -> None:
    found = outcomes(2, [[("span", 0.01)], [("span", 0.4)]], [[("span", 0.02)], [("span", 0.03)]])
    spans = {item[1]: outcome.result for item, outcome in found.items() if isinstance(outcome, Done)}
    assert min(spans[0.02][0], spans[0.03][0]) >= spans[0.4][1]


def test_a_worker_has_one_thread_and_the_parent_keeps_its_environment() -> None:
    before = os.environ.get("OMP_NUM_THREADS")
    found = outcomes(1, [[("threads", 0)]])
    assert found["threads", 0] == Done(("threads", 0), (1, "1"))
    assert os.environ.get("OMP_NUM_THREADS") == before


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")


@on_linux
def test_a_forked_worker_has_the_environment_of_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ("environment", "GANPRUNE_TEST")
    for value in ("one", "two", None):
        if value:
            monkeypatch.setenv("GANPRUNE_TEST", value)
        else:
            monkeypatch.delenv("GANPRUNE_TEST")
        assert outcomes(1, [[asked]])[asked] == Done(asked, value)


@on_linux
def test_a_fresh_worker_is_nobody_s_fork() -> None:
    asked = ("parent", 0)
    (forked,) = outcomes(1, [[asked]]).values()
    (fresh,) = LocalExecutor(1, fresh=True).run(Setup(), [[[asked]]])
    assert fresh == Done(asked, os.getpid())
    assert isinstance(forked, Done) and forked.result != os.getpid()


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
    running = LocalExecutor(1).run(Setup(), [[[("square", 1), ("span", 60)]]])
    assert next(running) == Done(("square", 1), 1)
    running.close()  # type: ignore[attr-defined]
    assert active_children() == []


UNGUARDED = """
import sys
from bench.executors.local import LocalExecutor
from tests.helpers.work import Setup
print("begun")
found = list(LocalExecutor(2, fresh=sys.argv[1] == "fresh").run(Setup(), [[[("square", 2)], [("square", 3)]]]))
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
from bench.executors.local import PRELOADED, THREAD_VARIABLES, LocalExecutor
from tests.helpers.work import Setup
if __name__ == "__main__":
    list(LocalExecutor(2).run(Setup(Path(sys.argv[1])), [[[("hang", 1)], [("hang", 2)]]]))
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

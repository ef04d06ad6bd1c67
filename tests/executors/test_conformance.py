"""What any executor does, whoever carries out the work. A new one is a line in `EXECUTORS`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from bench.base.errors import UserError
from bench.executors import Done, Executor, Failed, Group, Resources, Stage, stage
from bench.executors.local import LocalExecutor
from tests.helpers.executor import InProcess
from tests.helpers.work import BrokenSetup, Setup

EXECUTORS: dict[str, Callable[[], Executor]] = {"local": lambda: LocalExecutor(2), "in-process": InProcess}

ALONE = Resources(exclusive=True)

Item = tuple[str, Any]


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> Executor:
    return EXECUTORS[request.param]()


def outcomes(executor: Executor, *stages: Stage) -> dict[Item, Done | Failed]:
    return {outcome.item: outcome for outcome in executor.run(stages)}


def results(executor: Executor, *stages: Stage) -> dict[Item, Any]:
    found = outcomes(executor, *stages)
    return {item: outcome.result for item, outcome in found.items() if isinstance(outcome, Done)}


def squares(numbers: Iterable[int]) -> list[Item]:
    return [("square", number) for number in numbers]


def test_every_item_of_every_group_and_stage_has_one_outcome(executor: Executor) -> None:
    stages = [stage(Setup(), squares([0, 1, 2]), squares([3]), []), stage(Setup(), squares([4, 5]), squares([6]))]
    found = list(executor.run(stages))
    assert sorted(outcome.item[1] for outcome in found) == list(range(7))
    assert all(outcome == Done(outcome.item, outcome.item[1] ** 2) for outcome in found)


def test_no_stages_and_empty_stages_are_no_work(executor: Executor) -> None:
    assert list(executor.run([])) == list(executor.run([stage(Setup()), stage(Setup(), [], resources=ALONE)])) == []


def test_a_group_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="without items"):
        Group(())


def test_the_items_of_a_group_run_one_after_the_other_in_their_order(executor: Executor) -> None:
    asked = [("span", 0.03), ("span", 0.01), ("span", 0.02)]
    spans = results(executor, stage(Setup(), asked, squares([1])))
    times = [time for item in asked for time in spans[item]]
    assert times == sorted(times)


def test_an_item_that_raises_fails_with_its_traceback_and_the_rest_of_its_group_goes_on(executor: Executor) -> None:
    found = outcomes(executor, stage(Setup(), [("square", 1), ("raise", "idea"), ("square", 2)]))
    failed = found["raise", "idea"]
    assert isinstance(failed, Failed)
    assert failed.error == "ValueError: no idea"
    assert 'raise ValueError(f"no {argument}")' in failed.traceback
    assert isinstance(found["square", 1], Done) and isinstance(found["square", 2], Done)


def test_a_mistake_of_the_user_ends_the_run_with_its_message(executor: Executor) -> None:
    found: list[Any] = []
    with pytest.raises(UserError, match="checkpoint: damaged"):
        found.extend(executor.run([stage(Setup(), [("mistake", "checkpoint"), *squares([1])]), stage(Setup(), [2])]))
    assert found == []


def test_work_that_cannot_begin_ends_the_run_with_the_reason(executor: Executor) -> None:
    with pytest.raises((UserError, RuntimeError), match="no such library"):
        list(executor.run([stage(BrokenSetup(), squares([1]))]))


def test_a_stage_begins_when_the_one_before_has_ended(executor: Executor) -> None:
    setup = Setup()
    first = stage(setup, [("span", 0.01)], [("span", 0.4)])
    spans = results(executor, first, stage(setup, [("span", 0.02)], [("span", 0.03)]))
    assert min(spans["span", 0.02][0], spans["span", 0.03][0]) >= max(spans["span", 0.01][1], spans["span", 0.4][1])


def test_a_stage_is_asked_for_when_the_one_before_has_ended(executor: Executor) -> None:
    """It may depend on what came of that."""
    kept: list[Any] = []

    def stages() -> Iterator[Stage]:
        yield stage(Setup(), squares([2, 3]))
        yield stage(Setup(), squares(kept))

    for outcome in executor.run(stages()):
        assert isinstance(outcome, Done)
        kept.append(outcome.result)
    assert sorted(kept) == [4, 9, 16, 81]


def test_each_stage_has_its_own_setup(executor: Executor) -> None:
    found = outcomes(executor, stage(Setup(), squares([2])), stage(Negative(), squares([3])))
    assert [found[item].result for item in squares([2, 3])] == [4, -9]  # type: ignore[union-attr]


def test_an_exclusive_stage_is_alone_on_the_machine(executor: Executor) -> None:
    """One item at a time, whatever the groups, and who worked before has ended."""
    before = results(executor, stage(Setup(), [("who", 1)], [("who", 2), ("span", 0.2)], [("who", 3)]))
    workers = {pid for item, pid in before.items() if item[0] == "who"}
    busy = stage(Setup(), [("who", 1)], [("span", 0.2)], [("who", 2)])
    alone = stage(Setup(), [("alive", tuple(workers))], [("span", 0.03)], [("span", 0.02)], resources=ALONE)
    after = stage(Setup(), [("span", 0.1)])
    found = results(executor, busy, alone, after)
    assert found["alive", tuple(workers)] == set()
    spans = sorted(found["span", seconds] for seconds in (0.2, 0.03, 0.02, 0.1))
    assert all(one[1] <= following[0] for one, following in itertools.pairwise(spans))


def test_workers_of_the_same_run_have_ended_when_an_exclusive_stage_begins(executor: Executor) -> None:
    workers: list[int] = []
    here = Setup()

    def stages() -> Iterator[Stage]:
        yield stage(here, [("who", 1), ("span", 0.1)], [("who", 2), ("span", 0.11)])
        yield stage(here, [("alive", tuple(workers))], resources=ALONE)

    for outcome in executor.run(stages()):
        assert isinstance(outcome, Done)
        if outcome.item[0] == "who":
            workers.append(outcome.result)
    assert len(workers) == 2
    assert outcome == Done(("alive", tuple(workers)), set())


def test_a_group_begins_when_those_that_it_waits_for_have_ended(executor: Executor) -> None:
    groups = (
        Group((("span", 0.02),), cost=9, after=frozenset({"slow", "failing", "nobody"})),
        Group((("span", 0.2), ("span", 0.1)), name="slow"),
        Group((("raise", "idea"),), name="failing", after=frozenset({"slow"})),
        Group((("span", 0.01),)),
    )
    spans = results(executor, Stage(Setup(), groups))
    assert spans["span", 0.02][0] >= spans["span", 0.1][1]


def test_groups_that_wait_for_each_other_are_a_mistake(executor: Executor) -> None:
    groups = (
        Group((("square", 1),)),
        Group((("square", 2),), name="egg", after=frozenset({"hen"})),
        Group((("square", 3),), name="hen", after=frozenset({"egg"})),
    )
    with pytest.raises(ValueError, match="wait for each other"):
        list(executor.run([Stage(Setup(), groups)]))


class Negative(Setup):
    def do(self, item: Item) -> Any:
        return -super().do(item)


@pytest.mark.parametrize("code", [0, 1, None])
def test_an_item_that_leaves_has_failed_whatever_its_exit_code(executor: Executor, code: int | None) -> None:
    found = outcomes(executor, stage(Setup(), [("quit", code), ("square", 2)]))
    failed = found["quit", code]
    assert isinstance(failed, Failed) and failed.error.startswith("SystemExit") and "work.py" in failed.traceback
    assert found["square", 2] == Done(("square", 2), 4)

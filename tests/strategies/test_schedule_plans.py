"""After which steps the schedules prune, and how much is due there."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.schedule import by_equal_factors
from strategies.schedules import SCHEDULES, Schedule, bnprox, cubic, hard, iterative, reinit, soft, spaced
from strategies.schedules.lottery import lottery_init, lottery_rewind
from tests.helpers.properties import examples


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=list(SCHEDULES))
@examples(40)
@given(steps=st.integers(1, 5000), final=st.floats(0.05, 0.95))
def test_every_plan_rises_to_the_whole_target_within_three_quarters_of_the_steps(
    schedule: Schedule, steps: int, final: float
) -> None:
    events = list(schedule.events(steps))
    assert events and events == sorted(set(events))
    assert events[0] >= 0
    assert events[-1] == schedule.last_event(steps)
    assert events[-1] < max(1.0, 0.75 * steps)
    shares = [schedule.share_at(step, steps) for step in events]
    due = [schedule.due(share, final) for share in shares if share is not None]
    assert len(due) == len(events)
    assert due == sorted(due) and due[0] > 0
    assert due[-1] == final


def test_events_are_equally_spaced_from_the_first_step_to_the_end_of_the_three_quarters() -> None:
    assert iterative.events(215) == (0, 40, 80, 120, 160)
    assert cubic.events(122) == tuple(range(0, 91, 10))
    assert bnprox.events(200) == range(149, 150)


@pytest.mark.parametrize(("steps", "events"), [(1, (0,)), (2, (0,)), (3, (0, 1)), (4, (0, 1, 2)), (6, (0, 1, 2, 3))])
def test_with_fewer_steps_than_rounds_there_are_fewer_events(steps: int, events: tuple[int, ...]) -> None:
    assert spaced(5)(steps) == events


def test_equal_factors_take_a_fifth_of_what_is_left_in_each_of_five_rounds() -> None:
    final = 1 - 0.8**5
    due = [iterative.due(share, final) for step in iterative.events(215) if (share := iterative.share_at(step, 215))]
    assert due == pytest.approx([0.2, 0.36, 0.488, 0.5904, 0.67232], abs=1e-12)


@examples(60)
@given(st.floats(0.01, 0.99), st.integers(2, 20))
def test_equal_factors_are_equal(final: float, rounds: int) -> None:
    left = [1 - by_equal_factors(k / rounds, final) for k in range(rounds + 1)]
    assert left[0] == 1
    assert left[-1] == pytest.approx(1 - final)
    assert [b / a for a, b in pairwise(left)] == pytest.approx([(1 - final) ** (1 / rounds)] * rounds)


def test_the_cubic_plan_by_hand() -> None:
    due = [cubic.due(share, 0.8) for step in cubic.events(122) if (share := cubic.share_at(step, 122))]
    assert due == pytest.approx([0.8 * (1 - (1 - k / 10) ** 3) for k in range(1, 11)])
    assert due[0] == pytest.approx(0.8 * 0.271)


@pytest.mark.parametrize(
    ("one", "other"), [(soft, hard), (reinit, iterative), (lottery_init, iterative), (lottery_rewind, iterative)]
)
def test_schedules_that_are_compared_differ_only_in_what_their_hooks_do(one: Schedule, other: Schedule) -> None:
    assert (one.events, one.share, one.amount) == (other.events, other.share, other.amount)
    assert one.hooks is not other.hooks


def test_soft_and_hard_pruning_ask_for_the_whole_target_at_every_event() -> None:
    assert {hard.share_at(step, 100) for step in hard.events(100)} == {1.0}


def test_every_schedule_is_found_by_its_name_and_has_a_source() -> None:
    assert all(name == schedule.name and schedule.source for name, schedule in SCHEDULES.items())
    assert {name for name, schedule in SCHEDULES.items() if schedule.random} == {"reinit", "set"}
    needs = {name: schedule.needs - {"training"} for name, schedule in SCHEDULES.items()}
    assert {name: set(more) for name, more in needs.items() if more} == {
        "reinit": {"initialisation"},
        "scratch": {"initialisation"},
        "lottery-init": {"initialisation"},
        "lottery-rewind": {"rewind"},
    }

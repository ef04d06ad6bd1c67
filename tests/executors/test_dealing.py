"""Who gets which group next."""

from __future__ import annotations

import pytest

from bench.executors import Group
from bench.executors.dealing import Dealer


def group(name: str, kin: str = "", cost: float = 1.0, after: tuple[str, ...] = ()) -> Group:
    return Group((name,), kin=kin, cost=cost, name=name, after=frozenset(after))


def name(taken: Group | None) -> str | None:
    return taken.name if taken else None


def test_who_is_free_goes_on_with_their_kin_in_its_order() -> None:
    dealer = Dealer([group("a1", "a"), group("a2", "a", 9), group("b1", "b", 99)])
    assert [name(dealer.take("a")) for _ in range(3)] == ["a1", "a2", "b1"]
    assert not dealer


def test_who_has_none_begins_the_kin_with_most_work() -> None:
    dealer = Dealer([group("a1", "a", 3), group("b1", "b", 2), group("b2", "b", 2), group("alone", cost=3.5)])
    assert [name(dealer.take()) for _ in range(3)] == ["b1", "alone", "a1"]


def test_the_rest_of_another_s_kin_is_taken_over_from_its_end_when_nothing_else_is_left() -> None:
    dealer = Dealer([group(f"a{i}", "a") for i in range(4)] + [group("b1", "b")])
    assert name(dealer.take()) == "a0"
    assert name(dealer.take()) == "b1"
    assert name(dealer.take("b")) == "a3"
    assert name(dealer.take("a")) == "a1"


def test_a_kin_that_nobody_is_at_any_more_is_begun_from_its_start() -> None:
    dealer = Dealer([group("a0", "a"), group("a1", "a"), group("a2", "a")])
    first = dealer.take()
    assert first is not None
    dealer.end(first)
    assert name(dealer.take()) == "a1"


def test_what_waits_is_not_dealt_until_all_that_it_waits_for_have_ended() -> None:
    dealer = Dealer([group("late", cost=9, after=("x", "y", "unknown")), group("x"), group("y")])
    x, y = dealer.take(), dealer.take()
    assert x is not None and y is not None
    assert dealer.take() is None
    dealer.end(x)
    assert dealer.take() is None and dealer
    dealer.end(y)
    assert name(dealer.take()) == "late"


def test_a_name_that_two_groups_have_is_that_of_both() -> None:
    dealer = Dealer([group("x", cost=2), Group(("more",), name="x"), group("late", after=("x",))])
    first, second = dealer.take(), dealer.take()
    assert first is not None and second is not None
    dealer.end(first)
    assert dealer.take() is None
    dealer.end(second)
    assert name(dealer.take()) == "late"


@pytest.mark.parametrize("kin", ["", "k"])
def test_what_is_given_back_is_dealt_again_and_others_wait_on(kin: str) -> None:
    dealer = Dealer([Group((1, 2, 3), kin=kin, name="x"), group("late", after=("x",))])
    assert dealer.take() is not None
    dealer.give_back(Group((3,), kin=kin, name="x"))
    again = dealer.take()
    assert again is not None and again.items == (3,)
    assert dealer.take() is None
    dealer.end(again)
    assert name(dealer.take()) == "late"

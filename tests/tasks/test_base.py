"""What a quantity says of its values, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bench.base.errors import UserError
from bench.tasks import Quantity, is_public, known_quantity, quantity_of, task_named
from bench.tasks.base import TINY


def quantity(scale: str, direction: str, **others: Any) -> Quantity:
    return Quantity("q", "Q", "units", direction, "a number", scale, **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scale", "direction", "dense", "margin", "limit"),
    [
        ("log", "lower", 10.0, 0.1, 11.0),
        ("log", "higher", 10.0, 0.25, 8.0),
        ("linear", "lower", 10.0, 0.5, 10.5),
        ("linear", "higher", 10.0, 0.5, 9.5),
        ("linear", "none", 10.0, 0.5, 10.5),
        ("logit", "higher", 0.9, 1.0, 9 / (9 + math.e)),  # odds of 9 become 9 / e
        ("logit", "higher", 0.9, 2.0, 9 / (9 + math.e**2)),
        ("logit", "lower", 0.9, 1.0, 9 * math.e / (1 + 9 * math.e)),
    ],
)
def test_the_worst_value_that_loses_no_more_than_a_margin(
    scale: str, direction: str, dense: float, margin: float, limit: float
) -> None:
    q = quantity(scale, direction)
    assert q.limit(dense, margin) == pytest.approx(limit)
    worse, better = limit + 0.01 * q.sign, limit - 0.01 * q.sign
    assert q.holds(better, limit) and q.holds(limit, limit) and not q.holds(worse, limit)


def test_differences_are_taken_on_the_scale() -> None:
    assert quantity("linear", "lower").on_scale(-3.5) == -3.5
    assert quantity("log", "lower").on_scale(math.e**2) == pytest.approx(2)
    assert quantity("log", "lower").on_scale(0) == quantity("log", "lower").on_scale(-1) == math.log(TINY)
    logit = quantity("logit", "higher").on_scale
    assert logit(0.5) == 0 and logit(0.75) == pytest.approx(math.log(3)) and logit(0.25) == pytest.approx(-math.log(3))
    assert logit(0) == pytest.approx(math.log(1e-12)) and logit(1) == pytest.approx(-math.log(1e-12), rel=1e-5)
    assert TINY == 1e-12


def test_a_margin_on_the_scale_and_in_words() -> None:
    assert quantity("log", "lower").at_most(0.1) == pytest.approx(math.log(1.1))
    assert quantity("linear", "lower").at_most(0.1) == 0.1
    assert (quantity("log", "lower").amount(0.05), quantity("linear", "lower").amount(0.1)) == ("5%", "0.1 units")
    assert quantity("log", "lower").allowed(0.1) == "+10 %" and quantity("log", "higher").allowed(0.1) == "/ 1.1"
    assert quantity("linear", "lower").allowed(0.5) == "+0.5" and quantity("linear", "higher").allowed(0.5) == "−0.5"


def test_the_direction_in_words() -> None:
    found = {d: quantity("log", d) for d in ("lower", "higher", "none")}
    words = {name: (q.sign, q.arrow, q.better) for name, q in found.items()}
    assert words == {
        "lower": (1, "↓", "lower is better"), "higher": (-1, "↑", "higher is better"), "none": (1, "", ""),
    }  # fmt: skip
    assert (quantity("log", "lower").tested, quantity("linear", "lower").tested) == ("log Q", "Q")


def test_the_first_of_the_leaders_that_was_measured_leads() -> None:
    task = task_named("generation")
    first, second = task.leaders[:2]
    assert task.watching.name == task.watched and task.bounding.name == task.bound
    assert task.leader(["other", second, first]) == first and task.leader([second]) == second
    assert task.leader(["other"]) is None
    with pytest.raises(KeyError):
        task.quantity("other")


def test_numbers_of_the_public_judge_go_by_their_plain_title() -> None:
    public = task_named("generation").public_judge
    assert public != "" and is_public(public)
    assert not is_public("") and not is_public("another")


def test_a_quantity_is_found_by_its_name_in_whatever_task() -> None:
    assert known_quantity("fid") == task_named("generation").quantity("fid")
    assert known_quantity("another") is None
    assert quantity_of("kid").title == "KID" and quantity_of("another").title == "another"
    with pytest.raises(UserError, match="no task 'another'"):
        task_named("another")

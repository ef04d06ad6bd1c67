"""What judges a workload, and how its numbers are scaled to be read."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from bench.tables import lead
from bench.tables.lead import Judge
from bench.tables.places import by_place, place_names
from bench.tasks import Quantity, task_named

TASK = task_named("generation")
FID, KID, IS = (TASK.quantity(name) for name in ("fid", "kid", "is"))
NAN = math.nan


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (["kid[b]", "fid[b]", "fid[a]"], ("fid", "fid[a]")),  # the first leader, of its judges the first by name
        (["kid[b]", "fid-held-out[b]"], ("kid", "kid[b]")),
        (["is[b]", "params"], None),
        ([], None),
    ],
)
def test_the_first_leader_that_was_measured_judges(metrics: list[str], expected: tuple[str, str] | None) -> None:
    found = lead.judge_by(TASK, metrics)
    assert (found and (found.quantity.name, found.metric)) == expected


def test_each_workload_has_its_judge_and_its_bound() -> None:
    table = pd.DataFrame(
        [
            {"workload": "b", "task": "generation", "metric": "kid[x]"},
            {"workload": "a", "task": "generation", "metric": "fid[x]"},
            {"workload": "c", "task": "generation", "metric": "is[x]"},
        ]
    )
    assert lead.judges_of(table) == {"a": Judge(FID, "fid[x]"), "b": Judge(KID, "kid[x]"), "c": None}
    bound = TASK.bounding
    assert lead.bounds_of(table.assign(metric=[bound.name, f"{bound.name}[x]", "is[x]"])) == {
        "a": Judge(bound, f"{bound.name}[x]"),
        "b": Judge(bound, bound.name),
        "c": None,
    }
    assert [q.name for q in lead.judges([Judge(KID, "kid"), None, Judge(FID, "fid[a]"), Judge(FID, "fid[b]")])] == [
        "fid",
        "kid",
    ]
    assert lead.judges([None]) == []


def test_a_table_without_rows_has_the_default_task() -> None:
    empty = pd.DataFrame({"task": []})
    assert lead.task_of(empty).name == "generation"
    assert [task.name for task in lead.tasks_of(empty)] == ["generation"]
    assert [task.name for task in lead.tasks_of(pd.DataFrame({"task": ["generation"] * 2}))] == ["generation"]


def test_an_unknown_quantity_stands_behind_the_leaders() -> None:
    other = replace(FID, name="another")
    assert [q.name for q in lead.judges([Judge(other, "x"), Judge(KID, "kid")])] == ["kid", "another"]
    assert lead._rank("another") == 1 + lead._rank("kid") == 2 + lead._rank("fid")


@pytest.mark.parametrize(("metric", "family"), [("fid[a]", "fid"), ("params", "params"), (None, ""), ("", "")])
def test_the_family_of_a_metric(metric: str | None, family: str) -> None:
    assert lead.family_of(metric) == family


def row(fid: str = "", kid: str = "", inception: str = "", **others: Any) -> dict[str, Any]:
    unmeasured = {f"{name}_metric": "" for name in (*TASK.leaders, *TASK.beside)}
    return {"task": "generation"} | unmeasured | {"fid_metric": fid, "kid_metric": kid, "is_metric": inception} | others


def test_in_a_summary_what_was_measured_somewhere_leads_and_stands_beside() -> None:
    rows = [row(), row(kid="kid[a]", inception="is[a]"), row(fid="fid[b]"), row(fid="fid[a]")]
    assert lead.lead_of(rows) == FID and lead.lead_of(rows[:2]) == KID
    assert lead.lead_of(rows[:1]) is None and lead.lead_of([]) is None
    assert IS in lead.beside_of(rows[:2]) and lead.beside_of(rows[:1]) == [] and lead.beside_of([]) == []
    assert lead.metric_in(rows, FID) == "fid[b]" and lead.metric_in(rows[:2], FID) == ""
    table = pd.DataFrame([one | {"workload": name} for name, one in zip("bab", rows[:3], strict=True)])
    assert lead.leads_of(table) == {"a": Judge(KID, "kid[a]"), "b": Judge(FID, "fid[b]")}
    assert lead.leads_of(pd.DataFrame([row(workload="a")])) == {}


@pytest.mark.parametrize(
    ("values", "power"),
    [
        ([0.002], 3),  # times the papers' thousand it reads as 2
        ([-0.002], 3),
        ([0.0001], 3),  # .1, the least that is readable
        ([0.00009], 5),  # .09 is not: 9
        ([0.9], 3),
        ([0.999], 3),
        ([1.0], 0),  # a thousand: as it is
        ([5000.0], 0),
        ([-0.002, NAN, 0.0, math.inf, 0.002, 8.0], 3),  # the median of what is a number and not 0
        ([0.00001, 0.00002, 9.0], 5),
        ([NAN, 0.0], 0),
        ([], 0),
    ],
)
def test_small_values_are_shown_times_the_power_that_papers_use_where_it_is_readable(
    values: list[float], power: int
) -> None:
    assert KID.habit == 3
    assert lead.power_for(KID, values) == power
    assert lead.power_for(FID, values) == lead.power_for(None, values) == 0


def test_a_power_is_that_of_the_means_and_of_every_seed_only_where_all_collapsed() -> None:
    def mean(usable: float, every: float) -> dict[str, float]:
        return {"kid_mean": usable, "kid_finite_mean": every}

    assert lead.power_in([mean(0.002, 5.0), mean(NAN, 5.0)], KID) == 3
    assert lead.power_in([mean(NAN, 0.00002), mean(NAN, 0.00003)], KID) == 5
    assert lead.power_in([mean(0.002, 5.0)], None) == lead.power_in([], KID) == 0


def test_values_and_titles_say_their_power() -> None:
    assert lead.scaled({"m": 0.002, "h": 0.0005}, ("m", "h"), 3) == pytest.approx((2.0, 0.5))
    assert lead.scaled({"m": 7.0, "h": 1.0}, ("m", "h"), 0) == (7.0, 1.0)
    assert (lead.times_ten(3), lead.times_ten(12), lead.times_ten(0)) == ("× 10³", "× 10¹²", "")
    assert lead.titled(Quantity("q", "Q", "", "lower", ""), 3, "ms", "") == "Q × 10³ ms"
    assert lead.titled(Quantity("q", "Q", "", "lower", ""), 0) == "Q"


def test_a_workload_is_called_with_its_checkpoint_where_it_has_several() -> None:
    assert place_names([("a", "x"), ("b", "x"), ("a", "x"), ("b", "y")]) == {
        ("a", "x"): "a",
        ("b", "x"): "b, checkpoint x",
        ("b", "y"): "b, checkpoint y",
    }
    table = pd.DataFrame({"workload": ["b", "a", "b", "b"], "checkpoint": ["y", "x", "x", "y"], "n": range(4)})
    assert [(name, part["n"].tolist()) for name, part in by_place(table)] == [
        ("b, checkpoint y", [0, 3]),
        ("b, checkpoint x", [2]),
        ("a", [1]),
    ]

"""What stands in each row of a comparison: which numbers, of how many, and under which settings."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bench.base.errors import UserError
from bench.gate.both import Both
from bench.gate.compare import _judged, _nothing_to_time, _ratio, _time_row, compare
from bench.gate.contents import Contents, Environment, gate_of
from bench.gate.noisy import Asked, _why_not_paired, noisy_part
from bench.gate.sides import Side
from bench.gate.timing import Ratio, Timed
from bench.gate.verdicts import Judgeable, Row
from bench.statistics import Estimate
from tests.gate.sides import GATE, HERE, PLACE, TERMS, cell, contents, elsewhere, side


def both(base: Contents, head: Contents) -> Both:
    return Both(base, head, gate_of(head, "HEAD"), [])


def row_of(
    metric: str, base: Contents, head: Contents, *, gated: bool = True, seeds: tuple[int, ...] = (0, 1, 2)
) -> Any:
    values = (base.places[PLACE], head.places[PLACE])
    return noisy_part(both(base, head), PLACE, metric, seeds, values, gated=gated)


def terms(**names: str) -> dict[str, Any]:
    """The usual terms, with FID and IS under these names; empty: not measured."""
    found = {name: one for name, one in TERMS.items() if one.kind == "exact"}
    return found | {name: TERMS[f"{metric}[judge]"] for metric, name in names.items() if name}


def named(name: str) -> Any:
    one = cell()
    one.values[name] = one.values.pop("fid[judge]")
    return one


# One number


def test_a_number_stands_with_the_means_of_both_sides_and_the_count_of_seeds() -> None:
    found = row_of("fid", contents(), contents(cell(fid=(10.0, 11.0, 15.0))))
    assert isinstance(found, Judgeable)
    assert (found.row.metric, found.row.base, found.row.head, found.row.n) == ("fid[judge]", 11.0, 12.0, 3)
    assert found.lower_is_better and found.margin == both(contents(), contents()).gate.margin("fid")
    assert found.estimate.difference == pytest.approx(math.log(15 / 12) / 3)
    score = row_of("is", contents(), contents(cell(inception=(5.0, 5.1, 6.0))))
    assert not score.lower_is_better
    same = row_of("fid", contents(), contents())
    assert (same.verdict, same.change, same.base, same.head) == ("ok", 0.0, 11.0, 11.0)


def test_only_the_seeds_that_are_asked_for_count() -> None:
    found = row_of("fid", contents(), contents(cell(fid=(10.0, 11.0, 15.0))), seeds=(0, 1))
    assert (found.verdict, found.base, found.head, found.n) == ("ok", 10.5, 10.5, 2)


@pytest.mark.parametrize("gated", [True, False])
def test_what_neither_side_measured_is_missing_where_it_is_gated_and_no_row_where_it_is_not(gated: bool) -> None:
    without = contents(terms=terms(**{"is": "is[judge]"}))
    found = row_of("fid", without, without, gated=gated)
    assert (found.verdict, found.metric, found.gated) == ("missing", "fid", True) if gated else found is None


def test_a_number_that_one_side_has_is_new_or_missing() -> None:
    whole, without = contents(), contents(terms=terms(**{"is": "is[judge]"}))
    new, missing = row_of("fid", without, whole), row_of("fid", whole, without)
    assert (new.verdict, new.metric, new.reason) == ("new", "fid[judge]", "BASE has no such number")
    assert (missing.verdict, missing.metric, missing.reason) == ("missing", "fid[judge]", "HEAD has no such number")


def test_numbers_of_two_judges_are_not_compared() -> None:
    other = contents(named("fid[other]"), terms=terms(fid="fid[other]", **{"is": "is[judge]"}))
    found = row_of("fid", contents(), other)
    assert found.verdict == "not comparable"
    assert found.reason == "BASE: fid-1, 50 images; HEAD: fid-1, 50 images"


def test_a_prior_is_used_by_the_name_of_its_metric_and_its_absence_said() -> None:
    bare = GATE | {"prior": {"is": {"sd": 0.02, "degrees": 4.0}}}
    head = cell(fid=(10.1, 11.2, 12.0), inception=(5.1, 5.1, 5.3))
    with_prior = row_of("fid", contents(), contents(head))
    without = row_of("fid", contents(gate=bare), contents(head, gate=bare))
    plain = "no contributions of its images in BASE and HEAD: the spread of seeds alone"
    bare_note = "no prior in [gate]: only the spread of these seeds"
    assert with_prior.notes == (plain,) and set(without.notes) == {plain, bare_note}
    assert with_prior.estimate.degrees == 6 and without.estimate.degrees == 2  # 4 of the prior, 2 of three pairs
    assert row_of("is", contents(gate=bare), contents(head, gate=bare)).notes == (plain,)
    alone = contents(cell(fid=(10.0,)), gate=bare)
    found = row_of("fid", alone, contents(cell(fid=(12.0,)), gate=bare), seeds=(0,))
    assert found.verdict == "inconclusive"
    assert found.reason.startswith("1 seed(s) say nothing of the spread; ") and bare_note in found.reason


# Whether equal seeds are pairs


def why(base: Contents, head: Contents) -> str:
    values = (base.places[PLACE], head.places[PLACE])
    return _why_not_paired(Asked(both(base, head), PLACE, "fid[judge]", (0, 1, 2), ((), ()), values, 0.05))


def with_environments(*environments: Environment, **others: Any) -> Contents:
    return contents(**others).model_copy(update={"environments": list(environments)})


def test_pairs_are_those_of_equal_inputs_or_of_one_torch() -> None:
    assert why(contents(), contents()) == ""
    assert "other evaluation inputs" in why(contents(), contents(inputs="others"))
    other = elsewhere(libraries={"torch": "3.0"})
    assert why(contents(inputs=None), contents()) == why(contents(), contents(inputs=None)) == ""
    for unknown in (
        (contents(inputs=None, environment=other), contents()),
        (contents(), contents(inputs=None, environment=other)),
    ):
        assert why(*unknown) == "another torch may draw other evaluation inputs from the same seeds"
    assert why(contents(environment=other), contents()) == ""


@pytest.mark.parametrize("trained", ["base", "head"])
def test_training_repeats_in_one_environment_alone(trained: str) -> None:
    other = elsewhere(threads=2)
    one, plain = cell(varies="prune+train+eval"), cell()
    pruned = (one, plain) if trained == "base" else (plain, one)
    assert why(contents(pruned[0]), contents(pruned[1])) == ""
    words = "the networks were trained in different environments, and training does not repeat there"
    assert why(contents(pruned[0]), contents(pruned[1], environment=other)) == words
    assert why(contents(plain), contents(plain, environment=other)) == ""


def test_numbers_are_the_same_to_the_bit_only_where_each_side_has_one_environment_and_it_is_the_same() -> None:
    other = elsewhere(threads=2)
    assert both(contents(), contents()).same_numbers
    for sides in ((with_environments(HERE, other), contents()), (contents(), with_environments(HERE, other)),
                  (with_environments(HERE, other), with_environments(HERE, other)),
                  (contents(environment=other), contents())):  # fmt: skip
        assert not both(*sides).same_numbers


# What a reader is told first


def test_notes_tell_other_rules_and_several_revisions() -> None:
    several = contents(gate=GATE | {"error": 0.01}).model_copy(update={"git": ["abc", "def"]})
    result = compare(side(), Side("HEAD here", several))
    assert result.notes == [
        "BASE's experiment has another [gate]; HEAD's rules are used",
        "HEAD here was measured by several revisions: abc, def",
    ]
    assert compare(side(), side()).notes == []
    assert compare(Side("base", several), side()).notes == [
        "BASE's experiment has another [gate]; HEAD's rules are used"
    ]
    mixed = with_environments(HERE, elsewhere(threads=2))
    (note,) = compare(Side("base", mixed), side()).notes
    assert note.startswith(
        "BASE was measured with torch 2.14.1 on a CPU, 1 thread and torch 2.14.1 on a CPU, 2 threads;"
    )


def test_the_result_says_what_was_compared() -> None:
    result = compare(Side("one", contents()), Side("two", contents()), strict=True)
    assert (result.experiment, result.base, result.head, result.strict) == ("mini", "one", "two", True)
    assert not compare(side(), side()).strict and 0 <= result.seconds < 60


def test_gated_rows_come_first_and_share_an_error_of_their_own() -> None:
    row = Row(cell="a", metric="m", kind="stochastic", gated=True, verdict="ok", reason="")
    free = row.model_copy(update={"gated": False})
    parts = [Judgeable(free, Estimate(0.5, 0.1, 9), 0.1, True), row, Judgeable(row, Estimate(0.5, 0.1, 9), 0.1, True)]
    many = parts + [Judgeable(free, Estimate(0.0, 0.1, 9), 0.1, True)] * 30
    few, more = _judged(parts, 0.05), _judged(many, 0.05)
    assert few[1] is row and [one.gated for one in few] == [False, True, True]
    assert few[2] == more[2]  # what is not gated takes nothing from its level
    assert few[0].low != more[0].low


# Times


def timed_gate(**changes: Any) -> dict[str, Any]:
    timing = {"workload": "digits", "strategy": "l1-channel-global", "level": 0.5} | changes
    return GATE | {"latency": [timing]}


@pytest.mark.parametrize(
    ("changes", "metric"),
    [
        ({}, "time b1"),
        ({"batch": 16}, "time b16"),
        ({"backend": "compile"}, "time b1 cpu compile"),
        ({"device": "cuda"}, "time b1 cuda eager"),
    ],
)
def test_a_time_is_named_by_what_is_unusual_of_it(changes: dict[str, Any], metric: str) -> None:
    sides = both(contents(), contents(gate=timed_gate(**changes)))
    row = _time_row(sides, sides.gate.latency[0])
    assert (row.metric, row.kind, row.gated) == (metric, "timing", True)


def test_what_is_timed_are_the_shapes_of_the_first_seed_that_is_ok() -> None:
    def ratio(base: Contents, head: Contents) -> Ratio | str:
        sides = both(base, head)
        return _ratio(sides, sides.gate.latency[0])

    gate = timed_gate(batch=16)
    late, lost = cell(status=("collapsed", "ok", "ok")), cell(status=("collapsed",) * 3)
    late.architecture[:] = [None, "wide", "narrow"]
    found = ratio(contents(late), contents(gate=gate))
    assert isinstance(found, Ratio)
    assert (found.base.shape, found.head.shape) == (contents().shapes["wide"], contents().shapes["narrow"])
    assert (found.batch, found.device, found.base.workload, found.head.checkpoint) == (16, "cpu", "digits", "shipped")
    assert ratio(contents(), contents(lost, gate=gate)) == "HEAD has no network for this cell"
    assert ratio(contents(without=(PLACE,)), contents(gate=gate)) == "BASE has no network for this cell"


def test_timings_are_given_the_rules_of_the_gate_and_told_in_its_order() -> None:
    asked: list[dict[str, Any]] = []

    def time_them(ratios: list[Ratio], **options: Any) -> list[Timed]:
        asked.append({"batches": [ratio.batch for ratio in ratios], **options})
        found = Timed(Estimate(0.0, 0.001, 19), 20, 20, 2.0, 2.0, 1.0, "", own_source=True)
        return [found] * len(ratios)

    rules = [timed_gate(batch=batch)["latency"][0] for batch in (4, 1)]
    lacking = {"workload": "digits", "strategy": "dense", "batch": 2}
    gate = GATE | {"latency": [rules[0], lacking, rules[1]], "processes": 9, "max_seconds": 33.0}
    head = Side("head", contents(gate=gate), source="folder")  # type: ignore[arg-type]
    result = compare(side(cell(shape="wide")), head, time_them=time_them, advance=print)
    times = [row for row in result.rows if row.kind == "timing"]
    assert [row.metric for row in times] == ["time b4", "time b2", "time b1"]
    (options,) = asked
    assert options["batches"] == [4, 2, 1] and (options["processes"], options["max_seconds"]) == (9, 33.0)
    assert (options["base_source"], options["head_source"], options["advance"]) == (None, "folder", print)
    assert all("architectures alone" not in row.reason for row in times)


def test_an_estimate_is_judged_even_where_a_process_failed() -> None:
    def time_them(ratios: list[Ratio], **_: Any) -> list[Timed]:
        return [Timed(Estimate(math.log(1.5), 0.001, 19), 19, 20, 2.0, 3.0, 1.5, "one failed", own_source=True)]

    gate = timed_gate()
    result = compare(side(cell(shape="wide"), gate=gate), side(gate=gate), time_them=time_them)
    (row,) = [row for row in result.rows if row.kind == "timing"]
    assert (row.verdict, row.base, row.head, row.n) == ("regression", 2.0, 3.0, 19)


def test_what_needs_no_clock_says_whether_the_source_was_seen() -> None:
    assert _nothing_to_time(Side("b", contents(), revision=True)) == "the same architecture and the same source"
    assert "source is not at hand" in _nothing_to_time(Side("b", contents()))


@pytest.mark.parametrize(
    ("in_base", "in_head", "verdict", "reason"),
    [
        (False, False, "missing", "neither BASE nor HEAD has this cell"),
        (True, False, "missing", "BASE has this cell, HEAD does not"),
        (False, True, "new", "HEAD has this cell, BASE does not; it is compared once it is accepted"),
    ],
)
def test_a_cell_that_is_absent_says_where(in_base: bool, in_head: bool, verdict: str, reason: str) -> None:
    def of(there: bool) -> Side:
        return side(without=() if there else (PLACE,))

    (row,) = [row for row in compare(of(in_base), of(in_head)).rows if row.cell == PLACE.label]
    assert (row.verdict, row.reason, row.gated) == (verdict, reason, True)


def test_all_seeds_that_head_lacks_are_named_and_more_seeds_are_no_fault() -> None:
    two, three = side(cell(fid=(10.0, 11.0))), side()
    (row,) = [row for row in compare(side(), side(cell(fid=(10.0,)))).rows if row.cell == PLACE.label]
    assert (row.verdict, row.reason) == ("missing", "HEAD has no result for seed 1, 2 (failed?)")
    numbers = {row.metric: row for row in compare(two, three).rows if row.cell == PLACE.label}
    assert (numbers["fid[judge]"].verdict, numbers["fid[judge]"].n) == ("ok", 2)


def test_rules_that_are_not_understood_are_those_of_the_side_that_they_came_with() -> None:
    wrong = contents(gate={"error": "small"})
    with pytest.raises(UserError, match=r"^HEAD here: its gate.error is not understood"):
        compare(Side("BASE here", contents()), Side("HEAD here", wrong))
    with pytest.raises(UserError, match=r"^BASE here: its gate.error is not understood"):
        compare(Side("BASE here", wrong), Side("HEAD here", None, "gone"))

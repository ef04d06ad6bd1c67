"""Every verdict, and why it is given."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bench.base.errors import UserError
from bench.experiments.places import Place
from bench.gate.compare import compare
from bench.gate.sides import Side
from bench.gate.timing import Ratio, Timed
from bench.gate.verdicts import Result, Row
from bench.statistics import Estimate
from tests.gate.sides import GATE, HERE, PLACE, TERMS, TIMED, cell, contents, elsewhere, side

TIMES = GATE | {"latency": TIMED}


def row(result: Result, metric: str, place: Place = PLACE) -> Row:
    (found,) = [row for row in result.rows if row.cell == place.label and row.metric == metric]
    return found


def verdicts(result: Result, place: Place = PLACE) -> dict[str, str]:
    return {row.metric: row.verdict for row in result.rows if row.cell == place.label}


def test_two_equal_sides_are_ok() -> None:
    result = compare(side(), side())
    assert {row.verdict for row in result.rows} == {"ok"}
    assert (result.exit_code, result.verdict) == (0, "ok")
    assert row(result, "fid[judge]").reason == "identical under every seed"


@pytest.mark.parametrize("metric", ["params", "macs"])
@pytest.mark.parametrize(("more", "verdict", "code"), [(1, "regression", 1), (-1, "improved", 0)])
def test_more_parameters_or_macs_are_a_regression_fewer_are_improved(
    metric: str, more: int, verdict: str, code: int
) -> None:
    plain: dict[str, Any] = {"params": 1_000, "macs": 1_000}
    result = compare(side(cell(**plain)), side(cell(**plain | {metric: 1_000 + more})))
    assert row(result, "params" if metric == "params" else "macs_effective").verdict == verdict
    assert result.exit_code == code


def test_one_worse_seed_is_enough_for_a_regression_in_an_exact_number() -> None:
    worse = cell()
    worse.values["params"][1] = 101
    better = cell()
    better.values["params"][0] = 99
    better.values["params"][1] = 101
    for head in (worse, better):
        found = row(compare(side(), side(head)), "params")
        assert (found.verdict, "1 of 3 seeds" in found.reason) == ("regression", True)


def test_a_second_counter_is_for_information() -> None:
    result = compare(side(), side(cell(fvcore=2_000)))
    assert (row(result, "macs_fvcore").verdict, row(result, "macs_fvcore").gated) == ("regression", False)
    assert result.exit_code == 0


def test_other_widths_at_the_same_cost_are_changed() -> None:
    result = compare(side(), side(cell(shape="wide")))
    assert (row(result, "shape").verdict, result.exit_code) == ("changed", 0)


def scaled(factor: float, *noise: float) -> tuple[float, ...]:
    return tuple(x * factor * (1 + e) for x, e in zip((10.0, 11.0, 12.0), noise or (0.0, 0.001, -0.001), strict=True))


@pytest.mark.parametrize(
    ("factor", "verdict", "code"),
    [(1.5, "regression", 1), (0.6, "improved", 0), (1.002, "ok", 0), (0.99, "ok", 0), (1.05, "inconclusive", 0)],
)
def test_fid_against_its_margin(factor: float, verdict: str, code: int) -> None:
    result = compare(side(), side(cell(fid=scaled(factor))))
    found = row(result, "fid[judge]")
    assert (found.verdict, result.exit_code) == (verdict, code)
    assert found.change == pytest.approx(factor - 1, abs=1e-3)
    assert found.low is not None and found.high is not None and found.low < factor - 1 < found.high


def test_a_higher_is_is_better() -> None:
    assert row(compare(side(), side(cell(inception=(2.0, 2.1, 2.2)))), "is[judge]").verdict == "regression"
    assert row(compare(side(), side(cell(inception=(9.0, 9.1, 9.2)))), "is[judge]").verdict == "improved"


def test_without_pairing_the_same_difference_is_not_found() -> None:
    """FID varies by 10 % between seeds, the difference of 15 % hardly: only pairs can see it."""
    head = cell(fid=scaled(1.15))
    assert row(compare(side(), side(head)), "fid[judge]").verdict == "regression"
    unpaired = row(compare(side(), side(head, inputs="others")), "fid[judge]")
    assert unpaired.verdict == "inconclusive"
    assert "not paired: the same seeds stand for other evaluation inputs" in unpaired.reason


def test_without_a_prior_three_seeds_have_no_power() -> None:
    bare = GATE | {"prior": {}}
    result = compare(side(gate=bare), side(cell(fid=scaled(1.15, 0.0, 0.02, -0.02)), gate=bare))
    found = row(result, "fid[judge]")
    assert (found.verdict, "no prior" in found.reason) == ("inconclusive", True)


def test_one_seed_without_a_prior_says_nothing() -> None:
    bare = GATE | {"prior": {}}
    result = compare(side(cell(fid=(10.0,)), gate=bare), side(cell(fid=(30.0,)), gate=bare))
    assert row(result, "fid[judge]").verdict == "inconclusive"


def test_the_error_is_shared_so_the_same_difference_may_be_found_alone_only() -> None:
    """Every other cell that changed makes the level of each smaller; cells that are identical do not."""
    head = cell(fid=scaled(1.15))
    many = {PLACE._replace(level=f"0.{i}"): cell() for i in range(1, 5)}
    noisy = {place: cell(fid=scaled(1.0, 0.02, -0.02, 0.01), inception=(5.1, 5.0, 5.3)) for place in many}
    rules = [{"workload": "digits", "strategy": "l1-channel-global", "level": float(p.level)} for p in (PLACE, *many)]
    gate = GATE | {"cells": rules, "error": 0.002}
    alone = compare(side(gate=gate, more=many), side(head, gate=gate, more=many))
    together = compare(side(gate=gate, more=many), side(head, gate=gate, more=noisy))
    assert row(alone, "fid[judge]").low > row(together, "fid[judge]").low  # type: ignore[operator]


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ("ok", "collapsed", "regression"),
        ("ok", "infeasible", "regression"),
        ("collapsed", "ok", "improved"),
        ("collapsed", "infeasible", "changed"),
        ("infeasible", "infeasible", "ok"),
    ],
)
def test_a_status_that_changes(before: str, after: str, verdict: str) -> None:
    result = compare(side(cell(status=("ok", before, "ok"))), side(cell(status=("ok", after, "ok"))))
    assert row(result, "status").verdict == verdict
    assert (result.exit_code == 1) == (verdict == "regression")
    assert row(result, "fid[judge]").n == 2  # the collapsed seed has no part in the mean


def test_a_cell_that_collapsed_everywhere_has_no_numbers_to_compare() -> None:
    result = compare(side(), side(cell(status=("collapsed",) * 3)))
    assert verdicts(result) == {"status": "regression"}
    assert "collapsed under seeds 0, 1, 2 now, ok before: collapsed for a reason" in row(result, "status").reason


def test_a_gated_cell_that_head_lacks_is_missing_and_never_passes() -> None:
    result = compare(side(), side(without=(PLACE,)))
    assert verdicts(result) == {"": "missing"}
    assert (result.exit_code, result.verdict) == (3, "undecided")


def test_a_seed_that_head_lacks_is_missing() -> None:
    result = compare(side(), side(cell(fid=(10.0, 11.0))))
    assert (row(result, "").verdict, "seed 2" in row(result, "").reason, result.exit_code) == ("missing", True, 3)


def test_a_cell_that_nobody_has_is_missing() -> None:
    result = compare(side(without=(PLACE,)), side(without=(PLACE,)))
    assert (row(result, "").verdict, result.exit_code) == ("missing", 3)


def test_a_cell_that_base_lacks_is_new() -> None:
    result = compare(side(without=(PLACE,)), side())
    assert (row(result, "").verdict, result.exit_code) == ("new", 0)


def test_what_is_not_gated_any_more_is_missing() -> None:
    fewer = GATE | {"cells": GATE["cells"][:1]}
    result = compare(side(), side(gate=fewer))
    assert (row(result, "").verdict, result.exit_code) == ("missing", 3)
    assert "no longer in HEAD" in row(result, "").reason


def test_what_is_not_gated_is_for_information() -> None:
    bare = GATE | {"cells": GATE["cells"][:1]}
    result = compare(side(gate=bare), side(cell(params=500, fid=scaled(3.0)), gate=bare))
    assert verdicts(result)["params"] == verdicts(result)["fid[judge]"] == "regression"
    assert result.exit_code == 0


def test_metrics_may_be_gated_cell_by_cell() -> None:
    gate = GATE | {"cells": [GATE["cells"][1] | {"metrics": []}]}
    result = compare(side(gate=gate), side(cell(fid=scaled(3.0)), gate=gate))
    assert (row(result, "fid[judge]").gated, row(result, "params").gated, result.exit_code) == (False, True, 0)


def test_nothing_gated_is_said_and_fails_if_strict() -> None:
    none: dict[str, Any] = {}
    assert compare(side(gate=none), side(gate=none)).exit_code == 0
    strict = compare(side(gate=none), side(gate=none), strict=True)
    assert strict.exit_code == 3
    assert "nothing is gated" in strict.notes[-1]


def test_other_versions_are_not_comparable() -> None:
    other = TERMS | {"fid[judge]": TERMS["fid[judge]"].model_copy(update={"version": "fid-2"})}
    result = compare(side(), side(terms=other))
    assert (row(result, "fid[judge]").verdict, result.exit_code) == ("not comparable", 3)
    fewer = TERMS | {"fid[judge]": TERMS["fid[judge]"].model_copy(update={"num_images": 40})}
    assert row(compare(side(), side(terms=fewer)), "fid[judge]").verdict == "not comparable"
    counted = TERMS | {"params": TERMS["params"].model_copy(update={"version": "params-2"})}
    assert row(compare(side(), side(terms=counted)), "params").verdict == "not comparable"


def test_a_metric_that_head_does_not_measure_is_missing() -> None:
    without = {name: terms for name, terms in TERMS.items() if name != "fid[judge]"}
    result = compare(side(), side(terms=without))
    assert (row(result, "fid[judge]").verdict, result.exit_code) == ("missing", 3)


def test_another_training_is_not_comparable() -> None:
    result = compare(side(), side(checkpoint="others"))
    assert (row(result, "").verdict, result.exit_code) == ("not comparable", 3)
    assert "trained anew" in row(result, "").reason


def test_another_experiment_is_not_comparable() -> None:
    result = compare(side(name="other"), side())
    assert ({row.verdict for row in result.rows}, result.exit_code) == ({"not comparable"}, 3)


@pytest.mark.parametrize("broken", ["base", "head"])
def test_a_side_that_cannot_be_used_is_not_comparable_in_every_gated_cell(broken: str) -> None:
    bad, good = Side("bad", None, "baseline.json: edited by hand"), side()
    result = compare(bad, good) if broken == "base" else compare(good, bad)
    assert [(row.verdict, row.reason) for row in result.rows] == 2 * [
        ("not comparable", "baseline.json: edited by hand")
    ]
    assert result.exit_code == 3


def test_two_sides_that_cannot_be_used_are_an_error() -> None:
    with pytest.raises(UserError, match="one\ntwo"):
        compare(Side("a", None, "one"), Side("b", None, "two"))


# Other environments


def test_another_machine_is_noted_and_still_paired() -> None:
    other = elsewhere(machine={"device": "another CPU"})
    result = compare(side(environment=other), side(cell(fid=scaled(1.15))))
    assert row(result, "fid[judge]").verdict == "regression"
    assert result.notes[0] == f"BASE was measured with {other.label}; HEAD with {HERE.label}"
    assert [note.partition(" ")[2][:33] for note in result.notes[1:]] == ["gated numbers that differ are com"]


def test_another_torch_is_paired_only_where_the_inputs_are_known_to_be_the_same() -> None:
    other = elsewhere(libraries={"torch": "3.0"})
    head = cell(fid=scaled(1.15))
    assert row(compare(side(environment=other), side(head)), "fid[judge]").verdict == "regression"
    unknown = row(compare(side(environment=other, inputs=None), side(head)), "fid[judge]")
    assert (unknown.verdict, "another torch" in unknown.reason) == ("inconclusive", True)


def test_networks_trained_in_different_environments_are_not_paired() -> None:
    other = elsewhere(machine={"device": "another CPU"})
    trained, head = cell(varies="train+eval"), cell(varies="train+eval", fid=scaled(1.15))
    found = row(compare(side(trained, environment=other), side(head)), "fid[judge]")
    assert (found.verdict, "trained in different environments" in found.reason) == ("inconclusive", True)
    assert row(compare(side(trained), side(head)), "fid[judge]").verdict == "regression"


# Times


def timed(**changes: Any) -> Any:
    """Stands for the processes: one ratio, HEAD 4 % slower unless said otherwise."""
    found = {
        "estimate": Estimate(math.log(1.04), 0.002, 19),
        "processes": 20,
        "started": 20,
        "base_ms": 2.0,
        "head_ms": 2.08,
        "cpu_ratio": 1.04,
        "error": "",
        "own_source": True,
    } | changes

    def time_them(ratios: list[Ratio], **_: Any) -> list[Timed]:
        return [Timed(**found) for _ in ratios]

    return time_them


def compare_times(*, head: Any = None, base_source: Any = None, strict: bool = False, **changes: Any) -> Result:
    base = Side("base", contents(cell(shape="wide"), gate=TIMES), source=base_source)
    return compare(base, Side("head", contents(head, gate=TIMES)), time_them=timed(**changes), strict=strict)


@pytest.mark.parametrize(
    ("changes", "verdict", "code", "strict_code"),
    [
        ({}, "regression", 1, 1),
        ({"estimate": Estimate(math.log(0.95), 0.002, 19)}, "improved", 0, 0),
        ({"estimate": Estimate(0.001, 0.002, 19)}, "ok", 0, 0),
        ({"estimate": Estimate(0.02, 0.01, 19)}, "inconclusive", 0, 3),
        ({"estimate": None, "processes": 3}, "invalid", 0, 3),
        ({"estimate": None, "processes": 0, "error": "KeyError: no workload"}, "not comparable", 0, 3),
    ],
)
def test_times(changes: dict[str, Any], verdict: str, code: int, strict_code: int) -> None:
    result = compare_times(**changes)
    assert (row(result, "time b1").verdict, result.exit_code) == (verdict, code)
    assert compare_times(strict=True, **changes).exit_code == strict_code


def test_a_contended_measurement_says_what_cpu_time_says() -> None:
    reason = row(compare_times(estimate=None, processes=3), "time b1").reason
    assert "3 of 20 processes ran without interruption" in reason and "1.040" in reason


def test_without_its_source_base_is_compared_by_architecture_and_the_verdict_says_so() -> None:
    assert "architectures alone" in row(compare_times(), "time b1").reason
    assert "architectures alone" not in row(compare_times(base_source="folder"), "time b1").reason
    assert "architectures alone" in row(compare_times(base_source="folder", own_source=False), "time b1").reason


def test_equal_architectures_without_source_need_no_clock() -> None:
    def never(*_: Any, **__: Any) -> list[Timed]:
        raise AssertionError("timed")

    result = compare(side(gate=TIMES), side(gate=TIMES), time_them=never)
    found = row(result, "time b1")
    assert (found.verdict, "slower code would not be seen" in found.reason) == ("ok", True)


def test_equal_architectures_with_base_source_are_timed() -> None:
    result = compare_times(head=cell(shape="wide"), base_source="folder")
    assert row(result, "time b1").verdict == "regression"


def test_timing_may_be_left_out() -> None:
    result = compare(side(cell(shape="wide"), gate=TIMES), side(gate=TIMES), timing=False, time_them=timed())
    assert (row(result, "time b1").verdict, result.exit_code) == ("not comparable", 0)


def test_a_network_that_a_side_lacks_cannot_be_timed() -> None:
    result = compare(side(without=(PLACE,), gate=TIMES), side(gate=TIMES), time_them=timed())
    assert row(result, "time b1").reason == "BASE has no network for this cell"


def test_a_regression_counts_for_more_than_what_is_missing() -> None:
    result = compare(side(), side(cell(params=500), without=()), strict=True)
    assert result.exit_code == 1
    both = compare(side(more={PLACE._replace(level="0.9"): cell()}), side(cell(params=500)))
    assert both.exit_code == 1


@pytest.mark.parametrize("value", [None, 0.0, -1.0])
@pytest.mark.parametrize("in_head", [True, False])
def test_a_number_that_one_side_lacks_under_a_seed_is_missing(value: float | None, in_head: bool) -> None:
    lacking = cell()
    lacking.values["fid[judge]"][1] = value
    sides = (side(), side(lacking)) if in_head else (side(lacking), side())
    found = row(compare(*sides), "fid[judge]")
    assert (found.verdict, found.reason) == ("missing", "a seed has no value, or none above 0")

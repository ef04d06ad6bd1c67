"""What a run allows to be said: verdicts, the intervals beside them, and what they do not depend on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
import pytest
from scipy.special import ndtri

from bench.records import Number, Record
from bench.records.contributions import CellContributions
from bench.statistics import Contributions
from bench.tables import claims_of, tidy
from bench.tables.claim import ALL, BEST, LEVEL, Claim
from bench.tables.claims import against_dense, against_reference
from bench.tables.evidence import Evidence
from bench.tables.groups import groups_of
from tests.report.synthetic import make_record, make_records

METRIC = "fid-inf[mnist-lenet]"
REFERENCE = "l1-weight-global"
NOTHING = np.zeros(0)


def cell(strategy: str, value: float, seed: int = 0, *, error: float | None = 0.1, **others: object) -> Record:
    """A cell with this FID without its bias, which is 1."""
    made = make_record(strategy=strategy, seed=seed, fid=value + 1, sparsity=0.0 if strategy == "dense" else 0.5,
                       **{"varies": "eval"} | others)  # type: ignore[arg-type]  # fmt: skip
    number = Number(
        value=value, unit="", direction="lower", kind="stochastic", version="1", num_images=1000, error=error
    )
    return made.model_copy(update={"numbers": made.numbers | {METRIC: number}})


def run(values: Mapping[str, Iterable[float]], **others: object) -> list[Record]:
    return [
        cell(name, value, seed, **others)  # type: ignore[arg-type]
        for name, mine in values.items()
        for seed, value in enumerate(mine)
    ]


def one(claims: Iterable[Claim], strategy: str = "l1-channel-global") -> Claim:
    (found,) = [claim for claim in claims if claim.strategy == strategy]
    return found


def test_without_common_contributions_the_errors_of_both_add_up() -> None:
    records = run({"dense": [1.0], REFERENCE: [3.0], "l1-channel-global": [3.6]})
    claim = one(against_reference(tidy(records), REFERENCE))
    half = -float(ndtri(LEVEL / 2)) * math.sqrt(0.1**2 + 0.1**2)
    assert (claim.difference, claim.low, claim.high) == pytest.approx((0.6, 0.6 - half, 0.6 + half))
    assert claim.verdict == "higher" and claim.n == 1 and claim.better is False


def kept(records: list[Record], shared: np.ndarray, own: Mapping[str, np.ndarray], inputs: str = "z") -> Evidence:
    """What the images contribute: a common part and one of each strategy."""
    return Evidence({
        each.keys.eval: CellContributions(
            f"{inputs}{each.cell.seed}",
            {METRIC: Contributions(1000, shared + own[each.cell.strategy], NOTHING, NOTHING)},
        )
        for each in records
    })  # fmt: skip


def test_what_the_images_have_in_common_falls_out_of_a_difference() -> None:
    rng = np.random.default_rng(0)
    shared, own = 30 * rng.normal(size=1000), rng.normal(size=(3, 1000))
    names = ("dense", REFERENCE, "l1-channel-global")
    records = run({"dense": [1.0], REFERENCE: [3.0], "l1-channel-global": [3.4]}, error=1.0)
    evidence = kept(records, shared, dict(zip(names, own, strict=True)))
    claim = one(against_reference(tidy(records), REFERENCE, evidence))
    half = -float(ndtri(LEVEL / 2)) * float((own[2] - own[1]).std(ddof=1)) / math.sqrt(1000)
    assert claim.high - claim.difference == pytest.approx(half, rel=1e-6)
    assert claim.verdict == "higher"
    alone = one(against_reference(tidy(records), REFERENCE))
    assert alone.verdict == "not separable" and alone.low < 0 < alone.high


def test_cells_of_other_inputs_are_no_pairs() -> None:
    rng = np.random.default_rng(0)
    own = {name: rng.normal(size=1000) for name in ("dense", REFERENCE, "l1-channel-global")}
    records = run({"dense": [1.0], REFERENCE: [3.0], "l1-channel-global": [3.4]})
    shared = 30 * rng.normal(size=1000)
    evidence = kept(records, shared, own)
    apart = dict(evidence.cells)
    key = records[2].keys.eval
    apart[key] = CellContributions("elsewhere", apart[key].numbers)
    claim = one(against_reference(tidy(records), REFERENCE, Evidence(apart)))
    assert claim.verdict == "not separable" and claim.high - claim.low > 4


def test_another_workload_changes_no_claim() -> None:
    mine = run({"dense": [1.0, 1.1, 0.9], REFERENCE: [3.0, 3.2, 2.9], "l1-channel-global": [3.4, 3.7, 3.1]})
    others = [
        cell(name, value, seed, workload="mnist-mlp")
        for name, value in (("dense", 5.0), (REFERENCE, 5.1), ("l1-channel-global", 5.2), ("l1-weight-uniform", 5.3))
        for seed in range(3)
    ]
    alone, beside = (claims_of(tidy(records), REFERENCE) for records in (mine, [*mine, *others]))
    for before, after in (
        (alone.against_reference, beside.against_reference),
        (alone.against_dense, beside.against_dense),
    ):
        assert str(one(before)) == str(one(claim for claim in after if claim.workload == "mnist-dcgan"))


@pytest.mark.parametrize("reference", [REFERENCE, "dense", BEST])
def test_never_not_separable_beside_an_interval_without_0_nor_the_other_way(reference: str) -> None:
    records = [
        each.model_copy(
            update={
                "numbers": {
                    name: number.model_copy(update={"error": 0.4 * number.value if number.value else None})
                    for name, number in each.numbers.items()
                    if number.kind != "exact"
                }
            }
        )
        for each in make_records()
    ]
    claims = claims_of(tidy(records), reference)
    tested = [claim for claim in (*claims.against_reference, *claims.against_dense) if not math.isnan(claim.low)]
    assert {claim.verdict for claim in tested} >= {"not separable"} and len(tested) > 40
    for claim in tested:
        if claim.verdict == "not separable":
            assert claim.low <= 0 <= claim.high
        elif claim.verdict in ("lower", "higher", "worse"):
            assert claim.low >= 0 or claim.high <= 0
        if claim.verdict == "holds":
            assert claim.bound <= claim.allowed
        elif not math.isnan(claim.bound) and claim.verdict != "identical":
            assert claim.bound >= claim.allowed or math.isnan(claim.allowed)


def test_dense_is_held_where_the_loss_is_shown_to_be_within_the_margin() -> None:
    """5 % of 40 are 2; the loss is at most .3 and 1.96 errors, for one row."""
    records = run({"dense": [40.0], REFERENCE: [40.3]}, error=0.5)
    claim = one(against_dense(tidy(records)), REFERENCE)
    assert claim.allowed == pytest.approx(2.0)
    assert claim.bound == pytest.approx(0.3 - float(ndtri(LEVEL / 2)) * math.sqrt(0.5), rel=1e-6)
    assert claim.verdict == "holds"
    wide = one(against_dense(tidy(run({"dense": [40.0], REFERENCE: [40.3]}, error=1.0))), REFERENCE)
    assert wide.verdict == "not separable" and wide.bound > 2.0
    lost = one(against_dense(tidy(run({"dense": [40.0], REFERENCE: [44.0]}, error=0.5))), REFERENCE)
    assert lost.verdict == "worse" and lost.low > 0


def test_a_margin_is_at_least_a_tenth_of_the_noise_floor() -> None:
    floor = Number(value=9.0, unit="", direction="none", kind="exact", version="1", num_images=1000)
    records = run({"dense": [1.0], REFERENCE: [1.1]})
    records[0] = records[0].model_copy(update={"numbers": records[0].numbers | {"fid-inf_floor[mnist-lenet]": floor}})
    assert one(against_dense(tidy(records)), REFERENCE).allowed == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("mine", "base", "verdict"),
    [
        (3, 0, "worse: collapsed"), (0, 3, "better: the other collapsed"), (3, 3, "both collapsed"),
        (1, 0, "collapsed"), (0, 2, "collapsed"), (1, 3, "collapsed"),
    ],
)  # fmt: skip
def test_a_collapse_is_a_verdict_where_it_is_whole(mine: int, base: int, verdict: str) -> None:
    records = [
        cell(name, 3.0, seed, status="collapsed" if seed < lost else "ok")
        for name, lost in (("l1-channel-global", mine), (REFERENCE, base))
        for seed in range(3)
    ]
    claim = one(against_reference(tidy(records), REFERENCE))
    assert claim.verdict == verdict and math.isnan(claim.low)
    assert claim.better == {"worse: collapsed": False, "better: the other collapsed": True}.get(verdict)


def test_networks_that_are_drawn_are_compared_by_ratios() -> None:
    """Their spread grows with the value: on values 100 +- 40 would never be told from 3."""
    records = run({"dense": [1.0] * 3, REFERENCE: [3.0, 3.1, 2.9]})
    records += [
        cell("random-channel-uniform", value, seed, varies="prune+eval")
        for seed, value in enumerate((70.0, 100.0, 150.0))
    ]
    claim = one(against_reference(tidy(records), REFERENCE), "random-channel-uniform")
    assert claim.verdict == "higher" and claim.low > 0
    assert claim.high - claim.difference > claim.difference - claim.low  # the interval is one of a ratio


def test_one_draw_says_nothing_of_a_strategy_that_draws() -> None:
    records = run({"dense": [1.0], REFERENCE: [3.0]}) + run({"random-channel-uniform": [90.0]}, varies="prune+eval")
    assert one(against_reference(tidy(records), REFERENCE), "random-channel-uniform").verdict == "too few seeds"


def trainings(ratios: Iterable[float]) -> list[Record]:
    found = []
    for index, ratio in enumerate(ratios):
        base = 2.0 + 0.5 * index
        for name, value in (("dense", 1.0), (REFERENCE, base), ("l1-channel-global", ratio * (base + 1) - 1)):
            for seed in range(2):
                made = cell(name, value + 0.01 * seed, seed)
                found.append(made.model_copy(update={
                    "cell": made.cell.model_copy(update={"checkpoint": f"seed-{index}"}),
                    "keys": made.keys.model_copy(update={"eval": f"{made.keys.eval[:10]}{index}"}),
                }))  # fmt: skip
    return found


def test_from_three_trainings_on_there_is_a_claim_about_trainings() -> None:
    claims = against_reference(tidy(trainings([2.0, 2.2, 1.9, 2.1, 2.0])), REFERENCE)
    (over,) = [claim for claim in claims if claim.checkpoint == ALL.format(count=5)]
    assert over.verdict == "higher" and over.n == 5 and len(claims) == 6
    mixed = against_reference(tidy(trainings([2.0, 0.5, 1.8, 0.6, 1.0])), REFERENCE)
    (over,) = [claim for claim in mixed if claim.checkpoint == ALL.format(count=5)]
    assert over.verdict == "not separable"  # though each network by itself is told apart
    assert {claim.verdict for claim in mixed if claim.checkpoint != over.checkpoint} >= {"lower", "higher"}
    assert len(against_reference(tidy(trainings([2.0, 2.2])), REFERENCE)) == 2


def test_each_against_the_best_of_its_level() -> None:
    records = run({"dense": [1.0], REFERENCE: [3.0], "l1-channel-global": [3.05], "l1-weight-uniform": [9.0]})
    found = {claim.strategy: claim for claim in against_reference(tidy(records), BEST)}
    assert found["l1-weight-uniform"].verdict == "higher" and found["l1-weight-uniform"].other == REFERENCE
    assert found[REFERENCE].verdict == found["l1-channel-global"].verdict == "not separable"
    assert (found[REFERENCE].other, found["l1-channel-global"].other) == ("l1-channel-global", REFERENCE)


def test_what_collapsed_is_not_the_best_of_its_level() -> None:
    records = run({REFERENCE: [3.0], "l1-channel-global": [3.05]})
    records.append(cell("l1-weight-uniform", 0.1, status="collapsed"))
    found = {claim.strategy: claim.verdict for claim in against_reference(tidy(records), BEST)}
    assert found["l1-weight-uniform"] == "worse: collapsed" and found[REFERENCE] == "not separable"


def test_the_table_has_a_row_for_each_claim() -> None:
    claims = claims_of(tidy(run({"dense": [1.0], REFERENCE: [3.0], "l1-channel-global": [3.6]})), REFERENCE)
    table = claims.table()
    assert table["of"].tolist() == ["reference", "dense", "dense"]
    assert table["verdict"].tolist() == [claim.verdict for claim in (*claims.against_reference, *claims.against_dense)]
    assert groups_of(tidy(run({"dense": [1.0]})))  # a run without a comparison has groups all the same

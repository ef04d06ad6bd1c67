"""What a run can tell, and what must be added: by hand, on runs with more of it, and by simulation."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from bench.records import Cost, Number, Record
from bench.statistics import reach
from bench.tables import tidy
from bench.tables.adding import Wanted, additions, parse_wanted, seconds_of
from bench.tables.claims import against_reference
from bench.tables.powering import FamilyPower, powers_of
from tests.report.synthetic import make_record

INF, AT_N = "fid-inf[mnist-lenet]", "fid[mnist-lenet]"
BIAS = 2.0
Values = Mapping[tuple[str, float], Sequence[float]]
"""(strategy, sparsity) -> the number of each seed."""


def records_of(
    values: Values, *, error: float = 0.5, varies: str = "eval", num_images: int = 1000, checkpoint: str = "shipped"
) -> list[Record]:
    """A run of which every cell has this error from its images; seconds: 2 pruning, 3 recovering, 5 measuring."""
    found = []
    for (strategy, sparsity), numbers in values.items():
        for seed, value in enumerate(numbers):
            record = make_record(
                strategy=strategy, sparsity=sparsity, seed=seed, fid=value + BIAS, num_images=num_images,
                varies="eval" if strategy == "dense" and varies == "prune+eval" else varies,
            )  # fmt: skip
            known = {"unit": "", "kind": "stochastic", "direction": "lower", "version": "1"}
            number = Number.model_validate({"value": value, "num_images": num_images, "error": error, **known})
            found.append(
                record.model_copy(
                    update={
                        "numbers": record.numbers | {INF: number},
                        "cell": record.cell.model_copy(update={"checkpoint": checkpoint}),
                        "cost": Cost(prune_seconds=2.0, recover_seconds=3.0, measure_seconds=5.0),
                        "keys": record.keys.model_copy(update={"eval": f"{record.keys.eval}{checkpoint}"}),
                    }
                )
            )
    return found


def power_of(records: Sequence[Record], reference: str = "dense") -> FamilyPower:
    (found,) = powers_of(tidy(records), reference)
    return found


def flat(count: int, *, strategies: Sequence[str] = ("l1-weight-global",), more: float = 0.1) -> Values:
    """Dense at 10, each strategy at one level a little above, the same for every seed."""
    names = {(name, 0.5): [10.0 + more] * count for name in strategies}
    return {("dense", 0.0): [10.0] * count, **names}


# What is told


def test_one_comparison_whose_error_is_known_by_hand() -> None:
    family = power_of(records_of(flat(4)))
    (one,) = family.members
    # Both sides .5^2, four seeds: error .35355; tested at .025: (1.95996 + .84162) of it.
    assert one.smallest == pytest.approx(0.353553 * 2.801585, rel=1e-5)
    assert (one.kind, one.ratio, one.undecided, family.dense, family.num_images) == ("fixed", None, True, 10.0, 1000)


def test_the_level_is_that_of_the_first_step_of_the_family() -> None:
    levels = {(name, s): [10.1] * 3 for name in ("l1-weight-global", "l1-weight-uniform") for s in (0.3, 0.5)}
    family = power_of(records_of({("dense", 0.0): [10.0] * 3, **levels}))
    # Four members of two groups: a fifth of three quarters is kept for bounds.
    assert [one.level for one in family.members] == pytest.approx([0.025 * 0.85 / 4] * 4)
    assert family.members[0].smallest == pytest.approx(math.sqrt(0.5 / 3) * reach(math.inf, 0.025 * 0.85 / 4))


def test_networks_that_are_drawn_are_told_apart_as_ratios_by_their_spread() -> None:
    values = {("dense", 0.0): [10.0] * 3, ("random-weight-global", 0.5): [10.0, 14.0, 20.0]}
    (one,) = power_of(records_of(values, error=1e-3, varies="prune+eval")).members
    sd = statistics.stdev(math.log(value + BIAS) for value in (10.0, 14.0, 20.0))
    assert one.kind == "drawn" and one.ratio == pytest.approx(math.exp(sd / math.sqrt(3) * reach(2, 0.025)))
    assert one.smallest == pytest.approx((10 + BIAS) * (one.ratio - 1))


def test_with_one_seed_nothing_is_known_of_networks_that_are_drawn() -> None:
    values = {("dense", 0.0): [10.0], ("random-weight-global", 0.5): [14.0]}
    family = power_of(records_of(values, varies="prune+eval"))
    (one,) = family.members
    assert (one.claim.verdict, one.smallest, one.undecided) == ("too few seeds", math.inf, True)
    (added,) = additions(family, Wanted(1.0, False), {})
    assert (added.short, added.unknown, added.ways) == (1, 1, ())


def test_against_the_best_the_levels_are_its_own_and_the_best_one_has_no_row() -> None:
    values = {(name, 0.5): [at] * 3 for name, at in (("a-weight", 10.0), ("b-weight", 10.1), ("c-weight", 10.2))}
    family = power_of(records_of({("dense", 0.0): [9.0] * 3, **values}), "best")
    assert [(one.claim.strategy, one.claim.other) for one in family.members] == [
        ("b-weight", "a-weight"),
        ("c-weight", "a-weight"),
    ]
    assert {one.level for one in family.members} == {0.025}  # three rows of one level: .05 / 2


def test_what_collapsed_or_has_another_size_is_not_counted() -> None:
    records = records_of(flat(3, strategies=("l1-weight-global", "l1-weight-uniform")))
    lost = [r.model_copy(update={"status": "collapsed"}) if "uniform" in r.cell.strategy else r for r in records]
    family = power_of(lost)
    assert [one.claim.verdict for one in family.members] == ["not separable", "worse: collapsed"]
    (added,) = additions(family, Wanted(0.1, False), {})
    assert (added.compared, len(added.undecided), added.short) == (2, 1, 1)


def test_over_trainings_their_spread_is_between_checkpoints() -> None:
    records = []
    for checkpoint, shift in zip("abc", (0.0, 0.5, 1.2), strict=True):
        records += records_of(flat(2, more=0.1 + shift), error=0.01, checkpoint=checkpoint)
    found = {one.checkpoint: one for one in powers_of(tidy(records), "dense")}
    assert set(found) == {"a", "b", "c", "all 3"}
    (one,) = found["all 3"].members
    assert (one.kind, one.design.checkpoints, one.design.seeds) == ("trainings", 3, 2)
    logs = [math.log((10.1 + shift + BIAS) / (10 + BIAS)) for shift in (0.0, 0.5, 1.2)]
    assert one.design.error(one.spread) == pytest.approx(statistics.stdev(logs) / math.sqrt(3))  # type: ignore[arg-type]
    assert one.design.degrees(one.spread) == 2  # type: ignore[arg-type]
    ways = {way.what: way for added in additions(found["all 3"], Wanted(1.0, False), {}) for way in added.ways}
    assert ways["seeds"].then is None and "trainings differ by too much" in ways["images"].reason
    assert (ways["checkpoints"].then or 0) > 3


# What must be added


def test_half_the_difference_takes_four_times_the_images_or_seeds_and_the_cheaper_comes_first() -> None:
    records = records_of(flat(4))
    family = power_of(records)
    half = family.members[0].smallest / 2 * (1 + 1e-9)
    (added,) = additions(family, Wanted(half, False), seconds_of(records))
    images, seeds, checkpoints = added.ways
    assert (images.what, images.now, images.then) == ("images", 1000, 4000)
    assert images.minutes == pytest.approx(8 * (5 + 4 * 5) / 60)  # 8 cells, made again, measured on four times as many
    assert (seeds.what, seeds.now, seeds.then) == ("seeds", 4, 16)
    assert seeds.minutes == pytest.approx(3 * 8 * 10 / 60)
    assert [(needs.images, needs.seeds, needs.checkpoints) for needs in added.undecided] == [(4000, 16, None)]
    assert (checkpoints.then, checkpoints.reason[:26]) == (None, "about this one network; wh")


def test_seeds_come_first_where_they_are_cheaper() -> None:
    records = [r.model_copy(update={"cost": Cost(measure_seconds=8.0)}) for r in records_of(flat(4))]
    family = power_of(records)
    (added,) = additions(family, Wanted(family.members[0].smallest / 2 * (1 + 1e-9), False), seconds_of(records))
    assert [way.what for way in added.ways] == ["seeds", "images", "checkpoints"]


@pytest.mark.parametrize("wanted", [0.9, 0.5, 0.2])
def test_a_run_with_as_many_as_said_tells_it_and_one_with_less_does_not(wanted: float) -> None:
    strategies = ("l1-weight-global", "l1-weight-uniform", "l1-channel-global")
    family = power_of(records_of(flat(2, strategies=strategies)))
    (added,) = additions(family, Wanted(wanted, False), {})
    ways = {way.what: way.then for way in added.ways}
    assert ways["images"] and ways["seeds"]

    def told(seeds: int, num_images: float) -> float:
        error = 0.5 * math.sqrt(1000 / num_images)
        return max(m.smallest for m in power_of(records_of(flat(seeds, strategies=strategies), error=error)).members)

    assert told(2, ways["images"]) <= wanted < told(2, ways["images"] - 2)
    assert told(ways["seeds"], 1000) <= wanted < told(ways["seeds"] - 1, 1000)


def test_where_calibration_draws_too_much_more_images_are_no_way() -> None:
    spread = {("dense", 0.0): [10.0] * 4, ("l1-weight-global", 0.5): [4.0, 16.5, 3.0, 17.0]}
    family = power_of(records_of(spread, error=0.1, varies="calibrate+eval"))
    (added,) = additions(family, Wanted(1.0, False), {})
    ways = {way.what: way for way in added.ways}
    assert ways["images"].reason == "no number suffices: what calibration draws differs by too much"
    assert ways["seeds"].then and math.isnan(ways["seeds"].minutes)  # no seconds were recorded


def test_a_difference_that_is_rounded_away_is_none_that_anything_could_tell() -> None:
    values = {("dense", 0.0): [10.0] * 3, ("random-weight-global", 0.5): [9.0, 12.0, 11.0]}
    (added,) = additions(power_of(records_of(values, varies="prune+eval")), Wanted(1e-320, False), {})
    assert {way.then for way in added.ways} == {None}


def test_nothing_is_to_be_added_to_what_is_decided() -> None:
    family = power_of(records_of(flat(3, more=50.0)))
    (added,) = additions(family, Wanted(0.01, False), {})
    assert (added.undecided, added.short, added.ways) == ((), 0, ())


def test_a_share_is_of_dense_and_none_where_dense_is_not_above_0() -> None:
    family = power_of(records_of(flat(3)))
    assert additions(family, parse_wanted("10%"), {})[0].amount == pytest.approx(1.0)
    below = power_of(records_of({key: [v - 10.5 for v in values] for key, values in flat(3).items()}))
    (added,) = additions(below, parse_wanted("10%"), {})
    assert math.isnan(added.amount) and added.ways == () and added.short == 1


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("10%", Wanted(0.1, True)),
        ("1.5", Wanted(1.5, False)),
        (" 250 % ", Wanted(2.5, True)),
        ("1e-3", Wanted(1e-3, False)),
    ],
)
def test_a_difference_is_a_share_or_an_amount(text: str, wanted: Wanted) -> None:
    assert parse_wanted(text) == wanted


@pytest.mark.parametrize("text", ["", "%", "ten", "0", "-1", "0%", "nan", "inf%", "1,5", "10%%"])
def test_what_is_no_difference_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no difference; expected a share of dense's value above 0 such as 10%"):
        parse_wanted(text)


# The promise, by simulation


def _redrawn(frame: pd.DataFrame, truth: Mapping[str, float], draw: np.random.Generator, sd: float, ratio: bool):  # type: ignore[no-untyped-def]
    """The same cells with other numbers: ``truth`` by strategy, with noise of this standard deviation (of its
    logarithm)."""
    found = frame.copy()
    noise = {
        key: draw.normal(0, sd if not ratio or key[0] != "dense" else 1e-3)
        for key in found[["strategy", "level", "seed"]].drop_duplicates().itertuples(index=False, name=None)
    }
    places = list(zip(found["strategy"], found["level"], found["seed"], found["metric"], strict=True))
    values = []
    for (strategy, level, seed, metric), old in zip(places, found["value"], strict=True):
        shift = noise[strategy, level, seed]
        base = truth.get(strategy, truth["dense"])
        new = (base + BIAS) * math.exp(shift) - BIAS if ratio else base + shift
        values.append({INF: new, AT_N: new + BIAS}.get(metric, old))
    found["value"] = values
    return found


def test_what_is_promised_of_known_errors_is_told_in_four_of_five_runs_and_nothing_else_is() -> None:
    draw = np.random.default_rng(14)
    names = ("l1-weight-global", "l1-weight-uniform", "l1-channel-global")
    records = records_of(flat(3, strategies=names))
    frame = tidy(records)
    frame = frame[frame["metric"] == INF]
    smallest = power_of(records).members[0].smallest
    told = wrong = 0
    for _ in range(150):
        run = _redrawn(frame, {"dense": 10.0, names[0]: 10.0 + smallest}, draw, 0.5, ratio=False)
        verdicts = {claim.strategy: claim.verdict for claim in against_reference(run, "dense")}
        told += verdicts[names[0]] == "higher"
        wrong += any(verdicts[name] != "not separable" for name in names[1:])
    assert 0.7 < told / 150 < 0.9
    assert wrong / 150 < 0.08


def test_what_is_promised_of_drawn_networks_is_told_in_about_four_of_five_runs() -> None:
    draw = np.random.default_rng(15)
    names = tuple(f"random{i}-weight-global" for i in range(5))
    frame = tidy(records_of(flat(3, strategies=names), error=1e-3, varies="prune+eval"))
    frame = frame[frame["metric"].isin([INF, AT_N])]
    told, promised = 0, []
    for _ in range(20):
        (family,) = powers_of(_redrawn(frame, {"dense": 10.0}, draw, 0.3, ratio=True), "dense")
        promised += [math.log(one.ratio or 1) for one in family.members]
    ratio = math.exp(statistics.fmean(promised))
    for _ in range(100):
        run = _redrawn(frame, {"dense": 10.0, names[0]: (10.0 + BIAS) * ratio - BIAS}, draw, 0.3, ratio=True)
        told += next(c.verdict for c in against_reference(run, "dense") if c.strategy == names[0]) == "higher"
    assert 0.7 < told / 100 < 0.95

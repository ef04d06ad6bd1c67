"""The rates of calibration, on data whose rates are known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import betaincinv

from bench.base.errors import UserError
from bench.executors import Done, Stage
from bench.experiments import load_experiment
from bench.experiments.gate import PriorRule
from bench.gate.calibration import rates, timing
from bench.gate.calibration.document import document
from bench.gate.calibration.quality import COLUMNS as QUALITY_COLUMNS
from bench.gate.calibration.quality import WORKLOADS, bases, variants
from bench.gate.calibration.rates import (
    Network,
    Pairs,
    QualityRules,
    changes,
    difference,
    found_in_run,
    gated,
    p_values,
    rate_of,
    read_quality,
    read_timing,
    timing_rates,
    unpaired,
)
from bench.gate.calibration.rows import add_rows, read_rows
from bench.gate.calibration.timing import COLUMNS as TIMING_COLUMNS
from bench.gate.calibration.timing import slowed
from bench.gate.timing import Taken
from bench.statistics import Difference, Prior, estimate_of, paired

PRIOR = {
    "fid": PriorRule(sd=0.02, degrees=4.0, excess=1.2, excess_degrees=6.0),
    "is": PriorRule(sd=0.01, degrees=4.0),
}
RULES = QualityRules(PRIOR, {"fid": 0.05, "is": 0.05}, 0.005)


@pytest.fixture(autouse=True)
def _fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "DRAWS", 2_000)
    monkeypatch.setattr(rates, "RESAMPLES", 40)


def _variance(head: float, base: float) -> float:
    """Of the difference of two values of which 20 % are common noise and 1.4 % each one's own."""
    return 0.2**2 * (head - base) ** 2 + 0.014**2 * (head**2 + base**2)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Thirty seeds in which FID rises by 3 % with every point of sparsity, and the noise of a difference is 2 %."""
    rng = np.random.default_rng(0)
    for workload in WORKLOADS:
        for seed in range(30):
            common = rng.normal(0, 0.2)
            fid = {v: float(np.exp(2 + common + 3 * v.sparsity + rng.normal(0, 0.014))) for v in variants()}
            rows = [
                {
                    "workload": workload,
                    "seed": seed,
                    "num_images": 500,
                    "variant": v.label,
                    "varies": "calibrate+eval" if workload == "mnist-dcgan" else "eval",
                    "fid": fid[v],
                    "is": float(np.exp(1.5 + rng.normal(0, 0.005))),
                    "fid-inf": fid[v] - 1,
                    "fid own": 0.2**2 + 0.014**2,
                    "is own": 0.005**2,
                    "fid-inf own": (0.2**2 + 0.014**2) * fid[v] ** 2,
                    **dict.fromkeys(("fid pair", "is pair", "fid-inf pair"))
                    | ({"fid pair": 2 * 0.014**2, "is pair": 2 * 0.005**2} if v in bases() else {})
                    | ({"fid-inf pair": _variance(fid[v], fid[bases()[v]])} if v in bases() else {}),
                }
                for v in variants()
            ]
            add_rows(tmp_path / "quality.csv", QUALITY_COLUMNS, rows)
    return tmp_path


LIMITS = np.zeros(2)


@pytest.mark.parametrize("varies", [(), ("calibrate",), ("prune",), ("prune", "calibrate")])
def test_in_bulk_it_is_the_arithmetic_of_the_gate(varies: tuple[str, ...]) -> None:
    rng = np.random.default_rng(1)
    pairs = Pairs(rng.normal(0.01, 0.02, (12, 2)), rng.uniform(0.015, 0.02, (12, 2)) ** 2, frozenset(varies), LIMITS)
    drawn = rng.permuted(np.tile(np.arange(12), (20, 1)), axis=1)[:, :3]
    bulk = p_values(pairs, 0, drawn, PRIOR["fid"], "images")
    for p, seeds in zip(bulk, drawn, strict=True):
        values = tuple(pairs.tested[seeds, 0].tolist())
        one = Difference(values, tuple(pairs.images[seeds, 0].tolist()), values, 1.0, pairs.varies)
        found = estimate_of(one, PRIOR["fid"].of(one))
        assert found is not None and p == pytest.approx(found.p_above(0.0))


def test_in_bulk_it_is_the_arithmetic_of_the_gate_without_images() -> None:
    rng = np.random.default_rng(1)
    pairs = Pairs(rng.normal(0.01, 0.02, (12, 2)), np.ones((12, 2)), frozenset(), LIMITS)
    drawn = rng.permuted(np.tile(np.arange(12), (20, 1)), axis=1)[:, :3]
    bulk = p_values(pairs, 0, drawn, PRIOR["fid"], "spread")
    for p, seeds in zip(bulk, drawn, strict=True):
        one = paired([0.0] * 3, pairs.tested[seeds, 0].tolist(), Prior(0.02**2, 4.0))
        assert one is not None and p == pytest.approx(one.p_above(0.0))


def test_a_tested_fid_has_the_variance_of_its_two_sides_and_their_difference() -> None:
    """h - 1.05 b of images that contribute (1, -1, 2, -2) to h and (1, 1, -1, -1) to b, by hand and by the identity."""
    h, b = np.array([1.0, -1.0, 2.0, -2.0]), np.array([1.0, 1.0, -1.0, -1.0])
    by_hand = float((h - 1.05 * b).var(ddof=1))
    own = [float(x.var(ddof=1)) for x in (h, b)]
    two = np.zeros((1, 2))
    rest = {"own": two, "pair": two, "varies": frozenset({"calibrate"})}
    head = Network(logs=np.log([[6.0, 1.0]]), bound=np.array([[0, own[0], (h - b).var(ddof=1)]]), **rest)
    base = Network(logs=np.log([[4.0, 1.0]]), bound=np.array([[0, own[1], np.nan]]), **rest)
    change = next(change for change in changes() if change.workload == WORKLOADS[0])
    quality = {change.workload: {change.head.label: head, change.base.label: base}}
    found = difference(quality, change, {"fid": 0.05, "is": 0.05})
    assert found.tested[0, 0] == pytest.approx(6 - 1.05 * 4)
    assert found.images[0, 0] == pytest.approx(by_hand)
    assert found.margin == pytest.approx([0.05 * 4, math.log(1.05)])


def test_every_draw_is_of_different_seeds_and_resampling_weighs_them() -> None:
    drawn, weights = rates._runs(10, 3, 2_000, 40, 0)
    assert drawn.shape == (2_000, 3) and drawn.min() == 0 and drawn.max() == 9
    assert all(len(set(row)) == 3 for row in drawn[:200])
    assert weights.shape == (40, 2_000) and weights.sum(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (0, 20, 0.0, 1 - 0.025 ** (1 / 20)),
        (20, 20, 0.025 ** (1 / 20), 1.0),
        (3, 20, betaincinv(3, 18, 0.025), betaincinv(4, 17, 0.975)),
    ],
)
def test_a_rate_has_the_bounds_of_clopper_and_pearson(hits: int, n: int, low: float, high: float) -> None:
    """Nothing and all have a closed form; between them they are quantiles of beta distributions."""
    found = rate_of(np.arange(n) < hits, np.array([hits / n]))
    assert (found.value, found.low, found.high) == pytest.approx((hits / n, low, high))


def test_a_rate_has_the_bounds_of_what_was_drawn_from_where_they_are_wider() -> None:
    found = rate_of(np.arange(20) < 3, np.linspace(0, 1, 41))
    assert (found.low, found.high) == pytest.approx((0.025, 0.975))


def test_a_large_change_is_found_and_a_centred_one_is_not(data: Path) -> None:
    quality = read_quality(data / "quality.csv")
    five = [change for change in changes() if change.kind == "+5 points"]
    found, cells = found_in_run(quality, five, RULES)
    assert found.value == 1.0 and found.low > 0.99
    assert min(rate.value for rate in cells) < 1.0 or len(cells) == len(five)
    silent, _ = found_in_run(quality, five, RULES, truth=0.0)
    assert silent.value < 0.005 and silent.low == 0.0 and silent.high < 0.03


def test_what_is_worse_by_the_margin_is_called_so_as_seldom_as_the_error_says(data: Path) -> None:
    """The variances in the data are the true ones; 2,000 draws of 30 seeds know the rate to some thousandths."""
    quality = read_quality(data / "quality.csv")
    for workload in WORKLOADS:
        five = [change for change in changes() if change.kind == "+5 points" and change.workload == workload]
        rules = replace(RULES, error=0.05)
        assert found_in_run(quality, five, rules, truth=1.0)[0].value < 0.1
        rate, networks = unpaired(quality, workload, rules, truth=1.0)
        assert rate.value < 0.1 and networks == len(variants())


def test_by_images_more_is_found_than_by_the_spread_of_three_seeds(data: Path) -> None:
    quality = read_quality(data / "quality.csv")
    five = [change for change in changes() if change.kind == "+5 points"]
    rules = replace(RULES, priors={m: PriorRule(sd=0.02, degrees=1.0) for m in PRIOR}, error=1e-3)
    _, images = found_in_run(quality, five, rules)
    _, spread = found_in_run(quality, five, replace(rules, rule="spread"))
    assert all(a.value >= b.value for a, b in zip(images, spread, strict=True))
    assert any(a.value > b.value + 0.5 for a, b in zip(images, spread, strict=True))


def test_what_ci_gates_has_data() -> None:
    """The cells whose noisy metrics `ci` gates are those that calibration changes."""
    gate = load_experiment("ci").gate
    covered = {change.cell for change in changes() if gated(change, gate)}
    wanted = {
        f"{rule.workload} {rule.strategy}" + (f" @{rule.level:g}" if rule.strategy != "dense" else "")
        for rule in gate.cells
        if rule.metrics != () and not isinstance(rule.level, dict)
    }
    assert covered == wanted


def test_times_of_equal_networks_are_silent_and_slower_ones_found() -> None:
    rng = np.random.default_rng(0)
    equal = rng.normal(0, 0.01, 120)
    options = {"processes": 20, "margin": 0.01, "error": 0.005, "tests": 6}
    silent = timing_rates([equal] * 3, **options)  # type: ignore[arg-type]
    assert silent.regression.value < 0.01
    found = timing_rates([equal + 0.05], **options)  # type: ignore[arg-type]
    assert found.regression.value > 0.99


def test_processes_without_a_ratio_make_a_comparison_invalid_never_a_regression() -> None:
    nothing = np.full(120, np.nan)
    nothing[:10] = 0.5
    found = timing_rates([nothing], processes=20, margin=0.01, error=0.005, tests=6)
    assert (found.regression.value, found.undecided) == (0.0, 1.0)


def test_the_page_is_written_from_data_alone(data: Path) -> None:
    page = document(data)
    assert "30 seeds" in page and "Condition *idle*: not collected yet." in page
    assert "| +5 points |" in page
    for i in range(20):
        taken = {"process": i, "load_before": 0.1, "clean": 9, "pairs": 12}
        taken |= {"log_cpu_ratio": 0.0, "base_ms": 1.0, "head_ms": 1.0}
        ratios = {"mnist-dcgan dense b1": 0.001, "mnist-dcgan dense b1 +5%": 0.05}
        rows = [taken | {"ratio": label, "log_ratio": ratio} for label, ratio in ratios.items()]
        add_rows(data / "timing-idle.csv", TIMING_COLUMNS, rows)
    about = {"machine": {"device": "a CPU", "cores": 2}, "libraries": {"torch": "2"}}
    (data / "timing-setup.json").write_text(json.dumps({"environment": about}))
    page = document(data)
    assert "20 fresh processes on a CPU, 2 cores" in page and "Others were busy" not in page
    assert document(data) == page


def test_a_slowed_call_does_more_and_gives_the_same() -> None:
    assert slowed(lambda: "result", 3)() == "result"


def test_extra_work_is_sized_by_what_it_costs_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call and 1,000 units alone take 1 ms each, so 2 and 10 % are 20 and 100 units; in place they cost more."""
    monkeypatch.setattr(timing, "_seconds", lambda call: 1e-3)
    monkeypatch.setattr(timing, "_share", lambda build, units: 0.01 + 0.0012 * units)
    fixed, each = timing.cost_of_units(lambda: lambda: None)
    assert (fixed, each) == (pytest.approx(0.01), pytest.approx(0.0012))


def test_slow_downs_are_put_into_one_ratio_of_dense_and_one_of_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "cost_of_units", lambda build: (0.025, 0.001))
    found = {ask.label: ask.units for ask in timing.asks()}
    sizes = {"+2%": 1, "+3%": 5, "+5%": 25, "+10%": 75}  # having any costs 2.5 % already: one unit is the least
    for injected in ("mnist-dcgan dense b1", "mnist-dcgan l1-channel-global b1"):
        assert {k.split()[-1]: v for k, v in found.items() if k.startswith(f"{injected} ")} == sizes
    assert len(found) == 6 + 2 * 4 and sum(units == 0 for units in found.values()) == 6


def test_times_of_another_method_do_not_belong_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "asks", list)
    assert list(timing.collect(tmp_path, "idle", processes=0)) == []
    monkeypatch.setattr(timing, "METHOD", "7 builds a process")
    with pytest.raises(UserError, match=r"6 builds a process, this is .* 7 builds a process"):
        list(timing.collect(tmp_path, "idle", processes=0))


def test_the_share_of_extra_work_is_a_ratio_of_cpu_times(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = Taken(None, math.log(1.07), 1.0, 1.07, 0, 9)
    monkeypatch.setattr(timing, "time_builds", lambda base, head, builds, seconds: taken)
    assert timing._share(lambda: lambda: None, 3) == pytest.approx(0.07)


def test_rows_are_added_and_read_as_they_were(tmp_path: Path) -> None:
    path, columns = tmp_path / "deep" / "rows.csv", ("name", "value", "count")
    assert read_rows(path, columns).empty
    add_rows(path, columns, [{"name": "a, b", "value": 0.123456789, "count": 3, "more": "is left out"}])
    add_rows(path, columns, [{"name": "c", "value": None, "count": 4}])
    assert path.read_text() == 'name,value,count\n"a, b",0.1234568,3\nc,,4\n'
    found = read_rows(path, columns)
    assert found["name"].tolist() == ["a, b", "c"] and np.isnan(found["value"][1])


def test_rows_of_another_kind_are_refused(tmp_path: Path) -> None:
    add_rows(tmp_path / "rows.csv", ("one",), [{"one": 1}])
    with pytest.raises(UserError, match="columns one; expected two"):
        read_rows(tmp_path / "rows.csv", ("two",))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:-4], "cut off in its last line"),
        (lambda text: text[: text.rindex("1,0.1,b")], "process 1 has 1 ratios, others 2"),
        (lambda text: text + 'x,"\n', "damaged, no CSV"),
    ],
)
def test_damaged_times_are_one_message(damage: Callable[[str], str], message: str, tmp_path: Path) -> None:
    path = tmp_path / "timing-idle.csv"
    shared = {"load_before": 0.1, "log_ratio": 0.5, "log_cpu_ratio": 0.5, "base_ms": 1.0, "head_ms": 1.0}
    for process in (0, 1):
        taken = shared | {"process": process, "clean": 9, "pairs": 9}
        add_rows(path, TIMING_COLUMNS, [taken | {"ratio": label} for label in ("a", "b")])
    assert set(rates.read_timing(path)[0]) == {"a", "b"}
    path.write_text(damage(path.read_text()))
    with pytest.raises(UserError, match=f"timing-idle.csv: {message}"):
        rates.read_timing(path)


def test_a_damaged_setup_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "timing-setup.json").write_text('{"environment": ')
    with pytest.raises(UserError, match=r"timing-setup\.json: damaged, not JSON"):
        list(timing.collect(tmp_path, "idle", processes=0))


def test_collecting_times_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Takes:
        def __init__(self, jobs: int, *, fresh: bool) -> None:
            assert (jobs, fresh) == (1, True)

        def run(self, stages: list[Stage]) -> list[Done]:
            assert stages[0].resources.exclusive
            asked.extend(stages[0].groups[0].items)
            taken = dict.fromkeys(("log_ratio", "log_cpu_ratio", "base_ms", "head_ms", "clean", "pairs"), 0.5)
            return [Done(None, {"a b1": taken, "a b16": taken | {"log_ratio": None}})]

    monkeypatch.setattr(timing, "LocalExecutor", Takes)
    monkeypatch.setattr(timing, "asks", lambda: [])
    assert list(timing.collect(tmp_path, "idle", 2)) == [0, 1]
    assert list(timing.collect(tmp_path, "idle", 3)) == [2]
    assert list(timing.collect(tmp_path, "idle", 9, seconds=-1)) == []
    assert asked == [0, 1, 2]
    setup = tmp_path / "timing-setup.json"
    setup.write_text(setup.read_text().replace('"cores": ', '"cores": 9'))
    with pytest.raises(UserError, match=r"begun on .* Name another folder with --data"):
        list(timing.collect(tmp_path, "idle", 9))
    tables, loads = read_timing(tmp_path / "timing-idle.csv")
    assert tables["a b1"].tolist() == [0.5] * 3 and np.isnan(tables["a b16"]).all() and len(loads) == 3

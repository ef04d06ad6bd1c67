"""The rates of `make calibrate-statistics`, on data whose rates are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.base.errors import UserError
from bench.gate.calibration.rates import Rate
from bench.gate.calibration.rows import Value, add_rows
from bench.gate.calibration.statistics import document, errors, runs
from bench.gate.calibration.statistics.bounds import rate_of_runs
from bench.gate.calibration.statistics.cells import Variant, variants
from bench.gate.calibration.statistics.collect import COLUMNS, LEADING, PAIRED, PARTS, VALUES, numbers_file
from bench.gate.calibration.statistics.document import BEGIN, END, write_between
from bench.gate.calibration.statistics.errors import Limit, pair, ratio, single, unpaired_same
from bench.gate.calibration.statistics.read import Collected, read_collected
from bench.gate.calibration.statistics.runs import Family, decided, twins, widths

WORKLOAD = "mnist-dcgan"
COMMON, OWN, DRAWN = 2.0, 1.0, 3.0
"""Spread that all networks share, of each network's images, of what is drawn."""


@pytest.fixture(autouse=True)
def _fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "DRAWS", 150)
    monkeypatch.setattr(errors, "RESAMPLES", 200)
    monkeypatch.setattr(errors, "DRAWS", 1_000)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Collected:
    """Sixty seeds of networks around 100, of which all errors are right; the l1 networks are better by 12."""
    folder = tmp_path_factory.mktemp("collected")
    rng = np.random.default_rng(0)
    rows: list[dict[str, Value]] = []
    networks = variants(WORKLOAD)
    for seed in range(60):
        common = rng.normal(0, COMMON)
        for i, variant in enumerate(networks):
            draws = variant.strategy.startswith("random") and variant.kind != "fixed"
            value = 100 + common + rng.normal(0, OWN) + (rng.normal(0, DRAWN) if draws else 0)
            value -= 12 * variant.strategy.startswith("l1-weight")
            before = sum(variant.paired(other) for other in networks[:i])
            row: dict[str, Value] = dict.fromkeys(COLUMNS)
            row |= {"workload": WORKLOAD, "seed": seed, "num_images": 100, "network": variant.label, "collapsed": 0}
            row |= dict.fromkeys(VALUES, value)
            row |= {f"variance {name}": COMMON**2 + OWN**2 for name in VALUES} | dict.fromkeys(PARTS, 0.1)
            row |= {f"paired {name}": " ".join([str(2 * OWN**2)] * before) for name in (*PAIRED, *PARTS)}
            row["varies"] = "prune+calibrate+eval" if draws else "eval"
            rows.append(row)
    add_rows(numbers_file(folder, ""), COLUMNS, rows)
    (found,) = read_collected(folder)
    return found


def test_what_was_collected_is_read_by_seed_and_network(data: Collected) -> None:
    assert data.seeds == tuple(range(60))
    assert data.values[LEADING].shape == (60, len(variants(WORKLOAD)))
    dense, twin, fixed = (data.index(Variant("dense", 0.0, kind)) for kind in ("drawn", "twin", "fixed"))
    assert (data.paired[LEADING][:, dense, twin] == 2 * OWN**2).all()
    assert np.isnan(data.paired[LEADING][:, dense, fixed]).all()
    assert data.varies[data.index(Variant("random-weight-global", 0.2))] == {"prune", "calibrate"}
    assert data.varies[fixed] == frozenset()


def test_a_seed_without_all_networks_is_said(tmp_path: Path) -> None:
    row: dict[str, Value] = dict.fromkeys(COLUMNS)
    rows = [row | {"workload": WORKLOAD, "seed": 0, "network": "dense@0"} for row in (row, row)]
    rows[1] |= {"seed": 1, "network": "l1-weight-global@0.5"}
    add_rows(numbers_file(tmp_path, ""), COLUMNS, rows)
    with pytest.raises(UserError, match="other networks"):
        read_collected(tmp_path)


def test_a_right_error_has_ratio_one_and_a_doubled_one_two(data: Collected) -> None:
    fixed = data.of("fixed")
    for found in (single(data, LEADING, fixed[0]), pair(data, LEADING, fixed[0], fixed[1])):
        assert found.low < 1 < found.high
    values = data.values[LEADING][:, 0]
    assert ratio(values, np.full(60, 4 * values.var(ddof=1))).value == pytest.approx(2)


def test_bounds_of_runs_of_one_seed_are_those_of_as_many_seeds() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 50, (4_000, 1))
    hit = np.arange(50) < 10
    found = rate_of_runs(hit[drawn[:, 0]], drawn, 50)
    error = np.sqrt(0.2 * 0.8 / 50)
    assert found.high - found.value == pytest.approx(1.96 * error, rel=0.1)
    assert found.value - found.low == pytest.approx(1.96 * error, rel=0.1)
    nothing = rate_of_runs(np.zeros(4_000, bool), drawn, 50)
    assert (nothing.value, nothing.low) == (0, 0)


def test_bounds_of_runs_cover_the_rate_of_other_seeds() -> None:
    """Runs of five seeds whose mean is far out, over and over with new seeds."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(40):
        values = rng.normal(size=40)
        drawn = np.argsort(rng.random((500, 40)), axis=1)[:, :5]
        found = rate_of_runs(values[drawn].mean(axis=1) > 0.3, drawn, 40)
        covered += found.low <= 0.2512 <= found.high
    assert covered >= 34


def test_equal_networks_are_said_to_differ_as_often_as_the_level_says(data: Collected) -> None:
    five, tenth = unpaired_same(data, 3, (0.05, 0.001))
    assert 0.01 < five.value < 0.09
    assert tenth.value < 0.01


def test_the_null_experiment_keeps_its_error_and_what_is_there_is_found(data: Collected) -> None:
    family = Family(data, data.index(Variant("dense", 0.0)), tuple(data.of("drawn", whole=True))[1:])
    found = decided(family, 3, draws=150)
    assert found.false_runs.value <= 0.06
    assert found.large == 2
    assert found.found == 1.0
    assert found.wrong.value <= 0.06
    assert found.found_by_t < found.found


def test_errors_that_are_too_small_are_seen_in_the_null_experiment(data: Collected) -> None:
    wrong = {name: each / 25 for name, each in data.paired.items()}
    daring = Collected(**{**data.__dict__, "paired": wrong, "varies": tuple(frozenset() for _ in data.varies)})
    family = Family(daring, 0, tuple(daring.of("drawn"))[1:])
    assert decided(family, 3, draws=100).false_runs.low > 0.5


def test_an_interval_covers_and_is_narrower_than_that_of_three_seeds(data: Collected) -> None:
    family = Family(data, data.of("fixed")[0], tuple(data.of("fixed"))[1:])
    for width in widths(family, 3):
        # The root mean square of the quantile times s: 4.30 against 1.96.
        assert 0.7 < width.by_t / width.own / (4.303 / 1.960) < 1.3
        assert width.own == pytest.approx(1.96 * np.sqrt(2 * OWN**2 / 3), rel=1e-3)
        assert width.covered.value > 0.85


def test_all_tables_are_written(data: Collected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rate = Rate(0.9, 0.8, 1.0)
    monkeypatch.setattr(document, "read_collected", lambda folder: [data])
    monkeypatch.setattr(document, "limits", lambda data, sums: [Limit(i, 1.0, 2, 3.0, rate) for i in data.of("fixed")])
    monkeypatch.setattr(runs, "DRAWS", 20)
    text = document.document(tmp_path)
    assert text.count("### ") == 5
    assert "90.00 % (80.00 to 100.00)" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("| mnist") and "@" in line}) > 1


def test_twins_of_what_is_drawn_are_not_told_apart(data: Collected) -> None:
    family = Family(data, 0, tuple(data.of("drawn"))[1:])
    variant = Variant("random-channel-uniform", 0.3, "twin")
    five, tenth = twins(
        family, data.index(variant), data.index(Variant("random-channel-uniform", 0.3)), 3, (0.05, 0.001)
    )
    assert five.value <= 0.12
    assert tenth.value <= 0.02


def test_tables_go_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_between(page, "new")
    write_between(page, "newer")
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\nnewer\n\n{END}\nafter\n"
    page.write_text("nothing", encoding="utf-8")
    with pytest.raises(UserError, match="expected the lines"):
        write_between(page, "new")

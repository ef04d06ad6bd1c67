"""Other tasks than the first: whichever way is better, tables, claims and figures go that way."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from bench.report.claims import against_dense, against_reference
from rich.console import Console

from bench.base.errors import UserError
from bench.cli import terminal
from bench.records import Record
from bench.report.drawings import figures_of
from bench.report.figures.cost import Point, front
from bench.report.glance import best_means, best_words, verdicts
from bench.report.inputs import ReportInputs
from bench.report.markdown import inline
from bench.report.model import build_model
from bench.report.pictures import figure_of
from bench.report.rankings import rankings
from bench.tables import run_tables, summary_columns, tidy
from bench.tables.claims import against_dense, against_reference
from bench.tables.hypervolume import COSTS, hypervolume_table
from bench.tables.isoquality import Level, Margin, iso_points, iso_quality, lowest_cost
from bench.tables.latency import latency_table
from bench.tables.write import files_of
from bench.tasks import TASKS
from bench.tasks.generation import GENERATION
from bench.tasks.generation.quantities import FID
from tests.report.second_task import METRIC, PSNR, RESTORATION, mixed_run, restored
from tests.report.synthetic import make_latency, make_record

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def second_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, RESTORATION.name, RESTORATION)


def run(differences: Sequence[float]) -> list[Record]:
    """Dense and the reference around 30 dB; a strategy at these differences from them."""
    found = []
    for seed, difference in enumerate(differences):
        base = 30.0 + (0.0, 1.0, 0.5)[seed]
        found += [
            restored(make_record(strategy="dense", sparsity=0.0, seed=seed), base),
            restored(make_record(strategy="l1-weight-global", seed=seed), base),
            restored(make_record(strategy="l1-channel-global", seed=seed), base + difference),
        ]
    return found


@pytest.mark.parametrize(
    ("differences", "verdict", "better"),
    [
        ([1.0, 1.1, 0.9], "higher", True),
        ([-1.0, -1.1, -0.9], "lower", False),
        ([1.0, -1.0, 0.3], "not separable", None),
        ([1e-15, 0.0, 2e-15], "identical", None),
    ],
)
def test_more_decibels_are_better(differences: list[float], verdict: str, better: bool | None):
    (claim,) = against_reference(tidy(run(differences)), "l1-weight-global")
    assert (claim.verdict, claim.better) == (verdict, better)
    ((_, (mark,)),) = verdicts([claim])[0].rows
    assert mark is not None
    assert mark.kind == {True: "better", False: "worse", None: verdict.replace(" ", "-")}[better]
    if better is not None:
        assert mark.words == f"{verdict} PSNR"


@pytest.mark.parametrize(("loss", "held"), [(0.02, True), (-2.0, True), (0.2, False)])
def test_dense_is_held_within_the_margin_of_the_quantity(loss: float, held: bool):
    differences = [-loss, -loss - 0.01, -loss + 0.01]
    claims = {claim.strategy: claim.verdict for claim in against_dense(tidy(run(differences)))}
    assert claims["l1-channel-global"] == ("holds" if held else "worse")


def test_values_that_differ_by_one_rounding_make_no_claim():
    records = []
    for seed, (fid, other) in enumerate(((0.01, 0.010000000000000002), (0.3, 0.1 + 0.2), (0.7, 0.7))):
        records += [make_record(seed=seed, fid=fid), make_record(strategy="l1-channel-global", seed=seed, fid=other)]
    (claim,) = against_reference(tidy(records), "l1-weight-global")
    assert claim.verdict == "identical"


def test_the_crossing_of_two_values_that_differ_by_one_rounding_is_the_one_that_holds():
    levels = [Level(0.0, 0.01, 1.0), Level(0.5, 0.010000000000000002, 0.5)]
    assert lowest_cost(levels, 0.01, FID).share == 1.0
    assert lowest_cost(levels[::-1], 0.01, FID).share == 1.0


def test_at_equal_quality_less_is_worse():
    levels = [Level(0.0, 30.0, 1.0), Level(0.5, 29.5, 0.5), Level(0.9, 27.5, 0.1)]
    crossing = lowest_cost(levels, PSNR.limit(30.0, 1.0), PSNR)
    assert crossing.share == pytest.approx(0.4) and crossing.reached and not crossing.bound
    assert not lowest_cost(levels, 29.9, PSNR).reached
    assert lowest_cost([*levels[:2], Level(0.9, math.nan, 0.1)], 29.0, PSNR).bound


@pytest.mark.parametrize(
    ("quantity", "margin", "limit", "label"),
    [(PSNR, 1.0, 29.0, "−1"), (FID, 0.1, 33.0, "+10 %"), (TASKS["generation"].quantity("is"), 0.5, 20.0, "/ 1.5")],
)
def test_limits_are_on_the_worse_side(quantity: object, margin: float, limit: float, label: str):
    assert quantity.limit(30.0, margin) == pytest.approx(limit)  # type: ignore[attr-defined]
    assert quantity.allowed(margin) == label  # type: ignore[attr-defined]


def test_the_table_at_equal_quality_has_the_bounds_of_the_quantity():
    frame = tidy(run([-0.2, -0.3, -0.25]))
    table = iso_quality(frame, iso_points(frame, latency_table([])))
    assert set(table["margin"]) == {"−0.5", "−1"} and set(table["metric"]) == {METRIC}
    channel = table[(table["strategy"] == "l1-channel-global") & (table["cost"] == "params")]
    assert set(channel["status"]) == {"at least"}
    tight = iso_quality(frame, iso_points(frame, latency_table([]), [Margin(0.1, relative=False)]))
    assert set(tight.loc[tight["strategy"] == "l1-channel-global", "status"]) == {"not reached"}


def test_half_of_the_tolerated_loss_counts_half_and_a_gain_counts_more():
    dense = restored(make_record(strategy="dense", sparsity=0.0), 30.0)
    macs = float(dense.numbers["macs_dense"].value or 0)
    found = []
    for strategy, psnr in (
        ("same-channel", 30.0),
        ("half-channel", 27.5),
        ("worse-channel", 24.0),
        ("gain-channel", 35.0),
    ):
        pruned = restored(make_record(strategy=strategy), psnr)
        cheaper = {name: pruned.numbers[name].model_copy(update={"value": macs / 10}) for name in COSTS}
        found.append(pruned.model_copy(update={"numbers": pruned.numbers | cheaper}))
    table = hypervolume_table(tidy([dense, *found]))
    means = table[table["cost"] == "macs_dense"].set_index("strategy")["mean"].to_dict()
    assert means == pytest.approx({"same-channel": 1.0, "half-channel": 0.5, "worse-channel": 0.0, "gain-channel": 2.0})


def test_the_most_decibels_rank_first_and_a_front_goes_up():
    records = []
    for workload in ("mnist-dcgan", "mnist-mlp"):
        for strategy, psnr in (("a-channel", 20.0), ("b-channel", 30.0), ("c-channel", 25.0)):
            records.append(restored(make_record(workload, strategy), psnr))
    (ranking,) = rankings(tidy(records))
    assert {name: ranking.mean(name, 0) for name in ranking.ranks} == {"a-channel": 3, "b-channel": 1, "c-channel": 2}
    assert ranking.first == "highest"
    points = [Point("a", 1.0, 20.0), Point("b", 2.0, 30.0), Point("c", 3.0, 25.0)]
    assert [point.strategy for point in front(points, PSNR.sign)] == ["a", "b"]
    (best,) = best_means(run_tables(records[:3]).summary)
    assert "`b-channel`" in inline(best.lines[0]) and best_words([PSNR]) == "Highest mean PSNR"
    assert best_words([PSNR, FID]) == "Best mean PSNR or FID"


def test_the_columns_are_those_of_the_tasks_in_a_run():
    numbers = run_tables(mixed_run())
    assert list(numbers.summary.columns) == summary_columns([GENERATION, RESTORATION])
    rows = {row["workload"]: row for row in numbers.summary.to_dict("records")}
    assert rows["mnist-mlp"]["psnr_metric"] == METRIC and rows["mnist-mlp"]["fid_metric"] == ""
    assert rows["mnist-dcgan"]["psnr_metric"] == "" and math.isnan(rows["mnist-dcgan"]["psnr_mean"])
    tables = files_of(numbers)
    assert "task" in tables["summary"] and "metric" in tables["hypervolume"]
    only = files_of(run_tables([make_record(), make_record(strategy="dense", sparsity=0.0)]))
    assert not any("task" in table for table in only.values()) and "fid_metric" in only["hypervolume"]


def test_a_task_that_nobody_knows_is_a_message():
    with pytest.raises(UserError, match="no task 'text'"):
        run_tables([make_record().model_copy(update={"task": "text"})])


def test_figures_of_two_tasks_have_their_own_scales():
    records = mixed_run()
    numbers = run_tables(records, make_latency(records))
    drawings = {each.name: each for each in figures_of(numbers, records, numbers.latency.iloc[:0].assign(backend=""))}
    assert {"quality-fid", "quality-is", "quality-psnr", "quality-ssim"} <= set(drawings)
    quality, pareto = figure_of(drawings["quality-psnr"]), figure_of(drawings["pareto-macs"])
    assert quality is not None and pareto is not None
    assert {axes.get_title(loc="left").split(",")[0] for axes in quality.axes if axes.get_visible()} == {"mnist-mlp"}
    labels = {axes.get_title(loc="left"): axes.get_ylabel() for axes in pareto.axes}
    assert labels == {
        "mnist-dcgan": "FID[mnist-lenet],\nlower is better",
        "mnist-mlp": "PSNR[set5],\nhigher is better",
    }
    assert "5 dB less than the dense PSNR" in drawings["hypervolume"].caption


def test_a_report_of_two_tasks_says_what_is_better_of_each():
    model = build_model(ReportInputs({"name": "two"}, "main", mixed_run()))
    heads = [inline(part.head) for part in model.answer]
    assert "log FID or PSNR" in heads[0]
    assert re.search(r"comparisons of FID \d+ show a lower FID.*comparisons of PSNR \d+ show a lower PSNR", heads[1])
    held = " ".join(inline(line) for line in model.answer[0].items)
    assert "as good as dense within 5%" in held and "as good as dense within 0.1 dB" in held
    assert {"fid[...]", "is[...]", "psnr[...]", "ssim[...]"} <= set(model.columns)
    names = {table.name for table in model.paper}
    assert {"equal-params-mnist-lenet", "equal-params-set5", "iso-quality-set5"} <= names
    (iso,) = (table for table in model.paper if table.name == "iso-quality-set5")
    assert iso.columns[0].header == "PSNR below dense" and "PSNR ≥ dense − margin" in iso.caption[0]
    (equal,) = (table for table in model.paper if table.name == "equal-params-set5")
    assert "shown to be higher than l1-weight-global" in " ".join(equal.caption)


def test_the_terminal_has_a_table_for_each_way_of_judging(monkeypatch: pytest.MonkeyPatch):
    console = Console(file=io.StringIO(), width=160)
    monkeypatch.setattr(terminal, "console", console)
    tables = terminal._summary_tables(run_tables(mixed_run()).summary)
    assert [[str(column.header) for column in table.columns][4:6] for table in tables] == [
        ["FID", "to dense"],
        ["PSNR", "to dense"],
    ]


NAMES = re.compile(
    r"\b(fid|kid|frechet|fréchet|psnr|ssim|lpips|inception|prc|precision|recall|coverage)", re.IGNORECASE
)


def test_no_metric_has_a_name_outside_of_its_task():
    places = [ROOT / "bench" / "cli" / "terminal.py"]
    for folder in ("report", "tables", "statistics"):
        places += [
            path for path in (ROOT / "bench" / folder).rglob("*") if path.suffix in (".py", ".j2", ".css", ".js")
        ]
    assert len(places) > 50
    named = [f"{path.name}: {line}" for path in places for line in path.read_text().splitlines() if NAMES.search(line)]
    assert named == []

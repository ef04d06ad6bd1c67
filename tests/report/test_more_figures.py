"""The figures behind the headline ones; and for every figure of a report: the same bytes twice, nothing cut off.

As a program, it draws every figure into a folder: the second drawing of the byte-for-byte test, in another process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field

from bench.records import Record
from bench.report.figures.achieved import achieved_figure
from bench.report.figures.curves import curves_figure
from bench.report.figures.grid import sample_grid
from bench.report.figures.hypervolume import hypervolume_figure
from bench.report.figures.layers import layers_figure
from bench.report.figures.ranking import ranking_figure
from bench.report.layer_shares import layer_blocks
from bench.report.learning import CURVE_COLUMNS, QUALITY, curves_frame
from bench.report.rankings import agreements, rankings
from bench.report.style import COLUMN, PAGE, save
from bench.tables import tidy
from bench.tables.hypervolume import hypervolume_table
from strategies.cut import LayerCut
from tests.report.drawn import Drawn, behind, headline
from tests.report.synthetic import STRATEGIES, make_latency, make_record, make_records
from tests.report.test_figures import is_cut_off

HEADLINE = {"quality-fid", "quality-is", "pareto-macs", "pareto-latency", "speedup"}
MORE = {"hypervolume", "ranking", "achieved", "layers", "curves-mnist-dcgan", "curves-mnist-mlp"}
EVERY = sorted(HEADLINE | MORE | {"samples"})
ROOT = Path(__file__).parents[2]


class Trained(Record):
    """A record with a learning curve."""

    curve: list[dict[str, float]] = Field(default_factory=list)


def with_layers(record: Record, count: int = 4) -> Record:
    """The record with ``count`` layers, the sparser the deeper."""
    if record.achieved_params is None:
        return record
    sparsity = record.achieved_params
    weights = [100_000 // 2**index for index in range(count)]
    kept = [round(w * (1 - sparsity ** (1 + 0.2 * index))) for index, w in enumerate(weights)]
    layers = [
        LayerCut(name=f"net.{3 * i}", kind="Conv2d", weights=w, kept=k, width=(8, 8), kept_width=(8, 8))
        for i, (w, k) in enumerate(zip(weights, kept, strict=True))
    ]
    return record.model_copy(update={"layers": layers})


def with_curve(record: Record) -> Trained:
    """The record with a FID that falls to its own."""
    value = next((number.value for name, number in record.numbers.items() if name.startswith("fid[")), None)
    start = 1 + zlib.crc32(record.cell.strategy.encode()) % 5
    steps = range(0, 201, 50) if value else ()
    curve = [{"step": s, "fid": (value or 1) * (1 + start * 0.9**s), "loss_g": 1.0, "loss_d": 0.5} for s in steps]
    return Trained(**record.model_dump(exclude={"curve"}), curve=curve)


def small_run(*, curves: bool = True) -> list[Record]:
    """Two workloads, four strategies and dense, two levels, two seeds."""
    names = ("dense", "l1-weight-global", "random-channel-uniform", "l1-channel-uniform", "rownorm-channel+everystep")
    records = [
        with_layers(record)
        for record in make_records()
        if record.cell.strategy in names and record.cell.seed < 2 and record.cell.level["sparsity"] in (0, 0.3, 0.9)
    ]
    return [with_curve(record) for record in records] if curves else records


def more_of(records: Sequence[Record]) -> dict[str, Drawn]:
    return {figure.name: figure for figure in behind(records)}


def every_figure() -> dict[str, Figure]:
    """All that a report draws of a run."""
    records = small_run()
    first = headline(records, make_latency(records))
    images = np.random.default_rng(0).integers(0, 256, (8, 1, 28, 28), dtype=np.uint8)
    samples = {("w", name, level): images for name in ("dense", "a-channel") for level in ("0.3", "0.7")}
    grid = sample_grid(samples, {}, "w")
    assert grid is not None
    return {drawn.name: drawn.figure for drawn in [*first, *more_of(records).values()]} | {"samples": grid}


@dataclass(frozen=True)
class Twice:
    """Every figure, and the folders that it was drawn into."""

    first: Path
    second: Path
    figures: dict[str, Figure] = field(default_factory=dict)


@pytest.fixture(scope="module")
def drawn_twice(tmp_path_factory: pytest.TempPathFactory) -> Twice:
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    # Another process and another hash seed: no order of a set may reach a file.
    command = [sys.executable, "-m", "tests.report.test_more_figures", str(second)]
    environment = os.environ | {"PYTHONHASHSEED": "4321"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        figures = every_figure()
        for name, figure in figures.items():
            save(figure, first, name)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return Twice(first, second, figures)


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
@pytest.mark.parametrize("name", EVERY)
def test_every_figure_drawn_twice_is_the_same_bytes(drawn_twice: Twice, name: str, kind: str):
    first = (drawn_twice.first / f"{name}.{kind}").read_bytes()
    assert first == (drawn_twice.second / f"{name}.{kind}").read_bytes()


@pytest.mark.parametrize("name", EVERY)
def test_nothing_of_any_figure_is_cut_off(drawn_twice: Twice, name: str):
    assert not is_cut_off(drawn_twice.figures[name])


@pytest.mark.parametrize("name", sorted(set(EVERY) - {"samples"}))
def test_figures_are_as_wide_as_a_column_or_a_page(drawn_twice: Twice, name: str):
    assert drawn_twice.figures[name].get_size_inches()[0] in (COLUMN, PAGE)


def test_a_run_has_exactly_these_figures(drawn_twice: Twice):
    assert sorted(drawn_twice.figures) == EVERY


def test_captions_say_seeds_what_varied_and_how_many_images():
    drawn = more_of(small_run())
    for name in ("hypervolume", "ranking", "achieved", "curves-mnist-mlp"):
        assert "2 seeds" in drawn[name].caption and "the evaluation inputs" in drawn[name].caption
    assert "N = 1000" in drawn["hypervolume"].caption and "10 times" in drawn["hypervolume"].caption
    assert "rho" in drawn["ranking"].caption and "tau" in drawn["ranking"].caption


def test_no_cells_give_no_figures():
    assert more_of([]) == {}
    assert more_of([make_record(status="infeasible", empty=True)]) == {}


def test_what_a_recovery_does_not_change_is_drawn_once():
    names = set(more_of([with_layers(r) for r in [*make_records("none"), *make_records("bn-recalibrate")]]))
    assert {"hypervolume-none", "hypervolume-bn-recalibrate"} <= names
    assert len([name for name in names if name.startswith("layers")]) == 1
    assert len([name for name in names if name.startswith("achieved")]) == 1


@pytest.mark.parametrize("count", [1, 12])
def test_one_or_twelve_strategies_fit(count: int):
    names = ["l1-weight-global", *(f"mine{index}-channel-global" for index in range(count - 1))]
    records = [
        with_curve(with_layers(make_record(workload, name, level, seed, fid=5.0 + index * (seed + 1)), 8))
        for workload in ("mnist-dcgan", "mnist-mlp")
        for index, name in enumerate(["dense", *names])
        for level in ((0.0,) if name == "dense" else (0.3, 0.5, 0.7, 0.9))
        for seed in (0, 1)
    ]
    drawn = more_of(records)
    assert [name for name, figure in drawn.items() if is_cut_off(figure.figure)] == []
    assert ("ranking" in drawn) == (count > 2)


def test_long_and_hostile_names_and_own_knobs_fit():
    records = [
        with_curve(with_layers(make_record("a-workload-with-quite-a-long-name", name, 0.4, level=level)))
        for name in ("a-very-long-name-of-a-criterion-channel-global+cubic", "$\\frac{-weight-<b>|")
        for level in ({"threshold": 0.2}, {"sparsity": 0.4})
    ]
    records.append(with_curve(make_record("a-workload-with-quite-a-long-name", "dense", 0.0)))
    drawn = more_of(records)
    assert {"achieved", "layers", "hypervolume"} <= set(drawn)
    assert [name for name, figure in drawn.items() if is_cut_off(figure.figure)] == []


def test_achieved_leaves_out_what_requested_nothing():
    assert achieved_figure(tidy([make_record(strategy="x-channel", level={"threshold": 0.2})])) is None


def test_points_that_coincide_keep_their_distance_to_the_diagonal():
    names = ("l1-weight-global", "l1-weight-uniform")
    figure = achieved_figure(tidy([make_record(strategy=name, sparsity=s) for name in names for s in (0.3, 0.6)]))
    assert figure is not None
    figure.draw_without_rendering()
    axes = figure.axes[0]
    for strategy, line in zip(names, axes.lines[1::2], strict=True):
        data = np.column_stack([line.get_xdata(), line.get_ydata()])
        place = axes.transData.inverted().transform(line.get_transform().transform(data))
        assert np.allclose(place[:, 1] - place[:, 0], data[:, 1] - data[:, 0]), strategy
        assert not np.allclose(place, data)


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_the_heatmap_averages_seeds_and_separates_masks_from_removed_channels():
    def record(strategy: str, seed: int, kept: tuple[int, int]) -> Record:
        layers = [
            LayerCut(name=n, kind="Linear", weights=w, kept=k, width=(8, 8), kept_width=(8, 8))
            for n, w, k in zip(("a", "b"), (300, 100), kept, strict=True)
        ]
        return make_record(strategy=strategy, seed=seed).model_copy(update={"layers": layers})

    masked = [record("l1-weight-global", 0, (150, 1)), record("l1-weight-global", 1, (90, 1))]
    figure = layers_figure(layer_blocks([record("l1-channel-global", 0, (300, 0)), *masked]))
    assert figure is not None
    axes = figure.axes[0]
    assert texts(axes) == ["60", "99", "0", "100"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["l1-weight-global", "l1-channel-global"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a  75 %", "b  25 %"]
    bars = [axes.get_title(loc="left") for axes in figure.axes[1:]]
    assert bars == ["masked (zeros stay stored)", "physically removed"]


def test_a_strategy_without_a_network_at_a_level_is_a_dash():
    records = [
        with_layers(make_record(strategy="l1-weight-global", sparsity=0.3), 1),
        with_layers(make_record(strategy="l1-weight-global", sparsity=0.9), 1),
        with_layers(make_record(strategy="l1-weight-uniform", sparsity=0.3), 1),
    ]
    figure = layers_figure(layer_blocks(records))
    assert figure is not None
    assert texts(figure.axes[1])[1] == "–"
    assert layers_figure(layer_blocks([make_record()])) is None


def ranked(values: dict[str, tuple[float | None, float | None]]) -> pd.DataFrame:
    """One seed, two workloads; None: collapsed."""
    return tidy(
        [
            make_record(workload, name, 0.5, fid=fid or 1.0, status="ok" if fid else "collapsed")
            for name, pair in values.items()
            for workload, fid in zip(("mnist-dcgan", "mnist-mlp"), pair, strict=True)
        ]
    )


def test_ranks_and_their_agreement_are_known():
    (ranking,) = rankings(ranked({"a-channel": (1, 20), "b-channel": (2, 10), "c-channel": (3, 30)}))
    assert ranking.ranks == {"a-channel": [[1], [2]], "b-channel": [[2], [1]], "c-channel": [[3], [3]]}
    (agreement,) = agreements(ranking)
    assert (agreement.spearman, agreement.kendall) == (pytest.approx(0.5), pytest.approx(1 / 3))
    assert agreement.count == 3


def test_collapsed_seeds_rank_last_and_tie():
    (ranking,) = rankings(ranked({"a-channel": (None, 1), "b-channel": (None, 2), "c-channel": (900, 3)}))
    assert [ranks[0] for ranks in ranking.ranks.values()] == [[2.5], [2.5], [1]]


def test_only_strategies_of_equal_level_on_every_workload_are_ranked():
    frame = ranked(dict.fromkeys(("a-channel", "b-channel", "c-channel"), (1, 2)))
    assert len(rankings(frame)) == 1
    off = frame.assign(achieved_params=frame["achieved_params"].where(frame["strategy"] != "a-channel", 0.6))
    assert rankings(off) == []
    assert rankings(frame[frame["workload"] == "mnist-mlp"]) == []
    assert ranking_figure([]) is None


def test_the_hypervolume_figure_shows_one_dot_a_strategy():
    table = hypervolume_table(tidy(make_records()))
    figure = hypervolume_figure(table)
    assert figure is not None
    dots = [axes.containers for axes in figure.axes]
    assert [len(found) for found in dots] == [len(STRATEGIES), len(STRATEGIES) - 1]  # one does not apply
    assert hypervolume_figure(table.iloc[:0]) is None


def test_curves_come_from_the_records_and_records_without_one_are_fine():
    frame = curves_frame([with_curve(make_record(fid=10.0)), make_record(seed=1)])
    assert list(frame.columns) == CURVE_COLUMNS
    assert set(frame["metric"]) == {QUALITY, "loss_g", "loss_d"} and set(frame["seed"]) == {0}
    assert list(curves_frame([]).columns) == CURVE_COLUMNS
    assert curves_figure(curves_frame([]), QUALITY, "") is None


def test_how_well_d_tells_apart_is_half_of_the_real_and_half_of_the_generated_images():
    record = make_record(fid=10.0)
    point = {"step": 1, "fid": 2.0, "loss_g": 0.7, "loss_d": 1.3}
    curve = [point, point | {"step": 2, "accuracy_real": 0.8, "accuracy_fake": 0.6}]
    frame = curves_frame([record.model_copy(update={"curve": curve})])
    told = frame[frame["metric"] == "discriminator_accuracy"]
    assert told["step"].tolist() == [2] and told["value"].tolist() == [pytest.approx(0.7)]
    figure = curves_figure(frame, "discriminator_accuracy", "accuracy of D", (0.4, 1.02))
    assert figure is not None
    assert figure.axes[0].get_ylim() == (0.4, 1.02) and figure.axes[0].get_yscale() == "linear"


def test_curves_have_at_most_eight_lines_a_panel_and_dense_in_each():
    names = ["dense", *(f"mine{index}-weight-global" for index in range(10))]
    frame = curves_frame([with_curve(make_record(strategy=name, seed=0)) for name in names])
    figure = curves_figure(frame, QUALITY, "FID")
    assert figure is not None
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [len(axes.lines) for axes in panels] == [6, 6]
    assert all(axes.get_yscale() == "log" for axes in panels)


def test_large_samples_and_many_strategies_stay_on_a_page():
    images = np.zeros((8, 1, 28, 28), np.uint8)
    many = {("w", f"x{index}-channel", level): images for index in range(14) for level in ("0.3", "0.5", "0.7", "0.9")}
    large = {("w", name, "0.5"): np.zeros((8, 3, 256, 256), np.uint8) for name in ("dense", "x-channel")}
    for samples in (many, large):
        figure = sample_grid(samples, {}, "w")
        assert figure is not None
        width, height = figure.get_size_inches()
        assert width <= PAGE + 0.01 and height <= 9.5


if __name__ == "__main__":
    for file_name, drawing in every_figure().items():
        save(drawing, Path(sys.argv[1]), file_name)

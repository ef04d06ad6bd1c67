"""Figures: drawn twice they are the same bytes, and nothing is cut off."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from bench.records import Record
from bench.report.figures.cost import Point, _covers, front
from bench.report.figures.grid import sample_grid
from bench.report.figures.labels import spread
from bench.report.style import PAGE, look_of, paper_style, save
from tests.report.drawn import Drawn, headline
from tests.report.synthetic import FID, STRATEGIES, make_latency, make_record, make_records

NAMES = {"quality-fid", "quality-is", "pareto-macs", "pareto-latency", "speedup"}


def figures_of(records: list[Record], *, timed: bool = True) -> list[Drawn]:
    return headline(records, make_latency(records) if timed else [])


def is_cut_off(figure: Figure) -> bool:
    """Whether anything drawn reaches over the figure's edge."""
    with paper_style():
        figure.draw_without_rendering()
        box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    return bool(min(box.x0, box.y0) < -0.01 or box.x1 > width + 0.01 or box.y1 > height + 0.01)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return make_records()


def test_a_run_has_its_five_figures_and_nothing_is_cut_off(records: list[Record]):
    drawn = figures_of(records)
    assert {figure.name for figure in drawn} == NAMES
    for figure in drawn:
        assert not is_cut_off(figure.figure)
        assert figure.figure.get_size_inches()[0] == PAGE


def test_a_figure_drawn_twice_is_the_same_bytes(records: list[Record], tmp_path: Path):
    for folder in ("a", "b"):
        save(figures_of(records)[0].figure, tmp_path / folder, "figure")
    for kind in ("pdf", "svg", "png"):
        assert (tmp_path / "a" / f"figure.{kind}").read_bytes() == (tmp_path / "b" / f"figure.{kind}").read_bytes()


def test_text_stays_text(records: list[Record], tmp_path: Path):
    pdf, svg, _ = save(figures_of(records)[0].figure, tmp_path, "figure")
    assert "l1-weight-global</text>" in svg.read_text()
    assert b"/Type3" not in pdf.read_bytes()


def test_each_recovery_has_its_own_figures():
    names = {drawn.name for drawn in figures_of(make_records("none") + make_records("bn-recalibrate"), timed=False)}
    assert {"quality-fid-none", "quality-fid-bn-recalibrate"} <= names


def test_no_cells_give_no_figures():
    assert figures_of([]) == []
    assert figures_of([make_record(status="infeasible", empty=True)]) == []


@pytest.mark.parametrize("name", ["quality-fid", "quality-is"])
def test_no_tick_gives_a_value_to_what_collapsed(name: str):
    """It stands at the bad edge, where FID would be 10,000 and IS negative."""
    found = [make_record(strategy="dense", sparsity=0.0, seed=seed, fid=2.0, inception=8.0) for seed in range(3)]
    for seed in range(3):
        found.append(make_record(sparsity=0.5, seed=seed, fid=90.0, inception=1.5))
        found += [
            make_record(strategy=other, sparsity=0.9, seed=seed, status="collapsed", fid=None, inception=None)
            for other in ("l1-weight-global", "l1-weight-uniform", "random-weight-global")
        ]
    figure = next(drawn.figure for drawn in figures_of(found, timed=False) if drawn.name == name)
    best, worst = (2.0, 90.0) if name == "quality-fid" else (1.5, 8.0)
    axes = next(axes for axes in figure.axes if axes.get_title(loc="left"))
    ticks = [*axes.get_yticks(), *axes.get_yticks(minor=True)]
    assert len(ticks) > 1 and 0.5 * best < min(ticks) and max(ticks) < 1.7 * worst
    low, high = axes.get_ylim()
    assert high > 150 if name == "quality-fid" else low < 0.5  # room for the marks there is


def test_a_run_where_everything_collapsed_still_shows_where():
    drawn = figures_of([make_record(status="collapsed", fid=None, seed=seed) for seed in range(3)])
    assert "quality-fid" in {figure.name for figure in drawn}


@pytest.mark.parametrize("count", [1, 9, 12])
def test_many_or_few_strategies_fit(count: int):
    strategies = ["l1-weight-global", *(f"mine{index}-weight-global" for index in range(count - 1))]
    records = [
        make_record(strategy=name, sparsity=s, fid=5 + i) for i, name in enumerate(strategies) for s in (0.3, 0.6)
    ]
    (quality,) = [drawn.figure for drawn in figures_of(records, timed=False) if drawn.name == "quality-fid"]
    assert not is_cut_off(quality)
    assert max(len(axes.get_legend_handles_labels()[0]) for axes in quality.axes) <= 8


def test_long_and_hostile_names_fit_too():
    names = ["a-very-long-name-of-a-criterion-channel-global+cubic", "$\\frac{-weight-<b>|"]
    records = [make_record(strategy=name, sparsity=s) for name in names for s in (0.3, 0.6)]
    assert all(not is_cut_off(drawn.figure) for drawn in figures_of(records, timed=False))


def test_the_look_of_a_strategy_does_not_depend_on_the_others():
    looks = {name: look_of(name) for name in STRATEGIES}
    assert len({(look.colour, look.marker) for look in looks.values()}) == len(STRATEGIES)
    assert looks["l1-weight-global"].line == "-" and looks["l1-channel-global"].line == "--"
    assert look_of("l1-nm-2-4").line == ":"
    assert look_of("taylor-channel-global") == look_of("taylor-channel-global")


def test_the_front_keeps_what_nothing_beats():
    points = [Point("a", 1, 9), Point("b", 2, 5), Point("c", 3, 6), Point("d", 4, 1), Point("e", 2, 7)]
    assert [point.strategy for point in front(points)] == ["a", "b", "d"]


@pytest.mark.parametrize("positions", [[0.5, 0.5, 0.5], [0.0, 0.0, 1.0], [0.98, 0.99, 1.0, 0.97], [0.1]])
def test_labels_are_pushed_apart_and_stay_inside(positions: list[float]):
    placed = spread(positions, 0.1)
    ordered = sorted(placed)
    assert all(high - low > 0.1 - 1e-9 for low, high in itertools.pairwise(ordered))
    assert ordered[0] > -1e-9
    assert ordered[-1] < 1 + 1e-9


def test_samples_keep_their_pixels(tmp_path: Path):
    images = np.random.default_rng(0).integers(0, 256, (4, 1, 28, 28), dtype=np.uint8)
    samples = {("w", name, level): images for name in ("dense", "l1-weight-global") for level in ("0", "1", "2")}
    figure = sample_grid(samples, {}, "w")
    assert figure is not None
    (_, _, png) = save(figure, tmp_path, "samples")
    picture = np.round(imread(png)[:, :, 0] * 255)
    zoom = round(picture.shape[1] / 4 // (4 * 28))
    lines = {tuple(line) for line in picture}
    wanted = np.repeat(np.concatenate(images[:, 0], axis=1)[5], zoom)
    assert picture.shape[1] <= PAGE * 300
    assert any(tuple(line[21 : 21 + wanted.size]) == tuple(wanted) for line in lines)


def test_samples_of_different_shapes_are_refused():
    samples = {
        ("w", "dense", "0"): np.zeros((4, 1, 8, 8), np.uint8),
        ("w", "x", "1"): np.zeros((4, 3, 8, 8), np.uint8),
    }
    with pytest.raises(ValueError, match="one shape"):
        sample_grid(samples, {}, "w")


def test_colour_samples_and_own_knobs_are_drawn():
    images = np.zeros((2, 3, 16, 16), np.uint8)
    samples = {("w", "x-channel", f"threshold-{value}"): images for value in (0.2, 0.1)}
    figure = sample_grid(samples, {key: f"{key[2]}, FID 123.4 and a lot of further text" for key in samples}, "w")
    assert figure is not None
    assert not is_cut_off(figure)
    assert sample_grid(samples, {}, "other") is None


def test_the_metric_is_named_in_the_caption(records: list[Record]):
    assert any(FID in drawn.caption and "N = 1000" in drawn.caption for drawn in figures_of(records))


@pytest.mark.parametrize(
    ("other", "covers"),
    [
        ({}, True),
        ({"speedup_theoretical": 2.0001}, True),  # means over seeds that differ in the last digits
        ({"speedup_b1": 1.6}, False),
        ({"physical": False, "macs_effective": 1.0}, False),  # masks have hollow marks that hide nothing
    ],
)
def test_a_point_that_another_strategy_covers_is_known(other: dict[str, object], covers: bool) -> None:
    row = {
        "strategy": "random-channel-uniform", "speedup_theoretical": 2.0, "speedup_b1": 1.5, "physical": True,
        "macs_effective": 2.0, "macs_dense": 2.0,
    }  # fmt: skip
    assert _covers(row | {"strategy": "l1-channel-uniform"} | other, row, "speedup_b1") is covers

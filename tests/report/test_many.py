"""Figures and looks of a run with 40 strategies."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from bench.records import Record
from bench.report.drawings import MOST_STRATEGIES, pages, sample_pages
from bench.report.figures.cost import macs_figure, speedup_figure
from bench.report.figures.grid import sample_grid
from bench.report.figures.ranking import ranking_figure
from bench.report.rankings import rankings
from bench.report.style import PAGE, look_of
from bench.tables import aggregate, latency_table, summarise, tidy
from bench.tables.lead import leads_of
from tests.report.synthetic import MANY, STRATEGIES, make_latency, make_records

TALLEST = 10.5
"""Inches of a page."""


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return make_records("bn-recalibrate", MANY)


@pytest.fixture(scope="module")
def summary(records: list[Record]) -> pd.DataFrame:
    frame = tidy(records)
    return summarise(frame, aggregate(frame), latency_table(make_latency(records)))


def test_forty_strategies_have_forty_looks_even_without_lines():
    looks = Counter((look_of(name).colour.upper(), look_of(name).marker) for name in MANY)
    assert len(MANY) == 40 and set(looks.values()) == {1}
    assert look_of("l1-weight-global+cubic").line == "-" and look_of("taylor-channel-global+soft").line == "--"


def test_a_pareto_front_names_few_and_counts_the_others(summary: pd.DataFrame):
    figure = macs_figure(summary, leads_of(summary))
    assert figure is not None
    (legend,) = figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert len(words) <= 20
    (others,) = [text for text in words if text.endswith("others, dominated everywhere")]
    named = [text for text in words if text in MANY]
    assert named and len(named) + int(others.split()[0]) == len(MANY)


def test_many_speed_ups_are_told_apart_by_masks_alone(summary: pd.DataFrame):
    figure = speedup_figure(summary)
    assert figure is not None
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["16 strategies that remove physically", "24 masked"]


def test_a_ranking_of_many_is_a_table_on_one_page(records: list[Record]):
    found = rankings(tidy(records))
    figure = ranking_figure(found)
    assert figure is not None and figure.get_figheight() < TALLEST and figure.get_figwidth() == PAGE
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert set(names) == {name for ranking in found for name in ranking.ranks}
    shown = next(
        text.get_text() for text in axes.texts if text.get_position() == (0.5, names.index("l1-weight-lamp") + 0.5)
    )
    assert float(shown) == pytest.approx(found[0].mean("l1-weight-lamp", 0), abs=0.05)
    assert all(" – " not in name for name in names)


def test_figures_are_cut_by_workload_only_where_strategies_are_many(records: list[Record]):
    assert pages(tidy(records)) == [["mnist-dcgan"], ["mnist-mlp"]]
    few = [record for record in records if record.cell.strategy in {*STRATEGIES, "dense"}]
    assert pages(tidy(few)) == [["mnist-dcgan", "mnist-mlp"]]


def test_samples_of_many_are_cut_into_pages_with_dense_on_each():
    image = np.zeros((8, 1, 28, 28), np.uint8)
    samples = {("m", name, level): image for name, level in itertools.product(MANY, ("0.5", "0.9"))}
    parts = sample_pages(samples | {("m", "dense", "0"): image})
    assert len(parts) == 4 and all(("m", "dense", "0") in part for part in parts)
    assert all(len({key[1] for key in part}) <= MOST_STRATEGIES + 1 for part in parts)
    assert {key for part in parts for key in part} == {*samples, ("m", "dense", "0")}
    figure = sample_grid(parts[0], {}, "m")
    assert figure is not None and figure.get_figheight() < TALLEST

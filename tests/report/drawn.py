"""A run's figures, drawn in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from bench.records import LatencyRecord, Record
from bench.report.drawings import Drawing, figures_of, more_figures
from bench.report.pictures import figure_of
from bench.report.slices import slices_of
from bench.tables import run_tables
from bench.tables.backends import by_backend

HEADLINE = ("quality", "cost", "backends")
"""The modules of the figures that every report begins with."""


@dataclass(frozen=True)
class Drawn:
    """A figure with the name of its files and what is said beside it."""

    name: str
    caption: str
    figure: Figure


def drawn(drawings: Sequence[Drawing]) -> list[Drawn]:
    """Those that have something to show."""
    found = [(drawing, figure_of(drawing)) for drawing in drawings]
    return [Drawn(drawing.name, drawing.caption, figure) for drawing, figure in found if figure is not None]


def planned(records: Sequence[Record], latency: Sequence[LatencyRecord] = ()) -> list[Drawing]:
    """Every figure that may be drawn of these records."""
    numbers = run_tables(records, latency)
    return figures_of(numbers, records, by_backend(numbers.frame, numbers.summary, numbers.latency))


def headline(records: Sequence[Record], latency: Sequence[LatencyRecord] = ()) -> list[Drawn]:
    return drawn([each for each in planned(records, latency) if each.function.split(".")[0] in HEADLINE])


def behind(records: Sequence[Record]) -> list[Drawn]:
    """The figures behind the headline ones."""
    numbers = run_tables(records)
    return drawn(more_figures(records, numbers.frame, list(slices_of(numbers.aggregated))))

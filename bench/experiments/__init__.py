"""Experiments: the shipped files, and how a file is read, checked as a whole, and expanded into cells."""

from bench.experiments.checking import unknown_strategies
from bench.experiments.expanding import expand
from bench.experiments.known import Known
from bench.experiments.reading import (
    check_workloads,
    load_experiment,
    load_workloads,
    read_experiment,
    shipped_experiments,
)
from bench.experiments.schema import Experiment, Quality, dump

__all__ = [
    "Experiment",
    "Known",
    "Quality",
    "check_workloads",
    "dump",
    "expand",
    "load_experiment",
    "load_workloads",
    "read_experiment",
    "shipped_experiments",
    "unknown_strategies",
]

"""Ratios of times in many fresh processes: equal networks, and real slow-downs of known size."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from bench.base.errors import UserError
from bench.base.files import write_json
from bench.base.machine import libraries, machine, one_thread
from bench.base.outside import read_json
from bench.executors import Done, Work, stage
from bench.executors.local import LocalExecutor
from bench.experiments import dump, load_experiment
from bench.experiments.gate import GatedTiming
from bench.experiments.places import Place, chosen
from bench.gate.calibration.rows import add_rows, read_rows
from bench.gate.contents import Shape, shape_of
from bench.gate.timing import ALONE, Make, Network, Ratio, builder, time_builds
from bench.measure.blocks import Call, cpu_timer
from bench.measure.builds import BUILDS
from bench.records import Cell
from bench.sweep.cell import make
from bench.sweep.counts import architecture_of
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.workloads.checkpoints import SHIPPED

Condition = Literal["idle", "busy"]

PROCESSES = 120
COLUMNS = ("process", "load_before", "ratio", "log_ratio", "log_cpu_ratio", "base_ms", "head_ms", "clean", "pairs")
SLOWER = (0.02, 0.03, 0.05, 0.10)
METHOD = f"{BUILDS} builds a process"
"""What of the gate's way of timing makes other times."""
INJECTED = ("mnist-dcgan", 1)
"""The workload whose dense and pruned generators are made slower, and at which batch: the one with the larger spread
between processes (larger batches take most of the time and differ less)."""
UNIT = 12
"""Side of the square matrices whose product is the unit of extra work: a few microseconds."""


@dataclass(frozen=True)
class Ask:
    """One gated ratio and what is put into HEAD's side of it."""

    workload: str
    strategy: str
    batch: int
    shape: Shape
    slower: float = 0.0
    units: int = 0
    """Extra matrix products in each call: about ``slower`` of its time."""

    @property
    def label(self) -> str:
        """``mnist-dcgan dense b1``; with a slow-down ``mnist-dcgan dense b1 +3%``."""
        return f"{self.workload} {self.strategy} b{self.batch}" + (f" +{100 * self.slower:g}%" if self.slower else "")


def slowed(call: Call, units: int) -> Call:
    """The same call with real work added to it."""
    if units == 0:
        return call
    a, b, out = torch.rand(UNIT, UNIT), torch.rand(UNIT, UNIT), torch.empty(UNIT, UNIT)

    def slower() -> object:
        for _ in range(units):
            torch.mm(a, b, out=out)
        return call()

    return slower


def asks(experiment: str = "ci") -> list[Ask]:
    """A/A of every ratio that ``experiment`` gates, and slow-downs of those of `INJECTED`, sized on this machine."""
    loaded = load_experiment(experiment)
    table = dump(loaded)
    shop = Workshop(Settings(num_images=2, curve=False))
    found = []
    with one_thread():
        for rule in loaded.gate.latency:
            shape = _shape(chosen(rule, table), rule, shop)
            plain = Ask(rule.workload, rule.strategy, rule.batch, shape)
            found.append(plain)
            if (rule.workload, rule.batch) == INJECTED:
                fixed, each = cost_of_units(_builder(plain))
                found += [
                    Ask(rule.workload, rule.strategy, rule.batch, shape, slower, max(1, round((slower - fixed) / each)))
                    for slower in SLOWER
                ]
    return found


def _shape(place: Place, rule: GatedTiming, shop: Workshop) -> Shape:
    level = rule.level if isinstance(rule.level, dict) else {"sparsity": rule.level}
    cell = Cell(workload=place.workload, strategy=place.strategy, level=level, recovery="none", seed=0)
    todo = shop.resolve(cell)
    return shape_of(architecture_of(todo.gan.workload, make(todo, shop, watch=False).recovered))


def _builder(ask: Ask, units: int = 0) -> Make:
    network = Network(ask.workload, SHIPPED, ask.shape)
    build = builder(network, Ratio(network, network, ask.batch))
    return lambda: slowed(build(), units)


TRIALS = (0.02, 0.10)
"""How much slower the call is made, about, in order to see what extra work costs in its place."""
TRIAL_BUILDS = 120
"""Builds differ by some percent from each other, and a size should be right to a few tenths."""


def cost_of_units(build: Make) -> tuple[float, float]:
    """What extra work adds to the call that ``build`` makes, as shares of it: for the first unit, and for each.

    Between the layers of a network a unit costs more than in a loop of its own, and having any there costs something
    too. So a first guess is made alone, and then two amounts are measured in place, in CPU time, so that others on the
    machine do not matter.
    """
    alone = _seconds(slowed(lambda: None, 1_000)) / 1_000
    few, many = (max(1, round(trial * _seconds(build()) / alone)) for trial in TRIALS)
    shares = [_share(build, units) for units in (few, many)]
    each = max(shares[1] - shares[0], TRIALS[0]) / max(many - few, 1)
    return max(shares[0] - each * few, 0.0), each


def _share(build: Make, units: int) -> float:
    ratio = time_builds(build, lambda: slowed(build(), units), builds=TRIAL_BUILDS, seconds=math.inf).log_cpu_ratio
    assert ratio is not None
    return math.expm1(ratio)


def _seconds(call: Call) -> float:
    with torch.inference_mode():
        cpu_timer(call, 5)
        return statistics.median(cpu_timer(call, 5).cpu for _ in range(20))


@dataclass(frozen=True)
class TakeAll:
    """Picklable: makes the work of one fresh process."""

    asks: tuple[Ask, ...]

    def __call__(self) -> Work:
        torch.set_num_threads(1)
        return self.take

    def take(self, index: int) -> dict[str, Any]:
        """Every ratio once."""
        return {ask.label: asdict(time_builds(_builder(ask), _builder(ask, ask.units))) for ask in self.asks}


def collect(
    folder: Path, condition: Condition, processes: int = PROCESSES, seconds: float = float("inf")
) -> Iterator[int]:
    """Start one fresh process after the other and keep what each found, until there are ``processes``.

    Which slow-downs are asked for is fixed by the first call and kept in ``timing-setup.json``; the ratios of each
    process are rows of ``timing-<condition>.csv``.

    Args:
        seconds: no process is begun after so long; the next call continues.

    Raises:
        UserError: the folder holds times of another machine or of other versions.
    """
    end = time.monotonic() + seconds
    setup = folder / "timing-setup.json"
    here = {"libraries": libraries(), "machine": machine("cpu"), "method": METHOD}
    if not setup.exists():
        write_json(setup, {"environment": here, "asks": [_as_table(ask) for ask in asks()]})
    begun = read_json(setup)
    if begun["environment"] != here:
        raise UserError(
            f"{setup}: begun on {_words(begun['environment'])}, this is {_words(here)}: times of the two do not belong "
            "together. Name another folder with --data, or begin anew without the timing files of this one."
        )
    wanted = tuple(_as_ask(table) for table in begun["asks"])
    path = folder / f"timing-{condition}.csv"
    taken = set(read_rows(path, COLUMNS)["process"])
    for index in range(processes):
        if index in taken:
            continue
        if time.monotonic() > end:
            return
        load = round(os.getloadavg()[0], 2)
        with neighbour() if condition == "busy" else _nobody():
            for outcome in LocalExecutor(1, fresh=True).run([stage(TakeAll(wanted), [index], resources=ALONE)]):
                if not isinstance(outcome, Done):
                    raise RuntimeError(outcome.error)
                shared = {"process": index, "load_before": load}
                rows = [shared | {"ratio": label} | ratio for label, ratio in outcome.result.items()]
                add_rows(path, COLUMNS, rows)
        yield index


def _words(environment: dict[str, Any]) -> str:
    where, versions = environment["machine"], environment["libraries"]
    method = environment.get("method", "another method")
    return f"{where['device']}, {where['cores']} cores, torch {versions['torch']}, {method}"


@contextmanager
def neighbour() -> Iterator[None]:
    """A process that does nothing but keep a core busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _nobody() -> Iterator[None]:
    yield


def _as_table(ask: Ask) -> dict[str, Any]:
    return {**{k: v for k, v in vars(ask).items() if k != "shape"}, "shape": ask.shape.model_dump(mode="json")}


def _as_ask(table: dict[str, Any]) -> Ask:
    return Ask(**{**table, "shape": Shape.model_validate(table["shape"])})

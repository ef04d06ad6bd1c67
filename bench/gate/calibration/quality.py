"""Quality of real changes under many seeds: what the noise of a difference is, and what can be found in it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from bench.base.machine import one_thread
from bench.base.seeds import varies_name
from bench.gate.calibration.rows import Value, add_rows, read_rows
from bench.records import Cell
from bench.records.contributions import CellContributions
from bench.sweep.cell import make
from bench.sweep.resolved import Loaded
from bench.sweep.settings import Settings
from bench.sweep.workshop import Workshop
from bench.tables.evidence import Evidence, Row
from bench.tasks import quantity_of
from bench.tasks.generation import GENERATION
from strategies.builtin import DENSE
from strategies.layers import prunable_layers

WORKLOADS = ("mnist-dcgan", "mnist-mlp")
RECOVERY = "bn-recalibrate"
SEEDS = 60
METRICS = GENERATION.gated
BOUND = GENERATION.bound
"""Beside the gated metrics, for what their choice rests on."""
NUMBERS = (*METRICS, BOUND)
OWN, PAIR = (tuple(f"{metric} {which}" for metric in NUMBERS) for which in ("own", "pair"))
"""On each number's scale the variance that comes from its images: of the network's own, and of its difference from the
network that it is a change of, on common images (empty: it is a change of none)."""
COLUMNS = ("workload", "seed", "num_images", "variant", "varies", *NUMBERS, *OWN, *PAIR)
STEPS = (0.0, 0.02, 0.05)
"""Sparsity added to a cell: none, two points, five points."""
NOISE = 0.1
"""Standard deviation of the noise on the trained weights, in standard deviations of each layer's weights."""
CELLS = (
    ("l1-weight-global", 0.5),
    ("l1-weight-global", 0.7),
    ("l1-channel-global", 0.2),
    ("random-weight-global", 0.2),
)
"""The pruned cells whose quality `ci` gates, as (strategy, sparsity)."""
NOISY = ((DENSE, 0.0), ("l1-weight-global", 0.7), ("l1-channel-global", 0.2))
"""The cells that are made again from noisy weights."""


@dataclass(frozen=True)
class Variant:
    """A pruned network of the calibration: which cell, and how noisy its weights were before pruning."""

    strategy: str
    sparsity: float
    noise: float = 0.0

    @property
    def label(self) -> str:
        """``l1-weight-global@0.52``; with noise ``l1-weight-global@0.5~0.1``."""
        return f"{self.strategy}@{self.sparsity:g}" + (f"~{self.noise:g}" if self.noise else "")


def variants() -> tuple[Variant, ...]:
    """Every network of one workload, those with the same weights in a row."""
    clean = [Variant(DENSE, 0.0)]
    clean += [Variant(strategy, round(level + step, 6)) for strategy, level in CELLS for step in STEPS]
    return (*clean, *(Variant(strategy, level, NOISE) for strategy, level in NOISY))


def bases() -> dict[Variant, Variant]:
    """Each changed network, and the one that it is a change of."""
    more = {
        Variant(strategy, round(level + step, 6)): Variant(strategy, level)
        for strategy, level in CELLS
        for step in STEPS
        if step
    }
    return more | {Variant(strategy, level, NOISE): Variant(strategy, level) for strategy, level in NOISY}


class NoisyWorkshop(Workshop):
    """A workshop whose trained generators have noise on every convolution and linear weight: a worse training."""

    def __init__(self, settings: Settings, noise: float) -> None:
        self.noise = noise
        super().__init__(settings)

    def _load(self, workload: str, checkpoint: str) -> Loaded:
        loaded = super()._load(workload, checkpoint)
        rng = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for layer in prunable_layers(loaded.gan.checkpoint.generator).values():
                scale = self.noise * layer.weight.std()
                layer.weight.add_(torch.randn(layer.weight.shape, generator=rng) * scale)
        trained = loaded.gan.checkpoint
        trained = replace(trained, fingerprint=f"{trained.fingerprint}~{self.noise:g}")
        return replace(loaded, gan=replace(loaded.gan, checkpoint=trained))


def collect(
    path: Path, *, num_images: int, seconds: float = float("inf"), seeds: int = SEEDS
) -> Iterator[tuple[int, str]]:
    """Measure what is missing, seed by seed, into the CSV file ``path``, until ``seconds`` have gone by.

    Yields:
        Each seed and workload when their rows (`COLUMNS`, one for each variant) are written.
    """
    before = read_rows(path, COLUMNS)
    taken = set(zip(before["seed"], before["workload"], before["num_images"], strict=True))
    end = time.monotonic() + seconds
    shops: dict[float, Workshop] = {}
    for seed in range(seeds):
        for workload in WORKLOADS:
            if (seed, workload, num_images) in taken:
                continue
            if time.monotonic() > end:
                return
            shared: dict[str, Value] = {"workload": workload, "seed": seed, "num_images": num_images}
            measured: dict[str, Measured] = {}
            with one_thread():
                for variant in variants():
                    if variant.noise not in shops:
                        shops[variant.noise] = _shop(num_images, variant.noise)
                    measured[variant.label] = _measured(shops[variant.noise], workload, variant, seed)
            rows = [{**shared, "variant": label, **one} for label, one in _with_errors(measured).items()]
            add_rows(path, COLUMNS, rows)
            yield seed, workload


def _shop(num_images: int, noise: float) -> Workshop:
    settings = Settings(num_images=num_images, curve=False)
    return NoisyWorkshop(settings, noise) if noise else Workshop(settings)


@dataclass(frozen=True)
class Measured:
    """What the gate compares of one cell."""

    varies: str
    numbers: dict[str, float | None]
    """By full name, the judge in brackets."""
    images: CellContributions


def _measured(shop: Workshop, workload: str, variant: Variant, seed: int) -> Measured:
    """What the gate tests, as a cell of this seed would have it."""
    level = {"sparsity": variant.sparsity}
    cell = Cell(workload=workload, strategy=variant.strategy, level=level, recovery=RECOVERY, seed=seed)
    todo = shop.resolve(cell)
    judge = todo.loaded.judge
    seen = judge.see(make(todo, shop, watch=False).recovered.generator, judge.draw(seed))
    numbers = {name: number.value for name, number in judge.numbers(seen).items()}
    images = CellContributions(f"{workload} {seed}", judge.contributions(seen))
    return Measured(varies_name(todo.streams | {"eval"}), numbers, images)


def _with_errors(measured: Mapping[str, Measured]) -> dict[str, dict[str, Value]]:
    """By variant the values of `COLUMNS` that are its own."""
    evidence = Evidence({label: one.images for label, one in measured.items()})
    changed = {variant.label: base.label for variant, base in bases().items()}
    found: dict[str, dict[str, Value]] = {}
    for label, one in measured.items():
        names = {name.partition("[")[0]: name for name in one.numbers}
        found[label] = {"varies": one.varies, **{metric: one.numbers[names[metric]] for metric in NUMBERS}}
        for metric, own, pair in zip(NUMBERS, OWN, PAIR, strict=True):
            mine = _row(measured, label, names[metric])
            found[label][own] = evidence.own(mine, quantity_of(metric).scale).known
            base = changed.get(label)
            theirs = _row(measured, base, names[metric]) if base else None
            found[label][pair] = evidence.paired(mine, theirs, quantity_of(metric).scale).known if theirs else None
    return found


def _row(measured: Mapping[str, Measured], label: str, metric: str) -> Row:
    return {"metric": metric, "eval_key": label, "value": measured[label].numbers[metric]}

"""The code that a key stands for, declared: everything from inputs to numbers, each part under a name of its own.

A part is known to keys by its name and by the syntax trees of its modules (`bench.base.code`), never by where they lie.
What is read from outside - weights, images, statistics - is in the key by its content, so the code that reads it is
not. A module that is neither here nor named as outside by `tests/sweep/test_closure.py` fails that test.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bench.artifact.finishes import Finish
from bench.base.code import Code
from bench.tasks import TASKS
from bench.training.recovery import Recovery
from bench.workloads.base import Workload
from strategies.composition import Strategy

NAMES_ONLY = frozenset({
    "strategies", "strategies.builtin", "strategies.registry", "strategies.criteria.registry", "strategies.granularity",
})  # fmt: skip
"""Modules of `strategies` that give things names and compute nothing."""

EARLIER = frozenset({"rewind", "initialisation"})
"""Needs of strategies that go back to an earlier state of the training."""

_RECOVERY = "bench.training.recovery"

NETWORK: Mapping[str, tuple[str, ...]] = {
    "cell": ("bench.sweep.cell", "bench.sweep.resolved", "bench.sweep.made"),
    "streams": ("bench.base.seeds",),
    "inputs": ("bench.workloads.base", "bench.workloads.loaded", "bench.workloads.condition"),
    "layout": ("bench.base.layout", "bench.base.precision"),
    "recovery": tuple(f"{_RECOVERY}.{name}" for name in ("spec", "run", "finish")),
}
"""What every pruned network is made by, dense included."""

OWN: Mapping[str, tuple[str, ...]] = {
    "own": (
        "bench.workloads.sampling",
        "bench.workloads.outputs",
        "bench.workloads.spec",
        "bench.workloads.images",
        "bench.workloads.prepare",
    ),
    "reference": ("bench.workloads.own", "bench.workloads.references"),
}
"""What a workload of the user's takes besides its own code; a reference of dense samples is made, not read."""

CALIBRATION: Mapping[str, tuple[str, ...]] = {
    "calibration": ("bench.base.batchnorm", "bench.workloads.generate"),
}

COMPENSATION: Mapping[str, tuple[str, ...]] = {
    "compensation": (
        f"{_RECOVERY}.compensation",
        *(
            f"strategies.compensation.{name}"
            for name in ("compensate", "columns", "nearness", "quadratic", "solve", "watched")
        ),
    ),
    "layers": ("strategies.layers", "strategies.baking"),
}

TRAINING: Mapping[str, tuple[str, ...]] = {
    "loop": ("bench.training.loop", "bench.training.losses", "bench.training.ema", "bench.workloads.recipe"),
    "course": (f"{_RECOVERY}.course", f"{_RECOVERY}.start"),
    "resume": ("bench.training.resume", "bench.training.diary"),
    "hooks": ("strategies.hooks", "strategies.keeping", "strategies.schedules.pruning"),
    "networks": ("strategies.slicing", "strategies.layers", "strategies.sorting"),
    "discriminator": ("bench.training.sparse_d", "bench.training.balance"),
    "distillation": ("bench.training.distil",),
}

NUMBERS: Mapping[str, tuple[str, ...]] = {
    "numbers": ("bench.sweep.measuring",),
    "shared": ("bench.sweep.workshop", "bench.base.kept"),
    "curve": ("bench.sweep.curve",),
    "images": ("bench.workloads.generate",),
    "counts": (
        "bench.sweep.counts",
        "bench.measure.complexity",
        "bench.measure.footprint",
        "bench.measure.coded",
        "bench.measure.structure",
        "strategies.layers",
        "strategies.work",
        "strategies.granularity.units",
        "strategies.cut",
    ),
    "precision": ("bench.base.precision",),
}
"""What makes numbers of a network."""

TIMING: Mapping[str, tuple[str, ...]] = {
    "timing": (
        "bench.sweep.timing",
        "bench.measure.latency",
        "bench.measure.builds",
        "bench.measure.blocks",
        "bench.records.zeros",
    ),
    "backends": ("bench.measure.backends.base", "bench.measure.backends.eager", "bench.artifact.outputs"),
    "networks": ("strategies.slicing", "strategies.baking", "strategies.layers"),
}
"""What times a pair of networks, whatever the backend."""


_FINISHES = "bench.artifact.finishes"

FINISHED: Mapping[str, tuple[str, ...]] = {
    "finish": ("bench.sweep.finishing", f"{_FINISHES}.base", "bench.artifact.onnx"),
}
"""What every finished network takes besides; its own module comes with it."""


def network_modules(
    workload: Workload,
    strategy: Strategy | None,
    recovery: Recovery,
    code: Code | None = None,
    finish: Finish | None = None,
) -> dict[str, frozenset[str]]:
    """Part -> modules of all that makes the network of a cell; ``code`` follows what a strategy imports."""
    generator = {} if workload.own else {"generator": (module_of(workload.generator),)}
    parts: dict[str, Iterable[str]] = {**NETWORK, **(OWN if workload.own else generator)}
    if recovery.calibrate:
        parts |= CALIBRATION
    if recovery.compensate and strategy is not None:
        parts |= COMPENSATION
    if recovery.steps:
        parts |= TRAINING
    if recovery.needs_discriminator and workload.discriminator is not None and workload.own is None:
        parts["judge"] = (module_of(workload.discriminator),)
    found = {name: frozenset(modules) for name, modules in parts.items()}
    if strategy is not None and strategy.needs & EARLIER:
        found["earlier"] = frozenset({"bench.sweep.earlier"})
    if strategy is not None:
        found["strategy"] = (code or Code()).closure(_modules_of(strategy), NAMES_ONLY)
    if finish is not None:
        found["finish"] = finish_modules(finish)
    return found


def finish_modules(finish: Finish) -> frozenset[str]:
    """All that finishes a network."""
    return frozenset({*FINISHED["finish"], module_of(finish.make)})


def numbers_modules(workload: Workload, metrics: Iterable[str] = ()) -> dict[str, frozenset[str]]:
    """Part -> modules of all that makes numbers of a network; ``metrics``: those that are measured, of whose own code
    no other cell's key knows."""
    task = TASKS[workload.task]
    own = {f"metric-{name}": task.code_of[name] for name in metrics if name in task.code_of}
    parts = {**NUMBERS, **task.code, **own}
    return {name: frozenset(modules) for name, modules in parts.items()}


def timing_modules(prepare: Callable[..., Any], finish: Finish | None = None) -> dict[str, frozenset[str]]:
    """Part -> modules of all that times two networks on the backend that ``prepare`` belongs to."""
    parts = {name: frozenset(modules) for name, modules in {**TIMING, "backend": (module_of(prepare),)}.items()}
    return parts if finish is None else parts | {"finish": finish_modules(finish)}


def hashes(parts: Mapping[str, Iterable[str]], code: Code) -> dict[str, str]:
    """Part -> hash of its code, for a key."""
    return {name: code.hash(modules) for name, modules in sorted(parts.items())}


def module_of(thing: Any) -> str:
    """The name of the module that defines a function, a class or an object's class."""
    if isinstance(thing, functools.partial):
        return module_of(thing.func)
    return str(getattr(thing, "__module__", type(thing).__module__))


def _modules_of(strategy: Strategy) -> list[str]:
    modules = [module_of(type(strategy)), strategy.criterion.score.__module__, module_of(type(strategy.granularity))]
    modules.append(module_of(strategy.allocation.prioritise))
    if strategy.schedule is not None:
        modules += [module_of(strategy.schedule.events), module_of(strategy.schedule.hooks)]
    return modules

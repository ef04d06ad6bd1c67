"""What identifies a result. The same key means: the number would come out the same, so it is not measured again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from torch import nn

from bench.artifact.finishes import Finish
from bench.base.code import Code, digest
from bench.base.seeds import Role
from bench.records import Cell, Keys
from bench.sweep.closure import EARLIER, hashes, network_modules, numbers_modules, timing_modules
from bench.training.recovery import Recovery
from bench.workloads.base import Workload
from strategies.composition import Strategy
from strategies.schedule import Schedule

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

KEYS_VERSION = 2
"""Rises when all keys change at once, so that an old run can be told apart in one sentence."""


def streams(
    strategy: Strategy | None, recovery: Recovery, workload: Workload, finish: Finish | None = None
) -> frozenset[Role]:
    """The streams that the *network* depends on; its numbers depend on `eval` besides."""
    used = set(recovery.streams(_generator(workload.generator), pruned=strategy is not None))
    if strategy is not None and (strategy.random or strategy.needs & {"inputs", "data", "discriminator"}):
        used.add("prune")
    if finish is not None and finish.calibrates:
        used.add("calibrate")
    return frozenset(used)


@functools.cache
def _generator(factory: Callable[[], nn.Module]) -> nn.Module:
    return factory()


def cell_keys(
    cell: Cell,
    *,
    workload: Workload,
    checkpoint: str,
    data: str,
    strategy: Strategy | None,
    recovery: Recovery,
    metric_versions: dict[str, str],
    earlier: Mapping[str, str] | None = None,
    finish: Finish | None = None,
    code: Code | None = None,
) -> Keys:
    """The keys of a cell. Only its own slice of the configuration enters, and nothing that has its default.

    Args:
        checkpoint: fingerprint of the weights.
        data: fingerprint of the training images; enters only where the recovery or the strategy uses them.
        strategy: None for dense.
        metric_versions: metric -> version, which holds the extractor, N and the reference.
        earlier: fingerprints of earlier states of the training; they enter where the strategy goes back to them.
        finish: None: the network as it was recovered.
        code: the code that runs, by default what is imported.
    """
    code = code or Code()
    definition: dict[str, Any] = {
        "checkpoint": checkpoint,
        "code": hashes(network_modules(workload, strategy, recovery, code, finish), code),
        "inputs": workload.inputs.identity,
        "recovery": recovery.name,
        "streams": dict.fromkeys(sorted(streams(strategy, recovery, workload, finish)), cell.seed),
    }
    if workload.own:
        definition["own"] = workload.own.code
    if finish is not None:
        definition["finish"] = finish.version
    if recovery.steps:
        definition["training"] = [_given(workload.recipe.spec), data]
    if strategy is not None:
        definition |= {
            "strategy": [strategy.criterion.name, strategy.granularity.name, strategy.allocation.formula],
            "level": cell.level,
        }
        if parameters := _given(strategy.granularity):
            definition["granularity"] = parameters
        if cell.constraints:
            definition["constraints"] = cell.constraints
        if strategy.schedule is not None:
            definition["schedule"] = _plan(strategy.schedule, recovery.steps)
        if cell.target != "params":
            definition["target"] = cell.target
        if "data" in strategy.needs:
            definition["images"] = data
        if strategy.needs & EARLIER and earlier:
            definition["earlier"] = dict(earlier)
    prune = digest(definition)
    numbers = {"metrics": metric_versions, "code": hashes(numbers_modules(workload, metric_versions), code)}
    return Keys(prune=prune, eval=digest({"prune": prune, "eval": cell.seed, **numbers}))


def latency_key(
    dense: str,
    pruned: str,
    *,
    inputs: str,
    device: str,
    backend: str,
    prepare: Callable[..., Any],
    batch: int,
    dtype: str,
    threads: int,
    zeros: str = "",
    finish: Finish | None = None,
    code: Code | None = None,
) -> str:
    """The key of a timing: the pair of architectures, and where and how it was timed.

    Args:
        prepare: what makes a network ready on the backend; its code enters.
        zeros: hash of each layer's density, where the backend skips zeros and there are any.
        finish: of the pruned network, whose architecture names it.
    """
    how = [inputs, device, backend, batch, dtype, threads, hashes(timing_modules(prepare, finish), code or Code())]
    return digest([dense, pruned, *how, *([zeros] if zeros else [])])


def _given(settings: DataclassInstance) -> dict[str, Any]:
    """The fields that do not have their default: a new field leaves the old keys alone."""
    values = {field.name: (getattr(settings, field.name), field.default) for field in fields(settings)}
    return {name: value for name, (value, default) in values.items() if value != default}


def _plan(schedule: Schedule, steps: int) -> list[Any]:
    """What a schedule does within ``steps``: its name, and the share that is due after which step."""
    return [schedule.name, schedule.amount.__name__, [[s, schedule.share_at(s, steps)] for s in schedule.events(steps)]]

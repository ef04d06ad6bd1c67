"""What identifies a result. The same key means: the number would come out the same, so it is not measured again."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from bench.records import Cell, Keys
from bench.recovery import Recovery
from bench.seeds import Role
from bench.workloads.base import Workload
from strategies.base import Strategy
from strategies.schedules.schedule import Schedule

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NOT_PART_OF_A_DEFINITION = {"strategies.catalog", "strategies.registry", "strategies"}
"""Modules that only name things."""


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of ``value``."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def streams(strategy: Strategy | None, recovery: Recovery, workload: Workload) -> frozenset[Role]:
    """The streams that the *pruned network* depends on; its numbers depend on `eval` besides."""
    used = set(recovery.streams(_generator(workload.generator)))
    if strategy is not None and (strategy.random or strategy.needs & {"inputs", "data", "discriminator"}):
        used.add("prune")
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
) -> Keys:
    """The keys of a cell. Only its own slice of the configuration enters, and nothing that has its default.

    Args:
        checkpoint: fingerprint of the weights.
        data: fingerprint of the training images; enters only where the recovery trains on them.
        strategy: None for dense.
        metric_versions: metric -> version, which holds the extractor, N and the reference.
    """
    definition: dict[str, Any] = {
        "checkpoint": checkpoint,
        "generator": workload.own.code if workload.own else code_hash(_module_of(workload.generator)),
        "inputs": workload.inputs.identity,
        "recovery": recovery.name,
        "streams": dict.fromkeys(sorted(streams(strategy, recovery, workload)), cell.seed),
    }
    if recovery.name != "none":
        definition["recovery-code"] = code_hash("bench.recovery", "bench.seeds")
    if recovery.needs_discriminator and workload.discriminator is not None:
        definition["discriminator"] = code_hash(_module_of(workload.discriminator))
    if recovery.steps:
        definition["training"] = [_given(workload.recipe.spec), data]
    if strategy is not None:
        definition |= {
            "strategy": [strategy.criterion.name, strategy.granularity.name, strategy.allocation.formula],
            "level": cell.level,
            "code": code_hash(*_modules_of(strategy)),
        }
        if parameters := _given(strategy.granularity):
            definition["granularity"] = parameters
        if strategy.schedule is not None:
            definition["schedule"] = _plan(strategy.schedule, recovery.steps)
        if cell.target != "params":
            definition["target"] = cell.target
    prune = digest(definition)
    return Keys(prune=prune, eval=digest({"prune": prune, "eval": cell.seed, "metrics": metric_versions}))


def latency_key(
    dense: str,
    pruned: str,
    *,
    inputs: str,
    device: str,
    backend: str,
    batch: int,
    dtype: str,
    threads: int,
    zeros: str = "",
) -> str:
    """The key of a timing: the pair of architectures, and where and how it was timed.

    Args:
        zeros: hash of each layer's density, where the backend skips zeros and there are any.
    """
    return digest([dense, pruned, inputs, device, backend, batch, dtype, threads, *([zeros] if zeros else [])])


def _given(settings: DataclassInstance) -> dict[str, Any]:
    """The fields that do not have their default: a new field leaves the old keys alone."""
    values = {field.name: (getattr(settings, field.name), field.default) for field in fields(settings)}
    return {name: value for name, (value, default) in values.items() if value != default}


def _plan(schedule: Schedule, steps: int) -> list[Any]:
    """What a schedule does within ``steps``: its name, and the share that is due after which step."""
    return [schedule.name, schedule.amount.__name__, [[s, schedule.share_at(s, steps)] for s in schedule.events(steps)]]


def _module_of(thing: Any) -> str:
    if isinstance(thing, functools.partial):
        return _module_of(thing.func)
    return str(getattr(thing, "__module__", type(thing).__module__))


def _modules_of(strategy: Strategy) -> list[str]:
    modules = [strategy.criterion.score.__module__, _module_of(type(strategy.granularity))]
    modules.append(_module_of(strategy.allocation.prioritise))
    if strategy.schedule is not None:
        modules += [_module_of(strategy.schedule.events), _module_of(strategy.schedule.hooks)]
    return modules


def code_hash(*modules: str) -> str:
    """A hash of the syntax trees of ``modules`` and of all of ours that they import, without docstrings.

    Comments, formatting and docstrings do not count; any change of what is computed does.
    """
    closure: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in closure or name in NOT_PART_OF_A_DEFINITION:
            continue
        closure.add(name)
        waiting += _imports(name)
    return digest({name: _tree_hash(name) for name in sorted(closure)})


@functools.cache
def _source(module: str) -> str | None:
    loaded = sys.modules.get(module)
    path = getattr(loaded, "__file__", None)
    if path is None:
        spec = importlib.util.find_spec(module)
        path = spec.origin if spec else None
    if path is None or not path.endswith(".py"):
        return None
    return Path(path).read_text(encoding="utf-8")


@functools.cache
def _tree(module: str) -> ast.Module | None:
    source = _source(module)
    return None if source is None else stripped(source)


@functools.cache
def _tree_hash(module: str) -> str:
    tree = _tree(module)
    return "no-source" if tree is None else hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def stripped(source: str) -> ast.Module:
    """The syntax tree of ``source`` without docstrings; comments are not in it anyway."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = _without_docstrings(body)  # type: ignore[attr-defined]
    return tree


def _without_docstrings(body: list[ast.stmt]) -> list[ast.stmt]:
    def is_text(node: ast.stmt) -> bool:
        return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)

    return [node for node in body if not is_text(node)]


@functools.cache
def _imports(module: str) -> tuple[str, ...]:
    tree = _tree(module)
    if tree is None:
        return ()
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            if node.level:
                origin = importlib.util.resolve_name(origin, _package_of(module))
            found += [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return tuple(name for name in found if _is_ours(name, module))


def _package_of(module: str) -> str:
    spec = importlib.util.find_spec(module)
    return (spec.parent if spec else None) or module.rpartition(".")[0]


def _is_ours(name: str, importer: str) -> bool:
    """What defines a pruned network: `strategies`, the training loop, or the package of a plug-in."""
    followed = name.startswith(("strategies.", "bench.training."))
    if not followed and (
        importer.startswith(("strategies.", "bench.")) or name.split(".")[0] != importer.split(".")[0]
    ):
        return False
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return False
    return spec is not None and spec.origin is not None

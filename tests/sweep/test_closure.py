"""Which code a key stands for: every module is known, those inside change keys, those outside do not."""

from __future__ import annotations

import ast
import functools
import pkgutil
from collections.abc import Collection, Iterator
from dataclasses import replace

import pytest

import bench
import strategies
from bench.artifact.finishes import FINISH, Finish
from bench.base.code import Code, source_of, tree_hash
from bench.measure.backends import BACKENDS
from bench.measure.backends.finished import backend_named, shipped
from bench.records import Cell
from bench.records.finishes import NO_FINISH, TIMED_AS, finish_in, without_finish
from bench.sweep.closure import network_modules, numbers_modules, timing_modules
from bench.sweep.keys import cell_keys, latency_key
from bench.tasks import TASKS
from bench.training.recovery import parse_recovery
from bench.workloads.base import Workload
from bench.workloads.builtin import CIFAR10_CGAN, DCGAN_64, DUMMY, MNIST_MLP
from bench.workloads.described import workload_of
from bench.workloads.spec import WorkloadSpec
from strategies.builtin import DENSE, STRATEGIES
from strategies.constraining import constrained
from strategies.constraints import Constraints

OUTSIDE = {
    "words, files and pictures made of finished records": [
        "bench.report", "bench.tables", "bench.documentation", "bench.training.card",
        *(f"bench.statistics{name}" for name in (
            "", ".best", ".components", ".estimates", ".families", ".hypervolume", ".intervals", ".power", ".ranks",
        )),
        "bench.artifact", "bench.artifact.folder", "bench.artifact.card", "bench.artifact.finished",
        "bench.artifact.shipped",
        "bench.tasks.generation.card", "bench.tasks.generation.words",
    ],
    "descriptions": ["bench.tasks", "bench.tasks.base", "bench.tasks.evaluation", "bench.tasks.generation",
                     "bench.tasks.generation.quantities"],
    "comparing finished records": ["bench.gate", "bench.pytest_plugin"],
    "what is asked for, before it is done": [
        "bench", "bench.api", "bench.cli", "bench.experiments", "bench.check",
        "bench.base.ranges", "bench.training.recovery.asked",
        "bench.sweep.settings", "bench.sweep.plan", "bench.sweep.estimate", "bench.sweep.rough",
        "bench.sweep.foresight", "bench.sweep.patterns",
        "bench.tasks.generation.fitness",
    ],
    "who does it, and where it is kept": [
        "bench.sweep", "bench.sweep.run", "bench.sweep.preload", "bench.sweep.prune",
        "bench.sweep.groups", "bench.sweep.progress", "bench.sweep.steady",
        "bench.executors", "bench.records", "bench.records.schema", "bench.records.store", "bench.records.paths",
        "bench.records.upgrade", "bench.records.contributions", "bench.records.finishes",
        "bench.base.outside", "bench.base.printable", "bench.base.consoles",
        "bench.base", "bench.base.files", "bench.base.cache", "bench.base.errors", "bench.base.machine",
        "bench.base.limits", "bench.base.containment", "bench.base.process", "bench.base.raised",
    ],
    "answers that are printed and kept nowhere": [
        "bench.sweep.tune", "bench.tasks.generation.folds", "bench.tasks.generation.limit",
    ],
    "keys themselves": ["bench.sweep.keys", "bench.sweep.closure", "bench.base.code", "bench.base.source"],
    "what is read comes into the key by its content": [
        "bench.workloads", "bench.workloads.builtin", "bench.workloads.catalogue", "bench.workloads.checkpoints",
        "bench.workloads.cifar_data", "bench.workloads.data",
        "bench.workloads.described", "bench.workloads.factories", "bench.workloads.reading",
        "bench.workloads.renaming", "bench.workloads.torchfiles",
        "bench.workloads.store", "bench.workloads.translating",
        "bench.workloads.public",
        "bench.workloads.archives", "bench.workloads.moments", "bench.workloads.pixels", "bench.workloads.room",
        "bench.workloads.torchvision_data", "bench.workloads.walk",
    ],
    "the training of shipped weights, which come into the key by their content": [
        "bench.training", "bench.training.command", "bench.training.judge", "bench.training.train",
        "bench.training.cifar_net", "bench.training.graphs",
        "bench.tasks.generation.training",
    ],
    "packages without code of their own": [
        "bench.artifact.finishes", "bench.measure", "bench.measure.backends", "bench.training.recovery",
    ],
    "names of what is defined elsewhere": [
        "bench.tasks.generation.asked",
        "strategies", "strategies.builtin", "strategies.plugins", "strategies.registry", "strategies.criteria",
        "strategies.criteria.registry", "strategies.granularity", "strategies.schedules", "strategies.tracing",
        "strategies.compensation",
        "strategies.allocations",
    ],
}  # fmt: skip
"""Why -> modules that no number comes from. A whole folder is named only where all of it is outside."""

WHOLE = (
    "bench.report", "bench.tables", "bench.documentation", "bench.gate", "bench.executors",
    "bench.cli", "bench.check", "bench.experiments", "bench.workloads.public",
)  # fmt: skip
"""Folders of which every module is outside."""

OWN = workload_of(WorkloadSpec.model_validate({
    "name": "own", "factory": "torch.nn:Identity", "inputs": [{"kind": "normal", "shape": [4]}],
    "reference": "dense-samples", "output": {},
}))  # fmt: skip

CONSTRAINED, EVEN = "l1-channel-global", Constraints(multiple=2)


def modules() -> list[str]:
    packages = [bench, strategies]
    found = [package.__name__ for package in packages]
    for package in packages:
        found += [info.name for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return sorted(name for name in found if not name.endswith("__main__"))


def outside() -> set[str]:
    named = {name for names in OUTSIDE.values() for name in names}
    return named | {name for name in modules() if name.startswith(tuple(f"{folder}." for folder in WHOLE))}


@functools.cache
def samples() -> list[tuple[Workload, str, str]]:
    """Cells that between them use all code: every strategy, every kind of recovery, every finish."""
    found = [(DUMMY, name, "none") for name in [DENSE, *STRATEGIES] if name == DENSE or not STRATEGIES[name].schedule]
    found += [(DUMMY, name, "finetune-8") for name in STRATEGIES if STRATEGIES[name].schedule]
    found += [(DUMMY, DENSE, "finetune-8-d.adapt-distil.feature"), (DUMMY, DENSE, "bn-recalibrate")]
    found += [(DUMMY, "l1-weight-global", "compensate")]
    found += [(DUMMY, DENSE, f"none+{finish}") for finish in FINISH]
    return [
        *found,
        (DUMMY, f"{CONSTRAINED}{EVEN.label}", "none"),
        (OWN, DENSE, "none"),
        (MNIST_MLP, DENSE, "none"),
        (DCGAN_64, DENSE, "none"),
        (CIFAR10_CGAN, DENSE, "none"),
    ]


def inside(workload: Workload, strategy: str, recovery: str) -> set[str]:
    numbers = numbers_modules(workload, TASKS[workload.task].code_of)
    how, finish = parse_recovery(without_finish(recovery)), _finish(recovery)
    parts = network_modules(workload, _strategy(strategy), how, finish=finish) | numbers
    return {module for names in parts.values() for module in names}


def _strategy(name: str):  # type: ignore[no-untyped-def]
    if name == f"{CONSTRAINED}{EVEN.label}":
        return constrained(STRATEGIES[CONSTRAINED], EVEN)
    return None if name == DENSE else STRATEGIES[name]


def _finish(recovery: str) -> Finish | None:
    return None if finish_in(recovery) == NO_FINISH else FINISH[finish_in(recovery)]


def timed() -> dict[str, set[str]]:
    finished = {
        TIMED_AS[name]: {m for names in timing_modules(shipped, FINISH[name]).values() for m in names}
        for name in FINISH
    }
    return finished | {
        name: {module for names in timing_modules(backend.prepare).values() for module in names}
        for name, backend in ((name, BACKENDS[name]) for name in BACKENDS)
    }


def keys_of(sample: tuple[Workload, str, str], code: Code, metrics: Collection[str] | None = None) -> tuple[str, str]:
    """Of a cell that measures ``metrics``; None: all that have code of their own."""
    workload, strategy, recovery = sample
    metrics = TASKS[workload.task].code_of if metrics is None else metrics
    cell = Cell(
        workload="dummy", strategy=strategy, level={"sparsity": 0.5}, recovery=without_finish(recovery),
        finish=finish_in(recovery), seed=0,
    )  # fmt: skip
    if workload is OWN:
        workload = replace(workload, own=replace(OWN.own))  # type: ignore[type-var]
        workload.own.__dict__["code"] = "hash of the user's code"  # type: ignore[union-attr]
    keys = cell_keys(
        cell, workload=workload, checkpoint="weights", data="images", strategy=_strategy(strategy),
        recovery=parse_recovery(cell.recovery), metric_versions=dict.fromkeys(metrics, "version"),
        finish=_finish(recovery), code=code,
    )  # fmt: skip
    return keys.prune, keys.eval


def timing_key(backend: str, code: Code) -> str:
    finish = next((FINISH[name] for name, other in TIMED_AS.items() if other == backend), None)
    return latency_key(
        "d", "p", inputs="z", device="cpu", backend=backend, prepare=backend_named(backend).prepare, batch=1,
        dtype="float32", threads=1, finish=finish, code=code,
    )  # fmt: skip


def mutant(module: str) -> Code:
    """The running code, but for one constant of ``module``; one more where it has none."""
    tree = ast.parse(source_of(module) or "")
    node = next(_constants(tree), None)
    if node is None:
        tree.body += ast.parse("MUTATED = True").body
    else:
        node.value = f"{node.value}, mutated"
    return Code(lambda name: ast.unparse(tree) if name == module else source_of(name))


def _constants(tree: ast.Module) -> Iterator[ast.Constant]:
    """Constants that are computed with: no docstrings, no lists of names, no imports for readers."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for statement in tree.body:
        named = isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"
        if not named and not (isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"):
            yield from (n for n in ast.walk(statement) if isinstance(n, ast.Constant) and id(n) not in said)


@functools.cache
def members() -> dict[str, tuple[Workload, str, str]]:
    """Module -> the first sample that it is inside of."""
    found: dict[str, tuple[Workload, str, str]] = {}
    for sample in samples():
        for module in inside(*sample):
            found.setdefault(module, sample)
    return found


def test_every_module_is_inside_or_outside_and_none_is_both() -> None:
    timers = set().union(*timed().values())
    known = set(members()) | timers
    assert sorted(set(modules()) - known - outside()) == [], "say in bench/sweep/closure.py or in OUTSIDE what it is"
    assert sorted((set(members()) | timers) & outside()) == []
    assert sorted(known - set(modules()) - {"torch.nn.modules.linear"}) == [], "no such module"
    assert sorted({name for names in OUTSIDE.values() for name in names} - set(modules())) == [], "no such module"


@pytest.mark.parametrize("module", sorted(members()))
def test_a_change_inside_changes_a_key(module: str) -> None:
    code = mutant(module)
    assert keys_of(members()[module], code) != keys_of(members()[module], Code())


@pytest.mark.parametrize("module", sorted(set().union(*timed().values())))
def test_a_change_of_what_times_changes_the_key_of_a_timing(module: str) -> None:
    code = mutant(module)
    backend = next(name for name, names in timed().items() if module in names)
    assert timing_key(backend, code) != timing_key(backend, Code())


@pytest.mark.parametrize("module", sorted(outside()))
def test_a_change_outside_changes_none(module: str) -> None:
    code = mutant(module)
    few = [samples()[0], samples()[1], *samples()[-5:]]
    assert [keys_of(sample, code) for sample in few] == [keys_of(sample, Code()) for sample in few]
    assert all(timing_key(backend, code) == timing_key(backend, Code()) for backend in BACKENDS)


def test_what_only_one_strategy_is_made_of_changes_no_other() -> None:
    code = mutant("strategies.criteria.loss")
    other, own = (DUMMY, "l1-weight-global", "none"), members()["strategies.criteria.loss"]
    assert keys_of(other, code) == keys_of(other, Code())
    assert keys_of(own, code) != keys_of(own, Code())


@pytest.mark.parametrize(("metric", "module"), [(n, m) for n, ms in TASKS["generation"].code_of.items() for m in ms])
def test_the_code_of_a_metric_is_in_the_keys_of_those_who_measure_it_alone(metric: str, module: str) -> None:
    code, sample = mutant(module), (DUMMY, "l1-weight-global", "none")
    for asked in ((metric,), ("fid", metric)):
        assert keys_of(sample, code, asked) != keys_of(sample, Code(), asked)
    others = [name for name, modules in TASKS["generation"].code_of.items() if module not in modules]
    assert keys_of(sample, code, ["fid", *others]) == keys_of(sample, Code(), ["fid", *others])


def test_a_key_knows_parts_by_what_they_compute_not_by_where_they_lie() -> None:
    """All modules under other names, their imports rewritten: what a move does."""
    moved = Code(lambda name: (source_of(name) or "").replace("from bench.", "from bench.elsewhere."))
    for sample in samples()[::10]:
        assert keys_of(sample, moved) == keys_of(sample, Code())
    renamed = Code(lambda name: source_of(name.removesuffix("_moved")))
    assert renamed.hash(["bench.base.seeds_moved", "bench.base.layout"]) == Code().hash(
        ["bench.base.layout", "bench.base.seeds"]
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("import a\nx = 1", "from b import a\nx = 1", True),
        ("def f():\n    import a\n    return 1", "def f():\n    return 1", True),
        ("if TYPE_CHECKING:\n    from a import b\nx = 1", "x = 1", True),
        ('"""Words."""\nx = 1', "x = 1", True),
        ('__all__ = ["x"]\nx = 1', "x = 1", True),
        ("x = 1  # why", "x = 1", True),
        ("x = 1", "x = 2", False),
        ("x = f(1)", "x = g(1)", False),
        ("if a:\n    x = 1", "x = 1", False),
    ],
)
def test_a_tree_is_what_is_computed(one: str, other: str, same: bool) -> None:
    assert (tree_hash(one) == tree_hash(other)) is same

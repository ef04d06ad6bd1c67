"""`ganprune list`: what is registered, as rows for tables and JSON."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from bench.base.errors import UserError
from bench.cli.group import new_group
from bench.cli.options import JsonOption, PluginOption
from bench.cli.plugins import load_plugins
from bench.tasks import TASKS

Row = dict[str, Any]


def strategies() -> list[Row]:
    """Name, criterion, granularity, allocation, schedule, needs, levels, source."""
    from strategies.builtin import DENSE, STRATEGIES

    dense: Row = {
        "name": DENSE,
        "criterion": None,
        "granularity": None,
        "allocation": None,
        "schedule": None,
        "needs": [],
        "levels": {"continuous": False, "knob": None, "fixed": [0.0]},
        "source": "the unpruned generator, sent through every recovery",
    }
    return [dense] + [
        {
            "name": name,
            "criterion": thing.criterion.name,
            "granularity": thing.granularity.name,
            "allocation": thing.allocation.name,
            "schedule": thing.schedule.name if thing.schedule else None,
            "needs": sorted(thing.needs),
            "levels": {
                "continuous": thing.levels.continuous,
                "knob": thing.levels.knob,
                "fixed": list(thing.levels.fixed),
            },
            "source": thing.criterion.source + (f"; {thing.schedule.source}" if thing.schedule else ""),
        }
        for name, thing in ((name, STRATEGIES[name]) for name in STRATEGIES)
    ]


def criteria() -> list[Row]:
    """Name, formula, needs, whether it is random, source."""
    from strategies.criteria import CRITERIA

    return [
        {
            "name": name,
            "formula": CRITERIA[name].formula,
            "needs": sorted(CRITERIA[name].needs),
            "random": CRITERIA[name].random,
            "source": CRITERIA[name].source,
        }
        for name in CRITERIA
    ]


def workloads() -> list[Row]:
    """Name, what it is, data, judge, the shipped weights' own numbers, and the names of all shipped trainings."""
    from bench.base.outside import read_json
    from bench.workloads.builtin import BUILT_IN
    from bench.workloads.checkpoints import SHIPPED, further, shipped_folder

    found = []
    for name in BUILT_IN:
        thing = BUILT_IN[name]
        card = {}
        if thing.weights == "shipped":
            with contextlib.suppress(UserError):  # a list of all names even where some weights are damaged
                card = read_json(shipped_folder(name) / "card.json")
        found.append(
            {
                "name": name,
                "summary": thing.summary,
                "data": thing.data,
                "extractor": thing.extractor,
                "parameters": card.get("parameters", {}).get("generator"),
                TASKS[thing.task].watching.name: card.get(TASKS[thing.task].watching.name),
                "num_images": card.get("num_images"),
                "checkpoints": [] if thing.weights == "none" else [SHIPPED, *further(name)],
            }
        )
    return found


def plugins() -> list[Row]:
    """Name, the distribution that brings it, what it registered, and why it could not be loaded."""
    from strategies.plugins import installed_plugins

    return [
        {"name": p.name, "from": p.origin, "strategies": list(p.strategies), "error": p.error}
        for p in installed_plugins()
    ]


def experiments() -> list[Row]:
    """Name and first comment line of each shipped experiment."""
    from bench.experiments import shipped_experiments

    return [
        {"name": name, "summary": text.splitlines()[0].lstrip("# ").strip()}
        for name, text in shipped_experiments().items()
    ]


def metrics() -> list[Row]:
    """Every number that a record can hold: name, unit, direction, kind, what it is."""
    quality = "stochastic"
    table = [
        (number.name, number.unit, number.direction, number.kind, number.summary)
        for task in TASKS.values()
        for number in task.numbers
    ] + [
        (
            "steps_to_dense",
            "training steps",
            "lower",
            quality,
            "first watched step with a leading number no worse than untrained dense's (500 outputs)",
        ),
        ("params", "parameters", "lower", "exact", "all parameter entries"),
        ("params_nonzero", "parameters", "lower", "exact", "those that are not zero"),
        ("bytes", "bytes", "lower", "exact", "parameters and buffers as stored, dense"),
        ("bytes_bitmask", "bytes", "lower", "exact", "the same with weights as a bit mask and non-zeros"),
        ("bytes_coded", "bytes", "lower", "exact", "a quantised network as stored: packed codes and their values"),
        (
            "macs_dense",
            "MACs",
            "lower",
            "exact",
            "multiply-accumulates that dense kernels execute, one image",
        ),
        ("macs_effective", "MACs", "lower", "exact", "those with a non-zero weight (theoretical)"),
        ("macs_fvcore", "MACs", "lower", "exact", "fvcore's count, as a second opinion"),
        ("latency", "ms", "lower", "timing", "measured in the latency phase, dense and pruned in turn"),
    ]
    keys = ("name", "unit", "direction", "kind", "summary")
    return [dict(zip(keys, row, strict=True)) for row in table]


KINDS: dict[str, Callable[[], list[Row]]] = {
    "strategies": strategies,
    "criteria": criteria,
    "workloads": workloads,
    "experiments": experiments,
    "metrics": metrics,
    "plugins": plugins,
}
"""Each gives one dict for each registered thing, in the order of registration."""

group = new_group("List what is there.")


def _list(kind: str) -> Callable[..., None]:
    def command(as_json: JsonOption = False, plugins: PluginOption = None) -> None:
        from bench.cli.terminal import print_rows

        if kind in {"strategies", "criteria", "plugins"}:
            load_plugins(plugins)
        print_rows(kind, KINDS[kind](), as_json)

    command.__doc__ = f"The {kind}."
    return command


for _kind in KINDS:
    group.command(_kind)(_list(_kind))

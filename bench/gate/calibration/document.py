"""`docs/calibration.md`, written from the collected data alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.base.outside import read_json
from bench.experiments import load_experiment
from bench.experiments.gate import Gate
from bench.gate.calibration.quality import METRICS
from bench.gate.calibration.rates import (
    Change,
    Logs,
    QualityRules,
    Rate,
    changes,
    correlation,
    difference,
    found_in_run,
    gated,
    priors,
    read_quality,
    read_timing,
    timing_rates,
)
from bench.gate.calibration.timing import SLOWER
from bench.gate.timing import MIN_PROCESSES
from bench.measure.builds import BUILDS
from bench.statistics import Prior
from bench.tasks.generation import GENERATION

QUIET = 1.5
"""A load average below this before a process means that nobody else was busy: the processes before it make up 1."""

INTRODUCTION = """# Calibration of the gate

Written by `make calibrate` from collected data; do not edit. `docs/gate.md` says what the rules are, this page what
they do on real changes: how often a gate that should be silent is not, and how often it finds what is there. Every
change is real: more sparsity, noise on the trained weights, extra work in the call. None is a number added to a number.
"""


def document(folder: Path, experiment: str = "ci") -> str:
    """The page."""
    gate = load_experiment(experiment).gate
    logs = read_quality(folder / "quality.csv")
    parts = [INTRODUCTION]
    parts += _quality(logs, gate) if all(logs.values()) else ["## Quality\n\nNot collected yet.\n"]
    parts += _timing(folder, gate)
    return "\n".join(parts)


TIMING = (
    f"A process builds both sides {BUILDS} times anew, each first equally often; its ratio is the mean over these "
    "builds, as in `ganprune compare`. BASE and HEAD are equal networks. In the rows with a percentage, HEAD's call "
    "also multiplies small matrices, as many as took so much of its CPU time when the collection began; what it came "
    "to over all processes stands beside it."
)

LEADING, BESIDE = (GENERATION.quantity(name).title for name in METRICS)

SPREAD = (
    "cell", "change", f"{LEADING} BASE", f"{LEADING} by", "spread alone", "spread of difference", "correlation",
    f"{BESIDE} by", f"spread {BESIDE}",
)  # fmt: skip


def _quality(logs: Logs, gate: Gate) -> list[str]:
    seeds = len(next(iter(next(iter(logs.values())).values())))
    which = [change for change in changes() if gated(change, gate)]
    left_out = sorted({change.cell for change in changes()} - {change.cell for change in which})
    fitted = priors(logs, which)
    rules = QualityRules(
        {m: Prior(gate.prior[m].sd ** 2, gate.prior[m].degrees) if m in gate.prior else fitted[m] for m in METRICS},
        {m: gate.margin(m) for m in METRICS},
        gate.error,
    )
    return [
        "## Quality: what the noise of a difference is",
        "",
        f"{seeds} seeds (calibration and evaluation inputs both new for each), 500 images, recovery `bn-recalibrate`. "
        "BASE and HEAD share the inputs of a seed. Spread: standard deviation over seeds of the logarithm of "
        f"{LEADING} or {BESIDE} (.05 is about 5 %), of BASE alone and of the difference.",
        "",
        table(SPREAD, [_spread_row(logs, change) for change in changes()]),
        "",
        f"Too noisy for three seeds, so `ci` gates only their exact numbers: {', '.join(left_out) or 'none'}.",
        "",
        "What the variances of the other differences have in common (Smyth 2004), as `[gate.prior]` takes it:",
        "",
        table(
            ["metric", "fitted sd", "fitted degrees", "sd in the experiment", "degrees in the experiment"],
            [[m, *_prior(fitted[m]), *_prior(rules.priors[m])] for m in METRICS],
        ),
        "",
        *_quality_rates(logs, which, rules),
    ]


def _prior(prior: Prior) -> list[str]:
    return [f"{prior.variance**0.5:.4f}", f"{prior.degrees:.2f}"]


def _quality_rates(logs: Logs, which: Sequence[Change], rules: QualityRules) -> list[str]:
    false_alarms, power, singles = [], [], []
    for kind in dict.fromkeys(change.kind for change in which):
        same = [change for change in which if change.kind == kind]
        run, _ = found_in_run(logs, same, rules, centred=True)
        false_alarms.append([kind, str(len(same)), rate_words(run)])
        run, cells = found_in_run(logs, same, rules, centred=False)
        power.append([kind, str(len(same)), rate_words(run)])
        for change, rate in zip(same, cells, strict=True):
            by = float(np.expm1(difference(logs, change)[:, 0].mean()))
            alone, _ = found_in_run(logs, [change], rules, centred=False)
            singles.append([change.cell, kind, f"{100 * by:+.1f} %", rate_words(alone), rate_words(rate)])
    margins = ", ".join(f"{m.upper()} {100 * rules.margins[m]:g} %" for m in METRICS)
    return [
        "## Quality: rates with three seeds",
        "",
        f"Family-wise error {rules.error:g}; margins {margins}. Runs are sets of three different seeds; in a run all "
        "cells of the row change at once, so that they share the error as in the worst case. Bounds (95 %) cover the "
        "finite number of draws and of seeds; no bound can cover what these seeds do not hold.",
        "",
        "False alarms: the same differences, centred on their mean, so that nothing is worse.",
        "",
        table(["change", "cells", "runs with a false regression"], false_alarms),
        "",
        "Found: the differences as they are.",
        "",
        table(["change", "cells", "runs with a regression"], power),
        "",
        "Cell by cell: a cell that alone has changed has the whole error to itself. What costs less than the margin is "
        "no regression by definition, and is rightly not found.",
        "",
        table(["cell", "change", f"{LEADING} worse by", "found if it alone changed", "found if all changed"], singles),
        "",
    ]


def _spread_row(logs: Logs, change: Change) -> list[str]:
    base = logs[change.workload][change.base.label]
    d = difference(logs, change)
    return [
        change.cell,
        change.kind,
        f"{np.exp(base[:, 0].mean()):.1f}",
        f"{100 * np.expm1(d[:, 0].mean()):+.1f} %",
        f"{base[:, 0].std(ddof=1):.3f}",
        f"{d[:, 0].std(ddof=1):.4f}",
        f"{correlation(logs, change)[0]:.3f}",
        f"{100 * np.expm1(-d[:, 1].mean()):+.1f} %",
        f"{d[:, 1].std(ddof=1):.4f}",
    ]


def _timing(folder: Path, gate: Gate) -> list[str]:
    lines = ["## Timing: what the noise of a ratio is", "", TIMING, ""]
    for condition in ("idle", "busy"):
        tables, loads = read_timing(folder / f"timing-{condition}.csv")
        if not tables:
            lines += [f"Condition *{condition}*: not collected yet.", ""]
            continue
        lines += _condition(condition, tables, loads, gate, folder)
    return lines


def _condition(condition: str, tables: dict[str, np.ndarray], loads: np.ndarray, gate: Gate, folder: Path) -> list[str]:
    plain = [label for label in tables if "+" not in label]
    n = len(loads)
    about = read_json(folder / "timing-setup.json")["environment"]
    where = f"{about['machine']['device']}, {about['machine']['cores']} cores, torch {about['libraries']['torch']}"
    quiet = np.median(loads) < QUIET + (condition == "busy")  # the neighbour
    contended = "" if quiet else " **Others were busy on the machine: not a quiet measurement.**"
    what = "nothing else running" if condition == "idle" else "one process beside that keeps a core busy"
    lines = [
        f"### {condition.capitalize()}: {what}",
        "",
        f"{n} fresh processes on {where}; load average before a process {np.median(loads):.1f} (median).{contended}",
        "",
        table(
            ["ratio", "processes with a ratio", "mean HEAD / BASE", "spread between processes"],
            [_ratio_row(label, values) for label, values in tables.items()],
        ),
        "",
    ]
    if n < 2 * MIN_PROCESSES:
        return [*lines, f"Rates need at least {2 * MIN_PROCESSES} processes.", ""]
    tests = len(plain)
    rules = {"processes": gate.processes, "margin": gate.margins.time, "error": gate.error}
    rows = []
    whole = timing_rates([tables[label] for label in plain], tests=tests, **rules)  # type: ignore[arg-type]
    rows.append(["all ratios, A/A", "any", rate_words(whole.regression), f"{100 * whole.undecided:.1f} %"])
    for label in plain:
        for slower in SLOWER:
            injected = f"{label} +{100 * slower:g}%"
            if injected in tables:
                one = timing_rates([tables[injected]], tests=tests, **rules)  # type: ignore[arg-type]
                rows.append(
                    [label, f"{100 * slower:g} % slower", rate_words(one.regression), f"{100 * one.undecided:.1f} %"]
                )
    return [
        *lines,
        f"Comparisons of {gate.processes} processes, margin {100 * gate.margins.time:g} %, {tests} ratios that share "
        f"{gate.error:g}. In the A/A row a regression is a false alarm.",
        "",
        table(["ratio", "change", "regression", "invalid or inconclusive"], rows),
        "",
    ]


def _ratio_row(label: str, values: np.ndarray) -> list[str]:
    there = values[~np.isnan(values)]
    if len(there) < 2:
        return [label, f"{len(there)}", "", ""]
    return [label, f"{len(there)}", f"{np.exp(there.mean()):.4f}", f"{100 * there.std(ddof=1):.2f} %"]


def rate_words(rate: Rate) -> str:
    """A rate in percent with its bounds."""
    return f"{100 * rate.value:.2f} % ({100 * rate.low:.2f} to {100 * rate.high:.2f})"


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

"""`docs/calibration.md`, written from the collected data alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.base.outside import read_json
from bench.experiments import load_experiment
from bench.experiments.gate import Gate, PriorRule
from bench.gate.calibration.quality import BOUND, METRICS, WORKLOADS
from bench.gate.calibration.rates import (
    SEEDS_OF_A_RUN,
    Change,
    Quality,
    QualityRules,
    Rate,
    changes,
    correlation,
    difference,
    found_in_run,
    gated,
    logarithms,
    read_quality,
    read_timing,
    rules_of,
    timing_rates,
    unpaired,
)
from bench.gate.calibration.timing import SLOWER
from bench.gate.timing import MIN_PROCESSES
from bench.measure.builds import BUILDS
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
    quality = read_quality(folder / "quality.csv")
    parts = [INTRODUCTION]
    parts += _quality(quality, gate) if all(quality.values()) else ["## Quality\n\nNot collected yet.\n"]
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
    f"to images {LEADING}", f"{BESIDE} by", f"spread {BESIDE}", f"to images {BESIDE}",
)  # fmt: skip


def _quality(quality: Quality, gate: Gate) -> list[str]:
    seeds = len(next(iter(next(iter(quality.values())).values())).logs)
    which = [change for change in changes() if gated(change, gate)]
    left_out = sorted({change.cell for change in changes()} - {change.cell for change in which})
    margins = {m: gate.margin(m) for m in METRICS}
    fitted = rules_of(quality, which, margins)
    taken = {m: gate.prior.get(m, fitted[m]) for m in METRICS}
    rules = QualityRules(taken, margins, gate.error)
    return [
        "## Quality: what the noise of a difference is",
        "",
        f"{seeds} seeds (calibration and evaluation inputs both new for each), 500 images, recovery `bn-recalibrate`. "
        "BASE and HEAD share the inputs of a seed. Spread: standard deviation over seeds of the logarithm of "
        f"{LEADING} or {BESIDE} (.05 is about 5 %), of BASE alone and of the difference. *To images*: the spread over "
        "seeds of what is tested, divided by what the images of a seed alone say of it (root of the mean of their "
        "variance); 1 where they are all of the noise.",
        "",
        table(SPREAD, [_spread_row(quality, change, margins) for change in changes()]),
        "",
        f"Too noisy for three seeds, so `ci` gates only their exact numbers: {', '.join(left_out) or 'none'}.",
        "",
        "What the variances of the other differences have in common (Smyth 2004), as `[gate.prior]` takes it. The "
        "excess is the variance over seeds divided by that from the images, of cells that draw calibration inputs; "
        "the spread stands where networks are drawn, and where a side has kept no contributions of its images.",
        "",
        table(
            ["metric", "", "spread", "degrees", "excess", "degrees of the excess"],
            [
                [m, name, *_prior(prior[m])]
                for m in METRICS
                for name, prior in (("fitted", fitted), ("in the experiment", taken))
            ],
        ),
        "",
        *_bound(quality, gate),
        *_quality_rates(quality, which, rules),
    ]


def _prior(rule: PriorRule) -> list[str]:
    return [f"{rule.sd:.4f}", f"{rule.degrees:.2f}", f"{rule.excess:.3f}", f"{rule.excess_degrees:.2f}"]


def _bound(quality: Quality, gate: Gate) -> list[str]:
    """Why the number at N is gated, not that without its bias."""
    title, margin = GENERATION.quantity(BOUND).title, gate.margin(METRICS[0])
    rows = []
    for workload, table in quality.items():
        for label in dict.fromkeys(change.base.label for change in changes()):
            network = table[label]
            at_n, bound = float(np.exp(network.logs[:, 0]).mean()), float(network.bound[:, 0].mean())
            own = float(np.sqrt(network.bound[:, 1].mean() / SEEDS_OF_A_RUN))
            rows.append(
                [
                    f"{workload} {label}",
                    f"{at_n:.2f}",
                    f"{bound:.2f}",
                    f"{own:.2f}",
                    f"{margin * at_n:.2f}",
                    f"{margin * abs(bound):.2f}",
                ]
            )
    return [
        f"{LEADING} at N is gated, not {title}. Both sides have the same N, so its bias is in both and falls out of "
        f"their difference, and its logarithm has a margin that stays where {title} is near 0: a share of {title} "
        "would be a share of a number that three seeds do not know.",
        "",
        table(
            [
                "network", LEADING, title, "error of three seeds", f"{100 * margin:g} % of {LEADING}",
                f"{100 * margin:g} % of {title}",
            ],
            rows,
        ),
        "",
    ]  # fmt: skip


def _quality_rates(quality: Quality, which: Sequence[Change], rules: QualityRules) -> list[str]:
    before = replace(rules, rule="spread")
    false_alarms, power, singles = [], [], []
    for kind in dict.fromkeys(change.kind for change in which):
        same = [change for change in which if change.kind == kind]
        false = [
            rate_words(found_in_run(quality, same, r, truth=truth)[0]) for truth in (0.0, 1.0) for r in (rules, before)
        ]
        false_alarms.append([kind, str(len(same)), *false])
        run, cells = found_in_run(quality, same, rules)
        power.append([kind, str(len(same)), rate_words(run), rate_words(found_in_run(quality, same, before)[0])])
        for change, rate in zip(same, cells, strict=True):
            by = float(np.expm1(logarithms(quality, change)[:, 0].mean()))
            alone = [rate_words(found_in_run(quality, [change], r)[0]) for r in (rules, before)]
            singles.append([change.cell, kind, f"{100 * by:+.1f} %", *alone, rate_words(rate)])
    others = []
    for workload in WORKLOADS:
        for truth, words in ((0.0, "nothing"), (1.0, "the margin")):
            rate, count = unpaired(quality, workload, rules, truth=truth)
            others.append([workload, str(count), words, rate_words(rate)])
    margins = ", ".join(f"{m.upper()} {100 * rules.margins[m]:g} %" for m in METRICS)
    return [
        "## Quality: rates with three seeds",
        "",
        f"Family-wise error {rules.error:g}; margins {margins}. Runs are sets of three different seeds; in a run all "
        "cells of the row change at once, so that they share the error as in the worst case. Bounds (95 %) cover the "
        "finite number of draws and of seeds; no bound can cover what these seeds do not hold. *By images* is the "
        "rule where both sides have kept what their images contribute; *by spread* where one has not: then the spread "
        "of three seeds and the prior are all there is.",
        "",
        "False alarms: the same differences, moved so that their mean is 0 (nothing is worse), or the margin (the "
        "worst that is no regression: where the error is spent).",
        "",
        table(
            [
                "change", "cells", "mean 0, by images", "mean 0, by spread", "mean at the margin, by images",
                "mean at the margin, by spread",
            ],
            false_alarms,
        ),
        "",
        "False alarms between equal networks on other inputs: BASE three seeds, HEAD three others, independent images. "
        "All networks of a workload that draw no more than calibration inputs share the error.",
        "",
        table(["workload", "networks", "HEAD made worse by", "runs with a false regression"], others),
        "",
        "Found: the differences as they are.",
        "",
        table(["change", "cells", "by images", "by spread"], power),
        "",
        "Cell by cell: a cell that alone has changed has the whole error to itself. What costs less than the margin is "
        "no regression by definition, and is rightly not found.",
        "",
        table(
            [
                "cell", "change", f"{LEADING} worse by", "found if it alone changed", "the same by spread",
                "found if all changed",
            ],
            singles,
        ),
        "",
    ]  # fmt: skip


def _spread_row(quality: Quality, change: Change, margins: Mapping[str, float]) -> list[str]:
    base = quality[change.workload][change.base.label].logs
    logs, found = logarithms(quality, change), difference(quality, change, margins)
    ratios = found.tested.std(axis=0, ddof=1) / np.sqrt(found.images.mean(axis=0))
    return [
        change.cell,
        change.kind,
        f"{np.exp(base[:, 0].mean()):.1f}",
        f"{100 * np.expm1(logs[:, 0].mean()):+.1f} %",
        f"{base[:, 0].std(ddof=1):.3f}",
        f"{logs[:, 0].std(ddof=1):.4f}",
        f"{correlation(quality, change)[0]:.3f}",
        f"{ratios[0]:.2f}",
        f"{100 * np.expm1(-logs[:, 1].mean()):+.1f} %",
        f"{logs[:, 1].std(ddof=1):.4f}",
        f"{ratios[1]:.2f}",
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
    return f"{100 * rate.value:.2f} % ({100 * rate.low:.2f} to {100 * rate.high:.2f})"


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

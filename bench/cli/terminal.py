"""What the commands print."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from bench.base.consoles import clean_console
from bench.base.printable import printable, printable_json

if TYPE_CHECKING:
    import pandas as pd

    from bench.artifact.onnx import Exported
    from bench.check.finding import Finding
    from bench.check.strategy import Check
    from bench.sweep.made import Made
    from bench.sweep.plan import Plan
    from bench.sweep.resolved import ResolvedCell
    from bench.sweep.run import Outcome
    from bench.sweep.tune import Tuned
    from bench.tasks import Quantity

console = clean_console()
if not console.is_terminal:
    console = clean_console(width=120)  # a log file has no width of its own


def print_note(text: str) -> None:
    """One line about something that is not as it should be."""
    console.print(text, markup=False)


def print_text(text: str) -> None:
    """Text of ours as it is, whatever the width; colours are left in."""
    console.file.write(text if text.endswith("\n") else f"{text}\n")


def say(text: str) -> None:
    """Text with names and words of others in it, whatever the width."""
    print_text(printable(text))


def print_rows(kind: str, rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    """A table, or a JSON list of objects."""
    if as_json:
        console.file.write(printable_json(rows) + "\n")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    # A strategy's name already says what it is made of; --json has all of it.
    columns = [c for c in (rows[0] if rows else []) if c not in {"criterion", "granularity", "allocation", "schedule"}]
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in {"name", "levels"})
    for row in rows:
        table.add_row(*(_levels(row[c]) if c == "levels" else _plain(row[c]) for c in columns))
    console.print(table if rows else f"no {kind}")


def _levels(levels: dict[str, Any]) -> str:
    """``any sparsity or threshold = X``: what may be asked of a strategy, in words."""
    words = ["any sparsity"] if levels["continuous"] else []
    fixed = ", ".join(map(_plain, levels["fixed"]))
    if levels["knob"]:
        words.append(f"{levels['knob']} = {fixed or 'X'}")
    elif fixed:
        words.append(f"sparsity {fixed}")
    return " or ".join(words)


def _plain(value: Any) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def print_outcome(outcome: Outcome, page: Path) -> None:
    """The final table of a run, its failures, the report's path last."""
    from bench.report.loading import read_run
    from bench.tables import run_tables

    inputs = read_run(outcome.folder)
    console.print(*_summary_tables(run_tables(inputs.records, inputs.latency, inputs.evidence).summary), sep="\n")
    done = outcome.cells - outcome.failed
    before = f", {outcome.finished_before} of them before" if outcome.finished_before else ""
    console.print(f"{done} of {outcome.cells} cells finished{before}; {outcome.seconds:.0f} s.")
    if outcome.failed:
        console.print(
            f"{outcome.failed} failed; they are in {outcome.folder / 'failures'} and are tried again by the next run.",
            style="bold red",
        )
    if outcome.failed_timings:
        console.print(
            f"{outcome.failed_timings} latency measurements failed; they are in {outcome.folder / 'failures'} "
            "and are tried again by the next run.",
            style="bold red",
        )
    console.print(str(page), soft_wrap=True, markup=False)


def _summary_tables(summary: pd.DataFrame) -> list[Table]:
    """A table for each way of judging: as a rule one, for workloads of several tasks more."""
    from bench.tables.lead import beside_of, lead_of
    from bench.tables.places import names_in
    from bench.tables.tidy import rows_of

    names = names_in(summary)
    groups: dict[tuple[Quantity | None, ...], list[dict[str, Any]]] = {}
    for _, group in summary.groupby("workload", sort=False):
        rows = rows_of(group)
        groups.setdefault((lead_of(rows), *beside_of(rows)), []).extend(rows)
    return [
        _summary_table(rows, names, lead, [other for other in beside if other])
        for (lead, *beside), rows in groups.items()
    ]


def _summary_table(
    rows: Sequence[dict[str, Any]],
    names: Mapping[tuple[str, str], str],
    lead: Quantity | None,
    beside: Sequence[Quantity],
) -> Table:
    """A block for each workload, checkpoint, recovery and target, under its name; of checkpoint and target only what
    differs is named. Columns without any value are left out.
    """
    from bench.tables.lead import power_in, titled

    matched = {row["target"] for row in rows if row["strategy"] != "dense"}

    power = power_in(rows, lead)
    judged = titled(lead, power) if lead else "status"
    headings = ["strategy", "level", "params", "MACs", judged, "to dense"]
    headings += [*(other.title for other in beside), "faster b1", "b16", "collapsed"]
    blocks: dict[str, list[list[str]]] = {}
    for row in rows:
        cells = _summary_cells(row, lead, 10.0**power, beside)
        place = f"{names[row['workload'], row['checkpoint']]}, {row['recovery']}"
        if len(matched) > 1 and row["strategy"] != "dense":
            place += f", target {row['target']}"
        blocks.setdefault(place, []).append(cells)
    every = [line for lines in blocks.values() for line in lines]
    columns = [i for i in range(len(headings)) if any(line[i] for line in every)]
    narrow = console.width < 100
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0) if narrow else (0, 1))
    table.add_column(headings[0], overflow="fold", min_width=12)
    for i in columns[1:]:
        table.add_column(headings[i], justify="right", no_wrap=True)
    for block, lines in blocks.items():
        table.add_row(Text(block, style="bold"))
        for line in lines:
            table.add_row(*(Text(line[i]) for i in columns))
        table.add_section()
    return table


def _summary_cells(row: dict[str, Any], lead: Quantity | None, scale: float, beside: Sequence[Quantity]) -> list[str]:
    from bench.tables.latency import NOT_SEPARABLE
    from bench.tables.text import MISSING, seen_places, speedup_text

    names = ("finite_mean", "finite_ci95", "finite_delta_mean")
    mean, half, delta = (row[f"{lead.name}_{name}"] * scale if lead else math.nan for name in names)
    digits = seen_places(mean, lead.decimals) if lead else 2
    others = [f"{row[f'{other.name}_finite_mean']:.{other.decimals}f}" for other in beside]
    quality = f"{mean:.{digits}f}" + ("" if math.isnan(half) else f" ±{half:.{digits}f}")
    if math.isnan(mean):
        quality = row["collapsed"] or row["status"]
    cells = [
        f"{row['params_nonzero_ratio']:.1f}x",
        f"{row['speedup_theoretical']:.1f}x",
        quality,
        "" if row["strategy"] == "dense" else f"{delta:+.{digits}f}",
        *others,
        *(speedup_text(row, batch).replace(NOT_SEPARABLE, "≈ 1").replace(MISSING, "") for batch in (1, 16)),
        "" if math.isnan(mean) else row["collapsed"].removeprefix("collapsed "),
    ]
    return [row["strategy"], str(row["level"]), *("" if "nan" in cell else cell for cell in cells)]


def print_plan(
    plan: Plan, missing: Sequence[ResolvedCell], seconds: float, latency_seconds: float, folder: Path
) -> None:
    """Cells, done, missing, estimated time."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("workload", "strategy", "recovery", "cells", "done", "missing"):
        table.add_column(heading, justify="right" if heading in {"cells", "done", "missing"} else "left")
    keys = {(planned.keys.eval, planned.cell.label) for planned in missing}
    counts: dict[tuple[str, str, str], list[int]] = {}
    for planned in plan.cells:
        cell = planned.cell
        entry = counts.setdefault((cell.workload, cell.strategy, cell.after), [0, 0])
        entry[0] += 1
        entry[1] += (planned.keys.eval, cell.label) in keys
    for (workload, strategy, recovery), (total, left) in counts.items():
        table.add_row(workload, strategy, recovery, str(total), str(total - left), str(left))
    console.print(table)
    total = len(plan.cells)
    console.print(f"{total} cells: {total - len(missing)} done, {len(missing)} missing. Run: {folder}", soft_wrap=True)
    times = [f"the missing cells about {_about(seconds)}"] if missing else []
    times += [f"latency about {_about(latency_seconds)}"] if latency_seconds else []
    if times:
        text = f"{', '.join(times)} here, about {_about(seconds + latency_seconds)} in all; report not included."
        console.print(text[0].upper() + text[1:])


def _about(seconds: float) -> str:
    return f"{math.ceil(seconds)} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def print_card(card: dict[str, Any], out: Path) -> None:
    """The numbers of a finished training."""
    from bench.tasks import TASKS

    names = [quantity.name for task in TASKS.values() for quantity in task.quantities]
    measured = [key for name in names for key in card if key == name or key.startswith(f"{name}_")]
    for key in (*measured, "accuracy_held_out", "steps", "cpu_seconds"):
        if isinstance(card.get(key), int | float | str):
            console.print(f"{key:<18} {card[key]}")
    console.print(str(out), soft_wrap=True, markup=False)


def print_finding(finding: Finding) -> None:
    """One line of `check-workload`: whether it works, and what was found."""
    style = {"ok": "green", "note": "yellow", "problem": "bold red"}[finding.kind]
    console.print(Text(f"  {finding.kind:<8}", style=style), Text(finding.text), soft_wrap=True)


def print_step(text: str) -> None:
    """What a check does next, where it can take a while."""
    console.print(Text("  ...     ", style="dim"), Text(text, style="dim"), soft_wrap=True)


def print_pruned(made: Made, out: Path) -> None:
    """Layer by layer what was removed, then the folder."""
    pruned = made.recovered.pruned
    assert pruned is not None  # every strategy but dense removes something
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("layer", "kind", "weights", "kept", "out x in", "kept out x in", "note"):
        table.add_column(heading, justify="right" if heading in {"weights", "kept"} else "left")
    for cut in pruned.layers:
        before, after = (f"{o} x {i}" for o, i in (cut.width, cut.kept_width))
        table.add_row(cut.name, cut.kind, f"{cut.weights:,}", f"{cut.kept:,}", before, after, cut.note)
    console.print(table)
    weights, kept = sum(c.weights for c in pruned.layers), sum(c.kept for c in pruned.layers)
    console.print(f"{1 - kept / weights:.2%} of {weights:,} weights removed.")
    console.print(str(out), soft_wrap=True, markup=False)


def print_exported(exported: Exported) -> None:
    """Whether the export was checked, then the file."""
    if exported.error is None:
        console.print("Not compared: ONNX Runtime is not installed (pip install 'ganprune[onnx]').", markup=False)
    else:
        console.print(f"ONNX Runtime gives the same output, to {exported.error:.1e} of its largest value.")
    console.print(
        f"Takes {', '.join(exported.takes)}; gives {', '.join(exported.gives)}. Sizes that are numbers are fixed.",
        soft_wrap=True,
        markup=False,
    )
    console.print(f"{exported.path} ({exported.size:,} bytes)", soft_wrap=True, markup=False)


def print_tuned(found: Sequence[Tuned], tolerance: float, metric: str, as_json: bool) -> None:
    """What `tune` found, the highest sparsity first."""
    from bench.tasks import quantity_of

    order = sorted(found, key=lambda one: -(one.chosen.achieved if one.chosen else -1.0))
    rows = [
        {
            "strategy": one.strategy,
            "verdict": one.verdict,
            "sparsity": one.chosen.achieved if one.chosen else None,
            "loss": one.chosen.mean if one.chosen else None,
            "noise": one.chosen.noise if one.chosen else None,
            "held-out loss": one.held_out,
            "reason": one.reason,
        }
        for one in order
    ]
    if as_json:
        console.file.write(printable_json(rows) + "\n")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("strategy", "verdict", "sparsity", "loss", "noise", "held-out loss", "reason"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(f"{v:.3f}" if isinstance(v, float) else v or "-" for v in row.values()))
    console.print(table)
    quantity = quantity_of(metric)
    ends = [quantity.tested, f"{quantity.tested} of dense"]
    sign = " - ".join(ends if quantity.sign > 0 else ends[::-1])
    console.print(
        f"Highest sparsity with a mean loss of at most {tolerance:g}; loss = {sign}, mean over the folds; "
        "noise = its standard error; held-out: chosen on the other folds.",
        markup=False,
    )


def print_checks(name: str, checks: Sequence[Check]) -> None:
    """What `check-strategy` found: each requirement on each workload, what failed with its reason, the sum."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("workload", "requirement", "verdict", "found"):
        table.add_column(column, overflow="fold")
    for check in checks:
        table.add_row(check.workload or "-", check.what, check.verdict, check.detail)
    console.print(table)
    failed = sum(check.verdict == "failed" for check in checks)
    console.print(f"{name}: {len(checks) - failed} of {len(checks)} checks passed or do not apply.", markup=False)

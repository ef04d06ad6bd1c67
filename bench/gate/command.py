"""What `ganprune compare` and `ganprune baseline` do."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bench.base.errors import Mistakes, UserError
from bench.experiments.gate import GatedCell, GatedTiming
from bench.experiments.places import chosen
from bench.gate.baseline import HEAD_FILE, baseline_folder, read_baseline, write_baseline
from bench.gate.compare import compare
from bench.gate.contents import Contents, contents_of_records, gate_of, records_of_run
from bench.gate.history import drift, history
from bench.gate.images import gated_images, images_of_run
from bench.gate.render import FORMATS, format_of, write
from bench.gate.render.order import number
from bench.gate.render.terminal import terminal
from bench.gate.sides import opened
from bench.gate.verdicts import Result
from bench.records import PlannedCell
from bench.records.paths import report_folder
from bench.records.store import RunStore
from bench.report.loading import find_run
from bench.tasks import GATED, quantity_of


def compare_and_write(
    base: str,
    head: str,
    *,
    results: Path,
    strict: bool = False,
    form: str = "table",
    write_to: Sequence[Path] = (),
    timing: bool = True,
    width: int = 100,
    colour: bool = False,
) -> tuple[Result, str]:
    """Compare, write the files that were asked for, and give the comparison in the form that was asked for.

    Args:
        width: of a table; ``colour``: whether it is for a terminal.

    Raises:
        UserError: no such side, form or file type; said before anything is timed.
    """
    if form not in FORMATS:
        raise UserError(f"--format {form}: known are {', '.join(FORMATS)}.")
    for path in write_to:
        format_of(path)
    with opened(base, head, results) as (first, last):
        result = compare(first, last, strict=strict, timing=timing, advance=_say)
    for path in write_to:
        write(result, path)
    if form == "table":
        return result, terminal(result, width=width, colour=colour)
    return result, FORMATS[form](result)


def _say(done: int, total: int) -> None:
    """Timing takes minutes: said on stderr, so that stdout holds the comparison alone; in a log a line now and then."""
    line = f"timing BASE against HEAD: process {done} of {total}"
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{line}" + ("\n" if done == total else ""))
    elif done % 5 == 0 or done == total:
        sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def accept_run(run: str, *, reason: str, results: Path) -> str:
    """Make a run the baseline of its experiment.

    Returns:
        What to tell the user.

    Raises:
        Mistakes: the run is not finished, a cell of it failed, or what it gates is not in it.
    """
    if not reason.strip():
        raise UserError("--reason: is empty; say why these numbers are accepted, reviewers will read it.")
    folder = find_run(run, results)
    store = RunStore(folder)
    manifest = store.read_manifest()
    wrong = [f"{p.cell.label}: {_why_absent(store, p)}" for p in manifest.cells if store.read_record(p) is None]
    _, records = records_of_run(folder)
    contents = contents_of_records(manifest, records)
    rules = gate_of(contents, str(folder))
    places = contents.places
    gated: list[GatedCell | GatedTiming] = [*rules.cells, *rules.latency]
    for rule in gated:
        place = chosen(rule, contents.experiment)
        if place not in places:
            wrong.append(f"{place.label}: is gated, but the run has no such cell.")
    if wrong:
        raise Mistakes(wrong, "nothing was accepted")
    target = baseline_folder(results, contents.name)
    images = gated_images(contents, rules, images_of_run(folder, records))
    write_baseline(target, contents, reason=" ".join(reason.split()), run=manifest.run, images=images)
    dirty = [revision for revision in contents.git if revision.endswith("-dirty")]
    note = f"\nMeasured with uncommitted changes ({', '.join(dirty)})." if dirty else ""
    return f"{len(contents.cells)} cells of {folder} are the baseline of {contents.name!r} now.{note}\n{target}"


def _why_absent(store: RunStore, planned: PlannedCell) -> str:
    failure = store.read_failure(planned)
    return f"failed: {failure.error}" if failure else "not finished; run the experiment again."


def show(experiment: str, *, results: Path) -> str:
    """A baseline in words, then its gated numbers."""
    path = Path(experiment)
    folder = path if (path / HEAD_FILE).exists() else baseline_folder(results, experiment)
    head, contents = read_baseline(folder)
    rules = gate_of(contents, str(folder))
    lines = [
        f"{contents.name}: {len(contents.cells)} cells, accepted {head.accepted}",
        f"reason: {head.reason}",
        f"measured with {'; '.join(sorted({e.label for e in contents.environments}))}",
        f"source: {', '.join(contents.git) or 'unknown'}; run {head.run}",
        f"gated: {len(rules.cells)} cells, {len(rules.latency)} latency ratios",
        "",
    ]
    gated = [chosen(rule, contents.experiment) for rule in rules.cells]
    rows = [[place.label, *_numbers(contents, place.workload, contents.cells_at(place))] for place in gated]
    if rows:
        lines += _aligned([["cell", *(quantity_of(name).title for name in GATED), "parameters left", "MACs"], *rows])
    return "\n".join(lines)


def _numbers(contents: Contents, workload: str, values: dict[str, list[float | int | None]]) -> list[str]:
    found = []
    for wanted in (*GATED, "params_nonzero", "macs_effective"):
        name = next((n for n in contents.terms.get(workload, {}) if n.partition("[")[0] == wanted), wanted)
        column = [x for x in values.get(name, []) if x is not None]
        found.append(number(sum(column) / len(column), "") if column else "-")
    return found


def show_history(experiment: str, *, results: Path, reports: Path) -> str:
    """The drift of the gated numbers as a table; the plot goes to ``reports/<experiment>/history.svg`` and so on."""
    from bench.gate.plot import draw_history

    accepted, skipped = history(results, experiment)
    series = drift(accepted)
    lines = []
    for i, one in enumerate(accepted):
        lines.append(f"[{i}] {one.head.accepted[:10]} {(one.commit or 'uncommitted')[:12]}  {one.head.reason}")
    lines += [f"not read: {text}" for text in skipped] + [""]
    table = [["cell", "metric", *(f"[{i}]" for i in range(len(accepted)))]]
    table += [[s.cell, s.metric, *("-" if v is None else number(v, "") for v in s.values)] for s in series]
    lines += _aligned(table)
    if any(len({v for v in s.versions if v}) > 1 for s in series):
        lines.append("Numbers on both sides of a change of version are not comparable; the plot is broken there.")
    written = draw_history(accepted, series, report_folder(reports, experiment), "history")
    return "\n".join([*lines, *map(str, written)])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]

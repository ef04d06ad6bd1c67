"""BASE against HEAD: every cell, every number, the gated times; one verdict for each and one exit code for all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from bench.base.errors import UserError
from bench.experiments.gate import Gate, GatedTiming
from bench.experiments.places import Place, chosen
from bench.gate.both import Both, Part, row_of
from bench.gate.contents import Contents, gate_of
from bench.gate.exact import exact_rows, shape_at, shape_row, status_row
from bench.gate.noisy import LACKING, noisy_part
from bench.gate.sides import Side
from bench.gate.timing import Network, Ratio, Timed, time_ratios
from bench.gate.verdicts import Judgeable, Result, Row, Verdict, exit_code, judge
from bench.tasks import BOUNDS, GATED

STOCHASTIC = (*GATED, *BOUNDS)
"""Metrics that are tested; all others with noise are for information and have no verdict here."""

TimeRatios = Callable[..., list[Timed]]


def compare(
    base: Side,
    head: Side,
    *,
    strict: bool = False,
    timing: bool = True,
    time_them: TimeRatios = time_ratios,
    advance: Callable[[int, int], None] | None = None,
) -> Result:
    """Compare two sides by the rules that HEAD's experiment has.

    Raises:
        UserError: neither side can be read, or the rules are not understood.
    """
    start = time.monotonic()
    readable = head.contents or base.contents
    if readable is None:
        raise UserError("\n".join(side.problem for side in (base, head)))
    gate = gate_of(readable, head.label if head.contents else base.label)
    notes: list[str] = []
    if base.contents is None or head.contents is None or base.contents.name != head.contents.name:
        parts: list[Part] = list(_nothing_comparable(base, head, gate, readable))
    else:
        both = Both(base.contents, head.contents, gate, notes, (base.images, head.images))
        _say_what_differs(both, head)
        cells = _cells(both)
        _say_what_is_lacking(cells, notes)
        parts = [*cells, *_times(both, base, head, timing=timing, time_them=time_them, advance=advance)]
    if not gate.cells and not gate.latency:
        notes.append("nothing is gated: the experiment's [gate] names no cells")
    rows = _judged(parts, gate.error)
    code = exit_code(rows, strict=strict)
    return Result(
        experiment=readable.name,
        base=base.label,
        head=head.label,
        verdict={0: "ok", 1: "regression", 3: "undecided"}[code],  # type: ignore[arg-type]
        exit_code=code,
        strict=strict,
        rows=rows,
        notes=notes,
        seconds=round(time.monotonic() - start, 1),
    )


def _judged(parts: Sequence[Part], error: float) -> list[Row]:
    """Verdicts of all parts: gated ones share one family-wise error, the others have one of their own."""
    judged: dict[int, Row] = {}
    for gated in (True, False):
        pool = [(i, p) for i, p in enumerate(parts) if isinstance(p, Judgeable) and p.row.gated is gated]
        rows = judge([part for _, part in pool], error)
        judged |= {i: row for (i, _), row in zip(pool, rows, strict=True)}
    return [part if isinstance(part, Row) else judged[i] for i, part in enumerate(parts)]


def _nothing_comparable(base: Side, head: Side, gate: Gate, readable: Contents) -> list[Row]:
    """Every gated cell, when one side as a whole cannot be compared with the other."""
    if base.contents and head.contents:
        reason = f"BASE is of experiment {base.contents.name!r}, HEAD of {head.contents.name!r}"
    else:
        reason = next(side.problem for side in (base, head) if side.contents is None)
    verdict: Verdict = "not comparable"
    places = [chosen(rule, readable.experiment) for rule in gate.cells]
    rows = [row_of(place, gated=True).model_copy(update={"verdict": verdict, "reason": reason}) for place in places]
    return rows or [Row(cell="all", metric="", kind="cell", gated=True, verdict=verdict, reason=reason)]


def _say_what_differs(both: Both, head: Side) -> None:
    """What a reader must know before any row."""
    labels = [sorted({environment.label for environment in side.environments}) for side in both.sides]
    if labels[0] != labels[1]:
        both.notes.append(f"BASE was measured with {' and '.join(labels[0])}; HEAD with {' and '.join(labels[1])}")
    if gate_of(both.base, "BASE") != both.gate:
        both.notes.append("BASE's experiment has another [gate]; HEAD's rules are used")
    if len(both.head.git) > 1:
        both.notes.append(f"{head.label} was measured by several revisions: {', '.join(both.head.git)}")


def _say_what_is_lacking(parts: Sequence[Part], notes: list[str]) -> None:
    """That gated numbers differ and were compared without what their images contribute."""
    judged = [part for part in parts if isinstance(part, Judgeable)]
    found = [part for part in judged if part.row.gated and any(LACKING in note for note in part.notes)]
    if found:
        notes.append(
            f"{len(found)} gated numbers that differ are compared by the spread of their seeds alone, because a side "
            "has kept no contributions of its images; run it anew, or accept a new baseline, and less is undecided"
        )


def _cells(both: Both) -> list[Part]:
    """All cells of both sides, the gated ones first."""
    gated = {chosen(rule, both.head.experiment): rule for rule in both.gate.cells}
    before = [chosen(rule, both.base.experiment) for rule in gate_of(both.base, "BASE").cells]
    dropped = [place for place in before if place not in gated]
    others = [p for p in dict.fromkeys([*both.base.places, *both.head.places]) if p not in gated and p not in dropped]
    parts: list[Part] = []
    for place, rule in gated.items():
        metrics = both.gate.metrics if rule.metrics is None else rule.metrics
        parts += _cell(both, place, gated=True, metrics=metrics)
    for place in dropped:
        reason = "gated in BASE, no longer in HEAD; accept a new baseline if that is meant"
        parts.append(row_of(place, gated=True).model_copy(update={"verdict": "missing", "reason": reason}))
    for place in others:
        parts += _cell(both, place, gated=False, metrics=())
    return parts


def _cell(both: Both, place: Place, *, gated: bool, metrics: Sequence[str]) -> list[Part]:
    row = row_of(place, gated=gated)
    base, head = both.base.places.get(place), both.head.places.get(place)
    if base is None or head is None:
        return [row.model_copy(update=_absent(base is None, head is None))]
    training = [side.checkpoints.get(f"{place.workload} {place.checkpoint}") for side in both.sides]
    if training[0] != training[1]:
        reason = "the generator was trained anew: BASE and HEAD prune different weights; accept a new baseline"
        return [row.model_copy(update={"verdict": "not comparable", "reason": reason})]
    absent = [seed for seed in base.seeds if seed not in head.seeds]
    if absent:
        seeds = ", ".join(map(str, absent))
        return [
            row.model_copy(update={"verdict": "missing", "reason": f"HEAD has no result for seed {seeds} (failed?)"})
        ]
    status, seeds_ok = status_row(row, base.seeds, base, head)
    if not seeds_ok:
        return [status]
    values = (base, head)
    shape = shape_row(row, seeds_ok, both.sides, values)
    exact = exact_rows(row, place, seeds_ok, both.sides, values)
    noisy = [noisy_part(both, place, name, seeds_ok, values, gated=gated and name in metrics) for name in STOCHASTIC]
    return [status, shape, *exact, *(part for part in noisy if part is not None)]


def _absent(in_base: bool, in_head: bool) -> dict[str, str]:
    if in_base and in_head:
        return {"verdict": "missing", "reason": "neither BASE nor HEAD has this cell"}
    if in_head:
        return {"verdict": "missing", "reason": "BASE has this cell, HEAD does not"}
    return {"verdict": "new", "reason": "HEAD has this cell, BASE does not; it is compared once it is accepted"}


def _times(
    both: Both,
    base: Side,
    head: Side,
    *,
    timing: bool,
    time_them: TimeRatios,
    advance: Callable[[int, int], None] | None,
) -> list[Part]:
    """Rows of the gated times: those that need no clock, and those that were timed now."""
    rules = [(rule, _ratio(both, rule)) for rule in both.gate.latency]
    rows: dict[int, Part] = {}
    to_time: list[tuple[int, Row, Ratio]] = []
    for index, (rule, ratio) in enumerate(rules):
        row = _time_row(both, rule)
        if isinstance(ratio, str):
            rows[index] = row.model_copy(update={"verdict": "not comparable", "reason": ratio})
        elif ratio.base == ratio.head and base.source is None and head.source is None:
            rows[index] = row.model_copy(update={"verdict": "ok", "reason": _nothing_to_time(base)})
        elif not timing:
            rows[index] = row.model_copy(update={"verdict": "not comparable", "reason": "timing was left out"})
        else:
            to_time.append((index, row, ratio))
    if to_time:
        timed = time_them(
            [ratio for *_, ratio in to_time],
            processes=both.gate.processes,
            max_seconds=both.gate.max_seconds,
            base_source=base.source,
            head_source=head.source,
            advance=advance,
        )
        for (index, row, _), found in zip(to_time, timed, strict=True):
            rows[index] = _timed_part(row, found, both.gate, base, head)
    return [rows[index] for index in sorted(rows)]


def _time_row(both: Both, rule: GatedTiming) -> Row:
    usual = rule.device == "cpu" and rule.backend == "eager"
    setting = "" if usual else f" {rule.device} {rule.backend}"
    row = row_of(chosen(rule, both.head.experiment), gated=True)
    return row.model_copy(update={"metric": f"time b{rule.batch}{setting}", "kind": "timing"})


def _nothing_to_time(base: Side) -> str:
    if base.revision:
        return "the same architecture and the same source"
    return "the same architecture; BASE's source is not at hand, so slower code would not be seen"


def _ratio(both: Both, rule: GatedTiming) -> Ratio | str:
    """What to time, or why it cannot be."""
    place = chosen(rule, both.head.experiment)
    networks = []
    for side, name in zip(both.sides, ("BASE", "HEAD"), strict=True):
        values = side.places.get(place)
        ok = [s for s, status in zip(values.seeds, values.status, strict=True) if status == "ok"] if values else []
        shape = shape_at(side, values, ok[0]) if values and ok else None
        if shape is None:
            return f"{name} has no network for this cell"
        networks.append(Network(place.workload, place.checkpoint, shape))
    if rule.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            return "no CUDA device here"
    return Ratio(networks[0], networks[1], rule.batch, rule.device, rule.backend)


def _timed_part(row: Row, found: Timed, gate: Gate, base: Side, head: Side) -> Part:
    row = row.model_copy(update={"base": found.base_ms, "head": found.head_ms, "n": found.processes})
    if found.error and found.estimate is None:
        reason = f"could not be timed: {found.error}"
        return row.model_copy(update={"verdict": "not comparable", "reason": reason})
    if found.estimate is None:
        reason = (
            f"{found.processes} of {found.started} processes ran without interruption: "
            "the machine is busy with other work, or [gate] max_seconds is too small"
        )
        if found.cpu_ratio is not None:
            reason += f" (by CPU time alone HEAD / BASE is {found.cpu_ratio:.3f})"
        return row.model_copy(update={"verdict": "invalid", "reason": reason})
    alone = base.source is None and head.source is None
    notes = []
    if alone or not found.own_source:
        notes.append("architectures alone, built from the source that runs here: slower code would not be seen")
    return Judgeable(row, found.estimate, gate.margin("time"), True, tuple(notes))

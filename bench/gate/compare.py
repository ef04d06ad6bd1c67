"""BASE against HEAD: every cell, every number, the gated times; one verdict for each and one exit code for all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.base.errors import UserError
from bench.experiments.gate import Gate, GatedTiming
from bench.experiments.places import Place, chosen
from bench.gate.contents import CellValues, Contents, gate_of
from bench.gate.exact import exact_rows, shape_at, shape_row, status_row
from bench.gate.sides import Side
from bench.gate.timing import Network, Ratio, Timed, time_ratios
from bench.gate.verdicts import Judgeable, Result, Row, Verdict, exit_code, judge
from bench.statistics import Prior, paired, welch
from bench.tasks import GATED

STOCHASTIC = GATED
"""Metrics that are tested; all others with noise are for information and have no verdict here."""

Part = Row | Judgeable
TimeRatios = Callable[..., list[Timed]]


@dataclass(frozen=True)
class Both:
    """What the rows of one comparison have in common."""

    base: Contents
    head: Contents
    gate: Gate
    notes: list[str]

    @property
    def sides(self) -> tuple[Contents, Contents]:
        return self.base, self.head

    @property
    def same_numbers(self) -> bool:
        """Whether the same cell would have the same number to the last bit on both sides."""
        first, last = self.base.environments, self.head.environments
        return len(first) == len(last) == 1 and first[0].same_numbers(last[0])


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
        both = Both(base.contents, head.contents, gate, notes)
        _say_what_differs(both, head)
        parts = [*_cells(both), *_times(both, base, head, timing=timing, time_them=time_them, advance=advance)]
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
    rows = [_row(place, gated=True).model_copy(update={"verdict": verdict, "reason": reason}) for place in places]
    return rows or [Row(cell="all", metric="", kind="cell", gated=True, verdict=verdict, reason=reason)]


def _row(place: Place, *, gated: bool) -> Row:
    return Row(cell=place.label, metric="", kind="cell", gated=gated, verdict="ok", reason="")


def _say_what_differs(both: Both, head: Side) -> None:
    """What a reader must know before any row."""
    labels = [sorted({environment.label for environment in side.environments}) for side in both.sides]
    if labels[0] != labels[1]:
        both.notes.append(f"BASE was measured with {' and '.join(labels[0])}; HEAD with {' and '.join(labels[1])}")
    if gate_of(both.base, "BASE") != both.gate:
        both.notes.append("BASE's experiment has another [gate]; HEAD's rules are used")
    if len(both.head.git) > 1:
        both.notes.append(f"{head.label} was measured by several revisions: {', '.join(both.head.git)}")


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
        parts.append(_row(place, gated=True).model_copy(update={"verdict": "missing", "reason": reason}))
    for place in others:
        parts += _cell(both, place, gated=False, metrics=())
    return parts


def _cell(both: Both, place: Place, *, gated: bool, metrics: Sequence[str]) -> list[Part]:
    row = _row(place, gated=gated)
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
    noisy = [_stochastic(both, place, name, seeds_ok, values, gated=gated and name in metrics) for name in STOCHASTIC]
    return [status, shape, *exact, *(part for part in noisy if part is not None)]


def _absent(in_base: bool, in_head: bool) -> dict[str, str]:
    if in_base and in_head:
        return {"verdict": "missing", "reason": "neither BASE nor HEAD has this cell"}
    if in_head:
        return {"verdict": "missing", "reason": "BASE has this cell, HEAD does not"}
    return {"verdict": "new", "reason": "HEAD has this cell, BASE does not; it is compared once it is accepted"}


def _stochastic(
    both: Both,
    place: Place,
    metric: str,
    seeds: Sequence[int],
    values: tuple[CellValues, CellValues],
    *,
    gated: bool,
) -> Part | None:
    """A tested number of one cell; None where neither side has it."""
    tables = [side.terms.get(place.workload, {}) for side in both.sides]
    names = [next((n for n in table if n.partition("[")[0] == metric), None) for table in tables]
    row = _row(place, gated=gated).model_copy(update={"metric": names[0] or names[1] or metric, "kind": "stochastic"})
    if names == [None, None]:
        return row.model_copy(update={"verdict": "missing", "reason": "not measured on either side"}) if gated else None
    if None in names:
        verdict, side = ("new", "BASE") if names[0] is None else ("missing", "HEAD")
        return row.model_copy(update={"verdict": verdict, "reason": f"{side} has no such number"})
    first, last = (table[name] for table, name in zip(tables, names, strict=True) if name)
    if first != last or names[0] != names[1]:
        reason = f"BASE: {first.version}, {first.num_images} images; HEAD: {last.version}, {last.num_images} images"
        return row.model_copy(update={"verdict": "not comparable", "reason": reason})
    before, after = (
        [x for x in side.at(seeds, name) if x is not None and x > 0]
        for side, name in zip(values, names, strict=True)
        if name
    )
    if len(before) != len(seeds) or len(after) != len(seeds):
        return row.model_copy(update={"verdict": "missing", "reason": "a seed has no value, or none above 0"})
    row = row.model_copy(update={"base": sum(before) / len(before), "head": sum(after) / len(after), "n": len(seeds)})
    if before == after:
        return row.model_copy(update={"verdict": "ok", "reason": "identical under every seed", "change": 0.0})
    return _tested(both, place, metric, seeds, (before, after), values, row, first.direction == "lower")


def _tested(
    both: Both,
    place: Place,
    metric: str,
    seeds: Sequence[int],
    numbers: tuple[Sequence[float], Sequence[float]],
    values: tuple[CellValues, CellValues],
    row: Row,
    lower_is_better: bool,
) -> Part:
    before, after = ([math.log(x) for x in side] for side in numbers)
    rule = both.gate.prior.get(metric)
    prior = Prior(rule.sd**2, rule.degrees) if rule else None
    why_not = _why_not_paired(both, place, seeds, values)
    notes: list[str] = []
    if why_not:
        found, notes = welch(before, after), [f"not paired: {why_not}"]
    else:
        found = paired(before, after, prior)
        if prior is None:
            notes = ["no prior in [gate]: only the spread of these seeds"]
    if found is None:
        reason = f"{len(seeds)} seed(s) say nothing of the spread; " + "; ".join(notes)
        return row.model_copy(update={"verdict": "inconclusive", "reason": reason})
    return Judgeable(row, found, both.gate.margin(metric), lower_is_better, tuple(notes))


def _why_not_paired(both: Both, place: Place, seeds: Sequence[int], values: tuple[CellValues, CellValues]) -> str:
    """Why the differences of equal seeds are not differences of the networks alone; empty where they are."""
    if not both.same_numbers and any("train" in side.varies.split("+") for side in values):
        return "the networks were trained in different environments, and training does not repeat there"
    keys = [f"{place.workload} {seed}" for seed in seeds]
    inputs = [[side.inputs.get(key) for key in keys] for side in both.sides]
    if None not in inputs[0] and None not in inputs[1]:
        return "" if inputs[0] == inputs[1] else "the same seeds stand for other evaluation inputs"
    versions = {environment.torch for side in both.sides for environment in side.environments}
    return "" if len(versions) == 1 else "another torch may draw other evaluation inputs from the same seeds"


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
    row = _row(chosen(rule, both.head.experiment), gated=True)
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

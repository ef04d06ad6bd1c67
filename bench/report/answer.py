"""The answer in words, each sentence generated from a test that holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from bench.report.blocks import Block, Code, Inline, Items, Paragraph, Strong, coded, line, listed
from bench.tables.claim import (
    BEST,
    LEAST_CHECKPOINTS,
    TESTED,
    Claim,
    Claims,
    Verdict,
    about_trainings,
    by_place,
)
from bench.tables.lead import judges, judges_of, power_for, tasks_of, times_ten, titled
from bench.tables.naming import DENSE
from bench.tables.text import number, places_of, seen_places
from bench.tasks import Quantity, Task

WORDS: dict[Verdict, str] = {
    "lower": "lower",
    "higher": "higher",
    "not separable": "not separable",
    "identical": "identical",
    "worse: collapsed": "worse, collapsed",
    "better: the other collapsed": "better, as the other collapsed",
    "both collapsed": "not compared, both collapsed",
    "collapsed": "not compared, some seeds collapsed",
    "other size": "not compared, another achieved sparsity",
    "too few seeds": "not compared, too few shared seeds",
}


AS_GOOD: tuple[Verdict, ...] = ("holds", "identical")
"""Shown to be as good as dense."""


@dataclass(frozen=True)
class Part:
    """One paragraph of the answer with the list below it."""

    about: Literal["dense", "reference", "reach", "nothing"]
    head: Inline
    items: tuple[Inline, ...] = ()

    @property
    def blocks(self) -> tuple[Block, ...]:
        return (Paragraph(self.head), *([Items(self.items)] if self.items else []))


def answer(frame: pd.DataFrame, claims: Claims) -> list[Part]:
    """What holds against dense, what against the reference, and how far that reaches."""
    usable = frame[frame["status"] == "ok"]
    if usable.empty:
        return [Part("nothing", ("No cell has a usable result, so nothing can be concluded.",))]
    if not judged_by(frame):
        text = (
            f"{_unmeasured(tasks_of(frame))} measured in this run, so no test compares networks. What was measured "
            "stands in the tables and figures as a description."
        )
        return [Part("nothing", (text,))]
    return [_dense(claims.against_dense, frame), _reference(claims, frame), Part("reach", _reach(frame))]


def judged_by(frame: pd.DataFrame) -> list[Quantity]:
    """What judges the workloads of a run, each once; empty where nothing does."""
    return judges(judges_of(frame).values())


def _unmeasured(tasks: Sequence[Task]) -> str:
    """``Neither A nor B was``: what could have judged."""
    titles = [task.quantity(name).title for task in tasks for name in task.leaders if not task.quantity(name).at_n]
    if len(titles) == 1:
        return f"{titles[0]} was not"
    return f"Neither {' nor '.join(titles)} was"


def _dense(claims: Sequence[Claim], frame: pd.DataFrame) -> Part:
    if not claims:
        return Part("dense", ("There are no pruned cells with a dense cell of the same recovery to compare with.",))
    masked = set(frame.loc[~frame["physical"].astype(bool), "strategy"])
    lines = [line(f"{_scope(group[0])}{place}: ", *_against_dense(group, masked)) for place, group in _grouped(claims)]
    head = line(
        Strong(("Against dense",)),
        f" ({_tested(claims)}, same inputs, image by image; corrected at 5 % within each workload, checkpoint and "
        "recovery):",
    )
    return Part("dense", head, tuple(lines))


def _against_dense(group: Sequence[Claim], masked: set[str]) -> Inline:
    """What the sparsest network that is as good as dense is; where none is shown to be, who loses least for sure."""
    quantity = group[0].quantity
    tested = [claim for claim in group if claim.verdict in TESTED and claim.strategy != DENSE]
    if not tested:
        return ("no pruned network could be compared with dense: all collapsed, or nothing is known of their spread.",)
    held = [claim for claim in tested if claim.verdict in AS_GOOD]
    if held:
        best = max(held, key=lambda claim: claim.achieved)
        within = f"within {quantity.amount(quantity.margin or 0.0)} ({amount_text(best, best.allowed)})"
        return line(
            Code(best.strategy),
            f" is the sparsest network shown to be as good as dense {within}: ",
            *_size(best, masked),
            f"{at_most(best)}. {_counts(group)}",
        )
    surest = min((claim for claim in tested if not math.isnan(claim.bound)), key=_least_loss, default=None)
    none = "no pruned network is shown to be as good as dense"
    if quantity.margin is None:
        none = f"{quantity.no_margin}: {none}" if quantity.no_margin else none
    else:
        none += f" within {quantity.amount(quantity.margin)}"
    finished = next((claim for claim in group if claim.strategy == DENSE and claim.verdict in AS_GOOD), None)
    itself = f"Dense itself is, with this finish: {at_most(finished)}. " if finished else ""
    if surest is None:
        return (f"{none}. {itself}".rstrip(),)
    said = f"{at_most(surest)}. {itself}{_counts(group)}"
    return line(f"{none}; ", Code(surest.strategy), " loses least for sure: ", *_size(surest, masked), said)


def _least_loss(claim: Claim) -> tuple[float, float]:
    return (claim.bound * claim.quantity.sign if claim.quantity.sign < 0 else claim.bound, -claim.achieved)


def _size(claim: Claim, masked: set[str]) -> Inline:
    note = " (masked: neither smaller nor faster on dense kernels)" if claim.strategy in masked else ""
    return (f"achieved sparsity {claim.achieved:.2f}{note}, ",)


def _counts(group: Sequence[Claim]) -> str:
    """Of how many networks what is shown."""
    counts = {
        "as good": sum(claim.verdict in AS_GOOD for claim in group),
        "shown to be worse": sum(claim.verdict == "worse" for claim in group),
        "not separable": sum(claim.verdict == "not separable" for claim in group),
        "collapsed": sum("collapsed" in claim.verdict for claim in group),
    }
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"Of {len(group)} networks: {said}."


def _scope(claim: Claim) -> str:
    """Where an answer reaches: one network, or trainings."""
    return f"over {claim.n} trainings, " if about_trainings(claim) else "for this one network, "


def at_most(claim: Claim) -> str:
    """``it loses at most 0.40 TITLE``."""
    if claim.bound <= 0:
        return f"it gains at least {amount_text(claim, -claim.bound)}"
    return f"it loses at most {amount_text(claim, claim.bound)}"


def amount_text(claim: Claim, value: float) -> str:
    """An amount of what was judged, with its title."""
    power = power_for(claim.quantity, [value])
    return f"{number(value * 10**power, _digits(claim, value * 10**power))} {titled(claim.quantity, power)}"


def _digits(claim: Claim, value: float) -> int:
    return seen_places(value, claim.quantity.decimals)


def _reference(claims: Claims, frame: pd.DataFrame) -> Part:
    best, name = claims.reference == BEST, Code(claims.reference)
    if not best and claims.reference not in set(frame["strategy"]):
        text = " is not in this run: strategies are not compared with each other."
        return Part("reference", line("The reference ", name, text))
    against = Strong(("Against the best of each level",) if best else line("Against ", name))
    tested = [claim for claim in claims.against_reference if claim.verdict in TESTED]
    if not tested:
        text = ": nothing could be compared at an equal achieved sparsity, so the strategies cannot be told apart here."
        return Part("reference", line(against, text))
    quantities = list({claim.quantity.name: claim.quantity for claim in tested}.values())
    counts = "; ".join(_counted([c for c in tested if c.quantity == q], q, len(quantities) > 1) for q in quantities)
    how = f"{_tested(tested)}, corrected at 5 % within each workload, checkpoint and recovery, strategies first"
    head = line(against, f" at the same requested level: {counts} ({how}).")
    lines = []
    for place, group in _grouped(claims.against_reference):
        scope = _scope(group[0])
        for level in dict.fromkeys(claim.level for claim in sorted(group, key=lambda claim: claim.requested)):
            mine = [claim for claim in group if claim.level == level]
            parts = [_listed(words(v, mine[0].quantity), [c for c in mine if c.verdict == v]) for v in WORDS]
            lines.append(line(f"{scope}{place}, {level}: ", listed([part for part in parts if part], "; "), "."))
    return Part("reference", head, tuple(lines))


def _counted(tested: Sequence[Claim], quantity: Quantity, several: bool) -> str:
    count = {verdict: sum(claim.verdict == verdict for claim in tested) for verdict in WORDS}
    of = f" of {quantity.title}" if several else ""
    return (
        f"of {len(tested)} comparisons{of} {count['lower']} show a lower {quantity.title}, {count['higher']} a higher "
        f"one, {count['not separable']} are not separable"
        + (f", {count['identical']} are identical" if count["identical"] else "")
    )


def _tested(claims: Sequence[Claim]) -> str:
    """What the tests of these claims are on."""
    return "differences of " + " or ".join(dict.fromkeys(claim.quantity.tested for claim in claims))


def _reach(frame: pd.DataFrame) -> Inline:
    pruned = frame[(frame["strategy"] != DENSE) & (frame["status"] == "ok")]
    notes = []
    most = frame.groupby("workload")["checkpoint"].nunique().max()
    if most < LEAST_CHECKPOINTS:
        notes.append(
            f"Each workload is {'one training (one checkpoint)' if most == 1 else f'{most} trainings'}: another one "
            f"may order the strategies otherwise; from {LEAST_CHECKPOINTS} on claims are made about trainings."
        )
    if not pruned.empty and not pruned["varies"].str.contains("prune|train").all():
        notes.append(
            "Where `varies` names neither `prune` nor `train`, one pruned network was evaluated several "
            "times: the interval covers the draw of the inputs (and of the calibration), not what was pruned."
        )
    notes.append("'Not separable' says that this run cannot tell them apart, not that they are equal.")
    return coded(" ".join(notes))


def _grouped(claims: Sequence[Claim]) -> list[tuple[str, list[Claim]]]:
    found = by_place(claims)
    varied = [len({key[index] for key in found}) > 1 for index in range(4)]
    result = []
    for key, group in found.items():
        names = [key[0], *(word for word, shown in zip(key[1:], varied[1:], strict=True) if shown)]
        result.append((", ".join(names), group))
    return result


def words(verdict: Verdict, quantity: Quantity) -> str:
    """The verdict, with what was judged where it names a direction."""
    return f"{WORDS[verdict]} {quantity.title}" if verdict in ("lower", "higher") else WORDS[verdict]


def _listed(verdict: str, claims: Sequence[Claim]) -> Inline:
    if not claims:
        return ()
    shown = [
        line(Code(claim.strategy), f" ({_difference(claim)})" if claim.verdict in ("lower", "higher") else "")
        for claim in claims
    ]
    return line(f"{verdict}: ", listed(shown))


def difference_text(claim: Claim) -> str:
    """``+1.20 (0.90 to 1.50)``, or with a power of ten: ``+1.20 (0.90 to 1.50) × 10⁻³``.

    Ends that are 0 say that only the direction is shown; an end that is not known is not written.
    """
    power = power_for(claim.quantity, [claim.difference])
    mean, low, high = (value * 10**power for value in (claim.difference, claim.low, claim.high))
    half = min((abs(end - mean) for end in (low, high) if math.isfinite(end)), default=math.nan)
    digits = places_of(half, claim.quantity.decimals)
    ends = [number(end, digits, signed=True) if math.isfinite(end) else "" for end in (low, high)]
    between = f"{ends[0]} to {ends[1]}" if all(ends) else (f"above {ends[0]}" if ends[0] else f"below {ends[1]}")
    shown = f"{number(mean, digits, signed=True)} ({between})" if any(ends) else number(mean, digits, signed=True)
    return f"{shown} {times_ten(-power)}" if power else shown


def _difference(claim: Claim) -> str:
    if claim.verdict == "identical":
        return "exactly 0"
    p_value = number(claim.adjusted, 3) if claim.adjusted >= 0.001 else "below 0.001"
    return f"{difference_text(claim)}, n = {claim.n}, corrected p {p_value}"

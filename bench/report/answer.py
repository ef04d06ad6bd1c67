"""The answer in words, each sentence generated from a test that holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from bench.report.blocks import Block, Code, Inline, Items, Paragraph, Strong, coded, line, listed
from bench.report.claims import LEAST_SEEDS, TESTED, Claim, Claims, Verdict, by_place
from bench.tables.lead import judges, judges_of, power_for, tasks_of, times_ten
from bench.tables.naming import DENSE
from bench.tables.text import number, with_interval
from bench.tasks import Quantity, Task

WORDS: dict[Verdict, str] = {
    "lower": "lower",
    "higher": "higher",
    "not separable": "not separable",
    "identical": "identical",
    "collapsed": "not compared, a seed collapsed",
    "other size": "not compared, another achieved sparsity",
    "too few seeds": f"not compared, fewer than {LEAST_SEEDS} shared seeds",
}


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
    titles = [task.quantity(name).title for task in tasks for name in task.leaders]
    if len(titles) == 1:
        return f"{titles[0]} was not"
    return f"Neither {' nor '.join(titles)} was"


def _dense(claims: Sequence[Claim], frame: pd.DataFrame) -> Part:
    judging = judged_by(frame)
    if not claims and all(quantity.margin is None for quantity in judging):
        bounds = list(dict.fromkeys(task.bounding.title for task in tasks_of(frame)))
        reasons = "; ".join(dict.fromkeys(quantity.no_margin for quantity in judging if quantity.no_margin))
        text = f"{' and '.join(bounds)} {'was' if len(bounds) == 1 else 'were'} not measured. "
        shown = "no network is said to hold the quality of dense."
        return Part("dense", (text + (f"{reasons}: {shown}" if reasons else shown.capitalize()),))
    if not claims:
        return Part("dense", ("There are no pruned cells with a dense cell of the same recovery to compare with.",))
    masked = set(frame.loc[~frame["physical"].astype(bool), "strategy"])
    lines = []
    for place, group in _grouped(claims):
        tested = [claim for claim in group if claim.verdict in TESTED]
        held = [claim for claim in tested if claim.verdict in ("holds", "identical")]
        quantity = group[0].quantity
        loss = f"to lose less than {quantity.amount(quantity.margin or 0.0)} of the dense {quantity.title}"
        if not tested:
            lines.append(line(f"{place}: no comparison with dense has {LEAST_SEEDS} shared seeds without a collapse."))
        elif not held:
            lines.append(line(f"{place}: no pruned network is shown {loss}."))
        else:
            best = max(held, key=lambda claim: claim.achieved)
            note = " (masked: neither smaller nor faster on dense kernels)." if best.strategy in masked else "."
            size = f"achieved sparsity {best.achieved:.2f}, difference {_difference(best)}"
            name = Code(best.strategy)
            lines.append(line(f"{place}: ", name, f" is the sparsest network shown {loss}: {size}{note}"))
    tested_on = _tested(claims)
    head = line(
        Strong(("Against dense",)),
        f" (paired by seed, one-sided t test of {tested_on}, Holm-corrected over all cells of the run):",
    )
    return Part("dense", head, tuple(lines))


def _reference(claims: Claims, frame: pd.DataFrame) -> Part:
    name = Code(claims.reference)
    if claims.reference not in set(frame["strategy"]):
        text = " is not in this run: strategies are not compared with each other."
        return Part("reference", line("The reference ", name, text))
    against = Strong(line("Against ", name))
    tested = [claim for claim in claims.against_reference if claim.verdict in TESTED]
    if not tested:
        text = (
            f": no comparison has {LEAST_SEEDS} shared seeds at an equal achieved sparsity without a collapse, so the "
        )
        return Part("reference", line(against, text, "strategies cannot be told apart here."))
    quantities = list({claim.quantity.name: claim.quantity for claim in tested}.values())
    counts = "; ".join(_counted([c for c in tested if c.quantity == q], q, len(quantities) > 1) for q in quantities)
    how = f"paired t tests of {_tested(tested)}, Holm-corrected at 5 % over the run"
    head = line(against, f" at the same requested level: {counts} ({how}).")
    lines = []
    for place, group in _grouped(claims.against_reference):
        for level in dict.fromkeys(claim.level for claim in sorted(group, key=lambda claim: claim.requested)):
            mine = [claim for claim in group if claim.level == level]
            parts = [_listed(words(v, mine[0].quantity), [c for c in mine if c.verdict == v]) for v in WORDS]
            lines.append(line(f"{place}, {level}: ", listed([part for part in parts if part], "; "), "."))
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
    return " or ".join(dict.fromkeys(claim.quantity.tested for claim in claims))


def _reach(frame: pd.DataFrame) -> Inline:
    pruned = frame[(frame["strategy"] != DENSE) & (frame["status"] == "ok")]
    notes = []
    if frame.groupby("workload")["checkpoint"].nunique().max() == 1:
        notes.append("Each workload is one training (one checkpoint): another one may order the strategies otherwise.")
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
    """``+1.20 ± 0.30``, or with a power of ten: ``(+1.20 ± 0.30) × 10⁻³``."""
    power, digits = power_for(claim.quantity, [claim.difference.mean]), claim.quantity.decimals
    shown = with_interval(claim.difference.mean * 10**power, claim.difference.half * 10**power, digits, signed=True)
    return f"({shown}) {times_ten(-power)}" if power else shown


def _difference(claim: Claim) -> str:
    interval = difference_text(claim)
    if claim.verdict == "identical":
        return "exactly 0"
    p_value = number(claim.adjusted, 3) if claim.adjusted >= 0.001 else "below 0.001"
    return f"{interval}, n = {claim.difference.n}, corrected p {p_value}"

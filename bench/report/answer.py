"""The answer in words, each sentence generated from a test that holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from bench.report.claims import LEAST_SEEDS, MARGIN, Claim, against_dense, against_reference
from bench.tables import escape, lead_metric
from bench.tables.lead import LEADERS, family_of, power_for, times_ten, title_of
from bench.tables.naming import DENSE
from bench.tables.text import number, with_interval

_WORDS = {
    "lower": "lower",
    "higher": "higher",
    "not separable": "not separable",
    "identical": "identical",
    "collapsed": "not compared, a seed collapsed",
    "other size": "not compared, another achieved sparsity",
    "too few seeds": f"not compared, fewer than {LEAST_SEEDS} shared seeds",
}


def answer(frame: pd.DataFrame, reference: str) -> list[str]:
    """Paragraphs of Markdown: what holds against dense, what against the reference, and how far that
    reaches.
    """
    usable = frame[frame["status"] == "ok"]
    if usable.empty:
        return ["No cell has a usable result, so nothing can be concluded."]
    judges = judged_by(frame)
    if not judges:
        return [
            "Neither FID nor KID was measured in this run, so no test compares networks. What was measured "
            "stands in the tables and figures as a description."
        ]
    parts = []
    dense, other = against_dense(usable_and_collapsed(frame)), against_reference(frame, reference)
    parts.append(_dense_sentences(dense, frame, judges))
    parts.append(_reference_sentences(other, reference, frame, judges))
    parts.append(_reach(frame))
    return [part for part in parts if part]


def judged_by(frame: pd.DataFrame) -> list[str]:
    """``FID``, ``KID``: what judges the workloads of a run, FID first; empty where nothing does."""
    families = {family_of(lead_metric(rows["metric"])) for _, rows in frame.groupby("workload")}
    return [title_of(family) for family in LEADERS if family in families]


def usable_and_collapsed(frame: pd.DataFrame) -> pd.DataFrame:
    """The cells that have a network: not those that do not apply or cannot be reached."""
    return frame[frame["status"].isin(["ok", "collapsed"])]


def _dense_sentences(claims: Sequence[Claim], frame: pd.DataFrame, judges: Sequence[str]) -> str:
    if not claims and "FID" not in judges:
        return (
            "FID was not measured. KID is about 0 for a good generator, so a share of the dense KID is no margin: "
            "no network is said to hold the quality of dense."
        )
    if not claims:
        return "There are no pruned cells with a dense cell of the same recovery to compare with."
    masked = set(frame.loc[~frame["physical"].astype(bool), "strategy"])
    lines = []
    for place, group in _grouped(claims):
        tested = [claim for claim in group if claim.verdict in ("lower", "not separable", "identical")]
        held = [claim for claim in tested if claim.verdict in ("lower", "identical")]
        if not tested:
            lines.append(f"- {place}: no comparison with dense has {LEAST_SEEDS} shared seeds without a collapse.")
        elif not held:
            lines.append(f"- {place}: no pruned network is shown to lose less than {MARGIN:.0%} of the dense FID.")
        else:
            best = max(held, key=lambda claim: claim.achieved)
            lines.append(
                f"- {place}: `{escape(best.strategy)}` is the sparsest network shown to lose less than "
                f"{MARGIN:.0%} of the dense FID: achieved sparsity {best.achieved:.2f}, "
                f"difference {_difference(best)}"
                + (" (masked: neither smaller nor faster on dense kernels)." if best.strategy in masked else ".")
            )
    head = "**Against dense** (paired by seed, one-sided t test of log FID, Holm-corrected over all cells of the run):"
    return "\n".join([head, "", *lines])


def _reference_sentences(claims: Sequence[Claim], reference: str, frame: pd.DataFrame, judges: Sequence[str]) -> str:
    name = escape(reference)
    if reference not in set(frame["strategy"]):
        return f"The reference `{name}` is not in this run: strategies are not compared with each other."
    tested = [claim for claim in claims if claim.verdict in ("lower", "higher", "not separable", "identical")]
    if not tested:
        return (
            f"**Against `{name}`**: no comparison has {LEAST_SEEDS} shared seeds at an equal achieved "
            "sparsity without a collapse, so the strategies cannot be told apart here."
        )
    judge = " or ".join(judges)
    count = {verdict: sum(claim.verdict == verdict for claim in tested) for verdict in _WORDS}
    head = (
        f"**Against `{name}`** at the same requested level: of {len(tested)} comparisons {count['lower']} "
        f"show a lower {judge}, {count['higher']} a higher one, {count['not separable']} are not separable"
        + (f", {count['identical']} are identical" if count["identical"] else "")
        + f" (paired t tests of {tested_on(judges)}, Holm-corrected at 5 % over the run)."
    )
    lines = []
    for place, group in _grouped(claims):
        for level in dict.fromkeys(claim.level for claim in sorted(group, key=lambda claim: claim.requested)):
            mine = [claim for claim in group if claim.level == level]
            parts = [_listed(_words(verdict, mine), [c for c in mine if c.verdict == verdict]) for verdict in _WORDS]
            lines.append(f"- {place}, {escape(level)}: " + "; ".join(part for part in parts if part) + ".")
    return "\n".join([head, "", *lines])


def _reach(frame: pd.DataFrame) -> str:
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
    return " ".join(notes)


def _grouped(claims: Iterable[Claim]) -> list[tuple[str, list[Claim]]]:
    claims = list(claims)
    found: dict[tuple[str, str, str, str], list[Claim]] = {}
    for claim in claims:
        found.setdefault((claim.workload, claim.checkpoint, claim.recovery, claim.target), []).append(claim)
    varied = [len({key[index] for key in found}) > 1 for index in range(4)]
    result = []
    for key, group in found.items():
        words = [key[0], *(word for word, shown in zip(key[1:], varied[1:], strict=True) if shown)]
        result.append((", ".join(map(escape, words)), group))
    return result


def tested_on(judges: Sequence[str]) -> str:
    """What the tests are on: ``log FID``, ``KID``."""
    return " or ".join("log FID" if judge == "FID" else judge for judge in judges)


def _words(verdict: str, claims: Sequence[Claim]) -> str:
    """``lower FID``: the verdict, with what was judged where it names a direction."""
    judge = title_of(family_of(claims[0].metric))
    return f"{_WORDS[verdict]} {judge}" if verdict in ("lower", "higher") else _WORDS[verdict]


def _listed(words: str, claims: Sequence[Claim]) -> str:
    if not claims:
        return ""
    shown = [
        f"`{escape(claim.strategy)}`" + (f" ({_difference(claim)})" if claim.verdict in ("lower", "higher") else "")
        for claim in claims
    ]
    return f"{words}: " + ", ".join(shown)


def difference_text(claim: Claim) -> str:
    """``+1.20 ± 0.30``, or with a power of ten: ``(+1.20 ± 0.30) × 10⁻³``."""
    power = power_for(family_of(claim.metric), [claim.difference.mean])
    words = with_interval(claim.difference.mean * 10**power, claim.difference.half * 10**power, 2, signed=True)
    return f"({words}) {times_ten(-power)}" if power else words


def _difference(claim: Claim) -> str:
    interval = difference_text(claim)
    if claim.verdict == "identical":
        return "exactly 0"
    p_value = number(claim.adjusted, 3) if claim.adjusted >= 0.001 else "below 0.001"
    return f"{interval}, n = {claim.difference.n}, corrected p {p_value}"

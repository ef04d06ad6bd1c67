"""The part of `ganprune plan` that says what the run will be able to tell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from bench.cli.terminal import console
from bench.sweep.foresight import Outlook, Range
from bench.tables.foresight import TRAIN

HEADING = "What it will be able to tell, from dense, with probability .8:"
MILDLY = (
    "Mildly pruned: at most twice dense's value at N. Not drawn: the same network whatever the seed. "
    "Afterwards `ganprune power` says it of the run itself."
)


def print_outlook(found: Sequence[Outlook]) -> None:
    """A sentence for each workload and recovery, then where it is from."""
    if not found:
        return
    console.print(Text(HEADING, style="bold"))
    for one in found:
        console.print(Text(f"  {_place(one)}: {'; '.join(_told(one))}."), soft_wrap=True)
        if one.trainings:
            console.print(Text(f"    {_trainings(one)}."), soft_wrap=True)
    for said in _sources(found):
        console.print(Text(f"{said}."), soft_wrap=True)
    console.print(Text(MILDLY), soft_wrap=True)


def _place(one: Outlook) -> str:
    family = one.family
    seeds = "1 seed" if family.seeds == 1 else f"{family.seeds} seeds"
    count = "1 comparison" if family.comparisons == 1 else f"{family.comparisons} comparisons"
    which = "" if one.checkpoints == 1 else f", each of {one.checkpoints} checkpoints"
    return f"{one.workload}, {one.recovery}, N = {family.num_images:,}, {seeds}{which}, {count}"


def _told(one: Outlook) -> list[str]:
    found = []
    if one.has_fixed:
        parts = [(one.mild, "mildly pruned"), (one.harsh, "harshly pruned")]
        known = [f"{_from(told, one.relative)} ({word})" for told, word in parts if told]
        of = f" of dense's {one.quantity.title}" if one.relative else ""
        found.append(
            f"differences of {one.quantity.title} from {' or '.join(known)}{of} where the network is not drawn"
            if known
            else "not known where the network is not drawn"
        )
    if one.has_drawn and one.family.seeds < 2:
        found.append("nothing of networks that are drawn: one seed says nothing of the others")
    elif one.has_drawn:
        trained = any(TRAIN in each.streams for each in one.family.strategies)
        what = "networks are trained" if trained else "networks are drawn"
        found.append(
            f"ratios to dense from {_ends(one.ratio)} where {what}" if one.ratio else f"not known where {what}"
        )
    return found


def _from(told: Range, relative: bool) -> str:
    return _ends(tuple(100 * end for end in told)) + " %" if relative else _ends(told)


def _ends(told: Iterable[float]) -> str:
    return " to ".join(dict.fromkeys(_number(end) for end in told))


def _trainings(one: Outlook) -> str:
    ratios = " or ".join(f"{_number(ratio)} (of {sd:g})" for sd, ratio in one.trainings.items())
    return (
        f"Over all {one.checkpoints} checkpoints, by the standard deviation of log ratios between them, which is not "
        f"known beforehand: ratios from {ratios}"
    )


def _sources(found: Sequence[Outlook]) -> Iterator[str]:
    """Each with the workloads that it is used for."""
    used: dict[str, dict[str, None]] = {}
    for one in found:
        for source in filter(None, (one.fixed_by, one.drawn_by)):
            used.setdefault(source, {})[one.workload] = None
    for source, workloads in used.items():
        yield f"{', '.join(workloads)}: by {source}"


def _number(value: float) -> str:
    """Two digits: it is a rough guide."""
    if math.isinf(value):
        return "any size"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"

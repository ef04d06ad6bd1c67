"""What `ganprune power` prints."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from bench.base.printable import printable_json
from bench.cli.terminal import console
from bench.report.power import Power, as_rows
from bench.tables.adding import Addition, Needs, Wanted, Way
from bench.tables.powering import KINDS, FamilyPower, Kind, Telling

WORDS: dict[Kind, str] = {"fixed": "not drawn", "drawn": "drawn", "trainings": "of several trainings"}
"""What the networks of a comparison are."""

TOLD = (
    "Told: with probability .8, at the level of the family's first step. Not drawn: the same network whatever the "
    "seed; drawn: pruning or training draws it. A factor is of the values at N."
)
ONE_SEED = "one seed of a network that is drawn says nothing of the others; take two at least"

COUNTED = (
    "CPU minutes: of the cells of the comparisons that do not tell it yet, by the seconds that they took in this run "
    "(more images: all of them anew); each row alone. The training of a checkpoint is not counted."
)


def print_power(found: Sequence[Power], as_json: bool) -> None:
    """What every family can tell, what is not decided, and what would have to be added; or a JSON list of objects."""
    if as_json:
        console.file.write(printable_json(as_rows(tuple(found))) + "\n")
        return
    if not found:
        console.print("Nothing is compared in this run.")
        return
    checkpoints = Counter(one.family.workload for one in found)
    for one in found:
        _print_family(one, checkpoints[one.family.workload] > 1)
    console.print(TOLD)
    if any(added.ways for one in found for added in one.additions):
        console.print(COUNTED)


def _print_family(one: Power, several: bool) -> None:
    family = one.family
    place = f"{family.workload}, checkpoint {family.checkpoint}" if several else family.workload
    console.print(Text(f"{place}, {family.recovery}, against {family.reference}", style="bold"), soft_wrap=True)
    console.print(Text(f"{family.title}; N = {family.num_images:,}, {_units(family)}"), soft_wrap=True)
    console.print(_reach_table(family))
    undecided = [needs for added in one.additions for needs in added.undecided]
    if undecided:
        console.print(_undecided_table(undecided, one.wanted))
    _print_additions(one)
    console.print()


def _units(family: FamilyPower) -> str:
    designs = [member.design for member in family.members if member.spread is not None]
    seeds = max((design.seeds for design in designs), default=0)
    checkpoints = max((design.checkpoints for design in designs), default=1)
    said = "1 seed" if seeds == 1 else f"{seeds} seeds"
    return f"{said} of each of {checkpoints} checkpoints" if checkpoints > 1 else f"{said}, about this one network"


def _reach_table(family: FamilyPower) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("networks", "comparisons", "decided", "told from, all of them", "told from, the undecided"):
        table.add_column(heading, justify="left" if heading == "networks" else "right", overflow="fold")
    for kind in KINDS:
        members = family.of(kind)
        if members:
            left = [member for member in members if member.undecided]
            counts = (str(len(members)), str(len(members) - len(left)))
            table.add_row(WORDS[kind], *counts, _range(members), _range(left) if left else "-")
    return table


def _range(members: Sequence[Telling]) -> str:
    """From the least to the most, and as factors where ratios are compared."""
    known = [member for member in members if member.spread is not None]
    said = _from_to([member.smallest for member in known])
    ratios = [member.ratio for member in known if member.ratio is not None]
    return f"{said} (x {_from_to(ratios)})" if ratios else said


def _from_to(values: Sequence[float]) -> str:
    if not values:
        return "not known"
    ends = dict.fromkeys(number(end) for end in (min(values), max(values)))
    return " to ".join(ends)


def _undecided_table(undecided: Sequence[Needs], wanted: Wanted) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    columns = ["not decided", "level", "against", "difference", "told from", f"{wanted.words}: N", "or seeds"]
    trainings = any(needs.one.kind == "trainings" for needs in undecided)
    for heading in columns + ["or checkpoints"] * trainings:
        table.add_column(heading, justify="left" if heading in columns[:3] else "right", overflow="fold")
    for needs in undecided:
        one, claim = needs.one, needs.one.claim
        told = "not known" if one.spread is None else number(one.smallest)
        if one.spread is not None and one.ratio is not None:
            told += f" (x {number(one.ratio)})"
        sign = "+" if claim.difference > 0 else ""
        found = claim.verdict if math.isnan(claim.difference) else f"{sign}{number(claim.difference)}"
        counts = [needs.images, needs.seeds] + [needs.checkpoints] * trainings
        words = [claim.strategy, claim.level, claim.other, found, told, *map(_count, counts)]
        table.add_row(*map(Text, words))
    return table


def _count(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def _print_additions(one: Power) -> None:
    wanted = one.wanted
    lines: list[tuple[str, ...]] = []
    for added in one.additions:
        if math.isnan(added.amount):
            dense = one.family.dense
            said = "is not known" if math.isnan(dense) else f"is {number(dense)}, so a share of it is no difference"
            console.print(Text(f"Dense's {one.family.title} {said}: give an amount, --difference 1.5."), soft_wrap=True)
            return
        lines += _lines(added)
        if added.unknown:
            console.print(
                Text(f"{added.unknown} of {added.compared} ({WORDS[added.kind]}): {ONE_SEED}."), soft_wrap=True
            )
    amounts = {number(added.amount) for added in one.additions}
    said = f"a difference of {wanted.words}" + (f", {', '.join(sorted(amounts))}" if wanted.share else "")
    if not lines:
        if any(added.unknown for added in one.additions):
            return
        open_ = any(added.undecided for added in one.additions)
        rest = "every comparison that is not decided tells it already" if open_ else "every comparison is decided"
        console.print(Text(f"To tell {said}: nothing; {rest}."), soft_wrap=True)
        return
    console.print(Text(f"To tell {said}:"), soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("networks", "short of it", "more", "now", "needed", "CPU minutes"):
        table.add_column(heading, justify="left" if heading in {"networks", "more"} else "right", overflow="fold")
    for line in lines:
        table.add_row(*map(Text, line))
    console.print(table)
    for added in one.additions:
        for way in added.ways:
            if way.then is None:
                console.print(Text(f"More {way.what} ({WORDS[added.kind]}): {way.reason}."), soft_wrap=True)


def _lines(added: Addition) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for way in added.ways:
        first = not found
        names = (WORDS[added.kind], f"{added.short} of {added.compared}") if first else ("", "")
        found.append((*names, way.what, f"{way.now:,}", *_needed(way)))
    return found


def _needed(way: Way) -> tuple[str, str]:
    if way.then is None:
        return "-", "-"
    return f"{way.then:,}", "not recorded" if math.isnan(way.minutes) else number(way.minutes)


def number(value: float) -> str:
    """Three digits; from a hundred on, whole."""
    if math.isinf(value):
        return "never"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

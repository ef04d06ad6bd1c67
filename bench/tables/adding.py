"""What would have to be added to a run so that its comparisons tell a difference, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.records import Record
from bench.statistics import needed
from bench.statistics.power import MOST
from bench.tables.powering import KINDS, FamilyPower, Kind, Telling

TOO_MUCH: Mapping[Kind, str] = {
    "fixed": "what calibration draws differs by too much",
    "drawn": "seeds differ by too much",
    "trainings": "trainings differ by too much",
}
"""Why more images alone may not do."""

What = Literal["images", "seeds", "checkpoints"]


@dataclass(frozen=True)
class Wanted:
    """The difference that shall be told: a share of dense's value, or an amount in the unit of the number."""

    value: float
    share: bool

    @property
    def words(self) -> str:
        return f"{100 * self.value:g}% of dense" if self.share else f"{self.value:g}"

    def amount(self, dense: float) -> float:
        """In the unit of the number; NaN: a share of what is not above 0, or not known."""
        if not self.share:
            return self.value
        return self.value * dense if dense > 0 else math.nan


def parse_wanted(text: str) -> Wanted:
    """``10%``: that share of dense's value; ``1.5``: that amount.

    Raises:
        ValueError: it is neither, or not above 0.
    """
    share = text.strip().endswith("%")
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ValueError(
            f"{text!r} is no difference; expected a share of dense's value above 0 such as 10%, or an amount above 0 "
            "such as 1.5"
        )
    return Wanted(value / 100 if share else value, share)


@dataclass(frozen=True)
class CellSeconds:
    """What one cell took, on one thread."""

    made: float
    """Pruning, and recovery."""
    measured: float
    """Of N images: generating and judging them."""


Seconds = Mapping[str, CellSeconds]
"""By ``eval_key``."""


def seconds_of(records: Sequence[Record]) -> dict[str, CellSeconds]:
    """What each cell took, as it was recorded; those of records without seconds are missing."""
    found = {}
    for record in records:
        cost = record.cost
        if cost.prune_seconds + cost.recover_seconds + cost.measure_seconds > 0:
            made = cost.prune_seconds + cost.recover_seconds + cost.watch_seconds
            found[record.keys.eval] = CellSeconds(made, cost.measure_seconds)
    return found


@dataclass(frozen=True)
class Way:
    """One thing that could be added, alone."""

    what: What
    now: int
    """So many there are (images: of each seed; seeds: of each checkpoint)."""
    then: int | None
    """So many are needed; None: `reason`."""
    minutes: float
    """CPU minutes of what is added; NaN: not known, as no seconds were recorded. Infinite where it is no way."""
    reason: str = ""
    """Why it is no way."""


@dataclass(frozen=True)
class Needs:
    """How many one comparison alone needs to tell the difference, of each thing alone; None: no number suffices, or it
    is not known. As many as there are where it tells it already."""

    one: Telling
    images: int | None
    seeds: int | None
    checkpoints: int | None


@dataclass(frozen=True)
class Addition:
    """What must be added so that the comparisons of one kind that are not decided tell the difference."""

    kind: Kind
    compared: int
    undecided: tuple[Needs, ...]
    amount: float
    """The difference in the unit of the number; NaN: a share of dense's value is none here."""
    ways: tuple[Way, ...]
    """Each alone, for all of them together but the `unknown` ones, the cheapest first; empty where nothing is short."""

    @property
    def short(self) -> int:
        """Of the undecided ones so many do not tell it yet."""
        return sum(not needs.one.smallest <= self.amount for needs in self.undecided)

    @property
    def unknown(self) -> int:
        """Of so many nothing is known: a single seed of a network that is drawn says nothing of the others."""
        return sum(needs.one.spread is None for needs in self.undecided)


def additions(family: FamilyPower, wanted: Wanted, seconds: Seconds) -> tuple[Addition, ...]:
    """For each kind of comparison that the family has."""
    amount = wanted.amount(family.dense)
    found = []
    for kind in KINDS:
        members = family.of(kind)
        undecided = tuple(_needs(one, amount, family.num_images) for one in members if one.undecided)
        short = [needs for needs in undecided if needs.one.spread is not None and not needs.one.smallest <= amount]
        ways: list[Way] = []
        if short and not math.isnan(amount):
            ways = sorted(_ways(kind, short, family.num_images, seconds), key=_order)
        if members:
            found.append(Addition(kind, len(members), undecided, amount, tuple(ways)))
    return tuple(found)


def _needs(one: Telling, amount: float, num_images: int) -> Needs:
    if one.spread is None or not one.on_scale(amount) > 0:  # a share of nothing; one that is rounded away
        return Needs(one, None, None, None)
    factors = needed(one.spread, one.design, one.on_scale(amount), one.level)
    return Needs(
        one,
        images=_grown(num_images, factors.images) if one.images_known else None,
        seeds=_grown(one.design.seeds, factors.seeds),
        checkpoints=_grown(one.design.checkpoints, factors.checkpoints) if one.kind == "trainings" else None,
    )


def _grown(count: int, factor: float | None) -> int | None:
    if factor is None or factor > MOST:
        return None
    return math.ceil(count * factor - 1e-9)


def _ways(kind: Kind, short: Sequence[Needs], num_images: int, seconds: Seconds) -> list[Way]:
    designs = [needs.one.design for needs in short]
    # Of comparisons with different counts (a seed is missing somewhere) the largest is said: all get as many.
    now: dict[What, int] = {
        "images": num_images,
        "seeds": max(design.seeds for design in designs),
        "checkpoints": max(design.checkpoints for design in designs),
    }
    wanted: dict[What, list[int | None]] = {
        "images": [needs.images for needs in short],
        "seeds": [needs.seeds for needs in short],
        "checkpoints": [needs.checkpoints for needs in short],
    }
    made, measured = _total(short, seconds)
    ways = []
    for what, counts in wanted.items():
        known = [count for count in counts if count is not None]
        if len(known) < len(counts):
            ways.append(Way(what, now[what], None, math.inf, _reason(what, kind, short)))
            continue
        factor = max(known) / now[what]
        added = made + factor * measured if what == "images" else (factor - 1) * (made + measured)
        ways.append(Way(what, now[what], max(known), added / 60))
    return ways


def _reason(what: What, kind: Kind, short: Sequence[Needs]) -> str:
    """Why this alone is no way."""
    if what == "checkpoints" and kind != "trainings":
        return "about this one network; what varies between trainings is known from three on"
    if what == "images":
        if not all(needs.one.images_known for needs in short):
            return "what the images contribute was not kept"
        return f"no number suffices: {TOO_MUCH[kind]}"
    if what == "seeds" and kind == "trainings":
        return f"no number suffices: {TOO_MUCH[kind]}"
    return f"not even {MOST:,} suffice"


def _total(short: Sequence[Needs], seconds: Seconds) -> tuple[float, float]:
    """Seconds of the cells that these comparisons are of, each once: made, and measured; NaN: not recorded."""
    keys = {
        str(next(iter(rows.values()))["eval_key"])
        for needs in short
        for side in (needs.one.comparison.mine, needs.one.comparison.base)
        for rows in side.cells.values()
    }
    known = [seconds[key] for key in keys if key in seconds]
    if not known or len(known) < len(keys):
        return math.nan, math.nan
    return sum(one.made for one in known), sum(one.measured for one in known)


def _order(way: Way) -> tuple[bool, float]:
    return way.then is None, math.inf if math.isnan(way.minutes) else way.minutes

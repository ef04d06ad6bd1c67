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

ONE_SEED = "one seed of a network that is drawn says nothing of the others; take two at least"

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
class Addition:
    """What must be added so that the comparisons of one kind that are not decided tell the difference."""

    kind: Kind
    compared: int
    undecided: int
    short: int
    """Of the undecided ones so many do not tell it yet."""
    amount: float
    """The difference in the unit of the number; NaN: a share of dense's value is none here."""
    ways: tuple[Way, ...]
    """Each alone, the cheapest first; empty where nothing is short."""


def additions(family: FamilyPower, wanted: Wanted, seconds: Seconds) -> tuple[Addition, ...]:
    """For each kind of comparison that the family has."""
    amount = wanted.amount(family.dense)
    return tuple(
        _addition(kind, members, amount, family.num_images, seconds) for kind in KINDS if (members := family.of(kind))
    )


def _addition(kind: Kind, members: Sequence[Telling], amount: float, num_images: int, seconds: Seconds) -> Addition:
    undecided = [one for one in members if one.undecided]
    short = [one for one in undecided if not (one.smallest <= amount)]
    ways: list[Way] = []
    if short and not math.isnan(amount):
        ways = sorted(_ways(kind, short, amount, num_images, seconds), key=_order)
    return Addition(kind, len(members), len(undecided), len(short), amount, tuple(ways))


def _ways(kind: Kind, short: Sequence[Telling], amount: float, num_images: int, seconds: Seconds) -> list[Way]:
    found = [needed(one.spread, one.design, one.on_scale(amount), one.level) for one in short if one.spread is not None]
    unknown = len(found) < len(short)
    factors: dict[What, float | None] = {
        "images": _most([each.images for each in found]),
        "seeds": _most([each.seeds for each in found]),
        "checkpoints": _most([each.checkpoints for each in found]),
    }
    # Of comparisons with different counts (a seed is missing somewhere) the largest is said: all get as many.
    seeds, checkpoints = (max(getattr(one.design, name) for one in short) for name in ("seeds", "checkpoints"))
    now: dict[What, int] = {"images": num_images, "seeds": seeds, "checkpoints": checkpoints}
    made, measured = _total(short, seconds)
    ways = []
    for what, factor in factors.items():
        reason = ONE_SEED if unknown else _reason(what, kind, short, factor)
        if reason:
            ways.append(Way(what, now[what], None, math.inf, reason))
            continue
        assert factor is not None
        then = math.ceil(now[what] * factor - 1e-9)
        added = made + factor * measured if what == "images" else (then / now[what] - 1) * (made + measured)
        ways.append(Way(what, now[what], then, added / 60))
    return ways


def _reason(what: What, kind: Kind, short: Sequence[Telling], factor: float | None) -> str:
    """Why this alone is no way; empty where it is one."""
    if what == "checkpoints" and kind != "trainings":
        return "about this one network; what varies between trainings is known from three on"
    if what == "images" and not all(one.images_known for one in short):
        return "what the images contribute was not kept"
    if factor is None or factor > MOST:
        if what == "images":
            return f"no number suffices: {TOO_MUCH[kind]}"
        if what == "seeds" and kind == "trainings":
            return f"no number suffices: {TOO_MUCH[kind]}"
        return f"not even {MOST:,} suffice"
    return ""


def _most(factors: Sequence[float | None]) -> float | None:
    known = [factor for factor in factors if factor is not None]
    return max(known) if known and len(known) == len(factors) else None


def _total(short: Sequence[Telling], seconds: Seconds) -> tuple[float, float]:
    """Seconds of the cells that these comparisons are of, each once: made, and measured; NaN: not recorded."""
    keys = {
        str(next(iter(rows.values()))["eval_key"])
        for one in short
        for side in (one.comparison.mine, one.comparison.base)
        for rows in side.cells.values()
    }
    known = [seconds[key] for key in keys if key in seconds]
    if not known or len(known) < len(keys):
        return math.nan, math.nan
    return sum(one.made for one in known), sum(one.measured for one in known)


def _order(way: Way) -> tuple[bool, float]:
    return way.then is None, math.inf if math.isnan(way.minutes) else way.minutes

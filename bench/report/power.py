"""From a run's folder to what its comparisons can tell, and what would have to be added."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.base.errors import UserError
from bench.report.inputs import check_reference, reference_of
from bench.report.loading import find_run, read_run
from bench.tables import tidy
from bench.tables.adding import Addition, Wanted, additions, parse_wanted, seconds_of
from bench.tables.powering import FamilyPower, powers_of

TEN_PERCENT = "10%"


@dataclass(frozen=True)
class Power:
    """Of one family of comparisons: a workload, a checkpoint (or all of them) and a recovery."""

    family: FamilyPower
    wanted: Wanted
    additions: tuple[Addition, ...]


def power(
    name: str | Path,
    difference: str | float | Wanted = TEN_PERCENT,
    *,
    reference: str | None = None,
    results: Path | str = "results",
) -> tuple[Power, ...]:
    """What the comparisons of a run can tell, and what must be added so that those not decided tell ``difference``.

    Args:
        name: the folder of a run, or an experiment's newest one.
        difference: ``"10%"``: that share of dense's value; ``"1.5"`` or a number: that amount, in the unit of what
            judges the workload.
        reference: what every strategy is compared with: one of the run's strategies, ``dense``, or ``best`` (the best
            of each level); None: the experiment's.

    Raises:
        UserError: no such run, a damaged file, no such reference, or no difference.
    """
    wanted = difference if isinstance(difference, Wanted) else wanted_of(str(difference), "difference")
    inputs = read_run(find_run(name, results))
    frame = tidy(inputs.records)
    base = reference or reference_of(inputs.experiment)
    check_reference(frame, base)
    seconds = seconds_of(inputs.records)
    return tuple(
        Power(family, wanted, additions(family, wanted, seconds)) for family in powers_of(frame, base, inputs.evidence)
    )


def wanted_of(text: str, place: str) -> Wanted:
    """The difference that ``text`` says. Raises UserError, which names ``place``."""
    try:
        return parse_wanted(text)
    except ValueError as error:
        raise UserError(f"{place}: {error}.") from None


def as_rows(found: tuple[Power, ...]) -> list[dict[str, Any]]:
    """One JSON-able object for each family; None: not known, or no number suffices (`reason` says why)."""
    return [
        {
            "workload": one.family.workload,
            "checkpoint": one.family.checkpoint,
            "recovery": one.family.recovery,
            "reference": one.family.reference,
            "metric": one.family.metric,
            "dense": _number(one.family.dense),
            "num_images": one.family.num_images,
            "comparisons": [
                {
                    "strategy": member.claim.strategy,
                    "target": member.claim.target,
                    "level": member.claim.level,
                    "other": member.claim.other,
                    "kind": member.kind,
                    "verdict": member.claim.verdict,
                    "difference": _number(member.claim.difference),
                    "told_from": _number(member.smallest),
                    "told_from_ratio": _number(member.ratio),
                    "seeds": member.design.seeds,
                    "checkpoints": member.design.checkpoints,
                }
                for member in one.family.members
            ],
            "wanted": one.wanted.words,
            "additions": [
                {
                    "kind": added.kind,
                    "compared": added.compared,
                    "undecided": [
                        {
                            "strategy": needs.one.claim.strategy,
                            "target": needs.one.claim.target,
                            "level": needs.one.claim.level,
                            "images": needs.images,
                            "seeds": needs.seeds,
                            "checkpoints": needs.checkpoints,
                        }
                        for needs in added.undecided
                    ],
                    "short": added.short,
                    "unknown": added.unknown,
                    "amount": _number(added.amount),
                    "ways": [
                        {
                            "add": way.what,
                            "now": way.now,
                            "then": way.then,
                            "cpu_minutes": _number(way.minutes),
                            "reason": way.reason,
                        }
                        for way in added.ways
                    ],
                }
                for added in one.additions
            ],
        }
        for one in found
    ]


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None

"""The registry of criteria and the decorator that fills it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

from strategies.base import Context, Criterion, Need, Reduction, Scores, same, sum_of
from strategies.registry import Registry

CRITERIA: Registry[Criterion] = Registry("criterion")


def criterion(
    name: str,
    *,
    source: str,
    formula: str,
    needs: Iterable[Need] = (),
    random: bool = False,
    reduce: Reduction = sum_of,
    unit: Reduction = same,
    draws: bool = False,
    reads: bool = False,
) -> Callable[[Callable[[Context], Scores]], Criterion]:
    """Register a function ``context -> scores`` as the criterion ``name``."""

    def register(score: Callable[[Context], Scores]) -> Criterion:
        code = score.__code__
        thing = Criterion(name, score, source, formula, frozenset(needs), random, reduce, unit, draws, reads)
        return CRITERIA.add(name, thing, origin=f"{inspect.getfile(score)}:{code.co_firstlineno}")

    return register

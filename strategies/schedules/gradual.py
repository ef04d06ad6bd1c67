"""More and more is removed while training goes on, and stays removed."""

from __future__ import annotations

from strategies.schedule import (
    Schedule,
    by_equal_factors,
    cubic_share,
    even_share,
    every_step,
    spaced,
    whole_share,
)
from strategies.schedules.pruning import PruningHooks

ROUNDS = 5
"""Rounds of pruning and training. At a sparsity of 1 - .8^5 = .67 each takes a fifth of what is left."""

CUBIC_EVENTS = 10

everystep = Schedule("everystep", every_step, cubic_share, "pruning after every training step", hooks=PruningHooks)
iterative = Schedule(
    "iterative",
    spaced(ROUNDS),
    even_share,
    "Han et al. 2015 (prune, train, repeat); equal factors as Frankle & Carbin 2019",
    amount=by_equal_factors,
    hooks=PruningHooks,
)
cubic = Schedule("cubic", spaced(CUBIC_EVENTS), cubic_share, "Zhu & Gupta 2017", hooks=PruningHooks)
hard = Schedule(
    "hard",
    spaced(CUBIC_EVENTS),
    whole_share,
    "control for soft (He et al. 2018): the same events and shares, what was removed stays removed",
    hooks=PruningHooks,
)

"""When, within a training of fixed length, pruning happens."""

from strategies.schedule import LAST_EVENT_SHARE, Schedule, cubic_share, spaced
from strategies.schedules.bnprox import bnprox
from strategies.schedules.dynamic import rigl, set_
from strategies.schedules.gradual import cubic, everystep, hard, iterative
from strategies.schedules.greg import greg
from strategies.schedules.grouplasso import grouplasso
from strategies.schedules.lottery import lottery_init, lottery_rewind, scratch
from strategies.schedules.performance import performance
from strategies.schedules.pruning import PruningHooks
from strategies.schedules.reinit import reinit
from strategies.schedules.soft import soft
from strategies.schedules.svs import svs

SCHEDULES: dict[str, Schedule] = {
    schedule.name: schedule
    for schedule in (
        everystep,
        iterative,
        cubic,
        hard,
        soft,
        reinit,
        set_,
        rigl,
        performance,
        lottery_init,
        lottery_rewind,
        scratch,
        bnprox,
        greg,
        grouplasso,
        svs,
    )
}
"""All schedules by name."""

__all__ = [
    "LAST_EVENT_SHARE",
    "SCHEDULES",
    "PruningHooks",
    "Schedule",
    "bnprox",
    "cubic",
    "cubic_share",
    "everystep",
    "greg",
    "grouplasso",
    "hard",
    "iterative",
    "lottery_init",
    "lottery_rewind",
    "performance",
    "reinit",
    "rigl",
    "scratch",
    "set_",
    "soft",
    "spaced",
    "svs",
]

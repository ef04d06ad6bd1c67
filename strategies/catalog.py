"""The named strategies: `<criterion>-<granularity>[-<allocation>][+<schedule>]`, each one line."""

from __future__ import annotations

import inspect

from strategies.allocation import Allocation, global_, global_mean, uniform
from strategies.base import Criterion, Granularity, Levels, Strategy
from strategies.criteria import bnscale, l1, random, rownorm
from strategies.granularity.channel import channel
from strategies.granularity.weight import weight
from strategies.registry import Registry
from strategies.schedules import Schedule, everystep

STRATEGIES: Registry[Strategy] = Registry("strategy")

DENSE = "dense"
"""The unpruned generator's name where strategies are named. It is not one: nothing is scored."""


def strategy(
    name: str,
    criterion: Criterion,
    granularity: Granularity,
    allocation: Allocation,
    schedule: Schedule | None = None,
    levels: Levels | None = None,
) -> Strategy:
    """Register a composition under ``name``."""
    thing = Strategy(name, criterion, granularity, allocation, schedule, levels or Levels())
    frame = inspect.stack(0)[1]
    return STRATEGIES.add(name, thing, origin=f"{frame.filename}:{frame.lineno}")


strategy("random-weight-global", random, weight, global_)
strategy("l1-weight-global", l1, weight, global_)
strategy("l1-weight-uniform", l1, weight, uniform)
strategy("random-channel-uniform", random, channel, uniform)
strategy("l1-channel-uniform", l1, channel, uniform)
strategy("l1-channel-global", l1, channel, global_mean)
strategy("bnscale-channel-global", bnscale, channel, global_)
strategy("rownorm-channel+everystep", rownorm, channel, global_, everystep, Levels(knob="threshold"))

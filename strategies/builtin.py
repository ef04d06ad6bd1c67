"""The named strategies: `<criterion>-<granularity>[-<allocation>][+<schedule>]`, each one line."""

from __future__ import annotations

from strategies.allocation import Allocation, erk, global_, global_mean, lamp, lowfirst, sensitivity_, uniform
from strategies.allocations.isomorphic import isomorphic
from strategies.allocations.peroutput import peroutput
from strategies.allocations.squares import lamp_of_squares
from strategies.base import Criterion, Levels
from strategies.composition import Granularity, Strategy
from strategies.criteria import (
    activation,
    actvar,
    bnscale,
    content,
    dguided,
    diversity,
    fisher,
    fpgm,
    grad,
    grasp,
    hybrid,
    l1,
    l2,
    obc,
    osscar,
    random,
    reconstruct,
    removal,
    ria,
    rownorm,
    sensitivity,
    shuffled,
    shuffledfilters,
    snip,
    synflow,
    taylor,
    unlike,
    wanda,
)
from strategies.criteria import grouped as of_groups
from strategies.granularity.block import block
from strategies.granularity.channel import channel
from strategies.granularity.connection import ConnectionGranularity
from strategies.granularity.grouped import group
from strategies.granularity.nm import NmGranularity
from strategies.granularity.quantised import QuantisedGranularity
from strategies.granularity.share import ShareGranularity
from strategies.granularity.weight import weight
from strategies.registry import Registry, caller
from strategies.schedules import (
    Schedule,
    bnprox,
    cubic,
    everystep,
    greg,
    grouplasso,
    hard,
    iterative,
    lottery_init,
    lottery_rewind,
    performance,
    reinit,
    rigl,
    scratch,
    set_,
    soft,
    svs,
)

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
    return STRATEGIES.add(name, thing, origin=caller())


# Single weights. Scores of the loss compare across layers as they are.
strategy("random-weight-global", random, weight, global_)
strategy("random-weight-uniform", random, weight, uniform)
strategy("l1-weight-global", l1, weight, global_)
strategy("l1-weight-uniform", l1, weight, uniform)
strategy("l1-weight-erk", l1, weight, erk)
strategy("l1-weight-lamp", l1, weight, lamp)
strategy("l1-weight-sensitivity", l1, weight, sensitivity_)
strategy("l1-weight-lowfirst", l1, weight, lowfirst)
strategy("shuffled-weight-global", shuffled, weight, global_)
strategy("grad-weight-global", grad, weight, global_)
strategy("snip-weight-global", snip, weight, global_)
strategy("taylor-weight-global", taylor, weight, global_)
strategy("fisher-weight-global", fisher, weight, global_)
strategy("grasp-weight-global", grasp, weight, global_)
strategy("synflow-weight-global", synflow, weight, global_)
strategy("dguided-weight-global", dguided, weight, global_)
strategy("reconstruct-weight-global", reconstruct, weight, global_)
strategy("hybrid-weight-global", hybrid, weight, global_)
strategy("sensitivity-weight-global", sensitivity, weight, global_)
strategy("ria-weight-uniform", ria, weight, uniform)
strategy("ria-weight-global", ria, weight, global_)
strategy("wanda-weight-peroutput", wanda, weight, peroutput)
strategy("obc-weight-uniform", obc, weight, uniform)
strategy("obc-weight-global", obc, weight, global_)

# n of every m weights.
strategy("l1-nm-2-4", l1, NmGranularity(2, 4), uniform, levels=Levels(continuous=False, knob="n", fixed=(2.0,)))
strategy("l1-nm-4-8", l1, NmGranularity(4, 8), uniform, levels=Levels(continuous=False, knob="n", fixed=(4.0,)))
strategy("random-nm-2-4", random, NmGranularity(2, 4), uniform, levels=Levels(continuous=False, knob="n", fixed=(2.0,)))

# Whole channels. Norms and activations have another scale in each layer: global is by the mean of their group.
strategy("random-channel-uniform", random, channel, uniform)
strategy("random-channel-global", random, channel, global_mean)
strategy("l1-channel-uniform", l1, channel, uniform)
strategy("l1-channel-global", l1, channel, global_mean)
strategy("l1-channel-erk", l1, channel, erk)
strategy("l1-channel-lamp", l1, channel, lamp)
strategy("l1-channel-sensitivity", l1, channel, sensitivity_)
strategy("l1-channel-lowfirst", l1, channel, lowfirst)
strategy("l2-channel-uniform", l2, channel, uniform)
strategy("l2-channel-global", l2, channel, global_mean)
strategy("shuffledfilters-channel-global", shuffledfilters, channel, global_mean)
strategy("bnscale-channel-global", bnscale, channel, global_)
strategy("fpgm-channel-uniform", fpgm, channel, uniform)
strategy("fpgm-channel-global", fpgm, channel, global_mean)
strategy("activation-channel-global", activation, channel, global_mean)
strategy("actvar-channel-global", actvar, channel, global_mean)
strategy("diversity-channel-global", diversity, channel, global_mean)
strategy("content-channel-global", content, channel, global_mean)
strategy("osscar-channel-uniform", osscar, channel, uniform)
strategy("osscar-channel-global", osscar, channel, global_)
strategy("grad-channel-global", grad, channel, global_)
strategy("snip-channel-global", snip, channel, global_)
strategy("taylor-channel-global", taylor, channel, global_)
strategy("fisher-channel-global", fisher, channel, global_)
strategy("dguided-channel-global", dguided, channel, global_)
strategy("reconstruct-channel-global", reconstruct, channel, global_)
strategy("hybrid-channel-global", hybrid, channel, global_)
strategy("sensitivity-channel-global", sensitivity, channel, global_)

# The same channels, scored by all that goes with them; normalised as in DepGraph, by the mean of their group.
strategy("l1-group-uniform", of_groups.l1, group, uniform)
strategy("l1-group-global", of_groups.l1, group, global_mean)
strategy("l2-group-uniform", of_groups.l2, group, uniform)
strategy("l2-group-global", of_groups.l2, group, global_mean)
strategy("l2-group-lamp", of_groups.l2, group, lamp_of_squares)
strategy("l2-group-isomorphic", of_groups.l2, group, isomorphic)
strategy("fpgm-group-uniform", of_groups.fpgm, group, uniform)
strategy("fpgm-group-global", of_groups.fpgm, group, global_mean)
strategy("fpgmsq-group-uniform", of_groups.fpgmsq, group, uniform)
strategy("fpgmsq-group-global", of_groups.fpgmsq, group, global_mean)
strategy("taylor-group-global", of_groups.taylor, group, global_mean)
strategy("taylor-group-isomorphic", of_groups.taylor, group, isomorphic)
strategy("fisher-group-global", of_groups.fisher, group, global_mean)

# Blocks, connections, shared and quantised weights.
strategy("removal-block", removal, block, global_)
strategy("random-block", random, block, global_)
strategy("l1-connection-global", l1, ConnectionGranularity(), global_)
strategy("unlike-share", unlike, ShareGranularity(), global_)
strategy("unlike-share-d", unlike, ShareGranularity(with_d=True), global_)
strategy("l1-quantised-16", l1, QuantisedGranularity(16), global_)
strategy("l1-quantised-4", l1, QuantisedGranularity(4), global_)

# Inside a training.
strategy("l1-weight-global+iterative", l1, weight, global_, iterative)
strategy("l1-weight-global+cubic", l1, weight, global_, cubic)
strategy("l1-weight-global+hard", l1, weight, global_, hard)
strategy("l1-weight-global+soft", l1, weight, global_, soft)
strategy("l1-weight-global+reinit", l1, weight, global_, reinit)
strategy("l1-weight-global+performance", l1, weight, global_, performance)
strategy("l1-weight-erk+set", l1, weight, erk, set_)
strategy("l1-weight-erk+rigl", l1, weight, erk, rigl)
strategy("l1-weight-global+lottery-init", l1, weight, global_, lottery_init)
strategy("l1-weight-global+lottery-rewind", l1, weight, global_, lottery_rewind)
strategy("l1-weight-global+scratch", l1, weight, global_, scratch)
strategy("random-weight-global+iterative", random, weight, global_, iterative)
strategy("l1-channel-global+iterative", l1, channel, global_mean, iterative)
strategy("l1-channel-global+cubic", l1, channel, global_mean, cubic)
strategy("l1-channel-global+hard", l1, channel, global_mean, hard)
strategy("l1-channel-global+soft", l1, channel, global_mean, soft)
strategy("l1-channel-global+performance", l1, channel, global_mean, performance)
strategy("l1-channel-uniform+scratch", l1, channel, uniform, scratch)
strategy("bnscale-channel-global+bnprox", bnscale, channel, global_, bnprox)
strategy("l1-weight-global+greg", l1, weight, global_, greg)
strategy("l1-channel-global+greg", l1, channel, global_mean, greg)
strategy("l2-channel-global+grouplasso", l2, channel, global_mean, grouplasso)
strategy("l2-group-global+grouplasso", of_groups.l2, group, global_mean, grouplasso)
strategy("l1-channel-global+svs", l1, channel, global_mean, svs)
strategy("dguided-channel-global+svs", dguided, channel, global_, svs)
strategy("rownorm-channel+everystep", rownorm, channel, global_, everystep, Levels(knob="threshold"))

"""Both networks at an earlier time of their training, for strategies that go back to it."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from bench.sweep.resolved import ResolvedCell
from bench.workloads.checkpoints import SHIPPED, NoEarlierState, load_initialisation, load_rewind
from strategies.base import NotApplicable, Snapshot


def rewind_of(todo: ResolvedCell) -> Snapshot:
    """Early in the training. Raises NotApplicable where that was not ours."""
    return _earlier(load_rewind, todo)


def initialisation_of(todo: ResolvedCell) -> Snapshot:
    """Before the first step. Raises NotApplicable where that was not ours."""
    return _earlier(load_initialisation, todo)


def _earlier(load: Callable[..., tuple[nn.Module, nn.Module | None]], todo: ResolvedCell) -> Snapshot:
    workload, checkpoint = todo.gan.workload, todo.cell.checkpoint
    if workload.own is not None or (workload.weights == "initialisation" and checkpoint == SHIPPED):
        raise NotApplicable(f"{todo.cell.strategy} goes back to an earlier state of the training, which is not known")
    try:
        return Snapshot(*load(workload, checkpoint))
    except NoEarlierState as error:
        raise NotApplicable(str(error)) from error

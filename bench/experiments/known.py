"""The names that an experiment may use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.base.containment import contained
from bench.base.limits import A_CALL
from bench.records.finishes import FINISHES, NO_FINISH

if TYPE_CHECKING:
    from strategies.base import Levels
    from strategies.constraints import Constraints


@dataclass(frozen=True)
class Known:
    """The names that an experiment may use."""

    workloads: Collection[str]
    strategies: Mapping[str, Levels]
    extractors: Collection[str]
    metrics: Collection[str]
    backends: Collection[str]
    parse_recovery: Callable[[str], object]
    """Raises ValueError, with a sentence, for what is not a recovery."""
    finishes: Collection[str] = (NO_FINISH,)
    built_in: Collection[str] = ()
    """Names of workloads that a table of the user's cannot have."""

    refuses: Callable[[str, Constraints], str] = lambda strategy, constraints: ""
    """Why a strategy cannot be put under constraints, as a sentence; empty where it can."""

    unread: Collection[str] = ()
    """Plug-ins that were not run: a strategy that is not known may be theirs."""

    def may_be(self, strategy: str) -> bool:
        """Whether a strategy that is not known may be one of a plug-in's."""
        return bool(self.unread) and strategy not in self.strategies

    @classmethod
    def installed(cls) -> Known:
        """What this installation offers, plug-ins included. Imports the registries, and with them torch."""
        from strategies.plugins import installed_plugins

        with contained("the plug-ins that are installed", A_CALL):
            installed_plugins()
        return cls.ours()

    @classmethod
    def ours(cls, unread: Collection[str] = ()) -> Known:
        """What is registered; no plug-in is run for it. ``unread``: those that the experiment names besides."""
        from bench.measure.backends import BACKENDS
        from bench.tasks import TASKS
        from bench.tasks.generation.extractors import EXTRACTORS
        from bench.tasks.generation.public import PUBLIC
        from bench.training.recovery.asked import asked_recovery
        from bench.workloads.builtin import BUILT_IN
        from strategies.builtin import STRATEGIES
        from strategies.constraining import refusal

        return cls(
            workloads=tuple(BUILT_IN),
            strategies={name: STRATEGIES[name].levels for name in STRATEGIES},
            extractors=(*EXTRACTORS, *PUBLIC),
            metrics=tuple(dict.fromkeys(name for task in TASKS.values() for name in task.known_metrics)),
            backends=tuple(BACKENDS),
            parse_recovery=asked_recovery,
            finishes=FINISHES,
            built_in=tuple(BUILT_IN),
            refuses=lambda name, constraints: refusal(STRATEGIES[name], constraints),
            unread=tuple(unread),
        )

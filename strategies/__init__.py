"""What is benchmarked: pruning strategies for generators. Needs torch, never `bench`.

For who adds one: `Context`, `Scores`, `criterion`, `strategy`, `NotApplicable`; see docs/adding-a-strategy.md. For who
limits one: `Constraints`, `constrained`; see docs/constraints.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strategies.base import Context, Levels, NotApplicable, Scores
    from strategies.builtin import strategy
    from strategies.constraining import constrained
    from strategies.constraints import Constraints
    from strategies.criteria import criterion

__all__ = ["Constraints", "Context", "Levels", "NotApplicable", "Scores", "constrained", "criterion", "strategy"]


def __getattr__(name: str) -> Any:
    # Imported on first use: the registry's names are needed where torch is not.
    from importlib import import_module

    homes = {
        "criterion": "strategies.criteria",
        "strategy": "strategies.builtin",
        "constrained": "strategies.constraining",
        "Constraints": "strategies.constraints",
    }
    if name in __all__:
        return getattr(import_module(homes.get(name, "strategies.base")), name)
    raise AttributeError(f"module 'strategies' has no attribute {name!r}")

"""The benchmark that decides how a GAN gets pruned.

From Python::

    import ganprune

    ganprune.run("quick")                     # what `ganprune run quick` does
    table = ganprune.load_run("quick")        # a tidy pandas DataFrame
    verdicts = ganprune.claims("quick")       # what its report claims, with intervals
    generator = ganprune.load("out/")         # a pruned generator saved by `ganprune prune`
    ganprune.workload("mine", Generator, ...) # a GAN of your own, see docs/bring-your-own-gan.md

Everything that the user must mend is a `ganprune.UserError`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import claims, draw_report, load_run, power, run, workload
    from bench.artifact.shipped import load_shipped as load
    from bench.base.errors import UserError

__version__ = "0.1.0"
__all__ = ["UserError", "claims", "draw_report", "load", "load_run", "power", "run", "workload"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ganprune' has no attribute {name!r}")
    return getattr(import_module("bench"), name)  # on first use: importing this name waits for neither torch nor pandas


def __dir__() -> list[str]:
    return __all__

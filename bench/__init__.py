"""The harness. Users import it as `ganprune` (`bench/distribution/ganprune`), which has the same public names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import claims, draw_report, load_run, power, run, workload
    from bench.artifact.shipped import load_shipped as load
    from bench.base.errors import UserError

__all__ = ["UserError", "claims", "draw_report", "load", "load_run", "power", "run", "workload"]


def __getattr__(name: str) -> Any:
    # Imported on first use: `ganprune --help` must not wait for torch and pandas.
    if name in {"run", "claims", "load_run", "draw_report", "power", "workload"}:
        from bench import api

        return getattr(api, name)
    if name == "load":
        from bench.artifact.shipped import load_shipped

        return load_shipped
    if name == "UserError":
        from bench.base.errors import UserError

        return UserError
    raise AttributeError(f"module 'bench' has no attribute {name!r}")

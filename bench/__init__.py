"""ganprune: the benchmark that decides how a GAN gets pruned.

From Python::

    import bench

    bench.run("quick")                     # what `ganprune run quick` does
    table = bench.load_run("quick")        # a tidy pandas DataFrame
    generator = bench.load("out/")         # a pruned generator saved by `ganprune prune`
    bench.workload("mine", Generator, ...) # a GAN of your own, see docs/bring-your-own-gan.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import draw_report, load_run, run, workload
    from bench.artifact.folder import load_artifact as load

__all__ = ["draw_report", "load", "load_run", "run", "workload"]


def __getattr__(name: str) -> Any:
    # Imported on first use: `ganprune --help` must not wait for torch and pandas.
    if name in {"run", "load_run", "draw_report", "workload"}:
        from bench import api

        return getattr(api, name)
    if name == "load":
        from bench.artifact.folder import load_artifact

        return load_artifact
    raise AttributeError(f"module 'bench' has no attribute {name!r}")

"""All that draws, in one import: what drawing processes begin with."""

from __future__ import annotations

from bench.report.figures import achieved, backends, cost, curves, grid, hypervolume, layers, quality, ranking

__all__ = ["achieved", "backends", "cost", "curves", "grid", "hypervolume", "layers", "quality", "ranking"]

"""All metrics by name, those that no experiment measures unless it asks for them among them."""

from __future__ import annotations

from bench.tasks.generation.cmmd import CMMD
from bench.tasks.generation.metrics import METRICS
from bench.tasks.generation.mind import MIND
from bench.tasks.generation.paired import METRICS_OF_PAIRS, PairedEvaluation
from bench.tasks.generation.vendi import VENDI

__all__ = ["METRICS", "PairedEvaluation"]

for _metric in (CMMD, MIND, VENDI, *METRICS_OF_PAIRS.values()):
    METRICS.add(_metric.name, _metric)

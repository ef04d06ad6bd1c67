"""Pruned latency the pytest-benchmark way, through the plug-in that ships with the package."""

from __future__ import annotations

import pytest

from bench.pytest_plugin import TimePruned


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize(("strategy", "level"), [("dense", 0.0), ("l1-channel-global", 0.5), ("l1-weight-global", 0.5)])
@pytest.mark.parametrize("workload", ["mnist-dcgan", "mnist-mlp"])
def test_pruned_latency(time_pruned: TimePruned, workload: str, strategy: str, level: float, batch: int) -> None:
    images = time_pruned(workload, strategy, level, batch=batch)
    assert images.shape[0] == batch

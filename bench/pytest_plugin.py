"""A pytest plug-in: pruned latency for people who already track their benchmarks with pytest-benchmark.

pytest-benchmark's storage knows nothing of the processor, and compares across machines without a word. So every
result carries in ``extra_info`` what identifies it: the latency key (both architectures, inputs, processor, backend,
batch, type, threads) and the machine. Compare results only where the keys are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import pytest


class TimePruned(Protocol):
    """What the fixture gives."""

    def __call__(
        self,
        workload: str,
        strategy: str = "dense",
        level: float | Mapping[str, float] = 0.0,
        *,
        checkpoint: str = "shipped",
        batch: int = 1,
        backend: str = "eager",
        device: str = "cpu",
    ) -> Any: ...


@pytest.fixture
def time_pruned(benchmark: Any) -> TimePruned:
    """Times one pruned generator by pytest-benchmark, on one thread, in inference mode.

    ``time_pruned("mnist-dcgan", "l1-channel-global", 0.5, batch=16)`` prunes (seed 0, no recovery: it does not matter
    for time), calls the network, and returns what it made: one image for each of ``batch`` inputs.
    """

    def time_it(
        workload: str,
        strategy: str = "dense",
        level: float | Mapping[str, float] = 0.0,
        *,
        checkpoint: str = "shipped",
        batch: int = 1,
        backend: str = "eager",
        device: str = "cpu",
    ) -> Any:
        import torch

        from bench.base.machine import one_thread
        from bench.gate.pytest_timing import prepared

        knobs = dict(level) if isinstance(level, Mapping) else {"sparsity": level}
        with one_thread():
            call, about = prepared(
                workload, strategy, knobs, checkpoint=checkpoint, batch=batch, backend=backend, device=device
            )
            benchmark.extra_info.update(about)
            with torch.inference_mode():
                call()  # the first call allocates
                return benchmark(call)

    return time_it

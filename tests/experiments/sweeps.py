"""Any sweep, for tests of properties."""

from __future__ import annotations

from hypothesis import strategies as st

from bench.experiments.schema import Sweep
from tests.experiments.known import KNOWN


def unique(items: st.SearchStrategy[object], most: int = 3) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, min_size=1, max_size=most, unique=True).map(tuple)


sweeps = st.builds(
    Sweep,
    name=st.just("x"),
    workloads=unique(st.sampled_from(list(KNOWN.workloads))),
    checkpoints=unique(st.sampled_from(["shipped", "mine"])),
    strategies=unique(st.sampled_from(sorted({*KNOWN.strategies, "dense"} - {"shared"})), 6),
    target=st.sampled_from(["params", "macs"]),
    sparsities=unique(st.floats(0.01, 0.99)),
    recovery=unique(st.sampled_from(["none", "bn-recalibrate"])),
    seeds=unique(st.integers(0, 2**63 - 1)),
)
